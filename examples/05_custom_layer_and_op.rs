//! A layer and an op of one's own, each with its check against finite differences.
//!
//! `cargo run --release --example 05_custom_layer_and_op`

use gradus::autograd::check::{Tolerance, gradcheck, gradgradcheck};
use gradus::nn::check::check_layer;
use gradus::prelude::*;
use gradus::tensor::Float;

/// A highway layer (Srivastava, Greff and Schmidhuber 2015): a gate mixes a transformed input with the input.
#[derive(Module)]
struct Highway<T: Float = f32> {
    gate: Linear<T>,
    body: Linear<T>,
}

impl<T: Float> Highway<T> {
    fn new(width: usize, rng: &mut Rng) -> Self {
        Self { gate: Linear::new(width, width, rng), body: Linear::new(width, width, rng) }
    }
}

impl<T: Float> Layer<T> for Highway<T> {
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let t = self.gate.forward(x, mode).sigmoid();
        let h = self.body.forward(x, mode).tanh();
        &t * h + (1.0 - &t) * x
    }
}

/// `x · e^(-x²)`, with its rule written in ops: so it has derivatives of every order.
fn wavelet<T: Float>(x: &Var<T>) -> Var<T> {
    let y = x.value().map(|v| v * (-v * v).exp());
    let x_kept = x.clone();
    op("wavelet", [x], y, move |p| {
        let squares = x_kept.square();
        [Some(p.gy() * ((1.0 - 2.0 * &squares) * (-squares).exp()))]
    })
}

/// The same op with a mistake in its rule: the 2 is missing.
fn wrong_wavelet<T: Float>(x: &Var<T>) -> Var<T> {
    let y = x.value().map(|v| v * (-v * v).exp());
    let x_kept = x.clone();
    op("wrong_wavelet", [x], y, move |p| {
        let squares = x_kept.square();
        [Some(p.gy() * ((1.0 - &squares) * (-squares).exp()))]
    })
}

/// Rounds on the way forward, passes the gradient straight through: not a derivative, but useful.
fn round_ste<T: Float>(x: &Var<T>) -> Var<T> {
    op("round_ste", [x], x.value().round(), |p| [Some(p.gy().clone())])
}

fn main() {
    let mut rng = Rng::seed(0);

    println!("-- A layer: its parameters have paths, it is checked in f64 and trained in f32");
    let layer = Highway::<f64>::new(4, &mut rng);
    for (path, param) in layer.named_parameters() {
        println!("{path:12} {}", param.shape());
    }
    check_layer(layer, [3, 4]).expect("every gradient of the layer agrees with finite differences");
    println!("check_layer: every parameter and the input agree with finite differences\n");

    println!("-- An op: first and second derivatives");
    let x = Tensor::<f64>::uniform([5], -2.0, 2.0, &mut rng);
    gradcheck(|v| wavelet(&v[0]), std::slice::from_ref(&x), Tolerance::default()).expect("the rule is right");
    gradgradcheck(|v| wavelet(&v[0]), std::slice::from_ref(&x), Tolerance::default()).expect("and so is its own rule");
    println!("gradcheck, gradgradcheck: right\n");

    println!("-- A wrong rule is found, and the report says where");
    let error = gradcheck(|v| wrong_wavelet(&v[0]), &[x], Tolerance::default()).expect_err("the rule is wrong");
    println!("{error}\n");

    println!("-- A straight-through estimator");
    let x = Var::leaf(Tensor::from([0.2f32, 0.7, 1.4]));
    let y = round_ste(&x);
    println!("rounded {}, gradient {}", y.value(), y.sum(..).backward()[&x]);
}
