//! Derivatives of functions: every op both ways, nesting, exactness, and what they are used for.

mod exact;
mod functions;
mod ops;

use gradus_autograd::Var;
use gradus_tensor::{Rng, Shape, Tensor};

/// A constant with random values.
fn random(shape: impl Into<Shape>, seed: u64) -> Var<f64> {
    Var::constant(Tensor::uniform(shape, -1.0, 1.0, &mut Rng::seed(seed)))
}

fn constant<U: Into<Tensor<f64>>>(values: U) -> Var<f64> {
    Var::constant(values.into())
}

#[track_caller]
fn assert_near(what: &str, got: &Var<f64>, expected: &Var<f64>, tolerance: f64) {
    assert_eq!(got.shape(), expected.shape(), "{what}");
    for (i, (got, expected)) in got.value().to_vec().into_iter().zip(expected.value().to_vec()).enumerate() {
        let near = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
        assert!(near, "{what}, element {i}: {got:e} and {expected:e}");
    }
}
