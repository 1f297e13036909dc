//! A layer and an op of one's own, each with its check against finite differences.
//!
//! `cargo run --release --example 05_custom_layer_and_op`

use gradus::check::{check, check_layer};
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
    let x_kept = x.clone();
    let forward = |[x]: [&Tensor<T>; 1]| x.map(|v| v * (-v * v).exp());
    custom_op("wavelet", [x], forward, move |p| {
        let squares = x_kept.square();
        [Some(p.gy() * ((1.0 - 2.0 * &squares) * (-squares).exp()))]
    })
}

/// `x · sigmoid(β x)` with a trainable β for each column (Ramachandran, Zoph and Le 2017), and a mistake in its rule.
#[derive(Module)]
struct Swish<T: Float = f32> {
    beta: Param<T>,
}

impl<T: Float> Layer<T> for Swish<T> {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        let (x_kept, beta) = (x.clone(), (*self.beta).clone());
        let forward = |[x, beta]: [&Tensor<T>; 2]| x * &(x * beta).sigmoid();
        custom_op("swish", [x, &self.beta], forward, move |p| {
            let s = (&x_kept * &beta).sigmoid();
            let slope = &s * (1.0 - &s);
            let dx = p.gy() * (&s + &x_kept * &slope); // β is missing: x β s (1 - s)
            let dbeta = (p.gy() * x_kept.square() * slope).sum_to(beta.shape());
            [Some(dx), Some(dbeta)]
        })
    }
}

/// Rounds on the way forward, passes the gradient straight through: not a derivative, but useful.
fn round_ste<T: Float>(x: &Var<T>) -> Var<T> {
    custom_op("round_ste", [x], |[x]| x.round(), |p| [Some(p.gy().clone())])
}

fn main() {
    let mut rng = Rng::seed(0);

    println!("-- A layer: its parameters have paths, it is checked in f64 and trained in f32");
    let layer = Highway::<f64>::new(4, &mut rng);
    for (path, param) in layer.named_parameters() {
        println!("{path:12} {}", param.shape());
    }
    let [evaluation, _] = check_layer(layer, [3, 4]).expect("every gradient of the layer is right");
    println!("check_layer: the input and every parameter are right\n{evaluation}");

    println!("-- An op: first and second derivatives");
    let x = Tensor::<f64>::uniform([5], -2.0, 2.0, &mut rng);
    let report = check(|v| wavelet(&v[0]), std::slice::from_ref(&x)).expect("the rule is right, and so is its own rule");
    println!("{report}");

    println!("-- A wrong rule is found; the report says where, and shows the smallest layer that still fails");
    let swish = Swish { beta: Param::new(Tensor::from([0.5, 1.5, 2.0])) };
    let failure = check_layer(swish, [4, 3]).expect_err("the rule is wrong");
    println!("{failure}");

    println!("-- A straight-through estimator");
    let x = Var::leaf(Tensor::from([0.2f32, 0.7, 1.4]));
    let y = round_ste(&x);
    println!("rounded {}, gradient {}", y.value(), y.sum(..).backward()[&x]);
}
