//! Penalties in the loss: which parameters, how much, and that none is lost.

use gradus_autograd::{Module, Var, no_grad};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

fn net() -> Sequential<f64> {
    let rng = &mut Rng::seed(0);
    Sequential::new().add(Linear::new(2, 3, rng)).add(Tanh).push("head", Linear::new(3, 1, rng))
}

#[track_caller]
fn message<R>(f: impl FnOnce() -> R) -> String {
    *catch_unwind(AssertUnwindSafe(f)).err().expect("it should have panicked").downcast::<String>().unwrap()
}

#[test]
fn a_penalty_is_of_the_parameters_that_fit_and_train() {
    let mut net = net();
    let state = net.state_dict();
    let of = |paths: &[&str], f: fn(f64) -> f64| -> f64 { paths.iter().flat_map(|p| state[*p].to_vec()).map(f).sum() };
    let near = |a: Var<f64>, b: f64| assert!((a.item() - b).abs() < 1e-12, "{a:?} instead of {b}");
    near(Penalty::l2(0.5).on("*.weight").of(&net), 0.5 * of(&["0.weight", "head.weight"], |w| w * w));
    near(Penalty::l1(2.0).on("head.*").of(&net), 2.0 * of(&["head.weight", "head.bias"], f64::abs));
    let both = of(&["0.bias"], f64::abs) + 3.0 * of(&["0.bias"], |w| w * w);
    near(Penalty::l1_l2(1.0, 3.0).on("0.bias").of(&net), both);
    let grads = Penalty::l2(0.5).on("head.weight").of(&net).backward();
    assert_eq!(grads.len(), 1);
    net.freeze("head.*");
    near(Penalty::l2(0.5).on("*.weight").of(&net), 0.5 * of(&["0.weight"], |w| w * w));
    near(Penalty::l2(0.5).on("head.*").of(&net), 0.0);
}

#[test]
fn activity_penalties_are_means_over_samples_and_add_up() {
    let rng = &mut Rng::seed(1);
    let x = Tensor::<f64>::normal([4, 2], 0.0, 1.0, rng);
    let net =
        Sequential::new().add(ActivityPenalty::new(Tanh, Penalty::l1(0.5))).add(ActivityPenalty::new(Sigmoid, Penalty::l2(2.0)));
    let (y, penalty) = collect_penalties(|| net.forward(&x.clone().into(), &mut Mode::Train(rng)));
    let first = x.tanh();
    let expected = 0.5 * first.abs().sum(..).item() / 4.0 + 2.0 * y.value().square().sum(..).item() / 4.0;
    let got: Var<f64> = penalty.unwrap();
    assert!((got.item() - expected).abs() < 1e-12, "{got:?} instead of {expected}");
    // In evaluation nobody needs to collect, and what collects inside keeps it from the outside.
    net.forward(&x.clone().into(), &mut Mode::Eval);
    let (inner, outer) =
        collect_penalties::<f64, _>(|| collect_penalties::<f64, _>(|| net.forward(&x.clone().into(), &mut Mode::Eval)).1);
    assert!(inner.is_some() && outer.is_none());
}

#[test]
fn a_penalty_that_would_be_lost_is_refused() {
    let m = message(|| Penalty::l2(0.1).on("tail.*").of(&net()));
    assert!(m.contains("fits the penalty's `tail.*`; there are 0.weight, 0.bias, head.weight, head.bias"), "{m}");
    assert!(message(|| Penalty::l1(-1.0)).contains("the strength is -1; wanted 0 or more"));
    let layer = ActivityPenalty::new(Tanh, Penalty::l1(0.5));
    let run = || layer.forward(&Var::leaf(Tensor::<f64>::ones([2, 2])), &mut Mode::Train(&mut Rng::seed(0)));
    assert!(message(run).contains("outside of `collect_penalties`"));
    assert!(message(|| collect_penalties::<f64, _>(|| no_grad(run))).contains("within `no_grad` or a checkpoint"));
    let within = Checkpoint::new(ActivityPenalty::new(Tanh, Penalty::l1(0.5)));
    let x = Var::leaf(Tensor::<f64>::ones([2, 2]));
    let m = message(|| collect_penalties::<f64, _>(|| within.forward(&x, &mut Mode::Train(&mut Rng::seed(0)))));
    assert!(m.contains("within `no_grad` or a checkpoint"), "{m}");
}

#[test]
fn penalties_of_tasks_beside_are_not_collected() {
    let net = |n: usize| {
        ActivityPenalty::<Sequential<f64>>::new(Sequential::new().add(Linear::new(n, n, &mut Rng::seed(0))), Penalty::l2(1.0))
    };
    let (large, small) = (net(200), net(2));
    let collected = |net: &ActivityPenalty<Sequential<f64>>, n: usize| {
        let (_, penalty) = collect_penalties(|| net.forward(&Tensor::ones([200, n]).into(), &mut Mode::Train(&mut Rng::seed(1))));
        penalty.map_or(f64::NAN, |p: Var<f64>| p.item())
    };
    let (right, of_small, failed) = (collected(&large, 200), collected(&small, 2), AtomicUsize::new(0));
    let left = AtomicUsize::new(300);
    let count = |found: f64, right: f64| failed.fetch_add(usize::from(found != right), Ordering::Relaxed);
    rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap().in_place_scope(|scope| {
        scope.spawn(|_| {
            while left.load(Ordering::Acquire) > 0 {
                count(collected(&large, 200), right);
            }
        });
        for _ in 0..300 {
            scope.spawn(|_| {
                count(collected(&small, 2), of_small);
                left.fetch_sub(1, Ordering::Release);
            });
        }
    });
    assert_eq!(failed.into_inner(), 0);
}
