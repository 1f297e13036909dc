//! How often predictions are right.

use super::classes::{check_distributions, check_labels, likeliest};
use super::{Metric, check_same_shape};
use crate::output_kind::OutputKind;
use gradus_tensor::{Float, Num, OrPanic, ShapeError, Tensor};

/// How many of the predictions, the `k` largest along axis 1 of `[N, C]` or `[N, C, d…]`, have the label among them, and of how
/// many: all but those that are ignored.
#[track_caller]
fn count_right<T: Float>(output: &Tensor<T>, labels: &Tensor<i64>, k: usize, ignored: Option<i64>) -> (usize, usize) {
    check_labels("accuracy", output.shape(), labels.shape()).or_panic();
    let (classes, each) = (output.shape()[1], output.shape()[2..].iter().product::<usize>());
    let (output, labels) = (output.contiguous(), labels.to_vec());
    let output = output.as_slice().expect("contiguous");
    let among_first = |place: usize, label: i64| {
        let Some(label) = usize::try_from(label).ok().filter(|&l| l < classes) else { return false };
        let score = |class: usize| output[(place / each * classes + class) * each + place % each];
        let own = score(label);
        // Of equals, the first counts as larger, as in argmax.
        let is_ahead = |i: usize, v: T| v > own || v.is_nan() || (v == own && i < label);
        let ahead = (0..classes).filter(|&i| is_ahead(i, score(i))).count();
        !Num::is_nan(own) && ahead < k
    };
    let counted = labels.iter().enumerate().filter(|(_, label)| Some(**label) != ignored);
    counted.fold((0, 0), |(right, seen), (place, &label)| (right + usize::from(among_first(place, label)), seen + 1))
}

/// The share of right predictions: the largest of `[N, C]` logits or probabilities against labels `[N]`; or of `[N, C, d…]`
/// against `[N, d…]`.
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

/// The share of labels that are among the `k` largest of `[N, C]`, or of `[N, C, d…]` along axis 1.
///
/// # Panics
/// When the shapes do not fit.
#[track_caller]
pub fn top_k_accuracy<T: Float>(output: &Tensor<T>, labels: &Tensor<i64>, k: usize) -> f64 {
    let (right, seen) = count_right(output, labels, k, None);
    right as f64 / seen as f64
}

/// The share of right predictions among the first `k`, over a data set.
///
/// Targets are what [`CrossEntropy`](crate::CrossEntropy) takes: labels `[N]` or `[N, d…]`, or one-hot or mixed targets of the
/// outputs' shape, whose likeliest class is the label. Outputs may be logits or probabilities.
///
/// ```
/// use gradus_nn::{Accuracy, Metric};
/// use gradus_tensor::Tensor;
/// let output = Tensor::from([[0.1f32, 0.9], [0.8, 0.2], [0.3, 0.7]]);
/// let mut accuracy = Accuracy::new().ignore_index(-1);
/// accuracy.update(&output, &Tensor::from([1i64, 1, -1]));
/// assert_eq!(Metric::<f32, Tensor<i64>>::value(&accuracy), 0.5);
/// accuracy.update(&output, &Tensor::from([[0.0f32, 1.0], [0.9, 0.1], [0.4, 0.6]]));
/// assert_eq!(Metric::<f32, Tensor<i64>>::value(&accuracy), 0.8);
/// ```
#[doc(alias("CategoricalAccuracy", "SparseCategoricalAccuracy"))]
#[derive(Clone, Debug)]
pub struct Accuracy {
    name: String,
    k: usize,
    ignored: Option<i64>,
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
        Self { name: "acc".into(), k: 1, ignored: None, right: 0, seen: 0 }
    }

    /// The label must be among the `k` largest outputs; named `top5_acc` for 5.
    #[doc(alias("TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"))]
    pub fn top_k(k: usize) -> Self {
        Self { name: format!("top{k}_acc"), k, ..Self::new() }
    }

    /// Predictions with this label are left out. In a trainer, those are that the loss ignores, unless this says otherwise.
    #[must_use]
    pub fn ignore_index(self, label: i64) -> Self {
        Self { ignored: Some(label), ..self }
    }

    fn count<T: Float>(&mut self, output: &Tensor<T>, labels: &Tensor<i64>) {
        let (right, seen) = count_right(output, labels, self.k, self.ignored);
        self.right += right;
        self.seen += seen;
    }

    fn share(&self) -> f64 {
        self.right as f64 / self.seen as f64
    }

    fn counts(&self) -> Vec<f64> {
        vec![self.right as f64, self.seen as f64]
    }

    fn load(&mut self, state: &[f64]) {
        if let [right, seen] = *state {
            (self.right, self.seen) = (right as usize, seen as usize);
        }
    }
}

impl<T: Float> Metric<T, Tensor<i64>> for Accuracy {
    fn name(&self) -> &str {
        &self.name
    }
    fn update(&mut self, output: &Tensor<T>, labels: &Tensor<i64>) {
        self.count(output, labels);
    }
    fn check(&self, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        check_labels("accuracy", output, labels.shape())
    }
    fn ignore_label(&mut self, label: i64) {
        self.ignored = self.ignored.or(Some(label));
    }
    fn value(&self) -> f64 {
        self.share()
    }
    fn reset(&mut self) {
        self.load(&[0.0, 0.0]);
    }
    fn state(&self) -> Vec<f64> {
        self.counts()
    }
    fn load_state(&mut self, state: &[f64]) {
        self.load(state);
    }
}

/// One implementation an element type: a generic one could, as far as the compiler knows, overlap with class indices.
macro_rules! of_distributions {
    ($($t:ty),*) => {$(
        impl Metric<$t, Tensor<$t>> for Accuracy {
            fn name(&self) -> &str {
                &self.name
            }
            #[track_caller]
            fn update(&mut self, output: &Tensor<$t>, target: &Tensor<$t>) {
                check_distributions("accuracy", output.shape(), target.shape()).or_panic();
                self.count(output, &likeliest(target));
            }
            fn check(&self, output: &[usize], target: &Tensor<$t>) -> Result<(), ShapeError> {
                check_distributions("accuracy", output, target.shape())
            }
            fn value(&self) -> f64 {
                self.share()
            }
            fn reset(&mut self) {
                self.load(&[0.0, 0.0]);
            }
            fn state(&self) -> Vec<f64> {
                self.counts()
            }
            fn load_state(&mut self, state: &[f64]) {
                self.load(state);
            }
        }
    )*};
}
of_distributions!(f32, f64);

/// The share of right yes-or-no predictions, over a data set: logits above 0 against targets above 1/2; named `acc`.
///
/// Of probabilities, as a last sigmoid gives them: [`from_probabilities`](Self::from_probabilities).
#[derive(Clone, Debug, Default)]
pub struct BinaryAccuracy {
    probabilities: bool,
    right: usize,
    seen: usize,
}

impl BinaryAccuracy {
    /// Of logits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of probabilities: a prediction is yes above 1/2.
    ///
    /// ```
    /// use gradus_nn::Metric;
    /// use gradus_nn::metrics::BinaryAccuracy;
    /// use gradus_tensor::Tensor;
    /// let mut accuracy = BinaryAccuracy::from_probabilities();
    /// accuracy.update(&Tensor::from([0.2f32, 0.9]), &Tensor::from([0.0, 1.0]));
    /// assert_eq!(Metric::<f32, Tensor<f32>>::value(&accuracy), 1.0);
    /// ```
    pub fn from_probabilities() -> Self {
        Self { probabilities: true, ..Self::default() }
    }
}

impl<T: Float> Metric<T, Tensor<T>> for BinaryAccuracy {
    fn name(&self) -> &str {
        "acc"
    }
    #[track_caller]
    fn update(&mut self, output: &Tensor<T>, target: &Tensor<T>) {
        check_same_shape("binary_accuracy", output.shape(), target.shape()).or_panic();
        let half = T::lit(0.5);
        let threshold = if self.probabilities { half } else { T::zero() };
        let right = output.zip_map("accuracy", target, move |x, t| !Num::is_nan(x) && (x > threshold) == (t > half));
        self.right += right.to_num::<i64>().sum(..).item() as usize;
        self.seen += output.numel();
    }
    fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
        check_same_shape("binary_accuracy", output, target.shape())
    }
    fn output_kind(&self) -> OutputKind {
        if self.probabilities { OutputKind::Probabilities } else { OutputKind::Logits }
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
