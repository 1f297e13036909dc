//! Cross-entropy and negative log-likelihood over classes.

use super::labels::{check_target, divisor, shares};
use super::{BatchWeight, Loss, OutputKind, Reduction};
use crate::output_kind::check_probabilities;
use crate::samples::apply;
use gradus_autograd::samples::{Case, OpSample, Sampled, draw};
use gradus_autograd::{Attributes, ForwardContext, Gradients, Op, OpKind, Saves, Var, VjpContext};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// Cross-entropy from logits `[N, C]` or `[N, C, d…]`: `-Σ t ln softmax(x)`, with targets `t` as class indices
/// `[N, d…]` or as probabilities of the logits' shape (one-hot, or mixed). A target of 0 counts for nothing, be the logit minus
/// infinity: 0 ln 0 is 0.
///
/// The output must be logits, as a last linear layer gives them, without a softmax: the loss computes it itself, more exactly.
/// For a network that ends in a softmax there is [`from_probabilities`](Self::from_probabilities). Log-probabilities are logits too.
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
#[doc(alias(
    "SparseCategoricalCrossentropy",
    "CategoricalCrossentropy",
    "CrossEntropyLoss",
    "class_weight",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels"
))]
#[derive(Clone, Debug, Default)]
pub struct CrossEntropy {
    weight: Option<Vec<f64>>,
    smoothing: f64,
    ignore: Option<i64>,
    reduction: Reduction,
    /// The output is probabilities instead of logits.
    probabilities: bool,
}

impl CrossEntropy {
    /// The mean over samples, without weights or smoothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The mean over samples, from probabilities `p`, as a softmax over axis 1 gives them: `-Σ t ln p`.
    ///
    /// A probability that rounds to 0 has lost how wrong the model is; logits have not. Probabilities below the smallest normal
    /// number count as that number: a loss is at most 87 in `f32`.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{CrossEntropy, Loss, LossExt};
    /// use gradus_tensor::Tensor;
    /// let (x, labels) = (Var::leaf(Tensor::from([[-1.0f64, 2.0, 0.5]])), Tensor::from([1i64]));
    /// let loss = CrossEntropy::from_probabilities().loss(&x.softmax(1), &labels);
    /// assert!((loss.item() - x.cross_entropy(&labels).item()).abs() < 1e-12);
    /// ```
    #[doc(alias = "from_logits")]
    pub fn from_probabilities() -> Self {
        Self { probabilities: true, ..Self::default() }
    }

    /// With a weight for each class.
    ///
    /// # Panics
    /// When one is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn weight(mut self, weight: impl Into<Vec<f64>>) -> Self {
        let weight = weight.into();
        if let Some(class) = weight.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            panic!("cross_entropy: class {class} has the weight {}; wanted a number from 0", weight[class]);
        }
        self.weight = Some(weight);
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

    fn check_weights(&self, op: &'static str, classes: usize) -> Result<(), ShapeError> {
        match &self.weight {
            Some(w) if w.len() != classes => Err(ShapeError::new(op, format!("{} class weights for {classes} classes", w.len()))),
            _ => Ok(()),
        }
    }

    /// The class weights; their number has been checked.
    fn weights<T: Float>(&self) -> Option<Tensor<T>> {
        self.weight.as_ref().map(|w| Tensor::from_vec(w.iter().map(|&w| T::lit(w)).collect(), [w.len()]))
    }

    fn check_labels_of(&self, op: &'static str, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        check_target(op, output, labels, self.ignore)?;
        self.check_weights(op, output[1])
    }

    fn divisor(&self, labels: &Tensor<i64>) -> BatchWeight {
        self.reduction.weight(divisor(labels, self.weight.as_deref(), self.ignore))
    }

    fn shares(&self, labels: &Tensor<i64>, samples: usize) -> Vec<f64> {
        shares(labels, self.weight.as_deref(), self.ignore, samples)
    }

    fn kind(&self) -> OutputKind {
        if self.probabilities { OutputKind::Probabilities } else { OutputKind::Logits }
    }

    fn check_kind<T: Float>(&self, output: &Var<T>) -> Result<(), ShapeError> {
        if self.probabilities {
            return check_distributions(output.value());
        }
        let instead = "leave out the last softmax, or write `CrossEntropy::from_probabilities()`";
        self.kind().check_origin(OP, output, instead)
    }

    /// The logarithms of the classes' probabilities.
    #[track_caller]
    fn log_probabilities<T: Float>(&self, x: &Var<T>) -> Var<T> {
        if self.probabilities { x.clamp(T::TINY.to_f64(), f64::INFINITY).ln() } else { x.log_softmax(1) }
    }
}

const OP: &str = "cross_entropy";

/// An error unless the values are probabilities that add up to 1 over axis 1, or are all 0, as padding is.
fn check_distributions<T: Float>(values: &Tensor<T>) -> Result<(), ShapeError> {
    check_probabilities(OP, values)?;
    if values.rank() < 2 {
        return Ok(()); // which the check of the target refuses
    }
    let sums = values.sum(1).to_vec();
    match sums.iter().position(|&sum| sum != T::zero() && (sum.to_f64() - 1.0).abs() > 1e-3) {
        Some(at) => {
            let detail = format!(
                "expected probabilities that add up to 1 over the classes, axis 1; those of prediction {at} add up to {}: end in a \
                 softmax over axis 1",
                sums[at]
            );
            Err(ShapeError::new(OP, detail))
        }
        None => Ok(()),
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

/// `l - (x[label] - m)` for each row of `[N, C]`, with the largest `m` and `l = ln Σ e^(x - m)`:
/// `dx = dy (softmax(x) - one_hot(label))`.
#[track_caller]
fn softmax_cross_entropy<T: Float>(x: &Var<T>, labels: &Tensor<i64>) -> Var<T> {
    apply(SoftmaxCrossEntropy { labels: labels.clone() }, &[x])
}

pub(crate) struct SoftmaxCrossEntropy {
    labels: Tensor<i64>,
}

impl<T: Float> Op<T> for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("labels", &self.labels)
    }

    fn kind(&self) -> OpKind {
        OpKind::Loss
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (y, sums) = cx.input(0).cross_entropy(&self.labels).or_panic();
        cx.save(sums);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (x, gy) = (cx.input(0), cx.gy());
        if cx.is_differentiable() {
            let hit = Var::constant(self.labels.one_hot(x.shape()[1]));
            return (x.softmax(1) - hit).mul_no_nan(&gy.unsqueeze(1)).into();
        }
        let sums = cx.residuals::<[Tensor<T>; 2]>();
        Var::constant(x.value().cross_entropy_grad(&self.labels, sums, gy.value()).or_panic()).into()
    }
}

impl<T: Float> Sampled<T> for SoftmaxCrossEntropy {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("softmax_cross_entropy", |rng| {
            let (rows, classes) = (1 + rng.below(3), 1 + rng.below(4));
            let (x, labels) = (draw::of_shape(rng, [rows, classes]), Tensor::randint([rows], 0, classes as i64, rng));
            Case::new([x], move |v| softmax_cross_entropy(&v[0], &labels))
        })]
    }
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
        (Some(w), Some(mask)) => Some(w.index_select(0, &safe).masked_fill(&mask, 0.0)),
    };
    (safe, weights)
}

#[compiled_once]
impl<T: Float> Loss<T, Tensor<i64>> for CrossEntropy {
    #[track_caller]
    fn loss(&self, output: &Var<T>, labels: &Tensor<i64>) -> Var<T> {
        self.check_labels_of(OP, output.shape(), labels).or_panic();
        self.check_kind(output).or_panic();
        let x = rows(output);
        let classes = x.shape()[1];
        let weight = self.weights::<T>();
        let (safe, sample_weight) = sample_weights(labels, weight.as_ref(), self.ignore);
        let losses = if self.probabilities {
            -self.log_probabilities(&x.gather(1, &safe.unsqueeze(1)).reshape([-1]))
        } else {
            softmax_cross_entropy(&x, &safe)
        };
        let mut losses = weighted(losses, sample_weight.as_ref());
        if self.smoothing > 0.0 {
            let mut spread = -self.log_probabilities(&x);
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

    fn weight(&self, labels: &Tensor<i64>, _: usize) -> BatchWeight {
        self.divisor(labels)
    }

    fn sample_weights(&self, labels: &Tensor<i64>, samples: usize) -> Vec<f64> {
        self.shares(labels, samples)
    }

    fn check(&self, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        self.check_labels_of(OP, output, labels)
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        self.check_kind(output)
    }

    fn output_kind(&self) -> OutputKind {
        self.kind()
    }

    fn ignored_label(&self) -> Option<i64> {
        self.ignore
    }
}

impl CrossEntropy {
    #[track_caller]
    fn of_distributions<T: Float>(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
        self.check_distributions_of(output.shape(), target.shape()).or_panic();
        self.check_kind(output).or_panic();
        let classes = output.shape()[1];
        let mut target = target.clone();
        if self.smoothing > 0.0 {
            target = target * (1.0 - self.smoothing) + self.smoothing / classes as f64;
        }
        if let Some(w) = self.weights::<T>() {
            let mut per_class = vec![1; output.rank()];
            per_class[1] = classes;
            target = target * w.reshape(&per_class[..]);
        }
        self.reduction.apply(-self.log_probabilities(output).mul_no_nan(&Var::constant(target)).sum(1))
    }

    fn check_distributions_of(&self, output: &[usize], target: &[usize]) -> Result<(), ShapeError> {
        if output == target && output.len() >= 2 {
            return self.check_weights(OP, output[1]);
        }
        let detail = format!("probabilities of shape {target:?} for input {output:?}; wanted [N, C] or [N, C, d…] twice");
        Err(ShapeError::new(OP, detail))
    }
}

/// One implementation an element type: a generic one could, as far as the compiler knows, overlap with class indices.
macro_rules! of_distributions {
    ($($t:ty),*) => {$(
        impl Loss<$t, Tensor<$t>> for CrossEntropy {
            #[inline] // not compiled but where it is used
            #[track_caller]
            fn loss(&self, output: &Var<$t>, target: &Tensor<$t>) -> Var<$t> {
                self.of_distributions(output, target)
            }
            fn weight(&self, target: &Tensor<$t>, _: usize) -> BatchWeight {
                let classes = target.shape().get(1).copied().unwrap_or(1).max(1);
                self.reduction.weight((target.numel() / classes) as f64)
            }
            fn check(&self, output: &[usize], target: &Tensor<$t>) -> Result<(), ShapeError> {
                self.check_distributions_of(output, target.shape())
            }
            fn check_output(&self, output: &Var<$t>) -> Result<(), ShapeError> {
                self.check_kind(output)
            }
            fn output_kind(&self) -> OutputKind {
                self.kind()
            }
        }
    )*};
}
of_distributions!(f32, f64);

/// Negative log-likelihood from log-probabilities `[N, C]` or `[N, C, d…]` and class indices `[N, d…]`: `-w x[label]`.
///
/// The output must be log-probabilities, as a [`LogSoftmax`](crate::LogSoftmax) gives them; of logits, [`CrossEntropy::new`] is
/// the same loss, and of probabilities [`CrossEntropy::from_probabilities`].
#[doc(alias = "NLLLoss")]
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
    ///
    /// # Panics
    /// When one is negative or not finite.
    #[must_use]
    #[track_caller]
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

#[compiled_once]
impl<T: Float> Loss<T, Tensor<i64>> for Nll {
    #[track_caller]
    fn loss(&self, output: &Var<T>, labels: &Tensor<i64>) -> Var<T> {
        Loss::<T, _>::check(self, output.shape(), labels).or_panic();
        Loss::<T, Tensor<i64>>::check_output(self, output).or_panic();
        let x = rows(output);
        let weight = self.inner.weights::<T>();
        let (safe, sample_weight) = sample_weights(labels, weight.as_ref(), self.inner.ignore);
        let losses = weighted(-x.gather(1, &safe.unsqueeze(1)).reshape([-1]), sample_weight.as_ref());
        Indexed { losses, labels, sample_weight }.reduce(self.inner.reduction)
    }

    fn weight(&self, labels: &Tensor<i64>, _: usize) -> BatchWeight {
        self.inner.divisor(labels)
    }

    fn sample_weights(&self, labels: &Tensor<i64>, samples: usize) -> Vec<f64> {
        self.inner.shares(labels, samples)
    }

    fn check(&self, output: &[usize], labels: &Tensor<i64>) -> Result<(), ShapeError> {
        self.inner.check_labels_of("nll", output, labels)
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        let instead = "end in a log-softmax (`LogSoftmax(1)`), or write `CrossEntropy::new()` for logits, \
                       `CrossEntropy::from_probabilities()` for probabilities";
        OutputKind::LogProbabilities.check_origin("nll", output, instead)
    }

    fn output_kind(&self) -> OutputKind {
        OutputKind::LogProbabilities
    }

    fn ignored_label(&self) -> Option<i64> {
        self.inner.ignore
    }
}
