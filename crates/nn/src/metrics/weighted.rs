//! Metrics of targets `(y, w)` with a weight for each sample, as [`SampleWeighted`](crate::SampleWeighted) takes them: those of
//! `y`. The weights belong to the loss; to a metric, every sample counts alike (Keras' `metrics`, not its `weighted_metrics`).

use super::{Accuracy, BinaryAccuracy, F1, MeanAbsoluteError, MeanSquaredError, Metric, Precision, Recall};
use crate::output_kind::OutputKind;
use gradus_tensor::{Float, ShapeError, Tensor};

/// One implementation a metric and kind of target: over all of them at once, type inference would not come to an end.
macro_rules! with_weights {
    ($($metric:ty $(, $generic:ident)?: $t:ty, $y:ty;)*) => {$(
        impl$(<$generic: Float>)? Metric<$t, ($y, Tensor<$t>)> for $metric {
            fn name(&self) -> &str {
                Metric::<$t, $y>::name(self)
            }
            #[track_caller]
            fn update(&mut self, output: &Tensor<$t>, target: &($y, Tensor<$t>)) {
                Metric::<$t, $y>::update(self, output, &target.0);
            }
            fn check(&self, output: &[usize], target: &($y, Tensor<$t>)) -> Result<(), ShapeError> {
                Metric::<$t, $y>::check(self, output, &target.0)
            }
            fn ignore_label(&mut self, label: i64) {
                Metric::<$t, $y>::ignore_label(self, label);
            }
            fn output_kind(&self) -> OutputKind {
                Metric::<$t, $y>::output_kind(self)
            }
            fn value(&self) -> f64 {
                Metric::<$t, $y>::value(self)
            }
            fn reset(&mut self) {
                Metric::<$t, $y>::reset(self);
            }
            fn state(&self) -> Vec<f64> {
                Metric::<$t, $y>::state(self)
            }
            fn load_state(&mut self, state: &[f64]) {
                Metric::<$t, $y>::load_state(self, state);
            }
        }
    )*};
}

with_weights! {
    Accuracy, T: T, Tensor<i64>;
    Accuracy: f32, Tensor<f32>;
    Accuracy: f64, Tensor<f64>;
    Precision, T: T, Tensor<i64>;
    Precision: f32, Tensor<f32>;
    Precision: f64, Tensor<f64>;
    Recall, T: T, Tensor<i64>;
    Recall: f32, Tensor<f32>;
    Recall: f64, Tensor<f64>;
    F1, T: T, Tensor<i64>;
    F1: f32, Tensor<f32>;
    F1: f64, Tensor<f64>;
    BinaryAccuracy, T: T, Tensor<T>;
    MeanAbsoluteError, T: T, Tensor<T>;
    MeanSquaredError, T: T, Tensor<T>;
}
