//! LeNet learns to read handwritten digits: 60,000 to learn from, 10,000 to be examined on.
//!
//! `cargo run --release --example mnist`, with `--help` for its options.

use clap::Parser;
use gradus::nn::metrics::ConfusionMatrix;
use gradus::prelude::*;
use gradus::train::plot::{heatmap, image_grid};
use std::path::Path;

/// LeNet on MNIST. Writes curves, mistakes, confusion matrix, filters and weights to target/mnist/.
#[derive(Parser)]
struct Options {
    /// Passes over the training images
    #[arg(long, default_value_t = 5)]
    epochs: usize,
    /// Images a step
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// What weights and order depend on
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Only the first N training images, and N / 5 test images
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// A folder with the four files of MNIST, .gz or not (default: those of the repository)
    #[arg(long)]
    data: Option<String>,
}

/// The LeNet of the course (after LeCun et al. 1998).
fn lenet(rng: &mut Rng) -> Sequential {
    Sequential::new()
        .push("conv1", Conv2d::new(1, 20, 5, rng).same())
        .push("relu1", Relu)
        .push("pool1", MaxPool2d::new(2))
        .push("conv2", Conv2d::new(20, 50, 5, rng).same())
        .push("relu2", Relu)
        .push("pool2", MaxPool2d::new(2))
        .push("flatten", Flatten)
        .push("dense1", Linear::new(50 * 7 * 7, 500, rng))
        .push("relu3", Relu)
        .push("dense2", Linear::new(500, 10, rng))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let o = Options::parse();
    let out = Path::new("target/mnist");
    std::fs::create_dir_all(out)?;

    let mnist = match &o.data {
        Some(folder) => Mnist::open(folder)?,
        None => Mnist::embedded()?,
    };
    let (train, test) = match o.limit.map(|n| n.max(5)) {
        Some(n) => (mnist.train().limit(n), mnist.test().limit(n / 5)),
        None => (mnist.train(), mnist.test()),
    };
    println!("{} training images, {} test images\n", train.len(), test.len());

    let net = lenet(&mut Rng::seed(o.seed));
    println!("{}\n", net.summary([1, 28, 28]));

    let mut trainer = Trainer::new(net, CrossEntropy::new(), Adam::new(1e-3)).metric(Accuracy::new());
    let fit = Fit::epochs(o.epochs).batch(o.batch).seed(o.seed);
    let history = trainer.fit(&train, &test, fit)?;

    let evaluated = trainer.evaluate(&test, 500)?;
    let (loss, accuracy) = (evaluated[0].1, evaluated[1].1);
    println!("\ntest: loss {loss:.4}, accuracy {:.2} %", 100.0 * accuracy);

    let (images, labels) = test.batch(&(0..test.len()).collect::<Vec<_>>())?;
    let outputs = trainer.predict(&images, 500)?;
    let mut matrix = ConfusionMatrix::new(10);
    matrix.add_outputs(&labels, &outputs);
    println!("\nconfusion matrix (rows: the digit, columns: what it was taken for)\n{matrix}");

    history.plot(out.join("curves.svg"))?;
    history.plot(out.join("curves.png"))?;
    history.save_csv(out.join("history.csv"))?;
    let digits: Vec<String> = (0..10).map(|d| d.to_string()).collect();
    let counts = Tensor::from_fn([10, 10], |i| matrix.count(i[0], i[1]) as f64);
    heatmap(out.join("confusion.png"), "What was taken for what", &counts, (&digits, &digits), ("digit", "taken for"))?;
    mistakes(&images, &labels, &outputs, &out.join("mistakes.png"))?;
    filters(trainer.net(), &out.join("filters.png"))?;
    save_weights(trainer.net(), out.join("lenet.safetensors"))?;
    println!(
        "\nwrote curves.svg, curves.png, history.csv, confusion.png, mistakes.png, filters.png and lenet.safetensors to {}",
        out.display()
    );
    Ok(())
}

/// The wrong predictions that the network was surest of, up to 24.
fn mistakes(images: &Tensor, labels: &Tensor<i64>, outputs: &Tensor, path: &Path) -> Result<(), TrainError> {
    let probabilities = outputs.softmax(1);
    let (sure, predicted, truth) = (probabilities.max(1).to_vec(), outputs.argmax(1).to_vec(), labels.to_vec());
    let mut wrong: Vec<usize> = (0..truth.len()).filter(|&i| predicted[i] != truth[i]).collect();
    wrong.sort_by(|&a, &b| sure[b].total_cmp(&sure[a]));
    wrong.truncate(24);
    if wrong.is_empty() {
        println!("no mistakes to draw");
        return Ok(());
    }
    let captions: Vec<String> =
        wrong.iter().map(|&i| format!("{} as {} ({:.0}%)", truth[i], predicted[i], 100.0 * sure[i])).collect();
    let index = Tensor::from(wrong.iter().map(|&i| i as i64).collect::<Vec<_>>());
    image_grid(path, &images.index_select(0, &index), &captions, 6)
}

/// The first layer's filters, each scaled to its own range.
fn filters(net: &Sequential, path: &Path) -> Result<(), TrainError> {
    let weights = net.state_dict()["conv1.weight"].clone();
    let (low, high) = (weights.min_keep([1, 2, 3]), weights.max_keep([1, 2, 3]));
    image_grid(path, &((&weights - &low) / (high - low)), &[], 10)
}
