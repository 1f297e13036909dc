//! A custom layer, op and optimiser: the first two checked against finite differences, the last against its formula.
//!
//! `cargo run --release --example 05_custom_layer_and_op`

use gradus::autograd::{OpName, custom_op};
use gradus::check::{check, check_layer, check_optimizer};
use gradus::optim::{OptimError, RuleState, Step, UpdateRule};
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

/// `x · e^(-(x / width)²)`, with its rule written in ops: so it has derivatives of every order. The width is an attribute.
fn wavelet<T: Float>(x: &Var<T>, width: f64) -> Var<T> {
    let x_kept = x.clone();
    let forward = |[x]: [&Tensor<T>; 1]| x * &(x / width).square().map(|v| (-v).exp());
    custom_op(OpName::new("wavelet").with("width", width), [x], forward, move |p| {
        let squares = (&x_kept / width).square();
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

/// Signum (Bernstein, Wang, Azizzadenesheli and Anandkumar 2018), by its momentum: it steps by the sign of a running mean.
struct Signum(f64);

#[derive(RuleState)]
struct SignumState<T: Float> {
    mean: Tensor<T>,
}

impl<T: Float> UpdateRule<T> for Signum {
    type State = SignumState<T>;
    fn name(&self) -> &'static str {
        "Signum"
    }
    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("momentum", self.0)]
    }
    fn init(&self, w: &Tensor<T>) -> SignumState<T> {
        SignumState { mean: Tensor::zeros(w.shape().clone()) }
    }
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut SignumState<T>) {
        let ([lr, decay], m) = (step.rates::<T>(), T::lit(self.0));
        w.update_with(g, [&mut state.mean], |w, g, [mean]| {
            *mean = m * *mean + (T::one() - m) * g;
            *w -= lr * (mean.sign() + decay * *w);
        });
    }
}

fn main() -> Result<(), OptimError> {
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
    let report = check(|v| wavelet(&v[0], 2.0), std::slice::from_ref(&x)).expect("the rule is right, and so is its own rule");
    println!("{report}");

    println!("-- A wrong rule is found; the report says where, and shows the smallest layer that still fails");
    let swish = Swish { beta: Param::new(Tensor::from([0.5, 1.5, 2.0])) };
    let failure = check_layer(swish, [4, 3]).expect_err("the rule is wrong");
    println!("{failure}");

    println!("-- A straight-through estimator");
    let x = Var::leaf(Tensor::from([0.2f32, 0.7, 1.4]));
    let y = round_ste(&x);
    println!("rounded {}, gradient {}", y.value(), y.sum(..).backward()[&x]);

    println!("-- An optimiser: checked against its formula, saved, and resumed");
    check_optimizer(Optimizer::new(Signum(0.9), 0.1).weight_decay(0.01), |mean: &mut f64, w, g| {
        *mean = 0.9 * *mean + (1.0 - 0.9) * g;
        let sign = if *mean == 0.0 { 0.0 } else { mean.signum() };
        w - 0.1 * (sign + 0.01 * w)
    })
    .expect("the rule does what the formula says");
    let mut net = Highway::<f32>::new(4, &mut rng);
    let mut opt = Optimizer::new(Signum(0.9), 0.01);
    let x = Var::constant(Tensor::normal([8, 4], 0.0, 1.0, &mut rng));
    for _ in 0..3 {
        let loss = net.forward(&x, &mut Mode::Eval).square().mean(..);
        opt.step(&mut net, loss.backward())?;
    }
    let saved = opt.state_dict();
    let mut resumed = Optimizer::new(Signum(0.9), 0.01);
    resumed.load_state_dict(&mut net, &saved)?;
    assert_eq!(resumed.state_dict(), saved);
    println!("saved after {} steps: {:?}", resumed.steps(), saved.tensors.keys());
    Ok(())
}
