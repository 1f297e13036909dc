//! Losses with a weight for each sample.

use super::Loss;
use gradus_autograd::Var;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// A loss in which each sample has a weight: `Σ w_i l_i / Σ w_i`, from targets `(y, w)` with weights `w` of shape `[N]`, none
/// of them negative.
///
/// The loss inside must leave its values apart (`Reduction::None`); one that has several values for a sample counts their
/// mean. A sample of weight 0 counts for nothing, be its loss infinite.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{CrossEntropy, Loss, Reduction, SampleWeighted};
/// use gradus_tensor::Tensor;
/// let loss = SampleWeighted::new(CrossEntropy::new().reduction(Reduction::None));
/// let logits = Var::leaf(Tensor::from([[0.0f64, 0.0], [9.0, 1.0]]));
/// let target = (Tensor::from([1i64, 1]), Tensor::from([3.0, 0.0]));
/// assert!((loss.loss(&logits, &target).item() - 2f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Debug)]
pub struct SampleWeighted<L> {
    inner: L,
}

impl<L> SampleWeighted<L> {
    /// `inner`, whose reduction is `Reduction::None`, with weights.
    pub fn new(inner: L) -> Self {
        Self { inner }
    }
}

/// An error unless there is one weight for each of the `samples`, none is negative and one is not 0.
fn check_weights<T: Float>(samples: Option<usize>, weights: &Tensor<T>) -> Result<(), ShapeError> {
    let error = |detail| Err(ShapeError::new("sample_weighted", detail));
    if weights.rank() != 1 || samples != weights.shape().first().copied() {
        return error(format!("weights of shape {} for {} samples; wanted [N]", weights.shape(), samples.unwrap_or(0)));
    }
    let values = weights.to_vec();
    if let Some(i) = values.iter().position(|w| !(w.is_finite() && *w >= T::zero())) {
        return error(format!("sample {i} has the weight {}; wanted a number from 0", values[i]));
    }
    if values.iter().all(|w| *w == T::zero()) {
        return error("all weights are 0".into());
    }
    Ok(())
}

impl<T: Float, Y, L: Loss<T, Y>> Loss<T, (Y, Tensor<T>)> for SampleWeighted<L> {
    #[track_caller]
    fn loss(&self, output: &Var<T>, (target, weights): &(Y, Tensor<T>)) -> Var<T> {
        check_weights(output.shape().first().copied(), weights).or_panic();
        let samples = weights.numel();
        let losses = self.inner.loss(output, target);
        if losses.rank() == 0 || losses.shape()[0] != samples {
            let detail = format!(
                "the loss inside gave {} for {samples} samples; wanted a value for each: set its reduction to Reduction::None",
                losses.shape()
            );
            Err(ShapeError::new("sample_weighted", detail)).or_panic()
        }
        let each = losses.value().numel() / samples;
        let losses = losses.reshape([samples, each]).mean(1).masked_fill(&weights.eq(0.0), 0.0);
        (losses * Var::constant(weights.clone())).sum(..) / weights.sum(..).item().to_f64()
    }

    fn check(&self, output: &[usize], (target, weights): &(Y, Tensor<T>)) -> Result<(), ShapeError> {
        check_weights(output.first().copied(), weights)?;
        self.inner.check(output, target)
    }
}
