//! Losses, a family a file; options and defaults are PyTorch's.
//!
//! | loss | takes as output | of PyTorch | of Keras |
//! |---|---|---|---|
//! | [`CrossEntropy::new`] | logits | `CrossEntropyLoss` | `CategoricalCrossentropy(from_logits=True)` |
//! | [`CrossEntropy::from_probabilities`] | probabilities, as a softmax gives them | | `CategoricalCrossentropy()` |
//! | [`BceWithLogits`] | logits | `BCEWithLogitsLoss` | `BinaryCrossentropy(from_logits=True)` |
//! | [`Bce`] | probabilities, as a sigmoid gives them | `BCELoss` | `BinaryCrossentropy()` |
//! | [`Nll`] | log-probabilities, as a log-softmax gives them | `NLLLoss` | |
//! | [`KlDivergence`] | log-probabilities | `KLDivLoss` | |
//! | [`Ctc`] | logits | `CTCLoss` after `log_softmax` | `CTC` |
//! | [`Mse`], [`L1`], [`Huber`], [`SmoothL1`] | any numbers | the same | `MeanSquaredError`, `MeanAbsoluteError`, `Huber` |

mod binary;
mod cross_entropy;
mod ctc;
mod divergence;
mod labels;
mod regression;
mod sample_weighted;

pub(crate) use binary::WeightedSoftplus;
pub use binary::{Bce, BceWithLogits};
pub(crate) use cross_entropy::SoftmaxCrossEntropy;
pub use cross_entropy::{CrossEntropy, Nll};
pub use ctc::Ctc;
pub use divergence::KlDivergence;
pub use labels::check_labels;
pub use regression::{Huber, L1, Mse, SmoothL1};
pub use sample_weighted::SampleWeighted;

use crate::batch_weight::BatchWeight;
use crate::output_kind::OutputKind;
use gradus_autograd::Var;
use gradus_tensor::{Float, ShapeError, Tensor};

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

    /// How the loss of a batch of `samples` combines with those of other batches: as a mean over samples, unless written.
    ///
    /// A loss that divides by another number, such as the number of labels that are not ignored, must say so here; then the
    /// loss over a data set, and the gradients of accumulated batches, do not depend on the batch size. A batch of weight 0
    /// counts for nothing. Called before [`check`](Self::check), so it must not panic whatever the target holds.
    fn weight(&self, target: &Y, samples: usize) -> BatchWeight {
        let _ = target;
        samples.into()
    }

    /// What each of the samples adds to the number that the mean divides by, per value that the loss has for it: 1, unless
    /// written. [`SampleWeighted`] multiplies its weights with these.
    fn sample_weights(&self, target: &Y, samples: usize) -> Vec<f64> {
        let _ = target;
        vec![1.0; samples]
    }

    /// Whether the target fits an output of this shape; what does not, [`loss`](Self::loss) may panic about.
    ///
    /// # Errors
    /// When it does not fit.
    fn check(&self, output: &[usize], target: &Y) -> Result<(), ShapeError> {
        let _ = (output, target);
        Ok(())
    }

    /// Whether the output is of the kind that the loss takes, as far as its values and its tape show: a loss of logits refuses
    /// what a softmax or sigmoid has made probabilities of.
    ///
    /// # Errors
    /// When it is of another kind; the message says what to write.
    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        let _ = output;
        Ok(())
    }

    /// The kind of output that the loss takes: any, unless written.
    fn output_kind(&self) -> OutputKind {
        OutputKind::Any
    }

    /// The label that counts for nothing; metrics of the same training leave it out, too.
    fn ignored_label(&self) -> Option<i64> {
        None
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

    /// The weight of a batch whose mean divides by `denominator`.
    fn weight(self, denominator: f64) -> BatchWeight {
        match self {
            Self::Sum => BatchWeight::Sum,
            Self::Mean | Self::None => BatchWeight::Mean(denominator),
        }
    }
}

fn check_same_shape(op: &'static str, output: &[usize], target: &[usize]) -> Result<(), ShapeError> {
    if output == target {
        return Ok(());
    }
    Err(ShapeError::new(op, format!("output {output:?} and target {target:?} must have one shape")))
}

/// The losses with their default options as methods: `net.forward(&x, mode).cross_entropy(&labels)`.
pub trait LossExt<T: Float> {
    /// [`CrossEntropy`] from logits and class indices. (Of probabilities: [`CrossEntropy::from_probabilities`].)
    fn cross_entropy(&self, labels: &Tensor<i64>) -> Var<T>;
    /// [`BceWithLogits`] from logits, with targets in 0 to 1. (Of probabilities: [`Bce`].)
    fn bce_with_logits(&self, target: &Tensor<T>) -> Var<T>;
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
    fn bce_with_logits(&self, target: &Tensor<T>) -> Var<T> {
        BceWithLogits::new().loss(self, target)
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
