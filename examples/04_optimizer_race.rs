//! Five optimisers race down a valley in two dimensions; their paths, drawn over its contour.
//!
//! `cargo run --release --example 04_optimizer_race`

use gradus::optim::{Adagrad, OptimError, UpdateRule};
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series};

const START: [f64; 2] = [-7.0, 2.0];
const STEPS: usize = 30;

/// A valley twenty times as steep across as along: x²/20 + y². Its lowest point is (0, 0).
fn valley(p: &Var<f64>) -> Var<f64> {
    (p.square() * Var::constant(Tensor::from([0.05, 1.0]))).sum(..)
}

/// The points that an optimiser passes.
fn race<R: UpdateRule<f64>>(mut opt: Optimizer<R, f64>) -> Result<Vec<(f64, f64)>, OptimError> {
    // Any tree of parameters is a model; here it is one point.
    let mut point = Param::new(Tensor::from(START));
    let mut path = vec![(START[0], START[1])];
    for _ in 0..STEPS {
        let loss = valley(&point);
        opt.step(&mut point, loss.backward())?;
        path.push((point.value().at([0]), point.value().at([1])));
    }
    Ok(path)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let racers = [
        ("SGD, lr 0.95", race(Sgd::new(0.95))?),
        ("momentum, lr 0.1", race(Sgd::with_momentum(0.1))?),
        ("AdaGrad, lr 1.5", race(Adagrad::new(1.5))?),
        ("RMSProp, lr 0.3", race(RmsProp::new(0.3))?),
        ("Adam, lr 0.3", race(Adam::new(0.3))?),
    ];
    let height = |p: (f64, f64)| p.0 * p.0 / 20.0 + p.1 * p.1;
    println!("{:<18} {:>8} {:>8} {:>10}   after {STEPS} steps from {START:?}", "", "x", "y", "height");
    for (name, path) in &racers {
        let end = path[path.len() - 1];
        println!("{name:<18} {:8.3} {:8.3} {:10.5}", end.0, end.1, height(end));
        assert!(height(end) < height((START[0], START[1])), "{name} went downhill");
    }

    let frame = |name: &str| Chart::new(name, "x", "y").range((-10.0, 10.0), (-5.0, 5.0)).contour(|x, y| x * x / 20.0 + y * y);
    let mut charts: Vec<Chart> =
        racers.iter().map(|(name, path)| frame(name).series(Series::new("", path.clone()).with_points())).collect();
    let together = racers.iter().fold(frame("together"), |chart, (name, path)| chart.series(Series::new(*name, path.clone())));
    charts.push(together);
    std::fs::create_dir_all("target/optimizer_race")?;
    gradus::train::plot::save_charts("target/optimizer_race/paths.png", &charts)?;
    println!("wrote target/optimizer_race/paths.png");
    Ok(())
}
