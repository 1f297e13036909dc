//! The adding problem (Hochreiter and Schmidhuber 1997): a sequence of numbers from 0 to 1, two of which are marked; say the
//! sum of these two. Who always says 1 has a mean squared error of 1/6, the variance of such a sum. With the two 100 steps
//! apart, a plain recurrent network never learns it, and its gradients say why.
//!
//! `cargo run --release --example adding_problem`, with `--help` for its options.

use clap::Parser;
use gradus::nn::init;
use gradus::nn::{Nonlinearity, RnnCell, SequenceToOne};
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use std::path::Path;

/// The adding problem with a plain recurrent network, an LSTM and a GRU. Writes losses.svg and gradients.svg to
/// target/adding_problem/.
#[derive(Parser)]
struct Options {
    /// Length of a sequence
    #[arg(long, default_value_t = 100)]
    steps: usize,
    /// Training steps of each network
    #[arg(long, default_value_t = 3000)]
    updates: usize,
    /// Units
    #[arg(long, default_value_t = 64)]
    hidden: usize,
}

const BATCH: usize = 64;
/// What it costs to say 1: the variance of the sum of two numbers. (Papers have 0.1767; it is 0.1667.)
const BASELINE: f64 = 1.0 / 6.0;

/// Sequences `[N, T, 2]` of numbers and marks, one in each half, and their sums `[N, 1]`.
fn draw(batch: usize, steps: usize, rng: &mut Rng) -> (Tensor, Tensor) {
    let numbers = Tensor::<f32>::uniform([batch, steps], 0.0, 1.0, rng);
    let marks: Vec<[usize; 2]> = (0..batch).map(|_| [rng.below(steps / 2), steps / 2 + rng.below(steps - steps / 2)]).collect();
    let x = Tensor::from_fn([batch, steps, 2], |at| {
        let [n, t] = [at[0], at[1]];
        if at[2] == 0 { numbers.at([n, t]) } else { f32::from(marks[n].contains(&t)) }
    });
    let sums = Tensor::from_fn([batch, 1], |at| marks[at[0]].iter().map(|&t| numbers.at([at[0], t])).sum());
    (x, sums)
}

/// The mean squared errors of each 50 updates, and the gradients through time of the trained network.
fn train<C: RnnCell>(name: &str, cell: C, o: &Options) -> (Series, Series) {
    let rng = &mut Rng::seed(2);
    let mut net: SequenceToOne<Recurrent<C>> = SequenceToOne::new(Recurrent::new(cell), Linear::new(o.hidden, 1, rng));
    let mut opt = Adam::new(2e-3).clip_norm(1.0);
    let (mut curve, mut sum) = (Vec::new(), 0.0);
    for update in 1..=o.updates {
        let (x, y) = draw(BATCH, o.steps, rng);
        let loss = net.forward(&x.into(), &mut Mode::Train(rng)).mse(&y);
        sum += f64::from(loss.item());
        opt.step(&mut net, loss.backward()).expect("every parameter has a gradient");
        if update % 50 == 0 {
            curve.push((update as f64, sum / 50.0));
            sum = 0.0;
        }
    }
    let (x, y) = draw(2000, o.steps, &mut Rng::seed(1000));
    let error = no_grad(|| net.forward(&x.into(), &mut Mode::Eval).mse(&y)).item();
    println!("{name:6} mean squared error on 2,000 new sequences: {error:.5}");
    (Series::new(name, curve), gradients_through_time(name, net.recurrent().cell(), net.head(), o))
}

/// The norm of the loss's gradient with respect to the output of each step, which is the (hidden) state after it.
fn gradients_through_time<C: RnnCell>(name: &str, cell: &C, head: &Linear, o: &Options) -> Series {
    let (x, y) = draw(BATCH, o.steps, &mut Rng::seed(3));
    let x = Var::constant(x);
    let (mut state, mut outputs) = (cell.initial_state(BATCH), Vec::new());
    for t in 0..o.steps {
        let (h, next) = cell.step(&x.select(1, t), &state);
        h.retain_grad();
        outputs.push(h);
        state = next;
    }
    let last = outputs.last().expect("there are steps");
    let grads = head.forward(last, &mut Mode::Eval).mse(&y).backward();
    let norm = |h: &Var| grads.get(h).map_or(0.0, |g| g.cast::<f64>().square().sum(..).item().sqrt());
    let points = outputs.iter().enumerate().map(|(t, h)| ((t + 1) as f64, norm(h).max(1e-60).log10()));
    Series::new(name, points.collect())
}

/// A plain network with weights of two sizes: its gradients vanish with the smaller, explode with the larger.
fn scaled(hidden: usize, by: f64) -> Rnn {
    let mut cell: Rnn = Rnn::new(2, hidden, &mut Rng::seed(4)).nonlinearity(Nonlinearity::Relu);
    cell.for_each_parameter(|path, p| {
        if path == "weight_hh" {
            // Orthogonal but for its size: a step keeps lengths, times `by`.
            p.set(init::orthogonal([hidden, hidden], by, &mut Rng::seed(5)));
        }
    });
    cell
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut o = Options::parse();
    (o.steps, o.hidden) = (o.steps.max(2), o.hidden.max(1));
    let out = Path::new("target/adding_problem");
    std::fs::create_dir_all(out)?;
    println!("{} steps, {} updates of {BATCH} sequences; who always says 1 has {BASELINE:.4}\n", o.steps, o.updates);
    let (steps, hidden) = (o.steps, o.hidden);
    let rng = &mut Rng::seed(1);
    let networks = [
        train("RNN", Rnn::new(2, hidden, rng), &o),
        train("LSTM", Lstm::new(2, hidden, rng), &o),
        train("GRU", Gru::new(2, hidden, rng), &o),
    ];
    let baseline = Series::new("always 1", vec![(0.0, BASELINE), (o.updates as f64, BASELINE)]);
    let mut losses = Chart::new(format!("The adding problem, {steps} steps"), "update", "mean squared error").series(baseline);
    let mut gradients = Chart::new("The gradient of each state, after training", "step", "log10 of its norm");
    for (loss, gradient) in networks {
        (losses, gradients) = (losses.series(loss), gradients.series(gradient));
    }
    losses.save(out.join("losses.svg"))?;

    let head: Linear = Linear::new(hidden, 1, &mut Rng::seed(2));
    let sizes = [1.2, 1.6, 2.2].map(|by| (by, scaled(hidden, by)));
    let sized = Chart::new("A ramp for the tangent, before training", "step", "log10 of the gradient's norm");
    let sized = sizes
        .iter()
        .fold(sized, |chart, (by, cell)| chart.series(gradients_through_time(&format!("weights of size {by}"), cell, &head, &o)));
    save_charts(out.join("gradients.svg"), &[gradients, sized])?;
    clipping(&o);
    println!("wrote losses.svg and gradients.svg to {}", out.display());
    Ok(())
}

/// What clipping does to gradients that explode: the loss after a few updates with and without.
fn clipping(o: &Options) {
    println!("\nweights of size 2, whose gradients explode, over 200 updates:");
    for (what, clip) in [("without clipping", None), ("gradients clipped to norm 1", Some(1.0))] {
        let rng = &mut Rng::seed(6);
        let recurrent = Recurrent::new(scaled(o.hidden, 2.0));
        let mut net: SequenceToOne<Recurrent<Rnn>> = SequenceToOne::new(recurrent, Linear::new(o.hidden, 1, rng));
        let mut opt = Sgd::new(1e-2);
        opt = match clip {
            Some(norm) => opt.clip_norm(norm),
            None => opt,
        };
        let mut losses = Vec::new();
        for _ in 0..200 {
            let (x, y) = draw(BATCH, o.steps, rng);
            let loss = net.forward(&x.into(), &mut Mode::Train(rng)).mse(&y);
            losses.push(loss.item());
            if let Err(error) = opt.step(&mut net, loss.backward()) {
                println!("  {what}: {error}");
                break;
            }
        }
        println!("  {what}: mean squared error from {:.2e} to {:.2e}", losses[0], losses[losses.len() - 1]);
    }
    println!();
}
