//! Losses with a weight for each sample.

use super::{BatchWeight, Loss, OutputKind};
use gradus_autograd::Var;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// A loss in which each sample has a weight: `Σ w_i l_i / Σ w_i d_i`, from targets `(y, w)` with weights `w` of shape `[N]`,
/// none of them negative.
///
/// `d_i` is [what the sample adds](Loss::sample_weights) to the number that the mean of the loss inside divides by: 1, the class
/// weight of its label, or 0 if its label is ignored. So equal weights give the mean of the loss inside, and a weight of 2 counts
/// as the sample twice.
///
/// The loss inside takes the output, logits or other, and must leave its values apart (`Reduction::None`); one that has several
/// values for a sample counts their mean. A sample of weight 0 counts for nothing, be its loss infinite.
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
#[doc(alias = "sample_weight")]
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

/// An error unless there is one weight for each of the `samples` and none is negative.
fn check_weights<T: Float>(samples: Option<usize>, weights: &Tensor<T>) -> Result<(), ShapeError> {
    let error = |detail| Err(ShapeError::new("sample_weighted", detail));
    if weights.rank() != 1 || samples != weights.shape().first().copied() {
        return error(format!("weights of shape {} for {} samples; wanted [N]", weights.shape(), samples.unwrap_or(0)));
    }
    let values = weights.to_vec();
    if let Some(i) = values.iter().position(|w| !(w.is_finite() && *w >= T::zero())) {
        return error(format!("sample {i} has the weight {}; wanted a number from 0", values[i]));
    }
    Ok(())
}

/// The weights times what the samples add to the divisor of the loss inside, added up.
fn divisor<T: Float>(weights: &Tensor<T>, each: &[f64]) -> f64 {
    weights.to_vec().into_iter().zip(each).map(|(w, d)| w.to_f64() * d).sum()
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
        let divisor = divisor(weights, &self.inner.sample_weights(target, samples));
        if divisor == 0.0 {
            Err(ShapeError::new("sample_weighted", "no sample has a weight above 0")).or_panic()
        }
        (losses * Var::constant(weights.clone())).sum(..) / divisor
    }

    fn weight(&self, (target, weights): &(Y, Tensor<T>), samples: usize) -> BatchWeight {
        BatchWeight::Mean(divisor(weights, &self.inner.sample_weights(target, samples)))
    }

    fn sample_weights(&self, (target, weights): &(Y, Tensor<T>), samples: usize) -> Vec<f64> {
        let each = self.inner.sample_weights(target, samples);
        weights.to_vec().into_iter().zip(each).map(|(w, d)| w.to_f64() * d).collect()
    }

    fn check(&self, output: &[usize], (target, weights): &(Y, Tensor<T>)) -> Result<(), ShapeError> {
        check_weights(output.first().copied(), weights)?;
        self.inner.check(output, target)
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        self.inner.check_output(output)
    }

    fn output_kind(&self) -> OutputKind {
        self.inner.output_kind()
    }

    fn ignored_label(&self) -> Option<i64> {
        self.inner.ignored_label()
    }
}
