//! How does the cost of a step grow with what one may make larger?
//!
//! `cargo bench --bench scaling` prints a table of milliseconds for one thread and two, and draws it to
//! target/performance/scaling.svg: a training step of a convolution over batch, channels, picture size; of a GRU over the
//! length of its sequence; of LeNet over the batch.

use gradus::models::LeNet5;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use std::error::Error;
use std::time::Instant;

/// The median of at least 7 runs, or half a second, in milliseconds.
fn median_ms(mut step: impl FnMut()) -> f64 {
    step();
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 7 || (start.elapsed().as_secs_f64() < 0.5 && times.len() < 100) {
        let t = Instant::now();
        step();
        times.push(t.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Forward and backward pass of a layer on random numbers of this shape.
fn pass(layer: impl Layer, shape: &[usize]) -> f64 {
    let x = Var::leaf(Tensor::normal(shape.to_vec(), 0.0, 1.0, &mut Rng::seed(0)));
    median_ms(|| drop(layer.forward(&x, &mut Mode::Eval).sum(..).backward()))
}

fn conv([batch, channels, size]: [usize; 3]) -> f64 {
    let layer: Conv2d = Conv2d::new(channels, channels, 3, &mut Rng::seed(0)).same();
    pass(layer, &[batch, channels, size, size])
}

fn lenet(batch: usize) -> f64 {
    let rng = &mut Rng::seed(0);
    let (mut net, mut opt) = (LeNet5::new::<f32>(1, [28, 28], 10, rng), Adam::new(1e-3));
    let x = Var::constant(Tensor::normal([batch, 1, 28, 28], 0.0, 1.0, rng));
    let labels = Tensor::randint([batch], 0, 10, rng);
    median_ms(|| {
        let loss = net.forward(&x, &mut Mode::Eval).cross_entropy(&labels);
        opt.step(&mut net, loss.backward()).expect("every parameter has a gradient");
    })
}

/// What grows, its values, and the cost of one.
type Sweep = (&'static str, &'static str, &'static [usize], fn(usize) -> f64);

const SWEEPS: [Sweep; 5] = [
    ("convolution 3 x 3, 32 channels of 32 x 32", "batch", &[1, 2, 4, 8, 16, 32, 64], |n| conv([n, 32, 32])),
    ("convolution 3 x 3, 8 pictures of 32 x 32", "channels", &[4, 8, 16, 32, 64, 128], |c| conv([8, c, 32])),
    ("convolution 3 x 3, 4 pictures, 32 channels", "picture size", &[8, 16, 32, 64, 128], |s| conv([4, 32, s])),
    ("GRU, 64 to 128, batch 32", "steps", &[10, 30, 100, 300, 1000], |t| {
        let gru: Recurrent<Gru> = Recurrent::new(Gru::new(64, 128, &mut Rng::seed(0)));
        pass(gru, &[32, t, 64])
    }),
    ("LeNet, training step", "batch", &[1, 4, 16, 64, 256], lenet),
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut charts = Vec::new();
    for (title, what, values, cost) in SWEEPS {
        println!("\n{title}\n{what:>14} {:>12} {:>12}", "1 thread", "2 threads");
        let mut ms = [Vec::new(), Vec::new()];
        for (threads, ms) in (1..).zip(&mut ms) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            pool.install(|| ms.extend(values.iter().map(|&v| cost(v))));
        }
        for (i, value) in values.iter().enumerate() {
            println!("{value:>14} {:>9.3} ms {:>9.3} ms", ms[0][i], ms[1][i]);
        }
        // Logarithms of both, so that a cost in proportion is a line of slope 1.
        let points = |ms: &[f64]| values.iter().zip(ms).map(|(&v, ms)| ((v as f64).log10(), ms.log10())).collect();
        let line = |label: &str, ms: &[f64]| Series::new(label, points(ms)).with_points();
        let chart = Chart::new(title, format!("log10 of {what}"), "log10 of ms");
        charts.push(chart.series(line("1 thread", &ms[0])).series(line("2 threads", &ms[1])));
    }
    let path = std::path::Path::new("target/performance/scaling.svg");
    std::fs::create_dir_all(path.parent().expect("a folder"))?;
    save_charts(path, &charts)?;
    println!("\nwrote {}", path.display());
    Ok(())
}
