//! The confusion matrix, and what is read off it.

use super::classes::check_labels;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};
use std::fmt;

/// How often each class was taken for which: `count(truth, prediction)`.
///
/// ```
/// use gradus_nn::metrics::ConfusionMatrix;
/// use gradus_tensor::Tensor;
/// let mut m = ConfusionMatrix::new(2);
/// m.add(&Tensor::from([0i64, 0, 1]), &Tensor::from([0i64, 1, 1]));
/// assert_eq!(m.count(0, 1), 1);
/// assert_eq!(m.recall(0), 0.5);
/// assert_eq!(m.precision(1), 0.5);
/// ```
#[doc(alias = "classification_report")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    ignored: Option<i64>,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// Nothing counted yet.
    ///
    /// # Panics
    /// When there is no memory for a count of each pair of classes.
    #[track_caller]
    pub fn new(classes: usize) -> Self {
        let mut counts = vec![];
        let pairs = classes.saturating_mul(classes);
        assert!(counts.try_reserve_exact(pairs).is_ok(), "confusion matrix: no memory for pairs of {classes} classes");
        counts.resize(pairs, 0);
        Self { classes, ignored: None, counts }
    }

    /// Predictions with this label are left out.
    ///
    /// ```
    /// use gradus_nn::metrics::ConfusionMatrix;
    /// use gradus_tensor::Tensor;
    /// let mut m = ConfusionMatrix::new(2).ignore_index(-100);
    /// m.add(&Tensor::from([0i64, -100, 1]), &Tensor::from([0i64, 1, 1]));
    /// assert_eq!((m.total(), m.accuracy()), (2, 1.0));
    /// ```
    #[must_use]
    pub fn ignore_index(self, label: i64) -> Self {
        Self { ignored: Some(label), ..self }
    }

    /// Leaves predictions with this label out, unless those of another label are.
    pub(super) fn ignore_too(&mut self, label: i64) {
        self.ignored = self.ignored.or(Some(label));
    }

    /// An error unless outputs have no more classes than this, and all labels are classes or ignored.
    pub(super) fn check(&self, metric: &'static str, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        check_labels(metric, output, labels.shape())?;
        self.check_classes(metric, output)?;
        crate::losses::check_labels(metric, labels, self.classes, self.ignored)
    }

    /// An error unless outputs `[N, C]` or `[N, C, d…]` have no more classes than this.
    pub(super) fn check_classes(&self, metric: &'static str, output: &[usize]) -> Result<(), ShapeError> {
        if (1..=self.classes).contains(&output[1]) {
            return Ok(());
        }
        Err(ShapeError::new(metric, format!("outputs {output:?} of {} classes; the metric has {}", output[1], self.classes)))
    }

    /// Counts true labels against predicted ones, of any one shape.
    ///
    /// # Panics
    /// When the shapes differ, or one is no class and not ignored.
    #[track_caller]
    pub fn add(&mut self, labels: &Tensor<i64>, predictions: &Tensor<i64>) {
        let (of, by) = (labels.shape(), predictions.shape());
        assert!(of == by, "confusion matrix: labels {of} and predictions {by} must have one shape");
        let (labels, predictions) = (labels.to_vec(), predictions.to_vec());
        for (l, p) in labels.into_iter().zip(predictions).filter(|(l, _)| Some(*l) != self.ignored) {
            let class = 0..self.classes as i64;
            let fits = class.contains(&l) && class.contains(&p);
            assert!(fits, "confusion matrix: label {l}, prediction {p}; there are {} classes", self.classes);
            self.counts[l as usize * self.classes + p as usize] += 1;
        }
    }

    /// Forgets all counts.
    pub fn reset(&mut self) {
        self.counts.fill(0);
    }

    /// The counts, row by row, to be stored.
    pub fn state(&self) -> Vec<f64> {
        self.counts.iter().map(|&n| n as f64).collect()
    }

    /// Goes on from [`state`](Self::state) of a matrix of as many classes.
    pub fn load_state(&mut self, state: &[f64]) {
        if state.len() == self.counts.len() {
            self.counts = state.iter().map(|&n| n as u64).collect();
        }
    }

    /// Counts true labels against the largest of each row of `[N, C]` outputs, or of `[N, C, d…]` along axis 1.
    ///
    /// # Panics
    /// As [`add`](Self::add).
    #[track_caller]
    pub fn add_outputs<T: Float>(&mut self, labels: &Tensor<i64>, outputs: &Tensor<T>) {
        check_labels("confusion_matrix", outputs.shape(), labels.shape()).or_panic();
        self.add(labels, &outputs.argmax(1));
    }

    /// How many classes there are.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `truth` was predicted as `prediction`.
    ///
    /// # Panics
    /// When one is no class.
    pub fn count(&self, truth: usize, prediction: usize) -> u64 {
        assert!(truth < self.classes && prediction < self.classes, "there are {} classes", self.classes);
        self.counts[truth * self.classes + prediction]
    }

    /// How many predictions were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn right(&self) -> u64 {
        (0..self.classes).map(|c| self.count(c, c)).sum()
    }

    /// The share of right predictions; NaN when nothing was counted.
    pub fn accuracy(&self) -> f64 {
        self.right() as f64 / self.total() as f64
    }

    /// Of the predictions of `class`, the share that is right; 0 when there are none.
    pub fn precision(&self, class: usize) -> f64 {
        ratio(self.count(class, class), (0..self.classes).map(|t| self.count(t, class)).sum())
    }

    /// Of the samples of `class`, the share that is found; 0 when there are none.
    pub fn recall(&self, class: usize) -> f64 {
        ratio(self.count(class, class), (0..self.classes).map(|p| self.count(class, p)).sum())
    }

    /// The harmonic mean of precision and recall; 0 when both are.
    pub fn f1(&self, class: usize) -> f64 {
        let (p, r) = (self.precision(class), self.recall(class));
        if p + r == 0.0 { 0.0 } else { 2.0 * p * r / (p + r) }
    }

    /// F1 over all classes together. As each sample has one label and one prediction, micro-averaged precision, recall
    /// and F1 are all the [`accuracy`](Self::accuracy).
    pub fn micro_f1(&self) -> f64 {
        self.accuracy()
    }

    /// The mean of [`precision`](Self::precision) over classes.
    pub fn macro_precision(&self) -> f64 {
        self.mean(Self::precision)
    }

    /// The mean of [`recall`](Self::recall) over classes.
    pub fn macro_recall(&self) -> f64 {
        self.mean(Self::recall)
    }

    /// The mean of [`f1`](Self::f1) over classes.
    pub fn macro_f1(&self) -> f64 {
        self.mean(Self::f1)
    }

    fn mean(&self, of: impl Fn(&Self, usize) -> f64) -> f64 {
        (0..self.classes).map(|c| of(self, c)).sum::<f64>() / self.classes as f64
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A row a true class, a column a predicted one.
impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.counts.iter().map(|c| c.to_string().len()).max().unwrap_or(1);
        let width = widest.max(self.classes.to_string().len()) + 1;
        write!(f, "{:>7}", "")?;
        (0..self.classes).try_for_each(|p| write!(f, "{p:>width$}"))?;
        for t in 0..self.classes {
            write!(f, "\n{t:>6} ")?;
            (0..self.classes).try_for_each(|p| write!(f, "{:>width$}", self.count(t, p)))?;
        }
        Ok(())
    }
}
