//! Means over a data set.

use super::{Metric, same_shape};
use gradus_tensor::{Float, Tensor};

/// The mean of values that stand for several samples each, as of batches' mean losses.
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
    count: usize,
}

impl RunningMean {
    /// The mean of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in the mean of `count` samples.
    pub fn add(&mut self, mean: f64, count: usize) {
        // The mean of no samples is NaN, and counts for nothing.
        if count > 0 {
            self.total += mean * count as f64;
            self.count += count;
        }
    }

    /// How many samples there were.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The mean over all samples; NaN when there was none.
    pub fn value(&self) -> f64 {
        self.total / self.count as f64
    }

    /// Forgets.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The sum and the count, to be stored.
    pub fn state(&self) -> Vec<f64> {
        vec![self.total, self.count as f64]
    }

    /// Goes on from [`state`](Self::state).
    pub fn load_state(&mut self, state: &[f64]) {
        if let [total, count] = *state {
            (self.total, self.count) = (total, count as usize);
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
                same_shape($short, output, target);
                let $d = output - target;
                self.mean.add($f.mean(..).item().to_f64(), output.numel());
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
