//! A saved state is loaded into an optimiser that is set up alike, and into no other.

use gradus_autograd::{Module, Param};
use gradus_optim::*;
use gradus_tensor::{Float, Tensor};

type Opt = Optimizer<Sgd, f64>;

fn sgd() -> Opt {
    Sgd::new(0.1)
}

/// The error of loading the state of `a`, after a step, into `b`; none if it loads.
fn error_of(a: Opt, b: Opt) -> Option<String> {
    let mut net = vec![Param::new(Tensor::from([1.0, 2.0]))];
    let (mut a, mut b) = (a, b);
    let grads = net[0].square().sum(..).backward();
    a.step(&mut net, grads).unwrap();
    let before = b.state_dict();
    let error = b.load_state_dict(&mut net, &a.state_dict()).err();
    let left = if error.is_some() { before } else { a.state_dict() };
    assert_eq!(b.state_dict(), left);
    error.map(|e| e.to_string())
}

#[test]
fn another_schedule_is_refused_by_kind_options_and_what_it_counts() {
    let step = |n| sgd().schedule(Every::Epoch, StepLr::new(n, 0.5));
    assert_eq!(error_of(step(3), step(3)), None);
    let refused = |a: Opt, b: Opt, wanted: &str| {
        let text = error_of(a, b).expect(wanted);
        assert!(text.contains(wanted), "{text}\nlacks {wanted}");
    };
    refused(
        step(3),
        step(4),
        "schedule: StepLr { step_size: 4, gamma: 0.5 } by epochs here and StepLr { step_size: 3, gamma: 0.5 } by epochs",
    );
    refused(step(3), sgd(), "schedule: none here and StepLr { step_size: 3, gamma: 0.5 } by epochs in the state");
    refused(sgd(), step(3), "schedule: StepLr { step_size: 3, gamma: 0.5 } by epochs here and none in the state");
    refused(step(3), sgd().schedule(Every::Step, StepLr::new(3, 0.5)), "by steps here");
    refused(step(3), sgd().schedule(Every::Epoch, ExponentialLr::new(0.5)), "ExponentialLr { gamma: 0.5 }");
    let cosine = |t, low| sgd().schedule(Every::Step, CosineAnnealingLr::new(t).eta_min(low));
    refused(cosine(9, 0.0), cosine(9, 0.01), "eta_min: 0.01");
    let cycle = |factor| sgd().schedule(Every::Step, OneCycleLr::new(9).div_factor(factor));
    refused(cycle(2.0), cycle(3.0), "div_factor: 3.0");
    let parts = |g| sgd().schedule(Every::Step, SequentialLr::new(LinearLr::warm_up(2)).then(2, ExponentialLr::new(g)));
    refused(parts(0.5), parts(0.9), "from 2: ExponentialLr { gamma: 0.9 }");
    let chain = |n| sgd().schedule(Every::Step, ChainedLr::new(LinearLr::warm_up(n)).and(ExponentialLr::new(0.9)));
    refused(chain(2), chain(3), "ChainedLr [LinearLr");
    assert_eq!(error_of(parts(0.5), parts(0.5)).or(error_of(chain(2), chain(2))), None);
}

#[test]
fn a_plateau_is_compared_by_its_options_and_not_by_what_it_has_seen() {
    let plateau = || ReduceLrOnPlateau::new(0.5).patience(2);
    let with = |plateau| sgd().schedule(Every::Epoch, plateau);
    let mut seen = plateau();
    for metric in [1.0, 2.0, 3.0, 4.0] {
        seen.observe(metric);
    }
    assert_eq!(error_of(with(seen), with(plateau())), None);
    for other in
        [plateau().patience(3), plateau().maximize(), plateau().on("val_acc"), plateau().cooldown(1), plateau().min_lr(0.1)]
    {
        let text = error_of(with(plateau()), with(other)).unwrap();
        assert!(text.contains("schedule: ReduceLrOnPlateau { m") && text.contains("minimise the loss"), "{text}");
    }
    // The best so far may be infinite; it survives.
    let mut endless: Opt = with(plateau());
    let fresh = endless.state_dict();
    assert_eq!(fresh.scalars["schedule.best"], f64::INFINITY);
    endless.load_state_dict(&mut Vec::<Param<f64>>::new(), &fresh).unwrap();
    assert_eq!(endless.state_dict(), fresh);
}

#[test]
fn other_clipping_and_other_groups_are_refused() {
    let text = |a, b| error_of(a, b).unwrap();
    assert!(text(sgd().clip_norm(1.0), sgd()).contains("clipping: none here and Norm(1.0) in the state"));
    assert!(text(sgd(), sgd().clip_norm(1.0)).contains("clipping: Norm(1.0) here and none in the state"));
    assert!(text(sgd().clip_norm(1.0), sgd().clip_norm(2.0)).contains("Norm(2.0) here and Norm(1.0)"));
    assert!(text(sgd().clip_norm(1.0), sgd().clip_value(1.0)).contains("Value(1.0) here and Norm(1.0)"));
    let (all, first) = (|| Group::new("*").lr(0.5), || Group::new("0").lr(0.25));
    let (ab, ba) = (sgd().group(all()).group(first()), sgd().group(first()).group(all()));
    assert!(text(ab, ba).contains("groups: [\"0\", \"*\"] here and [\"*\", \"0\"] in the state"));
    assert!(text(sgd(), sgd().group(Group::new("*"))).contains("groups"));
    assert!(text(sgd().weight_decay(0.1), sgd()).contains("weight_decay is 0 here and 0.1"));
    assert!(text(sgd().momentum(0.9), sgd().momentum(0.9).nesterov(true)).contains("option.nesterov"));
    assert_eq!(error_of(sgd().clip_norm(1.0).group(all()), sgd().clip_norm(1.0).group(all())), None);
}

#[test]
fn counts_and_rates_that_cannot_be_are_refused() {
    let mut net = vec![Param::new(Tensor::from([1.0, 2.0]))];
    let mut opt: Opt = sgd().group(Group::new("*").lr(0.5));
    let grads = net[0].square().sum(..).backward();
    opt.step(&mut net, grads).unwrap();
    let good = opt.state_dict();
    for (key, value) in [
        ("steps", -1.0),
        ("steps", 1.5),
        ("time", f64::NAN),
        ("step.0", f64::INFINITY),
        ("lr", f64::NAN),
        ("lr", -1.0),
        ("group.*.lr", -1.0),
    ] {
        let mut bad = good.clone();
        bad.scalars.insert(key.into(), value);
        let text = opt.load_state_dict(&mut net, &bad).unwrap_err().to_string();
        assert!(text.contains(&format!("{key} is {value} in the state; expected a")), "{text}");
        assert_eq!(opt.state_dict(), good);
    }
}

/// A rule around another: weights that follow those of the inner rule slowly (Zhang et al., 2019).
struct Lookahead<R> {
    inner: R,
}

#[derive(RuleState)]
struct LookaheadState<T: Float, S> {
    slow: Tensor<T>,
    unused: Option<Tensor<T>>,
    inner: S,
    nothing: (),
}

impl<T: Float, R: UpdateRule<T>> UpdateRule<T> for Lookahead<R> {
    type State = LookaheadState<T, R::State>;
    fn name(&self) -> &'static str {
        "Lookahead"
    }
    fn init(&self, w: &Tensor<T>) -> Self::State {
        LookaheadState { slow: w.copy(), unused: None, inner: self.inner.init(w), nothing: () }
    }
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, s: &mut Self::State) {
        self.inner.update(step, w, g, &mut s.inner);
        if step.t.is_multiple_of(2) {
            let half = T::lit(0.5);
            s.slow.update_with(w, [], |slow, w, []| *slow += half * (w - *slow));
            *w = s.slow.copy();
        }
    }
}

#[test]
fn a_derived_state_is_saved_by_its_fields_and_goes_on_bit_for_bit() {
    let make = || Optimizer::<_, f64>::new(Lookahead { inner: Adam::default() }, 0.1);
    let run = |opt: &mut Optimizer<Lookahead<Adam>, f64>, net: &mut Vec<Param<f64>>, steps| {
        for _ in 0..steps {
            let grads = net[0].square().sum(..).backward();
            opt.step(net, grads).unwrap();
        }
    };
    let (mut net, mut opt) = (vec![Param::new(Tensor::from([1.0, 2.0]))], make());
    run(&mut opt, &mut net, 3);
    let (weights, saved) = (net.state_dict(), opt.state_dict());
    let names: Vec<_> = saved.tensors.keys().map(String::as_str).collect();
    assert_eq!(names, ["0.inner.exp_avg", "0.inner.exp_avg_sq", "0.slow"]);
    run(&mut opt, &mut net, 3);
    let (mut again, mut fresh) = (vec![Param::new(Tensor::from([0.0, 0.0]))], make());
    again.load_state_dict(&weights).unwrap();
    fresh.load_state_dict(&mut again, &saved).unwrap();
    run(&mut fresh, &mut again, 3);
    assert_eq!(net[0].value().to_vec(), again[0].value().to_vec());
    assert_eq!(fresh.state_dict(), opt.state_dict());
}

/// Without a parameter bounded by `Float`, a state is one of `f32`; a tuple struct's fields are named by their numbers.
#[derive(RuleState)]
struct Pair(Tensor, Option<Tensor>);

#[test]
fn a_derived_state_of_one_element_type() {
    let mut pair = Pair(Tensor::zeros([2]), Some(Tensor::ones([1])));
    let named = |pair: &Pair| pair.tensors().into_iter().map(|(name, t)| (name, t.to_vec())).collect::<Vec<_>>();
    assert_eq!(named(&pair), [("0".to_string(), vec![0.0, 0.0]), ("1".to_string(), vec![1.0])]);
    *pair.tensors_mut()[1].1 = Tensor::full([1], 3.0);
    assert_eq!(named(&pair)[1].1, [3.0]);
}
