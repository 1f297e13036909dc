//! A sequence read into one output: handwritten digits, row by row. A step is a row of 28 pixels, a picture 28 steps; the
//! network says which digit it was when it has seen the last row.
//!
//! `cargo run --release --example mnist_rows`, with `--help` for its options.

use clap::Parser;
use gradus::nn::{Lambda, SequenceToOne};
use gradus::prelude::*;
use std::path::Path;

/// An LSTM reads MNIST row by row. Writes curves to target/mnist_rows/.
#[derive(Parser)]
struct Options {
    /// Passes over the training images
    #[arg(long, default_value_t = 6)]
    epochs: usize,
    /// Only the first N training images, and N / 5 test images
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let Options { epochs, limit } = Options::parse();
    let out = Path::new("target/mnist_rows");
    std::fs::create_dir_all(out)?;
    let mnist = Mnist::embedded()?;
    let (train, test) = match limit.map(|n| n.max(5)) {
        Some(n) => (mnist.train().limit(n), mnist.test().limit(n / 5)),
        None => (mnist.train(), mnist.test()),
    };
    let rng = &mut Rng::seed(1);
    let rows = Lambda(|x: &Var| x.reshape([x.shape()[0], 28, 28]));
    let lstm = SequenceToOne::new(Recurrent::new(Lstm::new(28, 128, rng)), Linear::new(128, 10, rng));
    let net: Sequential = Sequential::new().push("rows", rows).push("lstm", lstm);
    println!("{} training images, {} test images\n{}\n", train.len(), test.len(), net.summary([1, 28, 28]));

    let mut trainer = Trainer::new(net, CrossEntropy::new(), Adam::new(2e-3).clip_norm(1.0)).metric(Accuracy::new());
    let history = trainer.fit(&train, &test, Fit::epochs(epochs).batch(128).seed(1))?;
    let evaluated = trainer.evaluate(&test, 500)?;
    println!("\ntest: loss {:.4}, accuracy {:.2} %", evaluated[0].1, 100.0 * evaluated[1].1);
    history.plot(out.join("curves.svg"))?;
    println!("wrote curves.svg to {}", out.display());
    Ok(())
}
