//! Choosing by a mask: neither side's NaN or infinity leaks into the other's gradient.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::broadcast_shapes;
use gradus_tensor::{Float, Number, OrPanic, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `value` where `mask` is true, which broadcasts to this shape; the gradient is 0 there.
    ///
    /// # Panics
    /// When the mask does not broadcast to this shape.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, value: impl Number) -> Var<T> {
        apply(MaskedFill { mask: mask.expand(self.shape()), value: value.float() }, &[self])
    }

    /// This where `mask` is true, `other` elsewhere; all three broadcast. Neither side's NaN or infinity
    /// leaks into the other's gradient.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn where_(&self, mask: &Tensor<bool>, other: &Var<T>) -> Var<T> {
        apply(Where { mask: mask.clone() }, &[self, other])
    }
}

pub(crate) struct MaskedFill {
    mask: Tensor<bool>,
    value: f64,
}

impl<T: Float> Op<T> for MaskedFill {
    fn name(&self) -> &'static str {
        "masked_fill"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("mask", &self.mask).with("value", self.value)
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).masked_fill(&self.mask, self.value)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().masked_fill(&self.mask, 0.0).into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

pub(crate) struct Where {
    mask: Tensor<bool>,
}

impl<T: Float> Op<T> for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("mask", &self.mask)
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).where_(&self.mask, cx.input(1))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let mask = self.mask.expand(cx.gy().shape());
        [
            cx.needs(0).then(|| cx.gy().masked_fill(&mask.not(), 0.0).sum_to(cx.shape(0))),
            cx.needs(1).then(|| cx.gy().masked_fill(&mask, 0.0).sum_to(cx.shape(1))),
        ]
        .into()
    }
}

impl<T: Float> Sampled<T> for Where {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("where", |rng| {
            let (a, b) = draw::broadcast_pair(rng, -2.0..2.0, -2.0..2.0);
            let shape = broadcast_shapes("where", a.shape(), b.shape()).or_panic();
            let mask = Tensor::bernoulli(shape, 0.5, rng);
            Case::new([a, b], move |v| v[0].where_(&mask, &v[1]))
        })]
    }
}

impl<T: Float> Sampled<T> for MaskedFill {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("masked_fill", |rng| {
                let x = draw::tensor(rng, -2.0..2.0);
                let mask = Tensor::bernoulli(x.shape().clone(), 0.5, rng);
                Case::new([x], move |v| v[0].masked_fill(&mask, 3.0))
            }),
            OpSample::new("masked_fill", |rng| {
                let (x, d) = (draw::of_shape(rng, [2, 3, 3]), rng.below(3) as isize - 1);
                Case::new([x], move |v| v[0].tril(d) + v[0].triu(d) * 2.0)
            }),
        ]
    }
}
