//! Normalisation layers.

mod batch;
mod group;
mod instance;
mod layer;

pub use batch::{BatchNorm1d, BatchNorm2d, BatchNorm3d};
pub use group::GroupNorm;
pub use instance::{InstanceNorm1d, InstanceNorm2d, InstanceNorm3d};
pub use layer::{LayerNorm, RMSNorm};

use gradus_autograd::{Var, op_with_output};
use gradus_tensor::shape::AxisList;
use gradus_tensor::{Float, Shape, Tensor};

/// `y · weight + bias`, each laid out as `shape` where given.
#[track_caller]
fn affine<T: Float>(y: Var<T>, weight: Option<&Var<T>>, bias: Option<&Var<T>>, shape: &Shape) -> Var<T> {
    let y = match weight {
        Some(w) => y * w.reshape(shape),
        None => y,
    };
    match bias {
        Some(b) => y + b.reshape(shape),
        None => y,
    }
}

/// `y = (x - mean) / √(var + eps)` with the mean and (biased) variance of `x` over `axes`, and those two, the axes kept:
/// `dx = (dy - mean(dy) - y mean(dy y)) / √(var + eps)`.
#[track_caller]
fn standardize<T: Float>(x: &Var<T>, axes: AxisList, eps: f64) -> (Var<T>, Tensor<T>, Tensor<T>) {
    let mean = x.value().mean_keep(&axes);
    let centred = x.value() - &mean;
    let var = centred.square().mean_keep(&axes);
    let scale = var.map(move |v| (v + T::lit(eps)).sqrt().recip());
    let (y, from) = (centred * &scale, x.clone());
    let y = op_with_output("standardize", [x], y, move |p| {
        let scale =
            if p.is_differentiable() { (from.var_keep(&axes, 0) + eps).sqrt().recip() } else { Var::constant(scale.clone()) };
        let (gy, y) = (p.gy(), p.y());
        let along = (gy * &y).mean_keep(&axes);
        [Some((gy - gy.mean_keep(&axes) - y * along) * scale)]
    });
    (y, mean, var)
}

/// One size a channel, as axis 1 of `rank` axes.
fn per_channel(channels: usize, rank: usize) -> Shape {
    (0..rank).map(|a| if a == 1 { channels } else { 1 }).collect()
}
