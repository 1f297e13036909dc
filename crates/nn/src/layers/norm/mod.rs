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
use crate::samples::apply_aux;
use gradus_autograd::samples::{Case, OpSample, Sampled, draw};
use gradus_autograd::{Attributes, Buffer, ForwardContext, Gradients, Op, OpKind, Saves, Var, VjpContext};
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

/// `(x - mean) / √(var + eps)` with the mean and (biased) variance of `x` over `axes`, and those two, the axes kept.
#[track_caller]
fn standardize<T: Float>(x: &Var<T>, axes: AxisList, eps: f64) -> (Var<T>, Tensor<T>, Tensor<T>) {
    let (y, [mean, var]) = apply_aux(Standardize { axes, eps }, &[x]);
    (y, mean, var)
}

/// `y = (x - mean) / √(var + eps)` with the mean and (biased) variance of `x` over `axes`:
/// `dx = (dy - mean(dy) - y mean(dy y)) / √(var + eps)`. By-product: mean and variance.
pub(crate) struct Standardize {
    axes: AxisList,
    eps: f64,
}

/// What the rule of [`Standardize`] reads: `1 / √(var + eps)`, and the units in which that is, with `eps` in them, if any.
struct Scale<T: Float> {
    scale: Tensor<T>,
    units: Option<[Tensor<T>; 2]>,
}

impl Standardize {
    /// The same formulas of `x` over `unit`, with `eps / unit²` in the place of `eps`.
    fn in_units<T: Float>(&self, cx: &mut ForwardContext<'_, T>, unit: Tensor<T>) -> Tensor<T> {
        let scaled = cx.input(0) / &unit;
        let mean = scaled.mean_keep(&self.axes);
        let centred = scaled - &mean;
        let var = centred.square().mean_keep(&self.axes);
        let eps = in_units(self.eps, &unit);
        let scale = (&var + &eps).map(|v| v.sqrt().recip());
        let y = centred * &scale;
        cx.set_aux([mean * &unit, var * &unit * &unit]);
        cx.save(Scale { scale, units: Some([unit, eps]) });
        y
    }
}

impl<T: Float> Op<T> for Standardize {
    fn name(&self) -> &'static str {
        "standardize"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes).with("eps", self.eps)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0]).and_output()
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (x, axes, eps) = (cx.input(0), &self.axes, self.eps);
        let mean = x.mean_keep(axes);
        let centred = x - &mean;
        let var = centred.square().mean_keep(axes);
        if let Some(unit) = units(x, &var, axes, eps) {
            return self.in_units(cx, unit);
        }
        let scale = var.map(move |v| (v + T::lit(eps)).sqrt().recip());
        let y = centred * &scale;
        cx.set_aux([mean, var]);
        cx.save(Scale { scale, units: None });
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (axes, Scale { scale, units }) = (&self.axes, cx.residuals());
        let units = units.as_ref().map(|units| units.each_ref().map(|t| Var::constant(t.clone())));
        let scale = match &units {
            _ if !cx.is_differentiable() => Var::constant(scale.clone()),
            Some([unit, eps]) => ((cx.input(0) / unit).var_keep(axes, 0) + eps).sqrt().recip(),
            None => (cx.input(0).var_keep(axes, 0) + self.eps).sqrt().recip(),
        };
        let (gy, y) = (cx.gy(), cx.y());
        let along = (gy * &y).mean_keep(axes);
        let dx = (gy - gy.mean_keep(axes) - y * along) * scale;
        match units {
            Some([unit, _]) => (dx / unit).into(),
            None => dx.into(),
        }
    }
}

impl<T: Float> Sampled<T> for Standardize {
    fn samples() -> Vec<OpSample<T>> {
        /// Elements of their own along the axis, so that no variance is near 0.
        fn spread(rng: &mut gradus_tensor::Rng) -> Tensor<f64> {
            let x = draw::tensor_of_rank(rng, 2, -2.0..2.0);
            Tensor::concat(&[&x, &(&x * 0.5 + 3.0)], 0)
        }
        fn along<T: Float>(x: &Var<T>) -> Var<T> {
            standardize(x, [0].into_iter().collect(), 0.1).0
        }
        vec![
            OpSample::new("standardize", |rng| Case::new([spread(rng)], |v| along(&v[0]))),
            // Squares that overflow, in units. Of two values the result would be 1 and -1, whatever they are.
            OpSample::new("standardize", |rng| {
                Case::new([draw::spread(rng, [4, 2].into(), -2.0..2.0)], |v| {
                    let size = T::MAX.to_f64().sqrt() * 4.0;
                    along(&(&v[0] * size))
                })
            })
            // Between equals there is nothing but `eps`, which is lost beside such squares.
            .without_ties(),
        ]
    }
}

/// What to divide the elements of `x` by before they are squared, the axes kept, if mean squares over `axes` overflowed or are
/// so small, even with `eps` added, that the squares have lost bits: powers of 2, which leave the other bits alone.
fn units<T: Float>(x: &Tensor<T>, squares: &Tensor<T>, axes: &AxisList, eps: f64) -> Option<Tensor<T>> {
    let eps = T::lit(eps);
    let lost = squares.map(move |v| !(v < T::INFINITY && v + eps >= T::TINY / T::EPSILON));
    if x.numel() == 0 || !lost.any() {
        return None;
    }
    Some(x.abs().max_keep(axes).map(T::binade).where_(&lost, &Tensor::scalar(T::one())))
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
