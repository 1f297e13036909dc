//! Do files of VGG16's weights give what they give elsewhere?
//!
//! `cargo run --release -p gradus-models --features hdf5 --example agree -- EXPECTED.npz WEIGHTS ..`
//!
//! `EXPECTED.npz` has a `picture` `[N, 3, H, W]`, its `features`, and its `scores` where the weights have a classifier, as
//! `docs/reference/vgg16.py` writes them. Ends with an error when a file differs by more than 1e-4 of the largest value.

use gradus_autograd::{Var, no_grad};
use gradus_data::npz::Npz;
use gradus_models::Vgg16;
use gradus_nn::{Layer, Mode};
use gradus_tensor::Tensor;
use std::error::Error;

fn largest(x: &Tensor<f32>) -> f32 {
    x.map(f32::abs).max(..).item()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let mut expected = Npz::open(args.next().ok_or("usage: agree EXPECTED.npz WEIGHTS ..")?)?;
    let mut of = |name: &str| expected.read::<f32>(name);
    let picture: Var = of("picture")?.into();
    let mut worst = 0.0f32;
    for path in args {
        let net = Vgg16::from_file::<f32>(&path)?;
        let maps = no_grad(|| net.features.forward(&picture, &mut Mode::Eval));
        let mut pairs = vec![("features", maps.value().clone())];
        if !net.classifier.is_empty() {
            let scores = no_grad(|| net.classifier.forward(&net.pool.forward(&maps, &mut Mode::Eval), &mut Mode::Eval));
            pairs.push(("scores", scores.into_value()));
        }
        for (what, found) in pairs {
            let wanted = of(what)?;
            let difference = largest(&(&found - &wanted));
            println!("{path}: {what} differ by {difference:.1e} at most, of values up to {:.3}", largest(&wanted));
            worst = worst.max(difference / largest(&wanted));
        }
    }
    if worst > 1e-4 { Err(format!("the largest difference is {worst:.1e} of the largest value").into()) } else { Ok(()) }
}
