//! Binary cross-entropy.

use super::{Loss, Reduction};
use gradus_autograd::Var;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// Binary cross-entropy from logits, elementwise: `-w (p t ln σ(x) + (1 - t) ln(1 - σ(x)))` with targets `t` in 0 to 1,
/// computed without overflow. `pos_weight` is PyTorch's `p`, the weight of the positive class.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{BinaryCrossEntropy, Loss};
/// use gradus_tensor::Tensor;
/// let logits = Var::leaf(Tensor::<f64>::zeros([3]));
/// let loss = BinaryCrossEntropy::new().loss(&logits, &Tensor::from([0.0, 1.0, 1.0]));
/// assert!((loss.item() - 2f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct BinaryCrossEntropy {
    pos_weight: f64,
    reduction: Reduction,
}

impl Default for BinaryCrossEntropy {
    fn default() -> Self {
        Self { pos_weight: 1.0, reduction: Reduction::Mean }
    }
}

impl BinaryCrossEntropy {
    /// The mean over elements, both classes of equal weight.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a weight for the positive class.
    #[must_use]
    pub fn pos_weight(self, pos_weight: f64) -> Self {
        Self { pos_weight, ..self }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }
}

impl<T: Float> Loss<T, Tensor<T>> for BinaryCrossEntropy {
    #[track_caller]
    fn loss(&self, x: &Var<T>, target: &Tensor<T>) -> Var<T> {
        same_shape("binary_cross_entropy", x, target);
        // -ln σ(x) = softplus(-x), -ln(1 - σ(x)) = softplus(x) = softplus(-x) + x.
        let (t, positive) = (Var::constant(target.clone()), (self.pos_weight - 1.0) * target + 1.0);
        let losses = (1.0 - t) * x + Var::constant(positive) * (-x).softplus();
        // With weight p for positives: (1 - t)(s + x) + p t s = (1 - t) x + (1 + (p - 1) t) s.
        self.reduction.apply(losses)
    }
}

#[track_caller]
pub(super) fn same_shape<T: Float>(op: &'static str, x: &Var<T>, target: &Tensor<T>) {
    if x.shape() != target.shape() {
        let detail = format!("output {} and target {} must have one shape", x.shape(), target.shape());
        Err(ShapeError::new(op, detail)).or_panic()
    }
}
