//! Functions given by an equation, differentiated without a look at how it was solved: Kepler's equation, the solution of
//! a regression as a function of its hyper-parameter, and a layer that is an equilibrium.
//!
//! `cargo run --release --example 08_implicit_functions`

use gradus::autograd::{FixedPointOptions, NotConverged, fixed_point, nth_derivative};
use gradus::data::{ImageDataset, TrainTest};
use gradus::nn::metrics;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use std::f64::consts::TAU;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Halley's comet: semi-major axis in astronomical units, eccentricity, period in years.
const HALLEY: (f64, f64, f64) = (17.834, 0.967_143, 75.32);

/// The eccentric anomaly `E` with `E - e sin E = M`. The map is a step of Newton's method: at the solution it moves no
/// more in first order, so that the backward pass is done at once.
fn eccentric_anomaly(mean: &Var<f64>, e: f64) -> std::result::Result<Var<f64>, NotConverged> {
    let newton = move |angle: &Var<f64>, mean: &Var<f64>| angle - (angle - angle.sin() * e - mean) / (1.0 - angle.cos() * e);
    fixed_point(newton, &Tensor::full(mean.shape().clone(), TAU / 2.0), mean, FixedPointOptions::default())
}

/// The comet's path, and its speed by the chain rule beside that which energy conservation demands.
fn kepler() -> Result<[Chart; 2]> {
    let (a, e, period) = HALLEY;
    let place = |t: &Var<f64>| {
        let angle = eccentric_anomaly(&(t * (TAU / period)), e).expect("Newton converges from π");
        Var::stack(&[&((angle.cos() - e) * a), &(angle.sin() * (a * (1.0 - e * e).sqrt()))], 1)
    };
    // Most times close to the sun, where most happens.
    let years = Tensor::<f64>::linspace(-1.0, 1.0, 401).powf(3.0) * (period / 2.0);
    let (at, velocity) = jvp(place, &years.into(), &Tensor::ones([401]).into());
    let speed = velocity.value().square().sum(1).sqrt();
    let sun = at.value().square().sum(1).sqrt();
    let vis_viva = ((2.0 / &sun - 1.0 / a) * a.powi(3)).sqrt() * (TAU / period);
    let worst = (&speed / &vis_viva - 1.0).abs().max(..).item();
    println!("Halley's comet, its speed by dE/dM and by vis-viva: they differ by {worst:.1e} of it at most\n");
    assert!(worst < 1e-9);

    let points = |xy: &Tensor<f64>| (0..xy.size(0)).map(|i| (xy.at([i, 0]), xy.at([i, 1]))).collect::<Vec<_>>();
    let every_three_years = place(&Tensor::arange(-36.0, 37.0, 3.0).into());
    let spokes = points(every_three_years.value()).into_iter().flat_map(|p| [(0.0, 0.0), p, (0.0, 0.0)]).collect();
    let orbit = Chart::new("Halley's comet: equal areas in equal times", "au from the sun", "au")
        .range((-37.0, 3.0), (-5.0, 6.5))
        .series(Series::new("its path, by Kepler's equation", points(at.value())))
        .series(Series::new("every three years", spokes));
    // By distance, on the way out.
    let of = |speed: &Tensor<f64>, step| points(&Tensor::stack(&[&sun, speed], 1).slice_step(0, 200.., step));
    let speeds = Chart::new("its speed", "au from the sun", "au a year")
        .series(Series::new("vis-viva", of(&vis_viva, 1)))
        .series(Series::new("derivative of the place", of(&speed, 10)).with_points());
    Ok([orbit, speeds])
}

/// `n` digits as rows of pixels, and their labels.
fn digits<T: Float>(of: &ImageDataset, from: usize, n: usize) -> Result<(Tensor<T>, Tensor<i64>)> {
    let (images, labels) = of.batch(&(from..from + n).collect::<Vec<_>>())?;
    Ok((images.reshape([n, 784]).cast(), labels))
}

/// Ridge regression of one-hot labels on 300 digits. The loss on 1000 other digits is a function of the penalty `λ`
/// through the solution of a linear system; its gradient leads to the best one.
fn ridge(mnist: &TrainTest) -> Result<Chart> {
    let (x, labels) = digits(&mnist.train(), 0, 300)?;
    let (held_x, held_labels) = digits(&mnist.train(), 300, 1000)?;
    let (y, held_y) = (labels.one_hot(10), held_labels.one_hot(10));
    // In the dual form the system has a row an example: (X Xᵀ + λ I) c = y, and the prediction for x is x Xᵀ c.
    let (gram, cross) = (Var::constant(x.matmul(&x.t())), Var::constant(held_x.matmul(&x.t())));
    let (eye, y, held_y) = (Var::constant(Tensor::eye(300)), Var::constant(y), Var::constant(held_y));
    let predicted = |log_penalty: &Var<f64>| {
        cross.matmul(&(&gram + &eye * log_penalty.exp()).solve(&y).expect("λ > 0 makes it positive definite"))
    };
    let loss = |log_penalty: &Var<f64>| (predicted(log_penalty) - &held_y).square().sum(1).mean(..);
    let at = |v: f64| Var::constant(Tensor::scalar(v));

    let (h, slope) = (1e-4, value_and_grad(loss, &at(0.0)).1.item());
    let difference = (loss(&at(h)).item() - loss(&at(-h)).item()) / (2.0 * h);
    println!("ridge regression: d loss / d ln λ at λ = 1: {slope:.9}, by differences {difference:.9}");
    assert!((slope - difference).abs() < 1e-7 * slope.abs());

    // Newton's method on one number: the second derivative is as exact as the first.
    let (mut log_penalty, mut path) = (0.0, vec![(0.0, loss(&at(0.0)).item())]);
    for _ in 0..8 {
        let slope = value_and_grad(loss, &at(log_penalty)).1.item();
        let curvature = nth_derivative(loss, &at(log_penalty), 2).item();
        log_penalty -= (slope / curvature.abs()).clamp(-2.0, 2.0);
        path.push((log_penalty / 10f64.ln(), loss(&at(log_penalty)).item()));
    }
    let right = metrics::accuracy(predicted(&at(log_penalty)).value(), &held_labels);
    println!("the best λ is {:.2}, found in 8 steps; {:.1} % of the held-out digits right\n", log_penalty.exp(), 100.0 * right);
    let curve = (0..60).map(|i| f64::from(i) * 0.075 - 1.0).map(|l| (l, loss(&at(l * 10f64.ln())).item())).collect();
    Ok(Chart::new("ridge regression: which penalty?", "log10 λ", "held-out loss")
        .series(Series::new("loss", curve))
        .series(Series::new("Newton's steps from λ = 1", path).with_points()))
}

/// A deep-equilibrium layer (Bai, Kolter and Koltun 2019): `z = tanh(W z + U x + b)`, as if infinitely deep.
#[derive(Module)]
struct Equilibrium {
    inject: Linear,
    w: Param,
}

impl Layer for Equilibrium {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        // Rows of W scaled to an absolute sum of 0.9 or less: then the map contracts, whatever is learned.
        let rows = self.w.abs().sum_keep(1).clamp(0.9, f64::INFINITY);
        let (w, u) = (&*self.w * 0.9 / rows, self.inject.forward(x, mode));
        let map = |z: &Var, [w, u]: &[Var; 2]| (z.linear(w, None) + u).tanh();
        fixed_point(map, &Tensor::zeros(u.shape().clone()), &[w, u], FixedPointOptions::default()).expect("the map contracts")
    }
}

/// Digits by an equilibrium of 64 numbers and a linear read-out.
fn equilibrium(mnist: &TrainTest) -> Result<Chart> {
    let rng = &mut Rng::seed(0);
    let layer = Equilibrium { inject: Linear::new(784, 64, rng), w: Param::new(Tensor::normal([64, 64], 0.0, 0.1, rng)) };
    let mut net: Sequential = Sequential::new().add(layer).add(Linear::new(64, 10, rng));
    let (train, test) = (digits(&mnist.train(), 0, 5000)?, digits(&mnist.test(), 0, 2000)?);
    let mut opt = Adam::new(2e-3);
    let mut curves = [vec![], vec![]];
    for epoch in 1..=8 {
        for rows in rng.permutation(5000).chunks(50) {
            let rows = Tensor::from(rows.iter().map(|&i| i as i64).collect::<Vec<_>>());
            let y = net.forward(&train.0.index_select(0, &rows).into(), &mut Mode::Train(rng));
            opt.step(&mut net, y.cross_entropy(&train.1.index_select(0, &rows)).backward())?;
        }
        for (curve, (x, labels)) in curves.iter_mut().zip([&train, &test]) {
            let y = no_grad(|| net.forward(&x.clone().into(), &mut Mode::Eval));
            curve.push((f64::from(epoch), 100.0 * metrics::accuracy(y.value(), labels)));
        }
    }
    let tape = net.forward(&test.0.clone().into(), &mut Mode::Eval).tape().len();
    let right = curves.each_ref().map(|c| c[c.len() - 1].1);
    println!("equilibrium: {:.1} % of the training digits right, {:.1} % of the test digits", right[0], right[1]);
    println!("its tape has {tape} entries, however often the map was iterated");
    assert!(right[1] > 88.0);
    let [train, test] = curves;
    let chart = Chart::new("an equilibrium learns digits", "epoch", "% right");
    Ok(chart.series(Series::new("5000 training digits", train)).series(Series::new("2000 test digits", test)))
}

fn main() -> Result<()> {
    let mnist = Mnist::embedded()?;
    let [orbit, speed] = kepler()?;
    let charts = [orbit, speed, ridge(&mnist)?, equilibrium(&mnist)?];
    std::fs::create_dir_all("target/implicit_functions")?;
    save_charts("target/implicit_functions/implicit.png", &charts)?;
    println!("wrote target/implicit_functions/implicit.png");
    Ok(())
}
