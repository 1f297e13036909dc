//! A function, its gradient and its second derivative, drawn.
//!
//! `cargo run --release --example 02_derivatives`

use gradus::prelude::*;
use gradus::train::plot::{Chart, Series};

/// y = e^(-x²/4) sin 3x
fn f(x: &Var<f64>) -> Var<f64> {
    (-x.square() / 4.0).exp() * (x * 3.0).sin()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // One variable holds all points; each result depends on its own point alone, so the gradient of the sum is the
    // derivative at every point.
    let points = Tensor::<f64>::linspace(-4.0, 4.0, 401);
    let x = Var::leaf(points.clone());
    let y = f(&x);
    println!("the tape of y:\n{}", y.tape());

    // `Differentiable`: the gradient is on the tape too, and can be differentiated again.
    let dy = grad(&y.sum(..), &[&x], GradMode::Differentiable)?.remove(0);
    let ddy = grad(&dy.sum(..), &[&x], GradMode::Plain)?.remove(0);

    // At 0: sin 3x ~ 3x, so y' = 3 and y'' = 0.
    println!("\nat x = 0: y = {:.6}, y' = {:.6}, y'' = {:.6}", y.value().at([200]), dy.value().at([200]), ddy.value().at([200]));
    assert!((dy.value().at([200]) - 3.0).abs() < 1e-12 && ddy.value().at([200]).abs() < 1e-12);

    // The rules against differences of neighbouring points.
    let h = 8.0 / 400.0;
    let (y_values, dy_values) = (y.value().to_vec(), dy.value().to_vec());
    let worst = (1..400).map(|i| ((y_values[i + 1] - y_values[i - 1]) / (2.0 * h) - dy_values[i]).abs()).fold(0.0, f64::max);
    println!("largest difference to (y[i+1] - y[i-1]) / 2h: {worst:.1e}, which is h²/6 times the third derivative");

    let line = |label: &str, values: &Tensor<f64>| Series::new(label, points.to_vec().into_iter().zip(values.to_vec()).collect());
    std::fs::create_dir_all("target/derivatives")?;
    Chart::new("y = exp(-x²/4) sin 3x", "x", "")
        .series(line("y", y.value()))
        .series(line("y'", dy.value()))
        .series(line("y''", ddy.value()))
        .save("target/derivatives/derivatives.png")?;
    println!("wrote target/derivatives/derivatives.png");
    Ok(())
}
