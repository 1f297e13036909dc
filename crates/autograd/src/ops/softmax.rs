//! Softmax, its logarithm, and dropout.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::ops::no_nan::times_gradient;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, OrPanic, Rng, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `y = e^x / Σ e^x` along one axis, without overflow: `dx = y (dy - Σ dy y)`.
    ///
    /// As in PyTorch, `y` rounds to 1 where one logit is far above the others (17 in `f32`, 37 in `f64`), and its slope `y (1 - y)`
    /// to 0; those of the others keep their digits.
    #[track_caller]
    pub fn softmax(&self, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("softmax", self.rank()).or_panic();
        apply(Softmax { axis }, &[self])
    }

    /// `y = x - ln Σ e^x` along one axis, as `(x - m) - ln Σ e^(x - m)` with the largest `m`: `dx = dy - e^y Σ dy`.
    #[track_caller]
    pub fn log_softmax(&self, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("log_softmax", self.rank()).or_panic();
        apply(LogSoftmax { axis }, &[self])
    }

    /// Zeroes each element with probability `p` and divides the others by `1 - p`, so that the mean stays (Srivastava
    /// et al. 2014).
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[track_caller]
    pub fn dropout(&self, p: f64, rng: &mut Rng) -> Var<T> {
        assert!((0.0..1.0).contains(&p), "dropout: the probability is {p}; wanted 0 or more and less than 1");
        if p == 0.0 {
            return self.clone();
        }
        let kept = Tensor::bernoulli(self.shape().clone(), 1.0 - p, rng);
        apply(Dropout { kept, scale: 1.0 / (1.0 - p) }, &[self])
    }
}

pub(crate) struct Softmax {
    axis: usize,
}

impl<T: Float> Op<T> for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Loss
    }

    fn saves(&self) -> Saves {
        Saves::OUTPUT
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).softmax(self.axis)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (y, gy) = (cx.y(), cx.gy());
        let centred = gy - y.mul_no_nan(gy).sum_keep(self.axis);
        if cx.is_differentiable() {
            return y.mul_no_nan(&centred).into();
        }
        let share = |g: T, y: T| times_gradient(y, g);
        Var::constant(centred.into_value().zip_map_into("softmax", y.value(), share)).into()
    }

    /// `diag(y) - y yᵀ`.
    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

pub(crate) struct LogSoftmax {
    axis: usize,
}

impl<T: Float> Op<T> for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Loss
    }

    fn saves(&self) -> Saves {
        Saves::OUTPUT
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).log_softmax(self.axis)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (y, gy) = (cx.y(), cx.gy());
        let total = gy.sum_keep(self.axis);
        if cx.is_differentiable() {
            return (gy - y.exp().mul_no_nan(&total)).into();
        }
        let share = y.value().zip_map("log_softmax", total.value(), |y, s| times_gradient(y.exp(), s));
        Var::constant(share.zip_map_into("log_softmax", gy.value(), |share, g| g - share)).into()
    }
}

/// `x · scale` where `kept`, 0 elsewhere.
pub(crate) struct Dropout {
    kept: Tensor<bool>,
    scale: f64,
}

impl<T: Float> Op<T> for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("kept", &self.kept).with("scale", self.scale)
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let s = T::lit(self.scale);
        cx.input(0).zip_map("dropout", &self.kept, move |x, k| if k { x * s } else { T::zero() })
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        apply(Dropout { kept: self.kept.clone(), scale: self.scale }, &[cx.gy()]).into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

impl<T: Float> Sampled<T> for Softmax {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("softmax", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let axis = rng.below(3);
            Case::new([x], move |v| v[0].softmax(axis))
        })]
    }
}

impl<T: Float> Sampled<T> for LogSoftmax {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("log_softmax", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let axis = rng.below(3);
            Case::new([x], move |v| v[0].log_softmax(axis))
        })]
    }
}

impl<T: Float> Sampled<T> for Dropout {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("dropout", |rng| {
            let (x, seed) = (draw::filled(rng, -2.0..2.0), rng.next_u64());
            Case::new([x], move |v| v[0].dropout(0.4, &mut Rng::seed(seed)))
        })]
    }
}
