//! What the driver does around a rule: groups, schedules, clipping, errors, saving and loading.

use gradus_autograd::{Grads, Module, Param, Var};
use gradus_optim::*;
use gradus_tensor::Tensor;

type Net = (Param<f64>, Vec<Param<f64>>);

/// Parameters `0`, `1.0` and `1.1`.
fn net() -> Net {
    (Param::new([1.0, 2.0].into()), vec![Param::new([3.0].into()), Param::new([[4.0], [5.0]].into())])
}

/// All gradients `g`.
fn grads(net: &Net, g: f64) -> Grads<f64> {
    let all = net.parameters().into_iter().map(|p| p.sum(..));
    (all.reduce(|a, b| a + b).unwrap() * g).backward()
}

fn values(net: &Net) -> Vec<f64> {
    net.parameters().iter().flat_map(|p| p.value().to_vec()).collect()
}

#[test]
fn a_missing_gradient_is_an_error_that_names_it_and_nothing_moves() {
    let mut net = net();
    let mut opt = Sgd::new(0.1);
    let only_first = net.0.sum(..).backward();
    let err = opt.step(&mut net, only_first.clone()).unwrap_err();
    assert_eq!(err.paths(), ["1.0", "1.1"]);
    assert!(err.to_string().contains("[1.0, 1.1]"), "{err}");
    assert_eq!(values(&net), [1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(opt.steps(), 0);

    opt = opt.allow_missing(true);
    opt.step(&mut net, only_first).unwrap();
    assert_eq!(values(&net), [0.9, 1.9, 3.0, 4.0, 5.0]);
}

#[test]
fn untrainable_parameters_need_no_gradient() {
    let mut net = net();
    net.1.set_trainable(false);
    let g = net.0.sum(..).backward();
    Sgd::new(1.0).step(&mut net, g).unwrap();
    assert_eq!(values(&net), [0.0, 1.0, 3.0, 4.0, 5.0]);
}

#[test]
fn a_parameter_that_comes_later_is_not_missed() {
    let mut net = vec![Param::new(Tensor::from([1.0f64]))];
    let mut opt = Adam::new(0.1);
    for n in 1..=3 {
        let loss = net.iter().map(|p| p.sum(..)).reduce(|a, b| a + b).unwrap();
        opt.step(&mut net, loss.backward()).unwrap();
        assert_eq!(opt.state_dict().scalars[&format!("step.{}", n - 1)], 1.0);
        net.push(Param::new([1.0].into()));
    }
}

#[test]
fn groups_apply_by_pattern_later_over_earlier() {
    let mut net = net();
    let mut opt = Sgd::new(0.1)
        .weight_decay(1.0)
        .group(Group::new("1.*").lr(1.0).weight_decay(0.0))
        .group(Group::new("*.1").weight_decay(0.5));
    let g = grads(&net, 1.0);
    opt.step(&mut net, g).unwrap();
    let wanted = [1.0 - 0.1 * 2.0, 2.0 - 0.1 * 3.0, 3.0 - 1.0, 4.0 - 1.0 * 3.0, 5.0 - 1.0 * 3.5];
    assert_eq!(values(&net), wanted);
    assert_eq!((opt.lr_of("0"), opt.lr_of("1.0"), opt.lr_of("1.1")), (0.1, 1.0, 1.0));

    // A group may be changed on the way.
    opt.set_group(Group::new("1.*").frozen(true));
    let g = net.0.sum(..).backward(); // frozen parameters need no gradient
    opt.step(&mut net, g).unwrap();
    assert_eq!(values(&net)[2..], wanted[2..]);
    assert_ne!(values(&net)[..2], wanted[..2]);
    opt.set_group(Group::new("1.*").frozen(false));
    let g = grads(&net, 1.0);
    opt.step(&mut net, g).unwrap();
    assert_ne!(values(&net)[2..], wanted[2..]);
}

#[test]
fn a_pattern_that_fits_nothing_is_an_error_that_lists_the_paths() {
    let mut net = net();
    let mut opt = Sgd::new(0.1).group(Group::new("features.*").lr(0.0));
    let g = grads(&net, 1.0);
    let err = opt.step(&mut net, g.clone()).unwrap_err().to_string();
    assert!(err.contains(r#""features.*""#) && err.contains("[0, 1.0, 1.1]"), "{err}");
    assert!(opt.step(&mut net, g).is_err(), "and stays one");
    assert_eq!(values(&net), [1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn gradients_that_are_not_finite_are_reported_when_asked_for() {
    for bad in [f64::NAN, f64::INFINITY] {
        let mut net = net();
        let mut g = grads(&net, 1.0);
        g.insert(&net.1[0], [bad].into());
        for mut opt in [Sgd::new(0.1).check_finite(true), Sgd::new(0.1).clip_norm(1.0)] {
            assert_eq!(opt.step(&mut net, g.clone()).unwrap_err().paths(), ["1.0"]);
            assert_eq!(values(&net), [1.0, 2.0, 3.0, 4.0, 5.0]);
        }
        Sgd::new(0.1).step(&mut net, g).unwrap();
        assert!(!net.1[0].value().item().is_finite());
    }
}

#[test]
fn a_changed_shape_is_an_error() {
    let mut net = net();
    let mut opt = Adam::new(0.1);
    let g = grads(&net, 1.0);
    opt.step(&mut net, g).unwrap();
    net.1[1] = Param::new([1.0].into());
    let g = grads(&net, 1.0);
    let err = opt.step(&mut net, g).unwrap_err();
    assert_eq!(err.paths(), ["1.1"]);
    assert_eq!(err.to_string(), "the parameter 1.1 has shape [1], and had [2, 1] when its state was made");
}

#[test]
fn clipping_by_norm_is_global_and_by_value_is_not() {
    let net = net();
    let mut g = grads(&net, 3.0);
    let norm = clip_grad_norm(&net, &mut g, 1.0).unwrap();
    assert!((norm - 45.0f64.sqrt()).abs() < 1e-14);
    let factor = 1.0 / (norm + 1e-6);
    assert!(net.parameters().iter().all(|p| g[p].to_vec().iter().all(|v| (v - 3.0 * factor).abs() < 1e-15)));

    let mut small = grads(&net, 0.1);
    clip_grad_norm(&net, &mut small, 1.0).unwrap();
    assert_eq!(small[&net.0].to_vec(), [0.1, 0.1]);

    let mut g = grads(&net, 1.0);
    g.insert(&net.0, [-5.0, 0.25].into());
    clip_grad_value(&net, &mut g, 0.5);
    assert_eq!(g[&net.0].to_vec(), [-0.5, 0.25]);
    assert_eq!(g[&net.1[1]].to_vec(), [0.5, 0.5]);
}

#[test]
fn a_norm_does_not_overflow_nor_count_what_is_frozen() {
    let net = vec![Param::new(Tensor::from([1.0f32, 1.0]))];
    let mut g = (net[0].sum(..) * 3e30).backward();
    let norm = clip_grad_norm(&net, &mut g, 1.0).unwrap();
    assert!((norm / (18f64.sqrt() * 1e30) - 1.0).abs() < 1e-6);

    let mut net = self::net();
    let mut opt = Sgd::new(1.0).clip_norm(1.0).group(Group::new("1.*").frozen(true));
    let mut g = grads(&net, 0.1);
    g.insert(&net.1[0], [1e9].into());
    opt.step(&mut net, g).unwrap();
    assert_eq!(values(&net), [0.9, 1.9, 3.0, 4.0, 5.0]);
}

#[test]
fn schedules_count_steps_or_epochs() {
    let mut net = net();
    let mut run = |every| {
        let mut opt = Sgd::new(1.0).schedule(every, ExponentialLr::new(0.5)).group(Group::new("0").lr(10.0));
        let mut rates = vec![];
        for _ in 0..2 {
            for _ in 0..2 {
                rates.push((opt.lr(), opt.lr_of("0")));
                let (before, g) = (net.1[0].value().item(), grads(&net, 1.0));
                opt.step(&mut net, g).unwrap();
                assert_eq!(before - net.1[0].value().item(), rates.last().unwrap().0);
            }
            opt.end_epoch(None).unwrap();
        }
        rates
    };
    assert_eq!(run(Every::Step), [(1.0, 10.0), (0.5, 5.0), (0.25, 2.5), (0.125, 1.25)]);
    assert_eq!(run(Every::Epoch), [(1.0, 10.0), (1.0, 10.0), (0.5, 5.0), (0.5, 5.0)]);
}

#[test]
fn a_schedule_that_watches_must_be_shown_something() {
    let mut opt: Optimizer<Sgd> = Sgd::new(1.0).schedule(Every::Epoch, ReduceLrOnPlateau::new(0.5).patience(0));
    assert!(opt.end_epoch(None).unwrap_err().to_string().contains("metric"));
    for metric in [1.0, 0.5, 0.5] {
        opt.end_epoch(metric).unwrap();
    }
    assert_eq!(opt.lr(), 0.5);
    opt.set_lr(0.2);
    assert_eq!(opt.lr(), 0.1);
}

#[test]
fn a_schedule_that_gives_no_rate_is_an_error_and_nothing_moves() {
    for (schedule, wanted) in [
        (Box::new(|_| f64::NAN) as Box<dyn Fn(u64) -> f64 + Send>, "the schedule gives the rate NaN at time 0"),
        (Box::new(|t| 1.0 - t as f64), "the schedule gives the rate -1 at time 2"),
        (Box::new(|t| 1e300f64.powi(t as i32)), "the schedule gives the rate inf at time 2"),
    ] {
        let mut net = net();
        let mut opt = Sgd::new(1.0).schedule(Every::Step, schedule);
        let error = loop {
            let (before, g) = (values(&net), grads(&net, 0.0));
            if let Err(error) = opt.step(&mut net, g) {
                assert_eq!(values(&net), before);
                break error.to_string();
            }
        };
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn loading_names_all_that_does_not_fit_and_changes_nothing() {
    let mut net = net();
    let make = || Adam::new(0.1).group(Group::new("0").weight_decay(0.5));
    let mut opt = make();
    let g = grads(&net, 1.0);
    opt.step(&mut net, g).unwrap();
    let saved = opt.state_dict();
    assert_eq!(saved.rule, "Adam");
    assert_eq!(saved.tensors.len(), 6);

    let mut bad = saved.clone();
    bad.tensors.remove("1.0.exp_avg");
    bad.scalars.remove("step.1.1");
    bad.tensors.insert("2.exp_avg".into(), Tensor::zeros([1]));
    bad.tensors.insert("0.exp_avg_sq".into(), Tensor::zeros([3]));
    bad.scalars.insert("group.0.weight_decay".into(), 0.25);
    let mut other = make();
    let err = other.load_state_dict(&mut net, &bad).unwrap_err().to_string();
    for part in [
        "missing: [1.0.exp_avg, step.1.1]",
        "left over: [2.exp_avg]",
        "0.exp_avg_sq has shape [2] here and [3] in the state",
        "group.0.weight_decay is 0.5 here and 0.25 in the state",
    ] {
        assert!(err.contains(part), "{err}\nlacks {part}");
    }
    assert_eq!(other.state_dict(), make().state_dict());

    let err = opt.load_state_dict(&mut net, &bad).unwrap_err();
    assert!(err.to_string().contains("2.exp_avg"));
    assert_eq!(opt.state_dict(), saved);

    let err = Sgd::new(0.1).load_state_dict(&mut net, &saved).unwrap_err();
    assert_eq!(err.to_string(), "the state is one of Adam, the optimiser is Sgd");
    let err = make().amsgrad(true).load_state_dict(&mut net, &saved).unwrap_err().to_string();
    assert!(err.contains("0.max_exp_avg_sq") && err.contains("option.amsgrad is 1 here and 0"), "{err}");
}

#[test]
fn a_state_from_before_the_first_step_loads() {
    let mut net = net();
    let saved = Adam::new(0.2).state_dict();
    let mut opt = Adam::new(0.1);
    opt.load_state_dict(&mut net, &saved).unwrap();
    assert_eq!((opt.lr(), opt.steps()), (0.2, 0));
    let g = grads(&net, 1.0);
    opt.step(&mut net, g).unwrap();
}

#[test]
fn the_state_of_what_is_frozen_now_is_kept() {
    let mut net = net();
    let mut opt = Sgd::with_momentum(0.1);
    let g = grads(&net, 1.0);
    opt.step(&mut net, g).unwrap();
    net.1.set_trainable(false);
    let mut again = Sgd::with_momentum(0.1);
    again.load_state_dict(&mut net, &opt.state_dict()).unwrap();
    assert_eq!(again.state_dict(), opt.state_dict());
}

#[test]
fn weights_are_written_in_place() {
    let mut net = vec![Param::new(Tensor::<f32>::zeros([100_000]))];
    let at = net[0].value_mut().as_mut_slice().as_ptr();
    let mut opt = Adam::new(0.1);
    for _ in 0..3 {
        let loss = (&*net[0] - 1.0).square().mean(..);
        opt.step(&mut net, loss.backward()).unwrap();
    }
    assert_eq!(net[0].value_mut().as_mut_slice().as_ptr(), at);
}

#[test]
fn an_average_refuses_another_model() {
    let mut net = net();
    let mut ema = Ema::new(0.5);
    assert!(ema.swap(&mut net).is_err(), "nothing averaged yet");
    ema.update(&net).unwrap();
    net.1.pop();
    assert_eq!(ema.update(&net).unwrap_err().to_string(), "the averaged weights and the model differ at [1.1]");
    net.1.push(Param::new([1.0].into()));
    assert!(ema.swap(&mut net).is_err());
}

#[test]
#[should_panic(expected = "beta2 is 1.5; wanted a finite number in 0.0..1.0")]
fn options_out_of_range_are_refused() {
    let _: Optimizer<Adam> = Adam::new(0.1).betas(0.9, 1.5);
}

#[test]
fn a_frozen_leaf_takes_no_gradient_from_a_stale_graph() {
    // Gradients computed before a parameter was frozen must not move it.
    let mut net = net();
    let g = grads(&net, 1.0);
    net.0.set_trainable(false);
    Sgd::new(1.0).step(&mut net, g).unwrap();
    assert_eq!(values(&net), [1.0, 2.0, 2.0, 3.0, 4.0]);
    assert!(Var::constant(net.0.value().clone()).id().is_none());
}

#[test]
fn hooks_come_before_checks_clipping_and_update() {
    let mut net = net();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let list = seen.clone();
    let mut opt = Sgd::new(1.0)
        .clip_value(2.0)
        .before_step(move |net, grads| {
            let all = grads.named(net).into_iter().map(|(path, g)| (path, g.to_vec()));
            list.lock().unwrap().push(all.collect::<Vec<_>>());
            // What the backward pass did not give.
            let missing = net.parameters()[1];
            grads.insert(missing, [0.5].into());
            Ok(())
        })
        .before_step(|net, grads| {
            grads.named_mut(net).into_iter().filter(|(path, _)| path == "1.1").for_each(|(_, g)| *g *= 3.0);
            Ok(())
        });
    let without_one = (net.0.sum(..) + net.1[1].sum(..)).backward();
    opt.step(&mut net, without_one).unwrap();
    // The first hook saw the gradients as they were; what the second made too large was clipped.
    let expected = [("0".to_string(), vec![1.0, 1.0]), ("1.1".to_string(), vec![1.0, 1.0])];
    assert_eq!(*seen.lock().unwrap(), [expected]);
    assert_eq!(values(&net), [0.0, 1.0, 2.5, 2.0, 3.0]);
}

#[test]
fn what_a_hook_leaves_is_checked_and_its_error_ends_the_step() {
    let before = values(&net());
    for (hook, wanted) in [
        (
            Box::new(|_: &dyn Module<f64>, _: &mut Grads<f64>| Err("peer 3 is gone".into())) as BeforeStep<f64>,
            "before_step: peer 3",
        ),
        (
            Box::new(|net, grads| {
                grads.remove(net.parameters()[2]);
                Ok(())
            }),
            "no gradient for the trainable parameters [1.1]",
        ),
        (
            Box::new(|net, grads| {
                grads.named_mut(net).into_iter().for_each(|(_, g)| *g *= f64::NAN);
                Ok(())
            }),
            "the gradients of the parameters [0, 1.0, 1.1] are not finite",
        ),
    ] {
        let mut net = net();
        let g = grads(&net, 1.0);
        let mut opt = Adam::new(0.1).check_finite(true).before_step(hook);
        let text = opt.step(&mut net, g).unwrap_err().to_string();
        assert!(text.starts_with(wanted), "{text}");
        assert_eq!((values(&net), opt.steps()), (before.clone(), 0));
    }
}
