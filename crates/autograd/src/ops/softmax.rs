//! Softmax, its logarithm, and dropout.

use crate::op::{op, op_with_output};
use crate::ops::no_nan::times_gradient;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
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
        op_with_output("softmax", [self], self.value().softmax(axis), move |p| {
            let (y, gy) = (p.y(), p.gy());
            let centred = gy - y.mul_no_nan(gy).sum_keep(axis);
            if p.is_differentiable() {
                return [Some(y.mul_no_nan(&centred))];
            }
            let share = |g: T, y: T| times_gradient(y, g);
            [Some(Var::constant(centred.into_value().zip_map_into("softmax", y.value(), share)))]
        })
        .symmetric() // diag(y) - y yᵀ
    }

    /// `y = x - ln Σ e^x` along one axis, as `(x - m) - ln Σ e^(x - m)` with the largest `m`: `dx = dy - e^y Σ dy`.
    #[track_caller]
    pub fn log_softmax(&self, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("log_softmax", self.rank()).or_panic();
        op_with_output("log_softmax", [self], self.value().log_softmax(axis), move |p| {
            let (y, gy) = (p.y(), p.gy());
            let total = gy.sum_keep(axis);
            if p.is_differentiable() {
                return [Some(gy - y.exp().mul_no_nan(&total))];
            }
            let share = y.value().zip_map("log_softmax", total.value(), |y, s| times_gradient(y.exp(), s));
            [Some(Var::constant(share.zip_map_into("log_softmax", gy.value(), |share, g| g - share)))]
        })
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
        self.dropout_mask(kept, 1.0 / (1.0 - p))
    }

    /// `x · scale` where `kept`, 0 elsewhere.
    #[track_caller]
    fn dropout_mask(&self, kept: Tensor<bool>, scale: f64) -> Var<T> {
        let s = T::lit(scale);
        let y = self.value().zip_map("dropout", &kept, move |x, k| if k { x * s } else { T::zero() });
        op("dropout", [self], y, move |p| [Some(p.gy().dropout_mask(kept.clone(), scale))]).symmetric()
    }
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![
        OpSample::new("softmax", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let axis = rng.below(3);
            Case::new([x], move |v| v[0].softmax(axis))
        }),
        OpSample::new("log_softmax", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let axis = rng.below(3);
            Case::new([x], move |v| v[0].log_softmax(axis))
        }),
        OpSample::new("dropout", |rng| {
            let (x, seed) = (draw::filled(rng, -2.0..2.0), rng.next_u64());
            Case::new([x], move |v| v[0].dropout(0.4, &mut Rng::seed(seed)))
        }),
    ]
}
