//! The divergence between distributions.

use super::{BatchWeight, Loss, OutputKind, Reduction, check_same_shape};
use gradus_autograd::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// The Kullback-Leibler divergence of log-probabilities `x` from probabilities `t`: `t (ln t - x)`; 0 where `t` is, be `x` minus
/// infinity.
///
/// The output must be log-probabilities, as a [`LogSoftmax`](crate::LogSoftmax) gives them. The default divides the sum by the
/// batch size, PyTorch's `batchmean`, which is the divergence proper.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{KlDivergence, Loss};
/// use gradus_tensor::Tensor;
/// let x = Var::leaf(Tensor::from([[0.5f64.ln(), 0.5f64.ln()]]));
/// let loss = KlDivergence::new().loss(&x, &Tensor::from([[0.0, 1.0]]));
/// assert!((loss.item() - 2f64.ln()).abs() < 1e-12);
/// ```
#[doc(alias("KLDivLoss", "kl_div"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct KlDivergence {
    reduction: Option<Reduction>,
    log_target: bool,
}

impl KlDivergence {
    /// The mean over samples of the divergence.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another reduction; `Mean` is over all elements, as in PyTorch.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction: Some(reduction), ..self }
    }

    /// The targets are log-probabilities, as the outputs are.
    #[must_use]
    pub fn log_target(self) -> Self {
        Self { log_target: true, ..self }
    }
}

const OP: &str = "kl_divergence";

#[compiled_once]
impl<T: Float> Loss<T, Tensor<T>> for KlDivergence {
    #[track_caller]
    fn loss(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
        check_same_shape(OP, output.shape(), target.shape()).or_panic();
        Loss::<T, Tensor<T>>::check_output(self, output).or_panic();
        let (probability, logarithm) =
            if self.log_target { (target.exp(), target.clone()) } else { (target.clone(), target.ln()) };
        // 0 where the probability is: 0 ln 0 is 0.
        let losses = (Var::constant(logarithm) - output).mul_no_nan(&Var::constant(probability));
        match self.reduction {
            Some(reduction) => reduction.apply(losses),
            None => losses.sum(..) / target.shape().first().copied().unwrap_or(1) as f64,
        }
    }

    fn weight(&self, target: &Tensor<T>, _: usize) -> BatchWeight {
        match self.reduction {
            Some(reduction) => reduction.weight(target.numel() as f64),
            None => BatchWeight::Mean(target.shape().first().copied().unwrap_or(1) as f64),
        }
    }

    fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
        check_same_shape(OP, output, target.shape())
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        OutputKind::LogProbabilities.check_origin(OP, output, "end in a log-softmax (`LogSoftmax(1)`)")
    }

    fn output_kind(&self) -> OutputKind {
        OutputKind::LogProbabilities
    }
}
