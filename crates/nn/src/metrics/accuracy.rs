//! How often predictions are right.

use super::Metric;
use gradus_tensor::{Float, Num, Tensor};

/// How many of the predictions, the largest of `[N, C]` logits or probabilities, are right.
///
/// # Panics
/// When the shapes do not fit.
#[track_caller]
fn count_right<T: Float>(output: &Tensor<T>, labels: &Tensor<i64>, k: usize) -> usize {
    assert!(
        output.rank() == 2 && labels.rank() == 1 && output.shape()[0] == labels.shape()[0],
        "accuracy: outputs {} and labels {}; wanted [N, C] and [N]",
        output.shape(),
        labels.shape()
    );
    let classes = output.shape()[1];
    let (output, labels) = (output.contiguous(), labels.to_vec());
    let output = output.as_slice().expect("contiguous");
    let among_first = |(row, &label): (&[T], &i64)| {
        let Some(&own) = usize::try_from(label).ok().and_then(|l| row.get(l)) else { return false };
        // Of equals, the first counts as larger, as in argmax.
        let ahead = row.iter().enumerate().filter(|&(i, &v)| v > own || v.is_nan() || (v == own && i < label as usize));
        !Num::is_nan(own) && ahead.count() < k
    };
    output.chunks_exact(classes.max(1)).zip(&labels).filter(|pair| among_first(*pair)).count()
}

/// The share of right predictions: the largest of `[N, C]` logits or probabilities against labels `[N]`.
///
/// ```
/// use gradus_nn::metrics::accuracy;
/// use gradus_tensor::Tensor;
/// let output = Tensor::from([[0.1f32, 0.9], [0.8, 0.2]]);
/// assert_eq!(accuracy(&output, &Tensor::from([1i64, 1])), 0.5);
/// ```
///
/// # Panics
/// When the shapes do not fit.
#[track_caller]
pub fn accuracy<T: Float>(output: &Tensor<T>, labels: &Tensor<i64>) -> f64 {
    top_k_accuracy(output, labels, 1)
}

/// The share of labels that are among the `k` largest of `[N, C]`.
///
/// # Panics
/// When the shapes do not fit.
#[track_caller]
pub fn top_k_accuracy<T: Float>(output: &Tensor<T>, labels: &Tensor<i64>, k: usize) -> f64 {
    count_right(output, labels, k) as f64 / labels.numel() as f64
}

/// The share of right predictions among the first `k`, over a data set.
#[derive(Clone, Debug)]
pub struct Accuracy {
    name: String,
    k: usize,
    right: usize,
    seen: usize,
}

impl Default for Accuracy {
    fn default() -> Self {
        Self::new()
    }
}

impl Accuracy {
    /// The largest output must be the label; named `acc`.
    pub fn new() -> Self {
        Self { name: "acc".into(), k: 1, right: 0, seen: 0 }
    }

    /// The label must be among the `k` largest outputs; named `top5_acc` for 5.
    pub fn top_k(k: usize) -> Self {
        Self { name: format!("top{k}_acc"), k, right: 0, seen: 0 }
    }
}

impl<T: Float> Metric<T, Tensor<i64>> for Accuracy {
    fn name(&self) -> &str {
        &self.name
    }
    fn update(&mut self, output: &Tensor<T>, labels: &Tensor<i64>) {
        self.right += count_right(output, labels, self.k);
        self.seen += labels.numel();
    }
    fn value(&self) -> f64 {
        self.right as f64 / self.seen as f64
    }
    fn reset(&mut self) {
        (self.right, self.seen) = (0, 0);
    }
    fn state(&self) -> Vec<f64> {
        vec![self.right as f64, self.seen as f64]
    }
    fn load_state(&mut self, state: &[f64]) {
        if let [right, seen] = *state {
            (self.right, self.seen) = (right as usize, seen as usize);
        }
    }
}

/// The share of right yes-or-no predictions, over a data set: logits above 0 against targets above 1/2; named `acc`.
#[derive(Clone, Debug, Default)]
pub struct BinaryAccuracy {
    right: usize,
    seen: usize,
}

impl BinaryAccuracy {
    /// Nothing counted yet.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T: Float> Metric<T, Tensor<T>> for BinaryAccuracy {
    fn name(&self) -> &str {
        "acc"
    }
    #[track_caller]
    fn update(&mut self, output: &Tensor<T>, target: &Tensor<T>) {
        super::same_shape("binary accuracy", output, target);
        let half = T::lit(0.5);
        let right = output.zip_map("accuracy", target, move |x, t| !Num::is_nan(x) && (x > T::zero()) == (t > half));
        self.right += right.to_num::<i64>().sum(..).item() as usize;
        self.seen += output.numel();
    }
    fn value(&self) -> f64 {
        self.right as f64 / self.seen as f64
    }
    fn reset(&mut self) {
        *self = Self::default();
    }
    fn state(&self) -> Vec<f64> {
        vec![self.right as f64, self.seen as f64]
    }
    fn load_state(&mut self, state: &[f64]) {
        if let [right, seen] = *state {
            (self.right, self.seen) = (right as usize, seen as usize);
        }
    }
}
