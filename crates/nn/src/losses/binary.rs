//! Binary cross-entropy.

use super::{BatchWeight, Loss, OutputKind, Reduction, check_same_shape};
use crate::output_kind::check_probabilities;
use crate::samples::apply;
use gradus_autograd::samples::{Case, OpSample, Sampled, draw};
use gradus_autograd::{ForwardContext, Gradients, Op, OpKind, Saves, Var, VjpContext};
use gradus_tensor::once::compiled_once;
use gradus_tensor::shape::broadcast_shapes;
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// Binary cross-entropy, elementwise: `-w (p t ln σ(x) + (1 - t) ln(1 - σ(x)))` with targets `t` in 0 to 1, computed without
/// overflow or cancellation: the loss of logits and its slope are exact however small they are.
///
/// The output must be logits `x`, unless the loss is made by [`from_probabilities`](Self::from_probabilities). `p` is PyTorch's `pos_weight`, the weight of the positive class; `w` its `weight`.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{BinaryCrossEntropy, Loss};
/// use gradus_tensor::Tensor;
/// let logits = Var::leaf(Tensor::<f64>::zeros([3]));
/// let loss = BinaryCrossEntropy::new().loss(&logits, &Tensor::from([0.0, 1.0, 1.0]));
/// assert!((loss.item() - 2f64.ln()).abs() < 1e-12);
/// ```
#[doc(alias = "BCEWithLogitsLoss")]
#[derive(Clone, Debug, Default)]
pub struct BinaryCrossEntropy {
    weight: Option<Tensor<f64>>,
    pos_weight: Option<Tensor<f64>>,
    reduction: Reduction,
    /// The output is probabilities instead of logits.
    probabilities: bool,
}

impl BinaryCrossEntropy {
    /// The mean over elements, all of equal weight.
    pub fn new() -> Self {
        Self::default()
    }

    /// The mean over elements, from probabilities `q`, as a sigmoid gives them: `-(t ln q + (1 - t) ln(1 - q))`.
    ///
    /// A probability that rounds to 0 or 1 has lost how sure the model is; logits have not. Probabilities below the smallest normal
    /// number count as that number: a loss is at most 87 in `f32`.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{BinaryCrossEntropy, Loss};
    /// use gradus_tensor::Tensor;
    /// let (x, t) = (Var::leaf(Tensor::from([-1.0f64, 2.0])), Tensor::from([0.0, 1.0]));
    /// let loss = BinaryCrossEntropy::from_probabilities().loss(&x.sigmoid(), &t);
    /// assert!((loss.item() - BinaryCrossEntropy::new().loss(&x, &t).item()).abs() < 1e-12);
    /// ```
    #[doc(alias = "BCELoss")]
    pub fn from_probabilities() -> Self {
        Self { probabilities: true, ..Self::default() }
    }

    /// With a weight for the positive class; or for that of each column, broadcast to the output's shape.
    #[must_use]
    pub fn pos_weight(self, pos_weight: impl Into<Tensor<f64>>) -> Self {
        Self { pos_weight: Some(pos_weight.into()), ..self }
    }

    /// With weights of the elements, broadcast to the output's shape. The mean still divides by the number of elements.
    #[must_use]
    pub fn weight(self, weight: impl Into<Tensor<f64>>) -> Self {
        Self { weight: Some(weight.into()), ..self }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }
}

const OP: &str = "binary_cross_entropy";

/// Weights as numbers of type `T`, if they broadcast to `shape`.
fn weights<T: Float>(weight: &Tensor<f64>, shape: &[usize]) -> Result<Tensor<T>, ShapeError> {
    match broadcast_shapes(OP, weight.shape(), shape) {
        Ok(s) if s == *shape => Ok(weight.cast()),
        _ => {
            let detail = format!("weights {} do not broadcast to the output {shape:?}", weight.shape());
            Err(ShapeError::new(OP, detail))
        }
    }
}

#[compiled_once]
impl<T: Float> Loss<T, Tensor<T>> for BinaryCrossEntropy {
    #[track_caller]
    fn loss(&self, x: &Var<T>, target: &Tensor<T>) -> Var<T> {
        Loss::<T, Tensor<T>>::check(self, x.shape(), target).or_panic();
        Loss::<T, Tensor<T>>::check_output(self, x).or_panic();
        if self.probabilities {
            return self.of_probabilities(x, target);
        }
        let positive = match &self.pos_weight {
            Some(p) => target * &weights(p, x.shape()).or_panic(),
            None => target.clone(),
        };
        let losses = weighted_softplus(x, positive, 1.0 - target);
        self.reduce(losses)
    }

    fn weight(&self, target: &Tensor<T>, _: usize) -> BatchWeight {
        self.reduction.weight(target.numel() as f64)
    }

    fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
        check_same_shape(OP, output, target.shape())?;
        self.weight.iter().chain(&self.pos_weight).try_for_each(|w| weights::<T>(w, output).map(drop))
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        if self.probabilities {
            return check_probabilities(OP, output.value());
        }
        let instead = "leave out the last sigmoid, or write `BinaryCrossEntropy::from_probabilities()`";
        OutputKind::Logits.check_origin(OP, output, instead)
    }

    fn output_kind(&self) -> OutputKind {
        if self.probabilities { OutputKind::Probabilities } else { OutputKind::Logits }
    }
}

impl BinaryCrossEntropy {
    #[track_caller]
    fn of_probabilities<T: Float>(&self, q: &Var<T>, target: &Tensor<T>) -> Var<T> {
        let ln = |q: &Var<T>| q.clamp(T::TINY.to_f64(), f64::INFINITY).ln();
        let positive = match &self.pos_weight {
            Some(p) => target * &weights(p, q.shape()).or_panic(),
            None => target.clone(),
        };
        self.reduce(-(Var::constant(positive) * ln(q) + Var::constant(1.0 - target) * ln(&(1.0 - q))))
    }

    /// The losses of the elements times their weights, reduced.
    #[track_caller]
    fn reduce<T: Float>(&self, losses: Var<T>) -> Var<T> {
        let losses = match &self.weight {
            Some(w) => {
                let weights = weights(w, losses.shape()).or_panic();
                losses * Var::constant(weights)
            }
            None => losses,
        };
        self.reduction.apply(losses)
    }
}

/// `a softplus(-x) + b softplus(x)`, that is `-a ln σ(x) - b ln(1 - σ(x))`: `dx = (b σ(x) - a σ(-x)) dy`. Neither logarithm is
/// taken of a number near 1, and a weight of 0 takes nothing from an infinite logit.
#[track_caller]
fn weighted_softplus<T: Float>(x: &Var<T>, a: Tensor<T>, b: Tensor<T>) -> Var<T> {
    apply(WeightedSoftplus, &[x, &Var::constant(a), &Var::constant(b)])
}

/// [`weighted_softplus`] of logits and two constants.
pub(crate) struct WeightedSoftplus;

impl<T: Float> Op<T> for WeightedSoftplus {
    fn name(&self) -> &'static str {
        "binary_cross_entropy"
    }

    fn kind(&self) -> OpKind {
        OpKind::Loss
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (x, a, b) = (cx.input(0), cx.input(1), cx.input(2));
        let times = |weight: T, v: T| if weight == T::zero() { T::zero() } else { weight * v };
        // Both softplus are max(±x, 0) + ln(1 + e^-|x|).
        let common = x.map(|x| (-x.abs()).exp().ln_1p()) * &(a + b);
        let negative = x.zip_map("binary_cross_entropy", a, move |x, a| times(a, (-x).maximum(T::zero())));
        let positive = x.zip_map("binary_cross_entropy", b, move |x, b| times(b, x.maximum(T::zero())));
        common + &negative + &positive
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (x, a, b) = (cx.input(0), cx.input(1), cx.input(2));
        let slope = b * x.sigmoid() - a * (-&x).sigmoid();
        [Some(slope.mul_no_nan(cx.gy())), None, None].into()
    }
}

impl<T: Float> Sampled<T> for WeightedSoftplus {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("binary_cross_entropy", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            let weights = |rng: &mut Rng| Tensor::<f64>::uniform(x.shape().clone(), 0.0, 2.0, rng);
            let (a, b) = (weights(rng), weights(rng));
            Case::new([x], move |v| weighted_softplus(&v[0], a.cast(), b.cast()))
        })]
    }
}
