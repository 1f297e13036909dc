//! Binary cross-entropy.

use super::{Loss, Reduction, same_shape};
use gradus_autograd::Var;
use gradus_tensor::shape::broadcast_shapes;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// Binary cross-entropy from logits, elementwise: `-w (p t ln σ(x) + (1 - t) ln(1 - σ(x)))` with targets `t` in 0 to 1,
/// computed without overflow. `p` is PyTorch's `pos_weight`, the weight of the positive class; `w` its `weight`.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{BinaryCrossEntropy, Loss};
/// use gradus_tensor::Tensor;
/// let logits = Var::leaf(Tensor::<f64>::zeros([3]));
/// let loss = BinaryCrossEntropy::new().loss(&logits, &Tensor::from([0.0, 1.0, 1.0]));
/// assert!((loss.item() - 2f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Default)]
pub struct BinaryCrossEntropy {
    weight: Option<Tensor<f64>>,
    pos_weight: Option<Tensor<f64>>,
    reduction: Reduction,
}

impl BinaryCrossEntropy {
    /// The mean over elements, all of equal weight.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a weight for the positive class; or for that of each column, broadcast to the output's shape.
    #[must_use]
    pub fn pos_weight(self, pos_weight: impl Into<Tensor<f64>>) -> Self {
        Self { pos_weight: Some(pos_weight.into()), ..self }
    }

    /// With weights of the elements, broadcast to the output's shape. The mean still divides by the number of elements.
    #[must_use]
    pub fn weight(self, weight: impl Into<Tensor<f64>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }
}

/// Weights as numbers of type `T`, if they broadcast to `shape`.
fn weights<T: Float>(weight: &Tensor<f64>, shape: &[usize]) -> Result<Tensor<T>, ShapeError> {
    match broadcast_shapes("binary_cross_entropy", weight.shape(), shape) {
        Ok(s) if s == *shape => Ok(weight.cast()),
        _ => {
            let detail = format!("weights {} do not broadcast to the output {shape:?}", weight.shape());
            Err(ShapeError::new("binary_cross_entropy", detail))
        }
    }
}

impl<T: Float> Loss<T, Tensor<T>> for BinaryCrossEntropy {
    #[track_caller]
    fn loss(&self, x: &Var<T>, target: &Tensor<T>) -> Var<T> {
        same_shape("binary_cross_entropy", x, target);
        // -ln σ(x) is s = softplus(-x), and -ln(1 - σ(x)) is s + x: p t s + (1 - t)(s + x) = (1 - t) x + (1 - t + p t) s.
        let negative = 1.0 - target;
        let either = match &self.pos_weight {
            Some(p) => target * &weights(p, x.shape()).or_panic() + &negative,
            None => Tensor::full(x.shape().clone(), T::one()),
        };
        let losses = Var::constant(negative) * x + Var::constant(either) * (-x).softplus();
        let losses = match &self.weight {
            Some(w) => losses * Var::constant(weights(w, x.shape()).or_panic()),
            None => losses,
        };
        self.reduction.apply(losses)
    }
}
