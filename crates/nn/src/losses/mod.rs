//! Losses, a family a file; options and defaults are PyTorch's.

mod binary;
mod cross_entropy;
mod ctc;
mod divergence;
mod regression;
mod sample_weighted;

pub use binary::BinaryCrossEntropy;
pub use cross_entropy::{CrossEntropy, Nll, check_labels};
pub use ctc::Ctc;
pub use divergence::KlDivergence;
pub use regression::{Huber, L1, Mse, SmoothL1};
pub use sample_weighted::SampleWeighted;

use gradus_autograd::Var;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// What training makes small: a number from a model's output and what it should have been.
///
/// Any type may implement it, for any kind of target `Y`.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::Loss;
/// use gradus_tensor::Tensor;
/// /// How far the output's mean is from a wanted one.
/// struct MeanIs;
/// impl Loss<f64, f64> for MeanIs {
///     fn loss(&self, output: &Var<f64>, target: &f64) -> Var<f64> {
///         (output.mean(..) - *target).square()
///     }
/// }
/// let x = Var::leaf(Tensor::from([1.0, 3.0]));
/// assert_eq!(MeanIs.loss(&x, &1.5).item(), 0.25);
/// ```
pub trait Loss<T: Float, Y: ?Sized> {
    /// The loss.
    fn loss(&self, output: &Var<T>, target: &Y) -> Var<T>;

    /// Whether the target fits an output of this shape; what does not, [`loss`](Self::loss) may panic about.
    ///
    /// # Errors
    /// When it does not fit.
    fn check(&self, output: &[usize], target: &Y) -> Result<(), ShapeError> {
        let _ = (output, target);
        Ok(())
    }
}

/// How the losses of single elements become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Not at all.
    None,
}

impl Reduction {
    #[track_caller]
    fn apply<T: Float>(self, losses: Var<T>) -> Var<T> {
        match self {
            Self::Mean => losses.mean(..),
            Self::Sum => losses.sum(..),
            Self::None => losses,
        }
    }
}

#[track_caller]
fn same_shape<T: Float>(op: &'static str, x: &Var<T>, target: &Tensor<T>) {
    if x.shape() != target.shape() {
        let detail = format!("output {} and target {} must have one shape", x.shape(), target.shape());
        Err(ShapeError::new(op, detail)).or_panic()
    }
}

/// The losses with their default options as methods: `net.forward(&x, mode).cross_entropy(&labels)`.
pub trait LossExt<T: Float> {
    /// [`CrossEntropy`] from logits and class indices.
    fn cross_entropy(&self, labels: &Tensor<i64>) -> Var<T>;
    /// [`BinaryCrossEntropy`] from logits and probabilities.
    fn binary_cross_entropy(&self, target: &Tensor<T>) -> Var<T>;
    /// [`Nll`] from log-probabilities and class indices.
    fn nll(&self, labels: &Tensor<i64>) -> Var<T>;
    /// [`Mse`].
    fn mse(&self, target: &Tensor<T>) -> Var<T>;
    /// [`L1`].
    fn l1(&self, target: &Tensor<T>) -> Var<T>;
    /// [`Huber`].
    fn huber(&self, target: &Tensor<T>, delta: f64) -> Var<T>;
    /// [`SmoothL1`] with `beta` 1.
    fn smooth_l1(&self, target: &Tensor<T>) -> Var<T>;
    /// [`KlDivergence`] from log-probabilities and probabilities.
    fn kl_divergence(&self, target: &Tensor<T>) -> Var<T>;
}

impl<T: Float> LossExt<T> for Var<T> {
    #[track_caller]
    fn cross_entropy(&self, labels: &Tensor<i64>) -> Var<T> {
        CrossEntropy::new().loss(self, labels)
    }
    #[track_caller]
    fn binary_cross_entropy(&self, target: &Tensor<T>) -> Var<T> {
        BinaryCrossEntropy::new().loss(self, target)
    }
    #[track_caller]
    fn nll(&self, labels: &Tensor<i64>) -> Var<T> {
        Nll::new().loss(self, labels)
    }
    #[track_caller]
    fn mse(&self, target: &Tensor<T>) -> Var<T> {
        Mse::new().loss(self, target)
    }
    #[track_caller]
    fn l1(&self, target: &Tensor<T>) -> Var<T> {
        L1::new().loss(self, target)
    }
    #[track_caller]
    fn huber(&self, target: &Tensor<T>, delta: f64) -> Var<T> {
        Huber::new(delta).loss(self, target)
    }
    #[track_caller]
    fn smooth_l1(&self, target: &Tensor<T>) -> Var<T> {
        SmoothL1::new(1.0).loss(self, target)
    }
    #[track_caller]
    fn kl_divergence(&self, target: &Tensor<T>) -> Var<T> {
        KlDivergence::new().loss(self, target)
    }
}
