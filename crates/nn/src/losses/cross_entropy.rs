//! Cross-entropy and negative log-likelihood over classes.

use super::{Loss, Reduction};
use gradus_autograd::{Var, op};
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// An error unless every label is a class, or `ignored`; it names the first that is not, and its place.
///
/// ```
/// use gradus_nn::check_labels;
/// use gradus_tensor::Tensor;
/// assert!(check_labels("cross_entropy", &Tensor::from([0i64, 2]), 3, None).is_ok());
/// let error = check_labels("cross_entropy", &Tensor::from([0i64, 3]), 3, None).unwrap_err();
/// assert_eq!(error.to_string(), "cross_entropy: label 3 at position 1 is outside the classes 0 to 2");
/// ```
pub fn check_labels(op: &'static str, labels: &Tensor<i64>, classes: usize, ignored: Option<i64>) -> Result<(), ShapeError> {
    let outside = |l: &i64| Some(*l) != ignored && (*l < 0 || *l as usize >= classes);
    match labels.to_vec().iter().enumerate().find(|(_, l)| outside(l)) {
        None => Ok(()),
        Some(_) if classes == 0 => Err(ShapeError::new(op, "there are no classes")),
        Some((at, l)) => {
            Err(ShapeError::new(op, format!("label {l} at position {at} is outside the classes 0 to {}", classes - 1)))
        }
    }
}

/// Cross-entropy from logits `[N, C]` or `[N, C, d…]`: `-Σ t ln softmax(x)`, with targets `t` as class indices
/// `[N, d…]` or as probabilities of the logits' shape. A target of 0 counts for nothing, be the logit minus infinity: 0 ln 0 is 0.
///
/// Label smoothing mixes the target with the uniform distribution (Szegedy et al. 2016). With class weights and class
/// indices, the mean is weighted by the targets' weights, as in PyTorch.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{CrossEntropy, Loss};
/// use gradus_tensor::Tensor;
/// let logits = Var::leaf(Tensor::<f64>::zeros([2, 4]));
/// let loss = CrossEntropy::new().loss(&logits, &Tensor::from([0i64, 3]));
/// assert!((loss.item() - 4f64.ln()).abs() < 1e-12);
/// ```
#[derive(Clone, Debug, Default)]
pub struct CrossEntropy {
    weight: Option<Vec<f64>>,
    smoothing: f64,
    ignore: Option<i64>,
    reduction: Reduction,
}

impl CrossEntropy {
    /// The mean over samples, without weights or smoothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a weight for each class.
    #[must_use]
    pub fn weight(mut self, weight: impl Into<Vec<f64>>) -> Self {
        self.weight = Some(weight.into());
        self
    }

    /// With label smoothing.
    ///
    /// # Panics
    /// When it is not in `0.0..=1.0`.
    #[must_use]
    #[track_caller]
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        assert!((0.0..=1.0).contains(&smoothing), "cross_entropy: label smoothing {smoothing}; wanted 0 to 1");
        self.smoothing = smoothing;
        self
    }

    /// Samples with this label count for nothing.
    #[must_use]
    pub fn ignore_index(mut self, label: i64) -> Self {
        self.ignore = Some(label);
        self
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    fn weights<T: Float>(&self, classes: usize) -> Result<Option<Tensor<T>>, ShapeError> {
        match &self.weight {
            Some(w) if w.len() != classes => {
                Err(ShapeError::new("cross_entropy", format!("{} class weights for {classes} classes", w.len())))
            }
            Some(w) => Ok(Some(Tensor::from_vec(w.iter().map(|&w| T::lit(w)).collect(), [classes]))),
            None => Ok(None),
        }
    }
}

/// Logits `[N, C, d…]` as rows `[M, C]`, one a prediction.
fn rows<T: Float>(x: &Var<T>) -> Var<T> {
    let classes = x.shape()[1];
    if x.rank() == 2 {
        return x.clone();
    }
    let order: Vec<usize> = [0].into_iter().chain(2..x.rank()).chain([1]).collect();
    let count = x.shape().iter().enumerate().filter(|(a, _)| *a != 1).map(|(_, n)| n).product::<usize>();
    x.permute(&order).reshape([count, classes])
}

/// An error unless the labels have the input's shape without its class axis, and all are classes.
fn check_target(op: &'static str, x: &[usize], labels: &Tensor<i64>, ignored: Option<i64>) -> Result<(), ShapeError> {
    if x.len() < 2 {
        return Err(ShapeError::new(op, format!("input {x:?}; wanted [N, C] or [N, C, d…]")));
    }
    let wanted: Vec<usize> = x.iter().enumerate().filter(|(a, _)| *a != 1).map(|(_, &n)| n).collect();
    if labels.shape()[..] != wanted {
        return Err(ShapeError::new(op, format!("labels of shape {} for input {x:?}; wanted {wanted:?}", labels.shape())));
    }
    check_labels(op, labels, x[1], ignored)
}

/// `l - (x[label] - m)` for each row of `[N, C]`, with the largest `m` and `l = ln Σ e^(x - m)`:
/// `dx = dy (softmax(x) - one_hot(label))`.
#[track_caller]
fn softmax_cross_entropy<T: Float>(x: &Var<T>, labels: &Tensor<i64>) -> Var<T> {
    let (y, sums) = x.value().cross_entropy(labels).or_panic();
    let (kept, labels) = (x.clone(), labels.clone());
    op("softmax_cross_entropy", [x], y, move |p| {
        let gy = p.gy();
        if p.is_differentiable() {
            let classes = kept.shape()[1];
            return [Some((kept.softmax(1) - Var::constant(labels.one_hot(classes))).mul_no_nan(&gy.unsqueeze(1)))];
        }
        [Some(Var::constant(kept.value().cross_entropy_grad(&labels, &sums, gy.value()).or_panic()))]
    })
}

/// The losses of class indices, already reduced.
struct Indexed<'a, T: Float> {
    losses: Var<T>,
    labels: &'a Tensor<i64>,
    /// A weight for each sample; 0 where ignored.
    sample_weight: Option<Tensor<T>>,
}

/// Losses times their samples' weights; 0 where the sample is ignored, be its loss infinite or NaN.
#[track_caller]
fn weighted<T: Float>(losses: Var<T>, weight: Option<&Tensor<T>>) -> Var<T> {
    match weight {
        Some(w) => losses.masked_fill(&w.eq(0.0), 0.0) * Var::constant(w.clone()),
        None => losses,
    }
}

impl<T: Float> Indexed<'_, T> {
    #[track_caller]
    fn reduce(self, reduction: Reduction) -> Var<T> {
        match (reduction, self.sample_weight) {
            (Reduction::Mean, Some(weight)) => self.losses.sum(..) / weight.sum(..).item().to_f64(),
            (Reduction::None, _) => self.losses.reshape(self.labels.shape()),
            _ => reduction.apply(self.losses),
        }
    }
}

/// Labels with the ignored ones replaced by class 0, and a weight for each sample if they are not all 1.
fn sample_weights<T: Float>(
    labels: &Tensor<i64>,
    weight: Option<&Tensor<T>>,
    ignore: Option<i64>,
) -> (Tensor<i64>, Option<Tensor<T>>) {
    let flat = labels.reshape([-1]);
    let ignored = ignore.map(|i| flat.eq(i));
    let safe = match &ignored {
        Some(mask) => flat.masked_fill(mask, 0),
        None => flat,
    };
    let weights = match (weight, ignored) {
        (None, None) => None,
        (None, Some(mask)) => Some(mask.not().to_num()),
        (Some(w), None) => Some(w.index_select(0, &safe)),
        (Some(w), Some(mask)) => Some(w.index_select(0, &safe).masked_fill(&mask, T::zero())),
    };
    (safe, weights)
}

impl<T: Float> Loss<T, Tensor<i64>> for CrossEntropy {
    #[track_caller]
    fn loss(&self, output: &Var<T>, labels: &Tensor<i64>) -> Var<T> {
        check_target("cross_entropy", output.shape(), labels, self.ignore).or_panic();
        let x = rows(output);
        let classes = x.shape()[1];
        let weight = self.weights::<T>(classes).or_panic();
        let (safe, sample_weight) = sample_weights(labels, weight.as_ref(), self.ignore);
        let mut losses = weighted(softmax_cross_entropy(&x, &safe), sample_weight.as_ref());
        if self.smoothing > 0.0 {
            let mut spread = -x.log_softmax(1);
            if let Some(w) = weight {
                // 0 · ∞ is 0: a class of weight 0 may have no probability.
                spread = spread.mul_no_nan(&Var::constant(w));
            }
            let mut spread = spread.sum(1) / classes as f64;
            if let Some(ignore) = self.ignore {
                spread = spread.masked_fill(&labels.reshape([-1]).eq(ignore), 0.0);
            }
            losses = losses * (1.0 - self.smoothing) + spread * self.smoothing;
        }
        Indexed { losses, labels, sample_weight }.reduce(self.reduction)
    }

    fn check(&self, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        check_target("cross_entropy", output, labels, self.ignore)
    }
}

impl CrossEntropy {
    #[track_caller]
    fn of_probabilities<T: Float>(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
        check_probabilities(output.shape(), target.shape()).or_panic();
        let classes = output.shape()[1];
        let mut target = target.clone();
        if self.smoothing > 0.0 {
            target = target * (1.0 - self.smoothing) + self.smoothing / classes as f64;
        }
        if let Some(w) = self.weights::<T>(classes).or_panic() {
            let mut per_class = vec![1; output.rank()];
            per_class[1] = classes;
            target = target * w.reshape(&per_class[..]);
        }
        self.reduction.apply(-output.log_softmax(1).mul_no_nan(&Var::constant(target)).sum(1))
    }
}

fn check_probabilities(output: &[usize], target: &[usize]) -> Result<(), ShapeError> {
    if output == target && output.len() >= 2 {
        return Ok(());
    }
    let detail = format!("probabilities of shape {target:?} for input {output:?}; wanted [N, C] or [N, C, d…] twice");
    Err(ShapeError::new("cross_entropy", detail))
}

/// One implementation an element type: a generic one could, as far as the compiler knows, overlap with class indices.
macro_rules! of_probabilities {
    ($($t:ty),*) => {$(
        impl Loss<$t, Tensor<$t>> for CrossEntropy {
            #[inline] // not compiled but where it is used
            #[track_caller]
            fn loss(&self, output: &Var<$t>, target: &Tensor<$t>) -> Var<$t> {
                self.of_probabilities(output, target)
            }
            fn check(&self, output: &[usize], target: &Tensor<$t>) -> Result<(), ShapeError> {
                check_probabilities(output, target.shape())
            }
        }
    )*};
}
of_probabilities!(f32, f64);

/// Negative log-likelihood from log-probabilities `[N, C]` or `[N, C, d…]` and class indices `[N, d…]`: `-w x[label]`.
#[derive(Clone, Debug, Default)]
pub struct Nll {
    inner: CrossEntropy,
}

impl Nll {
    /// The mean over samples, without weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a weight for each class; the mean is weighted by the targets' weights.
    #[must_use]
    pub fn weight(self, weight: impl Into<Vec<f64>>) -> Self {
        Self { inner: self.inner.weight(weight) }
    }

    /// Samples with this label count for nothing.
    #[must_use]
    pub fn ignore_index(self, label: i64) -> Self {
        Self { inner: self.inner.ignore_index(label) }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { inner: self.inner.reduction(reduction) }
    }
}

impl<T: Float> Loss<T, Tensor<i64>> for Nll {
    #[track_caller]
    fn loss(&self, output: &Var<T>, labels: &Tensor<i64>) -> Var<T> {
        check_target("nll", output.shape(), labels, self.inner.ignore).or_panic();
        let x = rows(output);
        let weight = self.inner.weights::<T>(x.shape()[1]).or_panic();
        let (safe, sample_weight) = sample_weights(labels, weight.as_ref(), self.inner.ignore);
        let losses = weighted(-x.gather(1, &safe.unsqueeze(1)).reshape([-1]), sample_weight.as_ref());
        Indexed { losses, labels, sample_weight }.reduce(self.inner.reduction)
    }

    fn check(&self, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        check_target("nll", output, labels, self.inner.ignore)
    }
}
