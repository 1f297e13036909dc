//! Other shapes over the same elements, and their adjoints: `expand` and `sum_to`, `slice` and
//! `pad_step`, `diagonal` and `diagonal_embed`.

use crate::op::op;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::shape::{Axes, Axis, AxisList, Dims};
use gradus_tensor::{Float, OrPanic, Shape, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The same elements, in row-major order, under another shape; one size may be `-1`.
    ///
    /// # Panics
    /// When the number of elements would change.
    #[track_caller]
    pub fn reshape(&self, dims: impl Dims) -> Var<T> {
        let from = self.shape().clone();
        op("reshape", [self], self.value().reshape(dims), move |p| [Some(p.gy().reshape(&from))])
    }

    /// Axes `start` and onward become one: `flatten(1)` turns `[N, C, H, W]` into `[N, C·H·W]`.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn flatten(&self, start: impl Axis) -> Var<T> {
        let start = start.resolve("flatten", self.rank()).or_panic();
        let mut shape: Shape = self.shape()[..start].into();
        shape.push(self.shape()[start..].iter().product());
        self.reshape(&shape)
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this.
    ///
    /// # Panics
    /// When `axes` does not name every axis exactly once.
    #[track_caller]
    pub fn permute<A: Axis>(&self, axes: impl AsRef<[A]>) -> Var<T> {
        let y = self.value().permute(axes.as_ref());
        let mut inverse = vec![0usize; self.rank()];
        for (i, a) in axes.as_ref().iter().enumerate() {
            inverse[a.resolve("permute", self.rank()).or_panic()] = i;
        }
        op("permute", [self], y, move |p| [Some(p.gy().permute(&inverse))])
    }

    /// Two axes exchanged.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn transpose(&self, a: impl Axis, b: impl Axis) -> Var<T> {
        let a = a.resolve("transpose", self.rank()).or_panic();
        let b = b.resolve("transpose", self.rank()).or_panic();
        op("transpose", [self], self.value().transpose(a, b), move |p| [Some(p.gy().transpose(a, b))])
    }

    /// The last two axes exchanged.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[track_caller]
    pub fn t(&self) -> Var<T> {
        self.transpose(-2, -1)
    }

    /// Repeats axes of size 1, and new ones in front.
    ///
    /// # Panics
    /// When an axis would change that is not of size 1.
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Var<T> {
        let from = self.shape().clone();
        if shape == from {
            return self.clone();
        }
        op("expand", [self], self.value().expand(shape), move |p| [Some(p.gy().sum_to(&from))])
    }

    /// Summed down to `shape`, from which this shape would be broadcast.
    ///
    /// # Panics
    /// When `shape` does not broadcast to this one.
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Var<T> {
        let from = self.shape().clone();
        if shape == from {
            return self.clone();
        }
        op("sum_to", [self], self.value().sum_to(shape), move |p| [Some(p.gy().expand(&from))])
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
    #[track_caller]
    pub fn unsqueeze(&self, axis: impl Axis) -> Var<T> {
        let shape = self.value().unsqueeze(axis).shape().clone();
        self.reshape(&shape)
    }

    /// The named axes run backwards.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn flip(&self, axes: impl Axes) -> Var<T> {
        let axes: AxisList = axes.resolve_all("flip", self.rank()).or_panic();
        op("flip", [self], self.value().flip(&axes), move |p| [Some(p.gy().flip(&axes))]).symmetric()
    }

    /// `fill` where `mask` is true, which broadcasts to this shape; the gradient is 0 there.
    ///
    /// # Panics
    /// When the mask does not broadcast to this shape.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, fill: f64) -> Var<T> {
        let mask = mask.expand(self.shape());
        let y = mask.select_where(&Tensor::scalar(T::lit(fill)), self.value());
        op("masked_fill", [self], y, move |p| [Some(p.gy().masked_fill(&mask, 0.0))]).symmetric()
    }

    /// This where `mask` is true, `other` elsewhere; all three broadcast. Neither side's NaN or infinity
    /// leaks into the other's gradient.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn where_(&self, mask: &Tensor<bool>, other: &Var<T>) -> Var<T> {
        let y = mask.select_where(self.value(), other.value());
        let mask = mask.expand(y.shape());
        let (sa, sb) = (self.shape().clone(), other.shape().clone());
        op("where", [self, other], y, move |p| {
            [
                p.needs(0).then(|| p.gy().masked_fill(&mask.not(), 0.0).sum_to(&sa)),
                p.needs(1).then(|| p.gy().masked_fill(&mask, 0.0).sum_to(&sb)),
            ]
        })
    }
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![
        OpSample::new("reshape", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            Case::new([x], |v| v[0].reshape([-1]))
        }),
        OpSample::new("permute", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            let order = rng.permutation(x.rank());
            Case::new([x], move |v| v[0].permute(&order))
        }),
        OpSample::new("transpose", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            Case::new([x], |v| v[0].transpose(0, -1))
        }),
        OpSample::new("expand", |rng| {
            let (a, b) = draw::broadcast_pair(rng, -2.0..2.0, -2.0..2.0);
            let shape = gradus_tensor::shape::broadcast_shapes("expand", a.shape(), b.shape()).or_panic();
            // One more axis in front, so that something is always expanded.
            let shape: Shape = [2].into_iter().chain(shape.iter().copied()).collect();
            Case::new([a], move |v| v[0].expand(&shape))
        }),
        OpSample::new("sum_to", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let n = x.size(1);
            Case::new([x], move |v| v[0].sum_to([n, 1]))
        }),
        OpSample::new("flip", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            Case::new([x], |v| v[0].flip([0, -1]))
        }),
        OpSample::new("masked_fill", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            let mask = Tensor::bernoulli(x.shape().clone(), 0.5, rng);
            Case::new([x], move |v| v[0].masked_fill(&mask, 3.0))
        }),
        OpSample::new("where", |rng| {
            let (a, b) = draw::broadcast_pair(rng, -2.0..2.0, -2.0..2.0);
            let shape = gradus_tensor::shape::broadcast_shapes("where", a.shape(), b.shape()).or_panic();
            let mask = Tensor::bernoulli(shape, 0.5, rng);
            Case::new([a, b], move |v| v[0].where_(&mask, &v[1]))
        }),
    ]
}
