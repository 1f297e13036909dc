//! Means over a data set.

use super::{Metric, check_same_shape};
use crate::batch_weight::BatchWeight;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// The mean of values that stand for several samples each, as of batches' mean losses; weighted by the number of samples, or
/// as [`Loss::weight`](crate::Loss::weight) says.
///
/// ```
/// use gradus_nn::metrics::RunningMean;
/// let mut loss = RunningMean::new();
/// loss.add(2.0, 30);
/// loss.add(5.0, 10);
/// assert_eq!(loss.value(), 2.75);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RunningMean {
    total: f64,
    weight: f64,
}

impl RunningMean {
    /// The mean of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a mean of this weight, which may be a number of samples; or a sum, as a loss with `Reduction::Sum` gives it.
    pub fn add(&mut self, value: f64, weight: impl Into<BatchWeight>) {
        match weight.into() {
            // The mean of nothing is NaN, and counts for nothing.
            BatchWeight::Mean(0.0) => {}
            BatchWeight::Mean(weight) => {
                self.total += value * weight;
                self.weight += weight;
            }
            // A sum divides by nothing, however many there are.
            BatchWeight::Sum => (self.total, self.weight) = (self.total + value, 1.0),
        }
    }

    /// What the total is divided by: how many samples there were, if values are means over samples.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// The mean over all, or the sum of sums; NaN when there was nothing.
    pub fn value(&self) -> f64 {
        self.total / self.weight
    }

    /// Forgets.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The total and what it is divided by, to be stored.
    pub fn state(&self) -> Vec<f64> {
        vec![self.total, self.weight]
    }

    /// Goes on from [`state`](Self::state).
    pub fn load_state(&mut self, state: &[f64]) {
        if let [total, weight] = *state {
            (self.total, self.weight) = (total, weight);
        }
    }
}

macro_rules! mean_error {
    ($(#[$doc:meta])* $name:ident, $short:literal, |$d:ident| $f:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default)]
        pub struct $name {
            mean: RunningMean,
        }

        impl $name {
            /// Nothing taken in yet.
            pub fn new() -> Self {
                Self::default()
            }
        }

        impl<T: Float> Metric<T, Tensor<T>> for $name {
            fn name(&self) -> &str {
                $short
            }
            #[track_caller]
            fn update(&mut self, output: &Tensor<T>, target: &Tensor<T>) {
                check_same_shape($short, output.shape(), target.shape()).or_panic();
                let $d = output - target;
                self.mean.add($f.mean(..).item().to_f64(), output.numel());
            }
            fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
                check_same_shape($short, output, target.shape())
            }
            fn value(&self) -> f64 {
                self.mean.value()
            }
            fn reset(&mut self) {
                self.mean.reset();
            }
            fn state(&self) -> Vec<f64> {
                self.mean.state()
            }
            fn load_state(&mut self, state: &[f64]) {
                self.mean.load_state(state);
            }
        }
    };
}

mean_error! {
    /// The mean of absolute differences, over a data set; named `mae`.
    MeanAbsoluteError, "mae", |d| d.abs()
}
mean_error! {
    /// The mean of squared differences, over a data set; named `mse`.
    MeanSquaredError, "mse", |d| d.square()
}
