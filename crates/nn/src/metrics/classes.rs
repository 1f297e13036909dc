//! What metrics of classes read of outputs and targets.

use gradus_tensor::{Float, ShapeError, Tensor};

/// The label that each prediction of a target `[N, C]` or `[N, C, d…]`, one-hot or probabilities, should have: the likeliest.
pub(super) fn likeliest<T: Float>(target: &Tensor<T>) -> Tensor<i64> {
    target.argmax(1)
}

/// An error unless outputs are `[N, C]` or `[N, C, d…]` and labels `[N]` or `[N, d…]`.
pub(super) fn check_labels(metric: &'static str, output: &[usize], labels: &[usize]) -> Result<(), ShapeError> {
    let fits = output.len() >= 2 && labels.len() + 1 == output.len() && labels[0] == output[0] && labels[1..] == output[2..];
    if fits {
        return Ok(());
    }
    let detail = format!("outputs {output:?} and labels {labels:?}; wanted [N, C] and [N], or [N, C, d…] and [N, d…]");
    Err(ShapeError::new(metric, detail))
}

/// An error unless outputs and targets are both `[N, C]` or `[N, C, d…]`.
pub(super) fn check_distributions(metric: &'static str, output: &[usize], target: &[usize]) -> Result<(), ShapeError> {
    if output.len() >= 2 && output == target && output[1] > 0 {
        return Ok(());
    }
    let detail = format!("outputs {output:?} and targets {target:?}; wanted [N, C] or [N, C, d…] twice");
    Err(ShapeError::new(metric, detail))
}
