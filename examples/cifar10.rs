//! Convolutional networks learn to tell ten kinds of things in small photographs; dropout against over-fitting.
//!
//! `cargo run --release --example cifar10`, with `--help` for its options.

use clap::Parser;
use gradus::data::transforms::{Compose, RandomCrop, RandomHorizontalFlip};
use gradus::data::{ImageDataset, Labelled, Subset};
use gradus::models::{ConvNet, cifar};
use gradus::nn::metrics::ConfusionMatrix;
use gradus::optim::UpdateRule;
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, heatmap, save_charts};
use std::path::Path;

/// The few pictures that the repository carries.
const SAMPLE: &str = "data/cifar10-small";

/// Networks of the course on CIFAR-10. Writes curves, tables, confusion matrices and weights to target/cifar10/.
#[derive(Parser)]
struct Options {
    /// A folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin: the binary version of
    /// <https://www.cs.toronto.edu/~kriz/cifar.html>, unpacked (default: 300 pictures of the repository, to see that everything
    /// runs)
    #[arg(long, default_value = SAMPLE)]
    data: String,
    /// simple, dropout or deep
    #[arg(long, default_value = "deep")]
    net: String,
    /// Trains simple and dropout, and draws both in one picture
    #[arg(long)]
    compare: bool,
    /// Random crops and flips of the training pictures
    #[arg(long)]
    augment: bool,
    /// Passes over the training pictures
    #[arg(long, default_value_t = 20)]
    epochs: usize,
    /// Pictures a step
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// What weights, order, dropout and augmentation depend on
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Only the first N pictures to train on, validate with and test on
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    limit: usize,
}

type Failure = Box<dyn std::error::Error>;

/// What is trained on, validated with and tested on.
struct Data {
    train: Subset<Subset<ImageDataset>>,
    valid: Subset<Subset<ImageDataset>>,
    test: ImageDataset,
}

/// Trains the network of this name, tests it, and writes what came of it.
fn train(name: &str, data: &Data, o: &Options, out: &Path) -> Result<History, Failure> {
    let rng = &mut Rng::seed(o.seed);
    match name {
        "simple" => run(name, cifar::simple(None, 10, rng), Adam::new(1e-3), data, o, out),
        "dropout" => run(name, cifar::simple(Some([0.25, 0.5]), 10, rng), Adam::new(1e-3), data, o, out),
        "deep" => {
            let rate = CosineAnnealingLr::new(o.epochs as u64);
            run(name, cifar::deep(10, rng), RmsProp::new(1e-3).schedule(Every::Epoch, rate), data, o, out)
        }
        _ => Err(format!("there is no net `{name}`; wanted simple, dropout or deep").into()),
    }
}

fn run<R: UpdateRule<f32>>(
    name: &str,
    net: ConvNet,
    optimizer: Optimizer<R>,
    data: &Data,
    o: &Options,
    out: &Path,
) -> Result<History, Failure> {
    println!("{name}\n{}\n", net.summary([3, 32, 32]));
    let mut trainer = Trainer::new(net, CrossEntropy::new(), optimizer).metric(Accuracy::new());
    let fit = Fit::epochs(o.epochs).batch(o.batch).seed(o.seed);
    let history = if o.augment {
        let transform = Compose::new().add(RandomCrop::new([32, 32]).padding(4)).add(RandomHorizontalFlip::new(0.5));
        trainer.fit(&data.train.clone().augment(transform, o.seed), &data.valid, fit)?
    } else {
        trainer.fit(&data.train, &data.valid, fit)?
    };
    let seconds = history.epochs.iter().map(|e| e.seconds).sum::<f64>() / history.epochs.len() as f64;
    println!("\n{seconds:.1} s an epoch of {}; {:.2} % of it waiting for data", data.train.len(), 100.0 * history.waiting());
    let tested = trainer.evaluate(&data.test, 500)?;
    println!("test: loss {:.4}, accuracy {:.2} %", tested[0].1, 100.0 * tested[1].1);

    let mut matrix = ConfusionMatrix::new(10);
    matrix.add_outputs(data.test.labels(), &trainer.predict_all(&data.test, 500)?);
    println!("\nconfusion matrix (rows: the class, columns: what it was taken for)\n{matrix}");
    let classes = ["plane", "auto", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"].map(String::from);
    let counts = Tensor::from_fn([10, 10], |i| matrix.count(i[0], i[1]) as f64);
    let axes = ("class", "taken for");
    heatmap(out.join(format!("{name}-confusion.svg")), "What was taken for what", &counts, (&classes, &classes), axes)?;
    history.plot(out.join(format!("{name}-curves.svg")))?;
    history.save_csv(out.join(format!("{name}.csv")))?;
    save_weights(trainer.net(), out.join(format!("{name}.safetensors")))?;
    Ok(history)
}

/// Loss and accuracy of both networks, in training and in validation: a gap between the two is over-fitting.
fn compare(nets: &[(&str, History)], path: &Path) -> Result<(), TrainError> {
    let chart = |title: &str, value: &str| {
        let line = |label: String, history: &History, name: &str| {
            Series::new(label, history.epochs.iter().filter_map(|e| Some((e.epoch as f64, e.get(name)?))).collect())
        };
        nets.iter().fold(Chart::new(title, "epoch", ""), |chart, (name, history)| {
            let chart = chart.series(line(format!("{name}, training"), history, value));
            chart.series(line(format!("{name}, validation"), history, &format!("val_{value}")).with_points())
        })
    };
    save_charts(path, &[chart("loss", "loss"), chart("accuracy", "acc")])
}

fn main() -> Result<(), Failure> {
    let mut o = Options::parse();
    (o.epochs, o.limit) = (o.epochs.max(1), o.limit.max(1));
    let out = Path::new("target/cifar10");
    std::fs::create_dir_all(out)?;
    let pictures = Cifar10::open(&o.data)?;
    // Of the 50,000, a fifth of every class is held out.
    let [train, valid] = pictures.train().stratified_split([0.8, 0.2], &mut Rng::seed(0))?;
    let data = Data { train: train.take(o.limit), valid: valid.take(o.limit), test: pictures.test().limit(o.limit) };
    println!("{} pictures to train on, {} to validate with, {} to test on", data.train.len(), data.valid.len(), data.test.len());
    if o.data == SAMPLE {
        println!("these are the repository's few; give the whole of CIFAR-10 with --data, see --help");
    }
    println!();
    let names: &[&str] = if o.compare { &["simple", "dropout"] } else { &[&o.net] };
    let mut done = Vec::new();
    for name in names {
        done.push((*name, self::train(name, &data, &o, out)?));
    }
    println!("{:8} {:>8} {:>8} {:>8} {:>8} {:>13}", "net", "loss", "acc", "val_loss", "val_acc", "best val_acc");
    for (name, history) in &done {
        let last = |value: &str| history.last(value).unwrap_or(f64::NAN);
        let best = history.values("val_acc").into_iter().fold(0.0, f64::max);
        let [loss, acc, val_loss, val_acc] = ["loss", "acc", "val_loss", "val_acc"].map(last);
        println!("{name:8} {loss:8.4} {acc:8.4} {val_loss:8.4} {val_acc:8.4} {best:13.4}");
    }
    if o.compare {
        compare(&done, &out.join("overfitting.svg"))?;
    }
    println!("\nwrote curves, tables, confusion matrices and weights to {}", out.display());
    Ok(())
}
