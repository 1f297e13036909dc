//! How good predictions are, in numbers that no derivative is taken of.

mod accuracy;
mod classes;
mod confusion;
mod direction;
mod f_score;
mod mean;
mod weighted;

pub use accuracy::{Accuracy, BinaryAccuracy, accuracy, top_k_accuracy};
pub use confusion::ConfusionMatrix;
pub use direction::Direction;
pub use f_score::{F1, Precision, Recall};
pub use mean::{MeanAbsoluteError, MeanSquaredError, RunningMean};

use crate::output_kind::OutputKind;
use gradus_tensor::{Float, ShapeError, Tensor};

/// Counts over a data set, batch by batch, into one number.
pub trait Metric<T: Float, Y: ?Sized> {
    /// The name in progress and history.
    fn name(&self) -> &str;
    /// Takes in one batch.
    fn update(&mut self, output: &Tensor<T>, target: &Y);

    /// Whether the target fits an output of this shape; what does not, [`update`](Self::update) may panic about.
    ///
    /// # Errors
    /// When it does not fit.
    fn check(&self, output: &[usize], target: &Y) -> Result<(), ShapeError> {
        let _ = (output, target);
        Ok(())
    }

    /// Leaves predictions out whose label is this one. A trainer calls this for the label that its loss ignores; a metric of
    /// anything but labels has nothing to do.
    fn ignore_label(&mut self, label: i64) {
        let _ = label;
    }

    /// The kind of output that the metric reads; a trainer refuses a metric of logits beside a loss of probabilities.
    fn output_kind(&self) -> OutputKind {
        OutputKind::Any
    }

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

fn check_same_shape(metric: &'static str, output: &[usize], target: &[usize]) -> Result<(), ShapeError> {
    if output == target {
        return Ok(());
    }
    Err(ShapeError::new(metric, format!("output {output:?} and target {target:?} must have one shape")))
}
