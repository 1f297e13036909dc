//! A sequence read into one output: handwritten digits, row by row. A step is a row of 28 pixels, a picture 28 steps; the
//! network says which digit it was when it has seen the last row.
//!
//! `cargo run --release --example mnist_rows`, with `--help` for its options.

use gradus::prelude::*;
use std::path::Path;

const HELP: &str = "\
An LSTM reads MNIST row by row. Writes curves to target/mnist_rows/.

  --epochs N   passes over the training images (6)
  --limit N    only the first N training images, and N / 5 test images";

fn options() -> Result<(usize, Option<usize>), String> {
    let (mut epochs, mut limit) = (6, None);
    let mut args = std::env::args().skip(1);
    while let Some(name) = args.next() {
        if matches!(name.as_str(), "--help" | "-h") {
            println!("{HELP}");
            std::process::exit(0);
        }
        let value = args.next().ok_or_else(|| format!("{name} wants a value; see --help"))?;
        let number = value.parse::<usize>().map_err(|_| format!("{name} wants a whole number, not `{value}`"))?;
        match name.as_str() {
            "--epochs" => epochs = number,
            "--limit" => limit = Some(number.max(5)),
            _ => return Err(format!("unknown option {name}; see --help")),
        }
    }
    Ok((epochs, limit))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (epochs, limit) = options()?;
    let out = Path::new("target/mnist_rows");
    std::fs::create_dir_all(out)?;
    let mnist = Mnist::embedded()?;
    let (train, test) = match limit {
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
