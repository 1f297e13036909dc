//! Cat or dog? VGG16's ImageNet base under a new head: first the head alone, on features computed once, then the base's last
//! block with it at a lower rate. Beside it the same on a base that never saw a picture.
//!
//! `cargo run --release --example transfer`, with `--help` for its options.

use clap::Parser;
use gradus::data::transforms::{CaffeNormalize, Compose, Resize};
use gradus::data::{Labelled, Subset};
use gradus::models::{ConvNet, Vgg16};
use gradus::nn::metrics::{BinaryAccuracy, ConfusionMatrix};
use gradus::nn::{AdaptiveAvgPool2d, BatchNorm1d};
use gradus::prelude::*;
use gradus::train::plot::{Chart, Series, image_grid, save_charts};
use gradus::train::{EpochRecord, Verbosity, extract_features};
use std::error::Error;

/// A new head on VGG16's base tells cats from dogs. Writes curves and a grid of predictions to target/transfer/.
#[derive(Parser)]
struct Options {
    /// VGG16's convolutional base with Keras' ImageNet weights, vgg16-notop as .npz or .safetensors (without it, the untrained base
    /// alone is tried)
    #[arg(long)]
    base: Option<String>,
    /// The folder of CIFAR-10's binary version (default: 300 pictures of the repository, to see that everything runs)
    #[arg(long, default_value = "data/cifar10-small")]
    data: String,
    /// Cats and dogs to train on; half as many more are held out for validation
    #[arg(long, default_value_t = 1000)]
    pictures: usize,
    /// Cats and dogs to test on
    #[arg(long, default_value_t = 1000)]
    test: usize,
    /// Pixels a side that the pictures are enlarged to
    #[arg(long, default_value_t = 96)]
    size: usize,
    /// Passes with the base frozen, and as many again with its last block free
    #[arg(long, default_value_t = 15)]
    epochs: usize,
}

/// The maps that enter the base's last block, which is as far as nothing is ever trained, and 1 for dogs.
type Maps = TensorDataset<f32, f32>;

struct Data {
    train: Maps,
    valid: Maps,
    test: Maps,
}

/// The course's head: means of the maps, one hidden layer, one score, whose sigmoid is the probability of a dog.
fn head(rng: &mut Rng) -> Sequential {
    let head = Sequential::new().add(BatchNorm1d::new(512)).add(Linear::new(512, 256, rng)).add(Relu);
    head.add(Dropout::new(0.5)).add(Linear::new(256, 1, rng))
}

/// Trains the head on the last block's frozen features, then both at a hundredth of the rate; the epochs of both, and the net.
fn train(block: Sequential, data: &Data, epochs: usize) -> Result<(Vec<EpochRecord>, ConvNet), TrainError> {
    let rng = &mut Rng::seed(1);
    let pool = || Sequential::new().add(AdaptiveAvgPool2d::new(1)).add(Flatten);
    let fit = || Fit::epochs(epochs).batch(32).seed(2).verbosity(Verbosity::Silent);
    let features = |data: &Maps| extract_features(&block, data, 64);
    let pooled = |data: &Maps| extract_features(&pool(), &features(data)?, 64);
    let mut top = Trainer::new(head(rng), BceWithLogits::new(), Adam::new(1e-3)).metric(BinaryAccuracy::new());
    let frozen = top.fit(&pooled(&data.train)?, &pooled(&data.valid)?, fit())?;

    let net = ConvNet { features: block, pool: pool(), classifier: top.into_net() };
    let mut whole = Trainer::new(net, BceWithLogits::new(), Adam::new(1e-5)).metric(BinaryAccuracy::new());
    let free = whole.fit(&data.train, &data.valid, fit())?;
    Ok(([frozen.epochs, free.epochs].concat(), whole.into_net()))
}

fn draw(runs: &[(&str, Vec<EpochRecord>)], path: &str) -> Result<(), TrainError> {
    let line = |epochs: &[EpochRecord], value: &str| -> Vec<(f64, f64)> {
        epochs.iter().enumerate().filter_map(|(i, e)| Some((i as f64 + 1.0, e.get(value)?))).collect()
    };
    let chart = |title: &str, value: &str| {
        runs.iter().fold(Chart::new(title, "epoch", ""), |chart, (name, epochs)| {
            let chart = chart.series(Series::new(format!("{name}, training"), line(epochs, value)));
            chart.series(Series::new(format!("{name}, validation"), line(epochs, &format!("val_{value}"))).with_points())
        })
    };
    save_charts(path, &[chart("loss", "loss"), chart("accuracy", "acc")])
}

/// Prints what was taken for what, and draws the first pictures with what the network says of them.
fn report(
    name: &str,
    logits: &Tensor<f32>,
    pictures: &impl Labelled<Batch = (Tensor<f32>, Tensor<i64>)>,
) -> Result<(), Box<dyn Error>> {
    let labels = pictures.labels();
    let mut matrix = ConfusionMatrix::new(2);
    matrix.add(&labels, &logits.gt(0.0).to_num());
    println!("test accuracy {:.4}; rows: the class, columns: what it was taken for\n{matrix}", matrix.accuracy());
    let caption = |(&logit, &label): (&f32, &i64)| {
        let sure = 100.0 / (1.0 + (-f64::from(logit).abs()).exp());
        let (guess, right) = if logit > 0.0 { ("dog", label == 1) } else { ("cat", label == 0) };
        format!("{guess} {sure:.0} %{}", if right { "" } else { ", wrong" })
    };
    let captions: Vec<String> = logits.to_vec().iter().zip(&labels.to_vec()).take(32).map(caption).collect();
    let shown: Vec<usize> = (0..captions.len()).collect();
    let file = format!("target/transfer/{}.png", name.replace(' ', "-"));
    Ok(image_grid(file, &pictures.batch(&shown)?.0, &captions, 8)?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let o = Options::parse();
    std::fs::create_dir_all("target/transfer")?;
    let cifar = Cifar10::open(&o.data)?;
    let classes = ["cat", "dog"];
    let rng = &mut Rng::seed(0);
    let both = cifar.train().with_classes(classes)?;
    let n = o.pictures.min(both.len() * 2 / 3);
    let [train_set, valid_set, _] = both.clone().stratified_split([n, n / 2, both.len() - n - n / 2], rng)?;
    let test_set = cifar.test().with_classes(classes)?.take(o.test);
    println!("{n} pictures to train on, {} to validate with, {} to test on", valid_set.len(), test_set.len());

    let mut bases = vec![("untrained base", Vgg16::without_top(rng))];
    if let Some(path) = &o.base {
        bases.push(("ImageNet base", Vgg16::from_file(path)?));
    }
    let enlarge = || Compose::new().add(Resize::new([o.size, o.size])).add(CaffeNormalize);
    let mut runs = Vec::new();
    for (name, base) in bases {
        let start = std::time::Instant::now();
        let (frozen, block) = base.features.split_at(24); // the last block: three convolutions from `features.24` on
        let maps = |set: &Subset<_>| extract_features(&frozen, &set.clone().augment(enlarge(), 0).map(yes_or_no), 16);
        let data = Data { train: maps(&train_set)?, valid: maps(&valid_set)?, test: maps(&test_set)? };
        println!("\n{name}: features of the frozen layers in {:.0} s", start.elapsed().as_secs_f64());
        let (epochs, net) = train(block, &data, o.epochs)?;
        for (what, epoch) in [("head alone", o.epochs - 1), ("last block too", 2 * o.epochs - 1)] {
            let [loss, acc] = ["val_loss", "val_acc"].map(|v| epochs[epoch].get(v).unwrap_or(f64::NAN));
            println!("{what:15} val_loss {loss:.4}, val_acc {acc:.4}");
        }
        report(name, &extract_features(&net, &data.test, 64)?.inputs().squeeze(1), &test_set)?;
        println!("{:.0} s in all", start.elapsed().as_secs_f64());
        runs.push((name, epochs));
    }
    draw(&runs, "target/transfer/curves.svg")?;
    println!("wrote curves.svg and grids of predictions to target/transfer");
    Ok(())
}

/// Labels as the targets of one score.
fn yes_or_no((pictures, labels): (Tensor<f32>, Tensor<i64>)) -> (Tensor<f32>, Tensor<f32>) {
    (pictures, labels.cast::<f32>().unsqueeze(1))
}
