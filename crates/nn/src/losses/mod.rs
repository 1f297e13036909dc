//! Losses, a family a file; options and defaults are PyTorch's.

mod binary;
mod cross_entropy;
mod regression;

pub use binary::BinaryCrossEntropy;
pub use cross_entropy::{CrossEntropy, Nll, check_labels};
pub use regression::{Huber, KlDivergence, L1, Mse};

use gradus_autograd::Var;
use gradus_tensor::{Float, Tensor};

/// What training makes small: a number from a model's output and what it should have been.
pub trait Loss<T: Float, Y: ?Sized> {
    /// The loss.
    fn loss(&self, output: &Var<T>, target: &Y) -> Var<T>;
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
    fn apply<T: Float>(self, losses: Var<T>) -> Var<T> {
        match self {
            Self::Mean => losses.mean(..),
            Self::Sum => losses.sum(..),
            Self::None => losses,
        }
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
}
