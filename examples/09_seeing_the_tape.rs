//! What a training step is made of: the tape as a table and as a picture, and where time and memory go.
//!
//! `cargo run --release --example 09_seeing_the_tape`

use gradus::autograd::{ProfileRow, profile, record_function};
use gradus::prelude::*;
use std::fs;

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
    let rng = &mut Rng::seed(42);
    let mut net = lenet(rng);
    let mut opt = Adam::new(1e-3);
    let mnist = Mnist::embedded()?.train().limit(512);
    let (images, labels) = mnist.batch(&(0..128).collect::<Vec<_>>())?;

    // A step to warm up: the first one fetches its memory from the system.
    let loss = net.forward(&images.clone().into(), &mut Mode::Train(rng)).cross_entropy(&labels);
    opt.step(&mut net, loss.backward())?;

    // Forward only: the tape is whole, and knows what each op took and what it keeps.
    let (loss, _) = profile(|| net.forward(&images.into(), &mut Mode::Train(rng)).cross_entropy(&labels));
    let tape = loss.tape().named(&net);
    println!("{tape}");
    let dearest = tape.iter().max_by_key(|e| e.time).ok_or("an empty tape")?;
    println!("The longest op forward is `{}` at {}.\n", dearest.name, dearest.at);

    fs::create_dir_all("target/inspect")?;
    fs::write("target/inspect/tape.svg", tape.to_svg())?;
    fs::write("target/inspect/tape.dot", tape.to_dot())?;
    drop(loss);

    // An epoch over a few batches: forward, backward, the optimiser's steps, and the loading, which is given a name.
    let (trained, profile) = profile(|| {
        let mut batches = mnist.batches(128).shuffle(rng);
        while let Some(batch) = record_function("load batch", || batches.next()) {
            let (images, labels) = batch?;
            let loss = net.forward(&images.into(), &mut Mode::Train(rng)).cross_entropy(&labels);
            opt.step(&mut net, loss.backward())?;
        }
        Ok::<(), Box<dyn std::error::Error>>(())
    });
    trained?;
    println!("{profile}");
    fs::write("target/inspect/profile.json", profile.to_json())?;
    fs::write("target/inspect/trace.json", profile.to_chrome_trace())?;
    println!("wrote tape.svg, tape.dot, profile.json and trace.json (for ui.perfetto.dev) to target/inspect");

    // The parts add up to no more than the whole.
    let parts: std::time::Duration = profile.by_op().iter().map(ProfileRow::time).sum();
    assert!(parts + profile.outside() <= profile.wall_time());
    Ok(())
}
