//! How good predictions are, in numbers that no derivative is taken of.

mod accuracy;
mod confusion;
mod direction;
mod f_score;
mod mean;

pub use accuracy::{Accuracy, BinaryAccuracy, accuracy, top_k_accuracy};
pub use confusion::ConfusionMatrix;
pub use direction::Direction;
pub use f_score::{F1, Precision, Recall};
pub use mean::{MeanAbsoluteError, MeanSquaredError, RunningMean};

use gradus_tensor::{Float, Tensor};

/// Counts over a data set, batch by batch, into one number.
pub trait Metric<T: Float, Y: ?Sized> {
    /// The name in progress and history.
    fn name(&self) -> &str;
    /// Takes in one batch.
    fn update(&mut self, output: &Tensor<T>, target: &Y);
    /// The number over all since [`reset`](Self::reset); NaN when there was nothing.
    fn value(&self) -> f64;
    /// Forgets.
    fn reset(&mut self);

    /// Which way the number is better, for what keeps the best; what the [`name`](Self::name) says, unless written.
    fn direction(&self) -> Option<Direction> {
        Direction::of_name(self.name())
    }

    /// What has been counted, so that an interrupted pass can go on. A metric that does not say counts only what comes after
    /// the interruption.
    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Goes on from [`state`](Self::state).
    fn load_state(&mut self, state: &[f64]) {
        let _ = state;
    }
}

#[track_caller]
fn same_shape<T: Float>(metric: &str, output: &Tensor<T>, target: &Tensor<T>) {
    let (of, by) = (output.shape(), target.shape());
    assert!(of == by, "{metric}: output {of} and target {by} must have one shape");
}
