//! Yearly sunspot numbers, 1700 to 2008: recurrent networks say the next year's number and how sure they are; running freely, each
//! reads numbers drawn from what it said. Many such runs make a forecast of the years held out, and its error band.
//!
//! `cargo run --release --example sunspots`, with `--help` for its options.

use clap::Parser;
use gradus::data::Csv;
use gradus::nn::HiddenRecurrence;
use gradus::optim::OptimError;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use std::error::Error;
use std::path::{Path, PathBuf};

/// A forecast of sunspots. Writes forecast.svg to target/sunspots/.
#[derive(Parser)]
struct Options {
    /// The table: year, number
    #[arg(long, default_value = "data/sunspots/sunspots.csv")]
    data: PathBuf,
    /// Years held out
    #[arg(long, default_value_t = 40)]
    years: usize,
    /// Training steps of each network
    #[arg(long, default_value_t = 1500)]
    updates: usize,
    /// Networks, whose forecasts are drawn from in equal parts
    #[arg(long, default_value_t = 10)]
    networks: u64,
}

/// Years that a training sequence has.
const WINDOW: usize = 48;
/// Runs of each network.
const RUNS: usize = 100;

/// Numbers become their root's tenth, so that errors are about as large at a maximum as at a minimum (the Anscombe transform is the
/// same idea).
fn squeeze(number: f32) -> f32 {
    number.max(0.0).sqrt() / 10.0
}

fn stretch(x: f64) -> f64 {
    (10.0 * x.max(0.0)).powi(2)
}

type Net = HiddenRecurrence<Recurrent<Gru>>;

/// The mean of the next number, and the logarithm of its variance, from the outputs `[.., 2]`.
fn mean_and_log_variance(outputs: &Var) -> (Var, Var) {
    // Bounded below, so that no year is believed to the last digit.
    (outputs.select(-1, 0), outputs.select(-1, 1).softplus() - 8.0)
}

/// Minus the logarithm of the normal density, without its constant, of each number from those before it.
fn loss(net: &Net, series: &Tensor, mode: &mut Mode) -> Var {
    let steps = series.shape()[1] - 1;
    let outputs = net.run(&Sequence::new(series.slice(1, ..steps).unsqueeze(2)), mode).0.data();
    let (mean, log_variance) = mean_and_log_variance(&outputs);
    let error = mean - Var::constant(series.slice(1, 1..));
    ((error.square() * (-&log_variance).exp() + log_variance) * 0.5).mean(..)
}

fn train(known: &[f32], seed: u64, updates: usize) -> Result<Net, OptimError> {
    let rng = &mut Rng::seed(seed);
    let recurrent = Recurrent::new(Gru::new(1, 24, rng));
    let mut net: Net = HiddenRecurrence::new(recurrent, Linear::new(24, 2, rng));
    let mut opt = AdamW::new(5e-3).weight_decay(1e-2).clip_norm(1.0);
    for update in 0..updates {
        opt.set_lr(5e-3 * (1.0 - update as f64 / updates as f64));
        let starts: Vec<usize> = (0..16).map(|_| rng.below(known.len() - WINDOW)).collect();
        let windows = Tensor::from_fn([16, WINDOW + 1], |at| known[starts[at[0]] + at[1]]);
        let loss = loss(&net, &windows, &mut Mode::Train(rng));
        opt.step(&mut net, loss.backward())?;
    }
    Ok(net)
}

/// Runs `[RUNS][years]` from the end of what is known on, each year drawn from what the network says of it.
fn run_freely(net: &Net, known: &[f32], years: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
    let mut read = Tensor::from_fn([RUNS, known.len(), 1], |at| known[at[1]]);
    let mut state = net.recurrent().initial_state(RUNS);
    let mut runs = vec![Vec::new(); RUNS];
    for _ in 0..years {
        let (outputs, next) = no_grad(|| net.run_from(&Sequence::new(&read), &state, &mut Mode::Eval));
        let (mean, log_variance) = mean_and_log_variance(&outputs.last());
        let drawn = mean.value() + (log_variance.value() * 0.5).exp() * Tensor::normal([RUNS], 0.0, 1.0, rng);
        // No fewer spots than none.
        let drawn = drawn.map(|x: f32| x.max(0.0));
        runs.iter_mut().zip(drawn.to_vec()).for_each(|(run, x)| run.push(f64::from(x)));
        (read, state) = (drawn.reshape([RUNS, 1, 1]), next);
    }
    runs
}

/// The value below which a share of the sorted values lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

fn root_mean_square(errors: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = errors.len() as f64;
    (errors.map(|e| e * e).sum::<f64>() / n).sqrt()
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    let out = Path::new("target/sunspots");
    std::fs::create_dir_all(out)?;
    let table: Tensor<f32> = Csv::new(&o.data).header(true).inputs(["YEAR", "SUNACTIVITY"]).read_inputs()?;
    let [years, numbers] = [0, 1].map(|column| table.select(1, column).to_vec());
    if numbers.len() < o.years + WINDOW + 2 || o.years == 0 {
        return Err(format!("{} years, {} held out; wanted 1 or more, and {} others", numbers.len(), o.years, WINDOW + 2).into());
    }
    let begin = numbers.len() - o.years;
    let known: Vec<f32> = numbers[..begin].iter().map(|&n| squeeze(n)).collect();
    println!("{} years to learn from, {} to {} held out", begin, years[begin], years[years.len() - 1]);

    let mut runs = Vec::new();
    for seed in 1..=o.networks {
        let net = train(&known, seed, o.updates)?;
        runs.extend(run_freely(&net, &known, o.years, &mut Rng::seed(100 + seed)));
    }
    let bands: Vec<[f64; 3]> = (0..o.years)
        .map(|t| {
            let mut all: Vec<f64> = runs.iter().map(|run| stretch(run[t])).collect();
            all.sort_by(f64::total_cmp);
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            [quantile(&all, 0.05), mean, quantile(&all, 0.95)]
        })
        .collect();
    let truth = |t: usize| f64::from(numbers[begin + t]);
    let inside = (0..o.years).filter(|&t| (bands[t][0]..=bands[t][2]).contains(&truth(t))).count();
    let average = numbers[..begin].iter().map(|&n| f64::from(n)).sum::<f64>() / begin as f64;
    println!("\n| years ahead | forecast | as 11 years before | always the mean |\n|---|---:|---:|---:|");
    for ahead in [11, 22, o.years] {
        let ahead = ahead.min(o.years);
        let error = |said: &dyn Fn(usize) -> f64| root_mean_square((0..ahead).map(|t| said(t) - truth(t)));
        // What was 11, 22 … years before, and known.
        let before = |t: usize| f64::from(numbers[begin + t - 11 * (t / 11 + 1)]);
        println!("| 1 to {ahead} | {:.1} | {:.1} | {:.1} |", error(&|t| bands[t][1]), error(&before), error(&|_| average));
    }
    println!("\n{inside} of {} years lie in the band of 90 % ({} runs)", o.years, runs.len());

    let of = |i: usize| (0..o.years).map(|t| (f64::from(years[begin + t]), bands[t][i])).collect::<Vec<_>>();
    let shown = begin.saturating_sub(60);
    let seen = (shown..numbers.len()).map(|i| (f64::from(years[i]), f64::from(numbers[i]))).collect();
    let forecast = Chart::new("Sunspots, running freely", "year", "number")
        .series(Series::new("observed", seen))
        .series(Series::new("forecast", of(1)))
        .band("nine of ten runs", (0..o.years).map(|t| (f64::from(years[begin + t]), bands[t][0], bands[t][2])).collect());
    let some = [0, 1, 2].map(|i| i * RUNS * (o.networks as usize).div_ceil(3) % runs.len());
    let single = some.iter().enumerate().fold(Chart::new("Three of the runs", "year", "number"), |chart, (i, &run)| {
        let points = (0..o.years).map(|t| (f64::from(years[begin + t]), stretch(runs[run][t]))).collect();
        chart.series(Series::new(format!("run {}", i + 1), points))
    });
    save_charts(out.join("forecast.svg"), &[forecast, single])?;
    println!("wrote forecast.svg to {}", out.display());
    Ok(())
}
