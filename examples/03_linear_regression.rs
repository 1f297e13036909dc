//! Linear regression by hand: no layers, no optimiser, just a gradient and a step against it.
//!
//! `cargo run --release --example 03_linear_regression`

use gradus::prelude::*;

fn main() {
    // y = 3 x₁ - 2 x₂ + 0.5, and a little noise.
    let mut rng = Rng::seed(1);
    let x = Tensor::<f64>::normal([200, 2], 0.0, 1.0, &mut rng);
    let truth = Tensor::from([3.0, -2.0]);
    let y = x.matmul(&truth) + 0.5 + Tensor::normal([200], 0.0, 0.1, &mut rng);
    let (x, y) = (Var::constant(x), Var::constant(y));

    let mut weight = Tensor::<f64>::zeros([2]);
    let mut bias = Tensor::scalar(0.0);
    println!("step      loss    weight              bias");
    for step in 0..=50 {
        let (w, b) = (Var::leaf(weight.clone()), Var::leaf(bias.clone()));
        let error = x.matmul(&w) + &b - &y;
        let loss = error.square().mean(..);
        if step % 10 == 0 {
            println!("{step:4}  {:8.5}    {weight:.4}    {bias:.4}", loss.item());
        }
        // `backward` consumes the loss: the tape is gone when it returns.
        let grads = loss.backward();
        weight = weight - 0.1 * &grads[&w];
        bias = bias - 0.1 * &grads[&b];
    }
    println!("the truth was     [ 3. -2.]           0.5");
    assert!((weight - truth).abs().max(..).item() < 0.05, "the fit is close to the truth");
}
