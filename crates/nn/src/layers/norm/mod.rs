//! Normalisation layers.

mod batch;
mod group;
mod instance;
mod layer;

pub use batch::{BatchNorm1d, BatchNorm2d, BatchNorm3d};
pub use group::GroupNorm;
pub use instance::{InstanceNorm1d, InstanceNorm2d, InstanceNorm3d};
pub use layer::{LayerNorm, RmsNorm};

use crate::refuse::refuse;
use gradus_autograd::{Buffer, Param, Var};
use gradus_tensor::{Float, Tensor};

/// `x` normalised by running statistics `[C]`, channels being axis 1.
#[track_caller]
fn by_running<T: Float>(
    x: &Var<T>,
    [mean, var]: [&Buffer<T>; 2],
    eps: f64,
    weight: Option<&Param<T>>,
    bias: Option<&Param<T>>,
) -> Var<T> {
    let [mean, var] = [mean, var].map(|buffer| Var::constant(buffer.get()));
    x.normalize_by([&mean, &var], eps, weight.map(|w| &**w), bias.map(|b| &**b))
}

/// Moves running statistics `[C]` by `momentum` towards a mean `[C]` and the unbiased form of a variance `[C]`, which come
/// from `count` values each. A variance too large for the type counts as the largest number, from which later batches lead
/// back.
fn move_running<T: Float>(running: [&Buffer<T>; 2], mean: &Tensor<T>, var: &Tensor<T>, count: usize, momentum: f64) {
    let unbiased = (var * (count as f64 / (count - 1) as f64)).map_into(|v| if v > T::MAX { T::MAX } else { v });
    for (buffer, batch) in running.into_iter().zip([mean, &unbiased]) {
        buffer.set(buffer.get() * (1.0 - momentum) + batch * momentum);
    }
}

/// Refuses a variance of one value, which would be 0.
#[track_caller]
fn more_than_one<T: Float>(op: &'static str, when: &str, x: &Var<T>, count: usize) {
    if count == 1 {
        refuse(op, format!("expected 2 values or more a channel{when}, got one (input {}), whose variance is 0", x.shape()))
    }
}
