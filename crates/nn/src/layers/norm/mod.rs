//! Normalisation layers.

mod batch;
mod group;
mod instance;
mod layer;

pub use batch::{BatchNorm1d, BatchNorm2d, BatchNorm3d};
pub use group::GroupNorm;
pub use instance::{InstanceNorm1d, InstanceNorm2d, InstanceNorm3d};
pub use layer::{LayerNorm, RMSNorm};

use crate::refuse::refuse;
use gradus_autograd::{Buffer, Var, op_with_output};
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
    if let Some(unit) = units(x.value(), &var, &axes, eps) {
        return standardize_in_units(x, axes, eps, unit);
    }
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

/// As [`standardize`], of `x` over `unit`: the same formulas with `eps / unit²` in the place of `eps`.
#[track_caller]
fn standardize_in_units<T: Float>(x: &Var<T>, axes: AxisList, eps: f64, unit: Tensor<T>) -> (Var<T>, Tensor<T>, Tensor<T>) {
    let scaled = x.value() / &unit;
    let mean = scaled.mean_keep(&axes);
    let centred = scaled - &mean;
    let var = centred.square().mean_keep(&axes);
    let eps = in_units(eps, &unit);
    let scale = (&var + &eps).map(|v| v.sqrt().recip());
    let (y, from) = (centred * &scale, x.clone());
    let results = (mean * &unit, var * &unit * &unit);
    let y = op_with_output("standardize", [x], y, move |p| {
        let unit = Var::constant(unit.clone());
        let scale = match p.is_differentiable() {
            true => ((&from / &unit).var_keep(&axes, 0) + Var::constant(eps.clone())).sqrt().recip(),
            false => Var::constant(scale.clone()),
        };
        let (gy, y) = (p.gy(), p.y());
        let along = (gy * &y).mean_keep(&axes);
        [Some((gy - gy.mean_keep(&axes) - y * along) * scale / unit)]
    });
    (y, results.0, results.1)
}

/// What to divide the elements of `x` by before they are squared, the axes kept, if mean squares over `axes` overflowed or are
/// so small, even with `eps` added, that the squares have lost bits: powers of 2, which leave the other bits alone.
fn units<T: Float>(x: &Tensor<T>, squares: &Tensor<T>, axes: &AxisList, eps: f64) -> Option<Tensor<T>> {
    let eps = T::lit(eps);
    let lost = squares.map(move |v| !(v < T::INFINITY && v + eps >= T::TINY / T::EPSILON));
    if x.numel() == 0 || !lost.any() {
        return None;
    }
    Some(lost.select_where(&x.abs().max_keep(axes).map(T::binade), &Tensor::scalar(T::one())))
}

/// `eps / unit²`.
fn in_units<T: Float>(eps: f64, unit: &Tensor<T>) -> Tensor<T> {
    unit.map(move |unit| T::lit(eps / unit.to_f64() / unit.to_f64()))
}

/// One size a channel, as axis 1 of `rank` axes.
fn per_channel(channels: usize, rank: usize) -> Shape {
    (0..rank).map(|a| if a == 1 { channels } else { 1 }).collect()
}

/// `(x - mean) / √(var + eps)` by running statistics `[C]`, channels being axis 1 of `x`.
#[track_caller]
fn by_running<T: Float>(x: &Var<T>, mean: &Buffer<T>, var: &Buffer<T>, eps: f64) -> Var<T> {
    let (mean, var) = (mean.get(), var.get());
    let each = per_channel(mean.numel(), x.rank());
    let scale = var.map(move |v| (v + T::lit(eps)).sqrt().recip()).reshape(&each);
    (x - Var::constant(mean.reshape(&each))) * Var::constant(scale)
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
