//! How the losses of batches become the loss of all of them together.

/// How the loss of one batch combines with those of others, so that the result does not depend on where batches begin.
///
/// ```
/// use gradus_nn::{BatchWeight, CrossEntropy, Loss};
/// use gradus_tensor::Tensor;
/// let loss = CrossEntropy::new().ignore_index(9);
/// let weight = |labels: [i64; 2]| Loss::<f32, _>::weight(&loss, &Tensor::from(labels), 2);
/// assert_eq!(weight([0, 1]), BatchWeight::Mean(2.0));
/// assert_eq!(weight([0, 9]), BatchWeight::Mean(1.0));
/// assert_eq!(weight([9, 9]), BatchWeight::Mean(0.0));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BatchWeight {
    /// The loss is a mean: a sum divided by this number. Over batches, losses are averaged with these weights.
    Mean(f64),
    /// The loss is a sum. Over batches, losses are added up.
    Sum,
}

impl BatchWeight {
    /// Whether the batch counts at all: the mean over nothing, as of a batch whose labels are all ignored, does not.
    pub fn counts(self) -> bool {
        self != Self::Mean(0.0)
    }
}

impl From<f64> for BatchWeight {
    fn from(weight: f64) -> Self {
        Self::Mean(weight)
    }
}

impl From<usize> for BatchWeight {
    fn from(samples: usize) -> Self {
        Self::Mean(samples as f64)
    }
}
