//! Steps and clipping over parameters of any mix of sizes.

use gradus_autograd::{Grads, Module, Param};
use gradus_optim::*;
use gradus_tensor::{Float, Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

const SIZES: [usize; 11] = [1, 40_000, 7, 0, 70_000, 20_000, 20_000, 33_000, 3, 150_000, 5];

fn on_threads<R: Send>(n: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("a pool").install(f)
}

fn net() -> Vec<Param> {
    let rng = &mut Rng::seed(1);
    SIZES.map(|n| Param::new(Tensor::normal([n], 0.0, 1.0, rng))).into()
}

fn grads(net: &[Param], seed: u64) -> Grads {
    let rng = &mut Rng::seed(seed);
    let mut grads = net.iter().map(|p| p.sum(..)).reduce(|a, b| a + b).unwrap().backward();
    net.iter().for_each(|p| grads.insert(p, Tensor::normal([p.numel()], 0.0, 1.0, rng)));
    grads
}

fn values(net: &[Param]) -> Vec<Vec<f32>> {
    net.iter().map(|p| p.value().to_vec()).collect()
}

#[test]
fn all_parameters_together_move_as_each_alone() {
    let together = |threads| {
        on_threads(threads, || {
            let (mut net, mut opt) = (net(), Adam::new(0.1).weight_decay(0.01));
            for step in 0..3 {
                let grads = grads(&net, step);
                opt.step(&mut net, grads).unwrap();
            }
            values(&net)
        })
    };
    let mut alone = net();
    let mut opts: Vec<_> = alone.iter().map(|_| Adam::new(0.1).weight_decay(0.01)).collect();
    for step in 0..3 {
        let grads = grads(&alone, step);
        for (param, opt) in alone.iter_mut().zip(&mut opts) {
            opt.step(param, grads.clone()).unwrap();
        }
    }
    let wanted = values(&alone);
    assert!([1, 2, 3].into_iter().all(|threads| together(threads) == wanted));
}

#[test]
fn clipping_is_of_all_gradients_as_one_vector() {
    let net = net();
    let clipped = |threads, by_norm: bool| {
        let mut grads = grads(&net, 4);
        let norm = on_threads(threads, || match by_norm {
            true => clip_grad_norm(&net, &mut grads, 1.5).unwrap(),
            false => {
                clip_grad_value(&net, &mut grads, 0.25);
                0.0
            }
        });
        (norm, net.iter().map(|p| grads[p].to_vec()).collect::<Vec<_>>())
    };
    let before: Vec<f32> = net.iter().flat_map(|p| grads(&net, 4)[p].to_vec()).collect();
    let norm = before.iter().map(|&g| f64::from(g).powi(2)).sum::<f64>().sqrt();
    for threads in [1, 2, 3] {
        let (found, after) = clipped(threads, true);
        assert!((found / norm - 1.0).abs() < 1e-12);
        let factor = (1.5 / (found + 1e-6)) as f32;
        assert!(after.iter().flatten().zip(&before).all(|(g, b)| *g == b * factor));
        let (_, after) = clipped(threads, false);
        assert!(after.iter().flatten().zip(&before).all(|(g, b)| *g == b.clamp(-0.25, 0.25)));
    }
}

#[test]
fn a_gradient_that_is_too_large_or_not_finite_is_named_and_nothing_moves() {
    for (bad, check_finite) in [(1e30f32, false), (f32::NAN, true), (f32::NEG_INFINITY, true)] {
        let mut net = net();
        let before = values(&net);
        let mut grads = grads(&net, 2);
        grads.get_mut(&net[7]).unwrap().as_mut_slice()[32_999] = bad;
        let mut opt = Adam::new(0.1).check_finite(check_finite);
        assert_eq!(on_threads(2, || opt.step(&mut net, grads)).unwrap_err().paths(), ["7"]);
        assert_eq!(values(&net), before);
    }
}

/// Takes the gradient away, and does not go on at weights of 3 elements.
struct Stops;

impl<T: Float> UpdateRule<T> for Stops {
    type State = ();
    fn name(&self) -> &'static str {
        "Stops"
    }
    fn init(&self, _: &Tensor<T>) {}
    fn update(&self, _: &Step, w: &mut Tensor<T>, g: &Tensor<T>, _: &mut ()) {
        assert!(w.numel() != 3, "three");
        *w -= g;
    }
}

#[test]
fn a_rule_that_panics_leaves_every_parameter_in_its_place() {
    for threads in [1, 3] {
        let (mut net, mut opt): (_, Optimizer<Stops>) = (net(), Optimizer::new(Stops, 0.1));
        let grads = grads(&net, 3);
        let step = AssertUnwindSafe(|| on_threads(threads, || opt.step(&mut net, grads)));
        assert!(catch_unwind(step).is_err());
        assert_eq!(net.parameters().iter().map(|p| p.numel()).collect::<Vec<_>>(), SIZES);
    }
}
