//! Other shapes over the same elements, and their adjoints: `expand` and `sum_to`, `slice` and
//! `pad_step`, `diagonal` and `diagonal_embed`.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::{Axes, Axis, AxisList, Dims, flattened};
use gradus_tensor::{Float, OrPanic, Shape, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The same elements, in row-major order, under another shape; one size may be `-1`.
    ///
    /// # Panics
    /// When the number of elements would change.
    #[doc(alias("view", "view_as", "reshape_as", "unflatten"))]
    #[track_caller]
    pub fn reshape(&self, dims: impl Dims) -> Var<T> {
        let shape = dims.resolve_dims(self.shape()).or_panic();
        apply(Reshape { shape }, &[self])
    }

    /// Axes `start` and onward become one: `flatten(0)` gives a vector, `flatten(1)` turns `[N, C, H, W]` into `[N, C·H·W]`.
    ///
    /// # Panics
    /// When there is no such axis; `flatten(0)` always does, and gives a scalar its only axis.
    #[doc(alias = "ravel")]
    #[track_caller]
    pub fn flatten(&self, start: impl Axis) -> Var<T> {
        self.reshape(flattened("flatten", self.shape(), start).or_panic())
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this.
    ///
    /// # Panics
    /// When `axes` does not name every axis exactly once.
    #[doc(alias("movedim", "moveaxis"))]
    #[track_caller]
    pub fn permute<A: Axis>(&self, axes: impl AsRef<[A]>) -> Var<T> {
        let axes = axes.as_ref();
        let mut order = AxisList::new();
        for axis in axes {
            match axis.resolve("permute", self.rank()) {
                Ok(axis) => order.push(axis),
                Err(error) => Err(error).or_panic(),
            }
        }
        apply(Permute { order }, &[self])
    }

    /// Two axes exchanged.
    ///
    /// # Panics
    /// When there is no such axis.
    #[doc(alias("swapdims", "swapaxes"))]
    #[track_caller]
    pub fn transpose(&self, a: impl Axis, b: impl Axis) -> Var<T> {
        let a = a.resolve("transpose", self.rank()).or_panic();
        let b = b.resolve("transpose", self.rank()).or_panic();
        apply(Transpose { a, b }, &[self])
    }

    /// The last two axes exchanged.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[doc(alias = "mT")]
    #[track_caller]
    pub fn t(&self) -> Var<T> {
        self.transpose(-2, -1)
    }

    /// Repeats axes of size 1, and new ones in front.
    ///
    /// # Panics
    /// When an axis would change that is not of size 1.
    #[doc(alias("expand_as", "broadcast_to"))]
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Var<T> {
        if shape == *self.shape() {
            return self.clone();
        }
        apply(Expand { shape }, &[self])
    }

    /// Summed down to `shape`, from which this shape would be broadcast.
    ///
    /// # Panics
    /// When `shape` does not broadcast to this one.
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Var<T> {
        if shape == *self.shape() {
            return self.clone();
        }
        apply(SumTo { shape }, &[self])
    }

    /// Drops axes of size 1; `..` drops all of them.
    ///
    /// # Panics
    /// When a named axis is of another size.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Axes) -> Var<T> {
        let shape = self.value().squeeze(axes).shape().clone();
        self.reshape(&shape)
    }

    /// A new axis of size 1 before `axis`; `-1` puts it last.
    ///
    /// # Panics
    /// When there is no such place.
    #[doc(alias("expand_dims", "newaxis"))]
    #[track_caller]
    pub fn unsqueeze(&self, axis: impl Axis) -> Var<T> {
        let shape = self.value().unsqueeze(axis).shape().clone();
        self.reshape(&shape)
    }

    /// The named axes run backwards.
    ///
    /// # Panics
    /// When there is no such axis.
    #[doc(alias("fliplr", "flipud"))]
    #[track_caller]
    pub fn flip(&self, axes: impl Axes) -> Var<T> {
        let axes: AxisList = axes.resolve_all("flip", self.rank()).or_panic();
        apply(Flip { axes }, &[self])
    }
}

pub(crate) struct Reshape {
    shape: Shape,
}

impl<T: Float> Op<T> for Reshape {
    fn name(&self) -> &'static str {
        "reshape"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("shape", &self.shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).reshape(&self.shape)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().reshape(cx.shape(0)).into()
    }
}

pub(crate) struct Permute {
    order: AxisList,
}

impl<T: Float> Op<T> for Permute {
    fn name(&self) -> &'static str {
        "permute"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("order", &self.order)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).permute(&self.order)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let mut inverse = self.order.clone();
        for (i, &axis) in self.order.iter().enumerate() {
            inverse[axis] = i;
        }
        cx.gy().permute(&inverse).into()
    }
}

pub(crate) struct Transpose {
    a: usize,
    b: usize,
}

impl<T: Float> Op<T> for Transpose {
    fn name(&self) -> &'static str {
        "transpose"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("a", self.a).with("b", self.b)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).transpose(self.a, self.b)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().transpose(self.a, self.b).into()
    }
}

pub(crate) struct Expand {
    shape: Shape,
}

impl<T: Float> Op<T> for Expand {
    fn name(&self) -> &'static str {
        "expand"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("shape", &self.shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).expand(&self.shape)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().sum_to(cx.shape(0)).into()
    }
}

pub(crate) struct SumTo {
    shape: Shape,
}

impl<T: Float> Op<T> for SumTo {
    fn name(&self) -> &'static str {
        "sum_to"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("shape", &self.shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).sum_to(&self.shape)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().expand(cx.shape(0)).into()
    }
}

pub(crate) struct Flip {
    axes: AxisList,
}

impl<T: Float> Op<T> for Flip {
    fn name(&self) -> &'static str {
        "flip"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axes", &self.axes)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).flip(&self.axes)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().flip(&self.axes).into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

impl<T: Float> Sampled<T> for Reshape {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("reshape", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            Case::new([x], |v| v[0].reshape([-1]))
        })]
    }
}

impl<T: Float> Sampled<T> for Permute {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("permute", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            let order = rng.permutation(x.rank());
            Case::new([x], move |v| v[0].permute(&order))
        })]
    }
}

impl<T: Float> Sampled<T> for Transpose {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("transpose", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            Case::new([x], |v| v[0].transpose(0, -1))
        })]
    }
}

impl<T: Float> Sampled<T> for Expand {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("expand", |rng| {
            let (a, b) = draw::broadcast_pair(rng, -2.0..2.0, -2.0..2.0);
            let shape = gradus_tensor::shape::broadcast_shapes("expand", a.shape(), b.shape()).or_panic();
            // One more axis in front, so that something is always expanded.
            let shape: Shape = [2].into_iter().chain(shape.iter().copied()).collect();
            Case::new([a], move |v| v[0].expand(&shape))
        })]
    }
}

impl<T: Float> Sampled<T> for SumTo {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("sum_to", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let n = x.size(1);
            Case::new([x], move |v| v[0].sum_to([n, 1]))
        })]
    }
}

impl<T: Float> Sampled<T> for Flip {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("flip", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            Case::new([x], |v| v[0].flip([0, -1]))
        })]
    }
}
