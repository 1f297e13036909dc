//! Straight-through estimators: the value of one thing, the gradient of another.

use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The value `hard`, with the gradient of this variable: `y = hard`, `dx = dy` (Bengio, Léonard and Courville 2013).
    /// What others write as `soft + stop_gradient(hard - soft)`, without its rounding.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let scores = Var::leaf(Tensor::from([0.5f64, 2.0]));
    /// let soft = scores.softmax(0);
    /// let hard = soft.straight_through(Tensor::from([0.0, 1.0]));
    /// assert_eq!(hard.value().to_vec(), [0.0, 1.0]);
    /// let weights = Var::constant(Tensor::from([1.0, 3.0]));
    /// let through = (hard * &weights).sum(..).backward()[&scores].clone();
    /// assert_eq!(through, (soft * weights).sum(..).backward()[&scores]);
    /// ```
    ///
    /// # Panics
    /// When the shapes differ.
    #[track_caller]
    pub fn straight_through(&self, hard: Tensor<T>) -> Var<T> {
        if hard.shape() != self.shape() {
            let detail = format!("a value of shape {} for a variable of shape {}", hard.shape(), self.shape());
            Err(ShapeError::new("straight_through", detail)).or_panic()
        }
        apply(StraightThrough, &[self, &Var::constant(hard)])
    }

    /// The nearest whole number, halves to even, with the gradient of the identity: `dx = dy`.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([0.6f32, 2.5].into());
    /// let y = x.round_ste();
    /// assert_eq!(y.value().to_vec(), [1.0, 2.0]);
    /// assert_eq!(y.sum(..).backward()[&x].to_vec(), [1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn round_ste(&self) -> Var<T> {
        self.straight_through(self.value().round())
    }

    /// 1 for `x >= 0` and -1 below, with the gradient of a clamp: `dx = dy` where `-1 <= x <= 1`, 0 elsewhere, as binary
    /// networks want it (Hubara et al. 2016). For a gradient that passes everywhere, say
    /// `x.straight_through(x.value().sign())`.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([-3.0f32, -0.2, 0.0, 0.9].into());
    /// let y = x.sign_ste();
    /// assert_eq!(y.value().to_vec(), [-1.0, -1.0, 1.0, 1.0]);
    /// assert_eq!(y.sum(..).backward()[&x].to_vec(), [0.0, 1.0, 1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn sign_ste(&self) -> Var<T> {
        let sign = |v: T| match v.partial_cmp(&T::zero()) {
            Some(std::cmp::Ordering::Less) => -T::one(),
            Some(_) => T::one(),
            None => v,
        };
        self.passed(-1.0, 1.0).straight_through(self.value().map(sign))
    }

    /// Rounds to the nearest of the numbers `(q - zero_point) scale` with whole `q` from `quant_min` to `quant_max`; the
    /// gradient passes where `x` lies in their range, and is 0 where it was cut off (Jacob et al. 2018;
    /// `torch.fake_quantize_per_tensor_affine`).
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([-0.3f64, 0.3, 9.0].into());
    /// let y = x.fake_quantize(0.25, 0, 0, 15);
    /// assert_eq!(y.value().to_vec(), [0.0, 0.25, 3.75]);
    /// assert_eq!(y.sum(..).backward()[&x].to_vec(), [0.0, 1.0, 0.0]);
    /// ```
    ///
    /// # Panics
    /// When `scale` is not above 0, or `zero_point` does not lie in `quant_min..=quant_max`.
    #[doc(alias = "fake_quantize_per_tensor_affine")]
    #[track_caller]
    pub fn fake_quantize(&self, scale: f64, zero_point: i64, quant_min: i64, quant_max: i64) -> Var<T> {
        if scale.is_nan() || scale <= 0.0 || !(quant_min..=quant_max).contains(&zero_point) {
            let detail = format!(
                "scale {scale}, zero point {zero_point}, from {quant_min} to {quant_max}; wanted a scale above 0, and the zero \
                 point in the range"
            );
            Err(ShapeError::new("fake_quantize", detail)).or_panic()
        }
        let zero = zero_point as f64;
        (self / scale).round_ste().passed(quant_min as f64 - zero, quant_max as f64 - zero) * scale
    }

    /// As [`clamp`](Self::clamp), with the slope 1 at both bounds: a number that is not changed passes its gradient.
    #[track_caller]
    fn passed(&self, low: f64, high: f64) -> Var<T> {
        let inside = self.value().map(move |v| v >= T::lit(low) && v <= T::lit(high));
        self.where_(&inside, &Var::constant(self.value().clamp(low, high)))
    }
}

/// The value of input 1, a constant, with the gradient of input 0.
pub(crate) struct StraightThrough;

impl<T: Float> Op<T> for StraightThrough {
    fn name(&self) -> &'static str {
        "straight_through"
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.take(1)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        [Some(cx.take_gy()), None].into()
    }
}

impl<T: Float> Sampled<T> for StraightThrough {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("straight_through", |rng| {
            // Where hard and soft differ by a constant, the estimator is the derivative.
            Case::new([draw::tensor(rng, -2.0..2.0)], |v| {
                let soft = v[0].tanh();
                soft.straight_through(soft.value() + 1.0)
            })
        })]
    }
}
