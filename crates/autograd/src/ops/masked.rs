//! What attention is made of, where a mask says which pairs see each other: what is hidden is left out, not multiplied by 0, and so
//! may be infinite or NaN. The two products are each other's adjoints.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::{Axis, broadcast_shapes};
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// The mask with the shape that it is for.
#[track_caller]
fn fitted(op: &'static str, mask: &Tensor<bool>, shape: &[usize]) -> Tensor<bool> {
    if !broadcast_shapes(op, mask.shape(), shape).is_ok_and(|s| s[..] == *shape) {
        Err(ShapeError::new(op, format!("a mask of shape {}; expected one that broadcasts to {shape:?}", mask.shape())))
            .or_panic()
    }
    mask.expand(shape)
}

/// `x` where the mask is true, `other` elsewhere.
fn shown<T: Float>(x: Tensor<T>, mask: &Tensor<bool>, other: T) -> Tensor<T> {
    x.zip_map_into("masked_fill", mask, move |x, shown| if shown { x } else { other })
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// The softmax along one axis of the elements where `mask` is true, and 0 elsewhere; also where it is true nowhere, as PyTorch's
    /// `scaled_dot_product_attention` has it. Hidden elements may be infinite or NaN, and get a gradient of 0.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let x = Var::<f64>::constant(Tensor::from([[0.0, 0.0, f64::NAN], [1.0, 2.0, 3.0]]));
    /// let y = x.masked_softmax(&Tensor::from([[true, true, false], [false, false, false]]), -1);
    /// assert_eq!(y.value().to_vec(), [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// When there is no such axis, or the mask does not broadcast to this shape.
    #[track_caller]
    pub fn masked_softmax(&self, mask: &Tensor<bool>, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("masked_softmax", self.rank()).or_panic();
        let mask = fitted("masked_softmax", mask, self.shape());
        apply(MaskedSoftmax { mask, axis }, &[self])
    }

    /// The matrix product `y[.., i, j] = Σ_k a[.., i, k] b[.., k, j]` over the `k` where `mask[.., i, k]` is true. What is hidden
    /// counts for nothing, be it infinite or NaN: with the weights of attention, masked values are not read.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let a = Var::<f64>::constant(Tensor::from([[1.0, 5.0]]));
    /// let b = Var::constant(Tensor::from([[3.0], [f64::NAN]]));
    /// assert_eq!(a.masked_matmul(&Tensor::from([[true, false]]), &b).item(), 3.0);
    /// ```
    ///
    /// # Panics
    /// When one of them is no matrix nor a batch of them, the shapes do not fit, or the mask does not broadcast to this shape.
    #[track_caller]
    pub fn masked_matmul(&self, mask: &Tensor<bool>, other: &Var<T>) -> Var<T> {
        self.over_shown(mask, other, Gradient::Neither)
    }

    #[track_caller]
    fn over_shown(&self, mask: &Tensor<bool>, other: &Var<T>, gradient: Gradient) -> Var<T> {
        check_ranks("masked_matmul", self, other);
        let mask = fitted("masked_matmul", mask, self.shape());
        apply(MaskedMatmul { mask, gradient }, &[self, other])
    }

    /// The elements of the matrix product where `mask`, which broadcasts to its shape, is true, and 0 elsewhere. Hidden elements
    /// have no part in the gradients either.
    ///
    /// # Panics
    /// When one of them is no matrix nor a batch of them, the shapes do not fit, or the mask does not broadcast to the product's.
    #[doc(alias = "sampled_addmm")]
    #[track_caller]
    pub fn sampled_matmul(&self, other: &Var<T>, mask: &Tensor<bool>) -> Var<T> {
        self.where_shown(other, mask, Gradient::Neither)
    }

    #[track_caller]
    fn where_shown(&self, other: &Var<T>, mask: &Tensor<bool>, gradient: Gradient) -> Var<T> {
        check_ranks("sampled_matmul", self, other);
        apply(SampledMatmul { mask: mask.clone(), gradient }, &[self, other])
    }
}

pub(crate) struct MaskedSoftmax {
    mask: Tensor<bool>,
    axis: usize,
}

impl<T: Float> Op<T> for MaskedSoftmax {
    fn name(&self) -> &'static str {
        "masked_softmax"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("mask", &self.mask).with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Loss
    }

    fn saves(&self) -> Saves {
        Saves::OUTPUT
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let mask = &self.mask;
        shown(shown(cx.take(0), mask, -T::INFINITY).softmax(self.axis), mask, T::zero())
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let hidden = self.mask.not();
        let (y, gy) = (cx.y(), cx.gy().masked_fill(&hidden, 0.0));
        let centred = &gy - y.mul_no_nan(&gy).sum_keep(self.axis);
        y.mul_no_nan(&centred).masked_fill(&hidden, 0.0).into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

pub(crate) struct MaskedMatmul {
    mask: Tensor<bool>,
    gradient: Gradient,
}

impl<T: Float> Op<T> for MaskedMatmul {
    fn name(&self) -> &'static str {
        "masked_matmul"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("mask", &self.mask).with("gradient", self.gradient.name())
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let shown = shown(cx.take(0), &self.mask, T::zero());
        let other = cx.input(1);
        without_nan(shown.matmul(other), &shown, other, Some(&self.mask), self.gradient)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let mask = &self.mask;
        [
            cx.needs(0).then(|| cx.gy().where_shown(&cx.input(1).t(), mask, Gradient::Left).sum_to(cx.shape(0))),
            cx.needs(1).then(|| cx.input(0).t().over_shown(&mask.t(), cx.gy(), Gradient::Right).sum_to(cx.shape(1))),
        ]
        .into()
    }
}

pub(crate) struct SampledMatmul {
    mask: Tensor<bool>,
    gradient: Gradient,
}

impl<T: Float> Op<T> for SampledMatmul {
    fn name(&self) -> &'static str {
        "sampled_matmul"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("mask", &self.mask).with("gradient", self.gradient.name())
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (a, b) = (cx.input(0), cx.input(1));
        let y = a.matmul(b);
        let mask = fitted("sampled_matmul", &self.mask, y.shape());
        let y = shown(y, &mask, T::zero());
        if self.gradient == Gradient::Neither { y } else { without_nan(y, a, b, None, self.gradient) }
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let mask = self.mask.expand(cx.gy().shape());
        [
            cx.needs(0).then(|| cx.gy().over_shown(&mask, &cx.input(1).t(), Gradient::Left).sum_to(cx.shape(0))),
            cx.needs(1).then(|| cx.gy().t().over_shown(&mask.t(), &cx.input(0), Gradient::Left).t().sum_to(cx.shape(1))),
        ]
        .into()
    }
}

/// Which factor of a product is a gradient. Where it is 0 the product is, be the other infinite or NaN, as with
/// [`Var::mul_no_nan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gradient {
    Neither,
    Left,
    Right,
}

impl Gradient {
    fn name(self) -> &'static str {
        match self {
            Self::Neither => "neither",
            Self::Left => "left",
            Self::Right => "right",
        }
    }
}

#[track_caller]
fn check_ranks<T: Float>(op: &'static str, a: &Var<T>, b: &Var<T>) {
    if a.rank() < 2 || b.rank() < 2 {
        Err(ShapeError::new(op, format!("{} x {}; expected matrices, or batches of them", a.shape(), b.shape()))).or_panic()
    }
}

/// The product `y` of `a` and `b`, in which elements that are not finite are taken again, over the pairs that count: those that the
/// mask shows, and whose gradient is not 0. In a finite element, no factor was infinite or NaN.
fn without_nan<T: Float>(
    mut y: Tensor<T>,
    a: &Tensor<T>,
    b: &Tensor<T>,
    mask: Option<&Tensor<bool>>,
    gradient: Gradient,
) -> Tensor<T> {
    let finite = |block: &[T]| block.iter().fold(true, |all, v| all & v.is_finite());
    if y.as_mut_slice().chunks(1 << 10).all(finite) {
        return y;
    }
    let batch = y.shape()[..y.rank() - 2].to_vec();
    let of_batch = |tail: &[usize]| -> Vec<usize> { batch.iter().chain(&tail[tail.len() - 2..]).copied().collect() };
    let [a, b] = [a, b].map(|t| t.expand(of_batch(t.shape())).contiguous());
    let mask = mask.map(|m| m.expand(of_batch(m.shape())).contiguous());
    let [rows, inner, columns] = [a.shape()[a.rank() - 2], a.shape()[a.rank() - 1], b.shape()[b.rank() - 1]];
    let (a, b) = (a.as_slice().expect("contiguous"), b.as_slice().expect("contiguous"));
    let mask = mask.as_ref().map(|m| m.as_slice().expect("contiguous"));
    for (at, y) in y.as_mut_slice().iter_mut().enumerate().filter(|(_, y)| !y.is_finite()) {
        let (n, i, j) = (at / (rows * columns), at / columns, at % columns);
        let pairs = (0..inner).filter(|k| mask.is_none_or(|m| m[i * inner + k]));
        let pairs = pairs.map(|k| (a[i * inner + k], b[(n * inner + k) * columns + j]));
        let counts = |(a, b): &(T, T)| match gradient {
            Gradient::Neither => true,
            Gradient::Left => *a != T::zero(),
            Gradient::Right => *b != T::zero(),
        };
        *y = pairs.filter(counts).map(|(a, b)| a * b).sum();
    }
    y
}

impl<T: Float> Sampled<T> for MaskedSoftmax {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("masked_softmax", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let (axis, mask) = (rng.below(3), Tensor::bernoulli(x.shape().clone(), 0.7, rng));
            Case::new([x], move |v| v[0].masked_softmax(&mask, axis))
        })]
    }
}

impl<T: Float> Sampled<T> for MaskedMatmul {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("masked_matmul", |rng| {
            let [m, k, n] = [1 + rng.below(3), 1 + rng.below(3), 1 + rng.below(3)];
            let mask = Tensor::bernoulli([m, k], 0.6, rng);
            Case::new([draw::of_shape(rng, [2, m, k]), draw::of_shape(rng, [k, n])], move |v| v[0].masked_matmul(&mask, &v[1]))
        })]
    }
}

impl<T: Float> Sampled<T> for SampledMatmul {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("sampled_matmul", |rng| {
            let [m, k, n] = [1 + rng.below(3), 1 + rng.below(3), 1 + rng.below(3)];
            let mask = Tensor::bernoulli([2, m, n], 0.6, rng);
            Case::new([draw::of_shape(rng, [m, k]), draw::of_shape(rng, [2, k, n])], move |v| v[0].sampled_matmul(&v[1], &mask))
        })]
    }
}
