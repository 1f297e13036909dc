//! Picking by index, and adding at an index: pairs that are each other's adjoint.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, OrPanic, Shape, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `y[i, j, k] = x[index[i, j, k], j, k]` for axis 0, and likewise for the others: `torch.gather`.
    ///
    /// # Panics
    /// When the ranks differ, `index` is larger than this along another axis, or an index is out of range.
    #[doc(alias("take_along_dim", "take_along_axis"))]
    #[track_caller]
    pub fn gather(&self, axis: impl Axis, index: &Tensor<i64>) -> Var<T> {
        let axis = axis.resolve("gather", self.rank()).or_panic();
        apply(Gather { axis, index: index.clone() }, &[self])
    }

    /// This plus `src` at the places that [`gather`](Self::gather) with the same `index` reads. Repeated indices add
    /// up.
    ///
    /// # Panics
    /// As `gather`; and when `src` has another shape than `index`.
    #[track_caller]
    pub fn scatter_add(&self, axis: impl Axis, index: &Tensor<i64>, src: &Var<T>) -> Var<T> {
        let axis = axis.resolve("scatter_add", self.rank()).or_panic();
        apply(ScatterAdd { axis, index: index.clone() }, &[self, src])
    }

    /// The sub-tensors at the indices of one axis, in their order: rows of an embedding.
    ///
    /// # Panics
    /// When `index` is no vector, or an index is out of range.
    #[doc(alias = "take")]
    #[track_caller]
    pub fn index_select(&self, axis: impl Axis, index: &Tensor<i64>) -> Var<T> {
        let axis = axis.resolve("index_select", self.rank()).or_panic();
        apply(IndexSelect { axis, index: index.clone() }, &[self])
    }

    /// This plus the sub-tensors of `src` at the indices of one axis. Repeated indices add up.
    ///
    /// # Panics
    /// When `index` is no vector, an index is out of range, or `src` does not fit.
    #[doc(alias = "segment_sum")]
    #[track_caller]
    pub fn index_add(&self, axis: impl Axis, index: &Tensor<i64>, src: &Var<T>) -> Var<T> {
        let axis = axis.resolve("index_add", self.rank()).or_panic();
        apply(IndexAdd { axis, index: index.clone() }, &[self, src])
    }

    /// The elements along one axis in order, and the index that each came from; differentiable as a gather.
    #[track_caller]
    pub fn sort(&self, axis: impl Axis, descending: bool) -> (Var<T>, Tensor<i64>) {
        let index = self.value().argsort(axis, descending);
        (self.gather(axis, &index), index)
    }

    /// The `k` largest elements along one axis, largest first, and their indices; differentiable as a gather.
    ///
    /// # Panics
    /// When the axis has fewer than `k` elements.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: impl Axis) -> (Var<T>, Tensor<i64>) {
        let (_, index) = self.value().topk(k, axis);
        (self.gather(axis, &index), index)
    }
}

/// Zeros to add to; one stored element, for what is added to is copied anyway.
fn zeros<T: Float>(shape: &Shape) -> Var<T> {
    Var::constant(Tensor::full(shape.clone(), T::zero()))
}

pub(crate) struct Gather {
    axis: usize,
    index: Tensor<i64>,
}

impl<T: Float> Op<T> for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis).with("index", &self.index)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).gather(self.axis, &self.index)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let grad = match cx.take_sum(0) {
            Some(sum) => sum.into_value().scatter_add_into(self.axis, &self.index, cx.gy().value()).into(),
            None => zeros(cx.shape(0)).scatter_add(self.axis, &self.index, cx.gy()),
        };
        grad.into()
    }
}

pub(crate) struct ScatterAdd {
    axis: usize,
    index: Tensor<i64>,
}

impl<T: Float> Op<T> for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis).with("index", &self.index)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.take(0).scatter_add_into(self.axis, &self.index, cx.input(1))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        [Some(cx.gy().clone()), cx.needs(1).then(|| cx.gy().gather(self.axis, &self.index))].into()
    }
}

pub(crate) struct IndexSelect {
    axis: usize,
    index: Tensor<i64>,
}

impl<T: Float> Op<T> for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis).with("index", &self.index)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).index_select(self.axis, &self.index)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let grad = match cx.take_sum(0) {
            Some(sum) => sum.into_value().index_add_into(self.axis, &self.index, cx.gy().value()).into(),
            None => zeros(cx.shape(0)).index_add(self.axis, &self.index, cx.gy()),
        };
        grad.into()
    }
}

pub(crate) struct IndexAdd {
    axis: usize,
    index: Tensor<i64>,
}

impl<T: Float> Op<T> for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis).with("index", &self.index)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.take(0).index_add_into(self.axis, &self.index, cx.input(1))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        [Some(cx.gy().clone()), cx.needs(1).then(|| cx.gy().index_select(self.axis, &self.index))].into()
    }
}

impl<T: Float> Sampled<T> for Gather {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("gather", |rng| {
                let (x, index) = (draw::of_shape(rng, [3, 4]), Tensor::randint([2, 3], 0, 4, rng));
                Case::new([x], move |v| v[0].gather(1, &index))
            }),
            OpSample::new("gather", |rng| {
                let x = draw::spread(rng, [2, 4].into(), -2.0..2.0);
                Case::new([x], |v| v[0].sort(1, false).0 * v[0].sort(0, true).0)
            })
            .without_ties(),
            OpSample::new("gather", |rng| {
                let x = draw::spread(rng, [2, 5].into(), -2.0..2.0);
                Case::new([x], |v| v[0].topk(3, -1).0)
            })
            .without_ties(),
        ]
    }
}

impl<T: Float> Sampled<T> for ScatterAdd {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("scatter_add", |rng| {
            let index = Tensor::randint([3, 2], 0, 3, rng);
            Case::new([draw::of_shape(rng, [3, 2]), draw::of_shape(rng, [3, 2])], move |v| v[0].scatter_add(0, &index, &v[1]))
        })]
    }
}

impl<T: Float> Sampled<T> for IndexSelect {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("index_select", |rng| {
            let (x, index) = (draw::of_shape(rng, [2, 3, 2]), Tensor::randint([4], 0, 3, rng));
            Case::new([x], move |v| v[0].index_select(1, &index))
        })]
    }
}

impl<T: Float> Sampled<T> for IndexAdd {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("index_add", |rng| {
            let index = Tensor::randint([4], 0, 3, rng);
            Case::new([draw::of_shape(rng, [3, 2]), draw::of_shape(rng, [4, 2])], move |v| v[0].index_add(0, &index, &v[1]))
        })]
    }
}
