//! What a recurrence from the output can do, and what it cannot (Goodfellow, Bengio and Courville, "Deep Learning", section
//! 10.2.1). Its only memory is what it said last. In *parity*, each output is 1 if an odd number of ones was read so far: the
//! output says all that must be known. In *recall*, outputs are 0 until the last, which is the number read first: there the
//! output does not say what must be known, and no training helps. A recurrence between hidden states can do both.
//!
//! `cargo run --release --example output_recurrence`, with `--help` for its options.

use clap::Parser;
use gradus::nn::{Feedback, HiddenRecurrence, OutputRecurrence, metrics};
use gradus::optim::OptimError;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use std::error::Error;
use std::path::Path;

/// Both recurrences on both tasks. Writes losses.svg to target/output_recurrence/.
#[derive(Parser)]
struct Options {
    /// Training steps of each network, of 64 sequences
    #[arg(long, default_value_t = 2000)]
    updates: usize,
    /// Steps of a sequence
    #[arg(long, default_value_t = 8)]
    steps: usize,
}

const BATCH: usize = 64;
const HIDDEN: usize = 32;
const RATE: f64 = 5e-3;

#[derive(Clone, Copy)]
enum Task {
    Parity,
    Recall,
}

impl Task {
    /// Steps `[N, T, 2]`, a number and whether the sequence ends here, and what is to be said at each, `[N, T]`.
    fn draw(self, batch: usize, steps: usize, rng: &mut Rng) -> (Sequence, Tensor<i64>) {
        let numbers = Tensor::randint([batch, steps], 0, 2, rng);
        let number = |n: usize, t: usize| match self {
            Self::Parity => numbers.at([n, t]),
            Self::Recall if t == 0 => numbers.at([n, 0]),
            Self::Recall => 0,
        };
        let x = Tensor::from_fn([batch, steps, 2], |at| match at[2] {
            0 => number(at[0], at[1]) as f32,
            _ => f32::from(at[1] + 1 == steps),
        });
        let target = |n: usize, t: usize| match self {
            Self::Parity => (0..=t).map(|s| number(n, s)).sum::<i64>() % 2,
            Self::Recall if t + 1 == steps => number(n, 0),
            Self::Recall => 0,
        };
        (Sequence::new(x), Tensor::from_fn([batch, steps], |at| target(at[0], at[1])))
    }
}

/// How often the last output is right.
fn last_right(logits: &Sequence, targets: &Tensor<i64>) -> f64 {
    let last = targets.shape()[1] - 1;
    metrics::accuracy(logits.last().value(), &targets.select(1, last))
}

struct Row {
    name: String,
    forced: f64,
    free: f64,
    right: f64,
}

/// Recurrence from the output, with the teacher's targets in training; in use it reads what it said.
fn from_output(task: Task, o: &Options) -> Result<(Series, Row), OptimError> {
    let rng = &mut Rng::seed(1);
    let mut net: OutputRecurrence = OutputRecurrence::new(2, HIDDEN, 2, rng).link(Feedback::Argmax);
    let mut opt = Adam::new(RATE);
    let mut points = Vec::new();
    for update in 1..=o.updates {
        let (x, targets) = task.draw(BATCH, o.steps, rng);
        let loss = net.teacher_forced(&x, &targets.one_hot(2)).cross_entropy(&targets);
        points.push((update as f64, f64::from(loss.item())));
        opt.step(&mut net, loss.backward())?;
    }
    let (x, targets) = task.draw(2000, o.steps, &mut Rng::seed(2));
    let gap = net.forcing_gap(&x, &targets.one_hot(2), rng, |logits| logits.cross_entropy(&targets));
    let right = last_right(&no_grad(|| net.free_running(&x, rng)), &targets);
    let row = Row { name: "output".into(), forced: gap.teacher_forced, free: gap.free_running, right };
    Ok((Series::new("from the output", smooth(&points)), row))
}

/// Recurrence between hidden states, which has no teacher.
fn between_hidden(task: Task, o: &Options) -> Result<(Series, Row), OptimError> {
    let rng = &mut Rng::seed(1);
    let mut net: HiddenRecurrence = HiddenRecurrence::rnn(2, HIDDEN, 2, rng);
    let mut opt = Adam::new(RATE).clip_norm(1.0);
    let mut points = Vec::new();
    for update in 1..=o.updates {
        let (x, targets) = task.draw(BATCH, o.steps, rng);
        let loss = net.run(&x, &mut Mode::Train(rng)).0.cross_entropy(&targets);
        points.push((update as f64, f64::from(loss.item())));
        opt.step(&mut net, loss.backward())?;
    }
    let (x, targets) = task.draw(2000, o.steps, &mut Rng::seed(2));
    let logits = no_grad(|| net.run(&x, &mut Mode::Eval).0);
    let loss = f64::from(logits.cross_entropy(&targets).item());
    let row = Row { name: "hidden".into(), forced: loss, free: loss, right: last_right(&logits, &targets) };
    Ok((Series::new("between hidden states", smooth(&points)), row))
}

/// Means of 20 updates each.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    points.chunks(20).map(|c| (c[c.len() - 1].0, c.iter().map(|p| p.1).sum::<f64>() / c.len() as f64)).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    let out = Path::new("target/output_recurrence");
    std::fs::create_dir_all(out)?;
    let at_best = 2f64.ln() / o.steps as f64;
    println!("{} steps; who knows all of recall but its last output has a loss of {at_best:.4}\n", o.steps);
    println!("| task | recurrence | loss, teacher-forced | loss, running freely | last output right |\n|---|---|---:|---:|---:|");
    let mut charts = Vec::new();
    for (name, task) in [("parity", Task::Parity), ("recall", Task::Recall)] {
        let mut chart = Chart::new(name, "update", "cross-entropy in training");
        for (series, row) in [from_output(task, &o)?, between_hidden(task, &o)?] {
            chart = chart.series(series);
            let Row { name: recurrence, forced, free, right } = row;
            println!("| {name} | {recurrence} | {forced:.4} | {free:.4} | {:.1} % |", 100.0 * right);
        }
        charts.push(chart);
    }
    save_charts(out.join("losses.svg"), &charts)?;
    println!("\nwrote losses.svg to {}", out.display());
    Ok(())
}
