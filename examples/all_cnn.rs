//! Does a network need pooling? The All-CNN family (Springenberg et al. 2015) on CIFAR-10, four networks from one table,
//! beside the same in PyTorch (`docs/reference/all_cnn.py`).
//!
//! `cargo run --release --example all_cnn`, with `--help` for its options.

use clap::Parser;
use gradus::data::transforms::Normalize;
use gradus::models::{AllCnn, Weights};
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, save_charts};
use gradus::train::{TrainData, Verbosity};
use std::collections::BTreeMap;
use std::error::Error;

/// The first epochs of the All-CNN family. Writes the losses and their curves to target/all_cnn/.
#[derive(Parser)]
struct Options {
    /// The folder of CIFAR-10's binary version (default: 300 pictures of the repository, to see that everything runs)
    #[arg(long, default_value = "data/cifar10-small")]
    data: String,
    /// The first N training pictures
    #[arg(long, default_value_t = 10_000)]
    pictures: usize,
    /// Passes over them
    #[arg(long, default_value_t = 3)]
    epochs: usize,
    /// Runs of each network
    #[arg(long, default_value_t = 2)]
    seeds: u64,
    /// The folder that docs/reference/all_cnn.py wrote: its runs are drawn beside, and each run here starts from the weights that
    /// the one there started from
    #[arg(long)]
    reference: Option<String>,
}

/// The losses of every step of each run, by network.
type Runs = BTreeMap<String, Vec<Vec<f64>>>;

/// SGD with momentum 0.9 at a rate of 0.05 and a weight decay of 0.001, in batches of 128, as in the paper.
fn train(
    net: AllCnn,
    data: &impl TrainData<Batch = (Tensor, Tensor<i64>)>,
    seed: u64,
    o: &Options,
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut model = net.build(10, &mut Rng::seed(seed));
    if let Some(folder) = &o.reference {
        Weights::open(format!("{folder}/{}, run {seed}.safetensors", net.name()))?.load(&mut model.features)?;
    }
    let optimizer = Sgd::new(0.05).momentum(0.9).weight_decay(0.001);
    let mut trainer = Trainer::new(model, CrossEntropy::new(), optimizer);
    let options = Fit::epochs(o.epochs).batch(128).seed(seed).verbosity(Verbosity::Silent);
    let history = trainer.fit_without_validation(data, options)?;
    Ok(history.steps.iter().map(|step| step.loss).collect())
}

/// The mean of each 20 steps.
fn smooth(losses: &[f64]) -> Vec<(f64, f64)> {
    let mean = |(i, part): (usize, &[f64])| ((20 * i) as f64 + 10.0, part.iter().sum::<f64>() / part.len() as f64);
    losses.chunks(20).enumerate().map(mean).collect()
}

/// A chart for each network: every run here, and those of the reference.
fn draw(runs: &Runs, reference: &Runs, path: &str) -> Result<(), TrainError> {
    let chart = |net: AllCnn| {
        let lines = |chart: Chart, whose: &str, runs: &Runs| {
            let runs = runs.get(net.name()).into_iter().flatten().enumerate();
            runs.fold(chart, |chart, (i, run)| chart.series(Series::new(format!("{whose}, run {}", i + 1), smooth(run))))
        };
        lines(lines(Chart::new(net.name(), "step", "loss"), "Gradus", runs), "PyTorch", reference)
    };
    save_charts(path, &AllCnn::ALL.map(chart))
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    let cifar = Cifar10::open(&o.data)?;
    let normalize = Normalize::new([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616])?;
    let data = cifar.train().take(o.pictures).augment(normalize, 0);
    println!("{} pictures, {} epochs", data.len(), o.epochs);
    let mut runs = Runs::new();
    for net in AllCnn::ALL {
        let start = std::time::Instant::now();
        let done: Result<Vec<_>, _> = (0..o.seeds).map(|seed| train(net, &data, seed, &o)).collect();
        let done = done?;
        let last: Vec<String> = done.iter().filter_map(|run| smooth(run).last().map(|(_, loss)| format!("{loss:.3}"))).collect();
        println!(
            "{:15} {:30} {:4.0} s, last losses {}",
            net.name(),
            net.description(),
            start.elapsed().as_secs_f64(),
            last.join(", ")
        );
        runs.insert(net.name().to_string(), done);
    }
    let reference: Runs = match &o.reference {
        Some(folder) => {
            let file = std::fs::read_to_string(format!("{folder}/losses.json"))?;
            serde_json::from_value(serde_json::from_str::<serde_json::Value>(&file)?["runs"].take())?
        }
        None => Runs::new(),
    };
    std::fs::create_dir_all("target/all_cnn")?;
    std::fs::write("target/all_cnn/losses.json", serde_json::to_string(&runs)?)?;
    draw(&runs, &reference, "target/all_cnn/losses.svg")?;
    println!("wrote losses.json and losses.svg to target/all_cnn");
    Ok(())
}
