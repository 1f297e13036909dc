//! Reductions. Their adjoints broadcast back; which element a maximum came from is a constant mask.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::{Axes, Axis, AxisList, reduced_shape};
use gradus_tensor::{Float, OrPanic, Shape, Tensor};

/// Which axes a reduction took, and the shape with them kept as size 1.
pub(super) struct Taken {
    pub axes: AxisList,
    pub kept: Shape,
    pub from: Shape,
}

#[track_caller]
pub(super) fn taken<T: Float>(name: &'static str, x: &Var<T>, axes: impl Axes) -> Taken {
    let axes = axes.resolve_all(name, x.rank()).or_panic();
    Taken { kept: reduced_shape(x.shape(), &axes, true), from: x.shape().clone(), axes }
}

/// The shape of input 0, with `axes` kept as size 1.
pub(super) fn kept<T: Float>(cx: &VjpContext<'_, T>, axes: &AxisList) -> Shape {
    reduced_shape(cx.shape(0), axes, true)
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// The sum over `axes`, which go; `..` for all.
    #[track_caller]
    pub fn sum(&self, axes: impl Axes) -> Var<T> {
        let axes = axes.resolve_all("sum", self.rank()).or_panic();
        apply(Sum { axes }, &[self])
    }

    /// The sum over `axes`, which stay with size 1.
    #[doc(alias("keepdim", "keepdims"))]
    #[track_caller]
    pub fn sum_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("sum", self, axes);
        self.sum(&t.axes).reshape(&t.kept)
    }

    /// The mean over `axes`, which go; `..` for all.
    #[track_caller]
    pub fn mean(&self, axes: impl Axes) -> Var<T> {
        let t = taken("mean", self, axes);
        let count = t.axes.iter().map(|&a| t.from[a]).product::<usize>() as f64;
        self.sum(&t.axes) / count
    }

    /// The mean over `axes`, which stay with size 1.
    #[doc(alias("keepdim", "keepdims"))]
    #[track_caller]
    pub fn mean_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("mean", self, axes);
        self.mean(&t.axes).reshape(&t.kept)
    }

    /// The variance over `axes`, which go: `Σ (x - mean)² / (n - correction)`. `correction` 1 is PyTorch's
    /// default (unbiased), 0 the population's.
    #[doc(alias("unbiased", "correction", "ddof"))]
    #[track_caller]
    pub fn var(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("var", self, axes);
        let count = t.axes.iter().map(|&a| t.from[a]).product::<usize>();
        let centred = self - self.mean_keep(&t.axes);
        centred.square().sum(&t.axes) / count.saturating_sub(correction) as f64
    }

    /// As [`var`](Self::var), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn var_keep(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("var", self, axes);
        self.var(&t.axes, correction).reshape(&t.kept)
    }

    /// The largest element over `axes`, which go. Equal maxima share the gradient evenly, as in PyTorch's
    /// `amax`.
    ///
    /// # Panics
    /// When a reduced axis has size 0.
    #[doc(alias = "amax")]
    #[track_caller]
    pub fn max(&self, axes: impl Axes) -> Var<T> {
        let axes = axes.resolve_all("max", self.rank()).or_panic();
        apply(Max { axes }, &[self])
    }

    /// As [`max`](Self::max), the axes staying with size 1.
    #[doc(alias("keepdim", "keepdims"))]
    #[track_caller]
    pub fn max_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("max", self, axes);
        self.max(&t.axes).reshape(&t.kept)
    }

    /// The smallest element over `axes`, which go. Equal minima share the gradient evenly.
    ///
    /// # Panics
    /// When a reduced axis has size 0.
    #[doc(alias = "amin")]
    #[track_caller]
    pub fn min(&self, axes: impl Axes) -> Var<T> {
        let axes = axes.resolve_all("min", self.rank()).or_panic();
        apply(Min { axes }, &[self])
    }

    /// As [`min`](Self::min), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn min_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("min", self, axes);
        self.min(&t.axes).reshape(&t.kept)
    }

    /// `ln Σ e^x` over `axes`, which go, without overflow: `dx = softmax(x) dy`. Of minus infinities alone it is minus infinity, with a
    /// gradient of 0.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Axes) -> Var<T> {
        let axes = axes.resolve_all("logsumexp", self.rank()).or_panic();
        apply(LogSumExp { axes }, &[self])
    }

    /// As [`logsumexp`](Self::logsumexp), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn logsumexp_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("logsumexp", self, axes);
        self.logsumexp(&t.axes).reshape(&t.kept)
    }

    /// The running sum along one axis; its adjoint is the running sum from the other end.
    #[track_caller]
    pub fn cumsum(&self, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("cumsum", self.rank()).or_panic();
        apply(CumSum { axis }, &[self])
    }

    /// The standard deviation over `axes`, which go: `√(Σ (x - mean)² / (n - correction))`. `correction` 1 is PyTorch's default
    /// (unbiased), 0 the population's. Where all elements are equal the gradient is 0, as that of a [`norm`](Self::norm) of 0.
    #[track_caller]
    pub fn std(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("std", self, axes);
        let count = t.axes.iter().map(|&a| t.from[a]).product::<usize>();
        (self - self.mean_keep(&t.axes)).norm(&t.axes) / (count.saturating_sub(correction) as f64).sqrt()
    }

    /// As [`std`](Self::std), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn std_keep(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("std", self, axes);
        self.std(&t.axes, correction).reshape(&t.kept)
    }
}

pub(crate) struct Sum {
    axes: AxisList,
}

impl<T: Float> Op<T> for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).sum(&self.axes)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().reshape(kept(cx, &self.axes)).expand(cx.shape(0)).into()
    }
}

pub(crate) struct Max {
    axes: AxisList,
}

impl<T: Float> Op<T> for Max {
    fn name(&self) -> &'static str {
        "max"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let y = cx.input(0).max(&self.axes);
        save_share(cx, &y, &self.axes);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        by_share(cx, &self.axes)
    }
}

pub(crate) struct Min {
    axes: AxisList,
}

impl<T: Float> Op<T> for Min {
    fn name(&self) -> &'static str {
        "min"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let y = cx.input(0).min(&self.axes);
        save_share(cx, &y, &self.axes);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        by_share(cx, &self.axes)
    }
}

/// Saves what share of the gradient each element gets, where `y` is the largest or the smallest over `axes`.
fn save_share<T: Float>(cx: &mut ForwardContext<'_, T>, y: &Tensor<T>, axes: &AxisList) {
    if cx.is_saving() {
        let x = cx.input(0);
        let share = share(x, &y.reshape(reduced_shape(x.shape(), axes, true)), axes);
        cx.save(share);
    }
}

/// The gradient, by the shares that [`save_share`] saved.
fn by_share<T: Float>(cx: &VjpContext<'_, T>, axes: &AxisList) -> Gradients<T> {
    let share = Var::constant(cx.residuals::<Tensor<T>>().clone());
    cx.gy().reshape(kept(cx, axes)).mul_no_nan(&share).into()
}

pub(crate) struct LogSumExp {
    axes: AxisList,
}

impl<T: Float> Op<T> for LogSumExp {
    fn name(&self) -> &'static str {
        "logsumexp"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let x = cx.input(0);
        let sums = x.log_sums(&self.axes);
        let y = (&sums[0] + &sums[1]).reshape(reduced_shape(x.shape(), &self.axes, false));
        cx.save(sums);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (axes, x, sums) = (&self.axes, cx.input(0), cx.residuals::<[Tensor<T>; 2]>());
        let gy = cx.gy().reshape(kept(cx, axes));
        if cx.is_differentiable() {
            // The same for any offset, so its derivatives are those of the softmax with the offset held fixed.
            let powers = (&x - Var::constant(sums[0].clone())).exp();
            let total = powers.sum_keep(axes);
            let none = total.value().eq(0.0);
            return (powers / total.masked_fill(&none, 1.0)).mul_no_nan(&gy).into();
        }
        Var::constant(x.value().logsumexp_grad(axes, sums, gy.value())).into()
    }
}

pub(crate) struct CumSum {
    axis: usize,
}

impl<T: Float> Op<T> for CumSum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).cumsum(self.axis)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().flip(self.axis).cumsum(self.axis).flip(self.axis).into()
    }
}

/// For each element, its share in being the extreme: 1 over the number of equals, or 0.
fn share<T: Float>(x: &Tensor<T>, extreme: &Tensor<T>, axes: &AxisList) -> Tensor<T> {
    let hit = x.zip_map("max", extreme, |x, m| if x == m || (x.is_nan() && m.is_nan()) { T::one() } else { T::zero() });
    let count = hit.sum_keep(axes);
    hit / &count
}

/// Random axes of a tensor; sometimes none, sometimes all.
pub(super) fn some_axes(rng: &mut gradus_tensor::Rng, rank: usize) -> AxisList {
    (0..rank).filter(|_| rng.below(2) == 1).collect()
}

/// A call of `f` on a tensor and some of its axes.
macro_rules! of_axes {
    ($name:literal, $draw:ident, $f:expr) => {
        OpSample::new($name, |rng| {
            let x = draw::$draw(rng, -2.0..2.0);
            let axes = some_axes(rng, x.rank());
            let f: fn(&Var<T>, &AxisList) -> Var<T> = $f;
            Case::new([x], move |v| f(&v[0], &axes))
        })
    };
}
pub(super) use of_axes;

impl<T: Float> Sampled<T> for Sum {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            of_axes!("sum", tensor, |x, axes| x.sum(axes)),
            of_axes!("sum", tensor, |x, axes| x.sum_keep(axes)),
            of_axes!("sum", filled, |x, axes| x.mean(axes)),
            of_axes!("sum", filled, |x, axes| x.var(axes, 0)),
        ]
    }
}

impl<T: Float> Sampled<T> for Max {
    fn samples() -> Vec<OpSample<T>> {
        vec![of_axes!("max", distinct, |x, axes| x.max(axes)).without_ties()]
    }
}

impl<T: Float> Sampled<T> for Min {
    fn samples() -> Vec<OpSample<T>> {
        vec![of_axes!("min", distinct, |x, axes| x.min_keep(axes)).without_ties()]
    }
}

impl<T: Float> Sampled<T> for LogSumExp {
    fn samples() -> Vec<OpSample<T>> {
        vec![of_axes!("logsumexp", filled, |x, axes| x.logsumexp(axes))]
    }
}

impl<T: Float> Sampled<T> for CumSum {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("cumsum", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            Case::new([x], |v| v[0].cumsum(1))
        })]
    }
}
