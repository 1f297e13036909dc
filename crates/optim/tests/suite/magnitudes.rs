//! Gradients so large that their squares overflow, and differences that round below 0.

use gradus_autograd::{Grads, Param, Var};
use gradus_optim::registry::{BuiltIn, RuleVisitor, Sample, for_every_rule};
use gradus_optim::*;
use gradus_tensor::{Float, Tensor};

type Net<T> = (Param<T>, Param<T>);

fn net<T: Float>() -> Net<T> {
    (Param::new(Tensor::from([T::one(), T::one()])), Param::new(Tensor::from([T::one()])))
}

fn grads<T: Float>(net: &Net<T>, g: f64) -> Grads<T> {
    let mut grads = (net.0.sum(..) + net.1.sum(..)).backward();
    grads.insert(&net.0, Tensor::from([T::lit(0.1), T::lit(g)]));
    grads
}

/// A gradient whose square overflows is an error that names the parameter and changes nothing; one that the type can square
/// is taken, and the weight goes on moving.
fn refuses<R: UpdateRule<T>, T: Float>(what: &str, make: impl Fn() -> Optimizer<R, T>, large: f64) {
    for g in [large, -large, 1e6 * large] {
        let (mut net, mut opt) = (net::<T>(), make());
        let too_large = grads(&net, g);
        let error = opt.step(&mut net, too_large).expect_err(what);
        assert_eq!(error.paths(), ["0"], "{what}: {error}");
        assert!(error.to_string().contains("squares of gradients"), "{error}");
        assert_eq!((net.0.value().to_vec(), opt.steps()), (vec![T::one(); 2], 0), "{what}");
        let g = grads(&net, 0.1);
        opt.step(&mut net, g).unwrap();
    }
    // Clipping comes first.
    let (mut net, mut opt) = (net::<T>(), make().clip_norm(1.0));
    let g = grads(&net, large);
    opt.step(&mut net, g).unwrap();
    assert!(net.0.value().to_vec()[1] < T::one(), "{what}, clipped");
    let (mut clipped, mut opt) = (self::net::<T>(), make().clip_value(1.0));
    let g = grads(&clipped, large);
    opt.step(&mut clipped, g).unwrap();
    assert!(clipped.0.value().to_vec()[1] < T::one(), "{what}, clipped by value");
}

fn takes<R: UpdateRule<T>, T: Float>(what: &str, make: impl Fn() -> Optimizer<R, T>, g: f64) {
    let (mut net, mut opt) = (net::<T>(), make());
    for g in [g, g, 0.5 * g] {
        let g = grads(&net, g);
        opt.step(&mut net, g).unwrap();
    }
    let w = net.0.value().to_vec();
    assert!(w[1].is_finite() && w[1] < T::one(), "{what}: {w:?}");
    for (name, state) in opt.state_dict().tensors {
        assert!(state.to_vec().into_iter().all(|v| v.is_finite()), "{what}: {name} is {state:?}");
    }
}

/// Each rule says whether it squares gradients, and is held to it.
struct Large {
    refusing: Vec<&'static str>,
}

impl RuleVisitor for Large {
    fn rule<R: BuiltIn>(&mut self) {
        let squares = UpdateRule::<f32>::largest_gradient(&R::default()).is_some();
        for Sample { code, make } in R::samples::<f32>() {
            match squares {
                true => refuses(code, make, 1e21),
                false => takes(code, make, 1e30),
            }
            takes(code, make, 1e18);
        }
        if squares {
            self.refusing.push(R::NAME);
        }
    }
}

#[test]
fn squares_that_overflow_are_refused_and_other_gradients_taken() {
    let mut large = Large { refusing: vec![] };
    for_every_rule(&mut large);
    assert!(["Adam", "AdamW", "NAdam", "RmsProp", "Adagrad", "Adadelta"].iter().all(|name| large.refusing.contains(name)));
    refuses("Adam in f64", || Adam::new::<f64>(1e-3), 1e160);
    takes("Adam in f64", || Adam::new::<f64>(1e-3), 1e150);
}

/// Sums of squares of which each can be held.
#[test]
fn adagrad_goes_on_when_its_sum_is_full() {
    let (mut net, mut opt) = (net::<f32>(), Adagrad::new(1e-3));
    let mut before = 1.0;
    for _ in 0..20 {
        let g = grads(&net, 1.7e19);
        opt.step(&mut net, g).unwrap();
        let w = net.0.value().to_vec()[1];
        assert!(w < before, "{w}");
        before = w;
    }
}

#[test]
fn centred_rmsprop_under_a_constant_gradient() {
    let mut w = Param::<f32>::new([1.0].into());
    let mut exact = Param::<f64>::new([1.0].into());
    let (mut opt, mut opt64) = (RmsProp::new(1e-3).centered(true), RmsProp::new(1e-3).centered(true));
    for t in 1..=3000 {
        let g = (&*w * 0.1).sum(..).backward();
        opt.step(&mut w, g).unwrap();
        let g = (&*exact * 0.1).sum(..).backward();
        opt64.step(&mut exact, g).unwrap();
        let (w, exact) = (f64::from(w.value().item()), exact.value().item());
        assert!(w.is_finite() && exact.is_finite(), "step {t}: {w} and {exact}");
        // The variance falls by 1 % a step: at 900 it is 1e-4 of the square, which f32 still tells.
        if t == 900 {
            assert!((w - exact).abs() < 0.02 * exact.abs(), "step {t}: {w} and {exact}");
        }
    }
    // No step is longer than the rounding of the square allows.
    assert!(f64::from(w.value().item()) > -3000.0 * 1e-3 / f64::from(f32::EPSILON).sqrt(), "{w:?}");
}

#[test]
fn norms_of_gradients_of_any_size() {
    for size in [1e-310, 1e-200, 1e-160, 1.0, 1e160, 1e200, 1e307] {
        let net = (Param::<f64>::new([3.0].into()), Param::new([4.0].into()));
        let weight = Var::constant(Tensor::scalar(size));
        let loss = (&*net.0 * &weight * 3.0 + &*net.1 * &weight * 4.0).sum(..);
        let mut grads = loss.backward();
        let norm = clip_grad_norm(&net, &mut grads, 0.5).unwrap();
        assert!((norm / (5.0 * size) - 1.0).abs() < 1e-12, "{norm:e}, of {size:e}");
        let factor = (0.5 / (norm + 1e-6)).min(1.0);
        for (p, g) in [(&net.0, 3.0), (&net.1, 4.0)] {
            let (found, exact) = (grads[p].item(), g * size * factor);
            assert!((found / exact - 1.0).abs() < 1e-12, "{found:e}, not {exact:e}");
        }
    }
    // The norm itself cannot be held.
    let net: Vec<Param<f64>> = (0..9).map(|_| Param::new([1.0].into())).collect();
    let mut grads = net.iter().map(|p| &**p * 1e308).reduce(|a, b| a + b).unwrap().sum(..).backward();
    assert_eq!(clip_grad_norm(&net, &mut grads, 3.0).unwrap(), f64::INFINITY);
    assert!(net.iter().all(|p| (grads[p].item() - 1.0).abs() < 1e-12));
}
