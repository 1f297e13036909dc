//! The Euclidean norm, and what its derivatives are where it is 0.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::limits;
use crate::ops::listed::apply;
use crate::ops::no_nan::times_gradient;
use crate::ops::reduce::kept;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::{Axes, AxisList, reduced_shape};
use gradus_tensor::{Float, OrPanic, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The Euclidean norm over `axes`, which go; `..` for all: `y = √Σ x²`, `dx = x / y dy`, and 0 where `y` is 0. The squares
    /// neither overflow nor underflow.
    ///
    /// Where `y` is 0, a function `f(y)` has a second derivative if `f'(0)` is 0: it is `f''(0)` times the identity, as for
    /// `y²`. Any other, that of the norm itself among them, is NaN.
    #[doc(alias("linalg.norm", "vector_norm"))]
    #[track_caller]
    pub fn norm(&self, axes: impl Axes) -> Var<T> {
        let axes = axes.resolve_all("norm", self.rank()).or_panic();
        apply(Norm { axes }, &[self])
    }

    /// As [`norm`](Self::norm), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn norm_keep(&self, axes: impl Axes) -> Var<T> {
        let axes = axes.resolve_all("norm", self.rank()).or_panic();
        let kept = reduced_shape(self.shape(), &axes, true);
        apply(Norm { axes }, &[self]).reshape(kept)
    }
}

pub(crate) struct Norm {
    axes: AxisList,
}

impl<T: Float> Op<T> for Norm {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0]).and_output()
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).norm(&self.axes)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if cx.is_differentiable() { differentiable(cx, &self.axes).into() } else { plain(cx, &self.axes).into() }
    }
}

fn plain<T: Float>(cx: &VjpContext<'_, T>, axes: &AxisList) -> Var<T> {
    let kept = kept(cx, axes);
    let (x, y, gy) = (cx.input(0), cx.y().reshape(&kept), cx.gy().reshape(&kept));
    let at_zero = if limits::is_probing() { T::NAN } else { T::zero() };
    // Divided first, for x / y is at most 1, and gy / y may overflow.
    let direction = x.value().zip_map("norm", y.value(), |x, y| if y == T::zero() { at_zero } else { x / y });
    Var::constant(direction.zip_map_into("norm", gy.value(), times_gradient))
}

fn differentiable<T: Float>(cx: &VjpContext<'_, T>, axes: &AxisList) -> Var<T> {
    let kept = kept(cx, axes);
    let (x, y, gy) = (&cx.input(0), cx.y().reshape(&kept), cx.gy().reshape(&kept));
    let zero = y.value().eq(0.0);
    let regular = (x / y.masked_fill(&zero, 1.0)).mul_no_nan(&gy);
    if !zero.any() {
        return regular;
    }
    // To first order, f'(y) x / y is f''(0) x where f'(0) is 0, and has no derivative where it is not: 0 with the slope NaN.
    let none = Var::constant(Tensor::scalar(T::NAN)).mul_no_nan(&(x + x.sum_keep(axes)));
    let mut singular = none.mul_no_nan(&gy);
    let flat = cx.y().value().zip_map("norm", cx.gy().value(), |y, g| y == T::zero() && g == T::zero());
    if let Some(slope) = limits::slope_of_one(cx.gy(), &cx.y(), &flat) {
        singular = singular + slope.reshape(&kept).mul_no_nan(x);
    }
    singular.where_(&zero, &regular)
}

impl<T: Float> Sampled<T> for Norm {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("norm", |rng| {
                let x = draw::tensor(rng, 0.4..2.0);
                let signs = Tensor::bernoulli(x.shape().clone(), 0.5, rng).to_num() * 2.0 - 1.0;
                let axes: AxisList = (0..x.rank()).filter(|_| rng.below(2) == 1).collect();
                Case::new([x * &signs], move |v| v[0].norm_keep(&axes) * v[0].norm(..))
            }),
            OpSample::new("norm", |rng| {
                let x = draw::tensor_of_rank(rng, 2, -2.0..2.0);
                // Elements of their own along the axis, so that no deviation is 0.
                let x = Tensor::concat(&[&x, &(&x * 0.5 + 3.0)], 0);
                Case::new([x], |v| v[0].std_keep(0, 1))
            }),
        ]
    }
}
