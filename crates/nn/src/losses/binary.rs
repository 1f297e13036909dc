//! Binary cross-entropy.

use super::{BatchWeight, Loss, OutputKind, Reduction, check_same_shape};
use crate::output_kind::check_probabilities;
use crate::samples::apply;
use gradus_autograd::samples::{Case, OpSample, Sampled, draw};
use gradus_autograd::{ForwardContext, Gradients, Op, OpKind, Saves, Var, VjpContext};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::broadcast_shapes;
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// Binary cross-entropy from logits `x`, elementwise: `-w (p t ln σ(x) + (1 - t) ln(1 - σ(x)))` with targets `t` in 0 to 1,
/// computed without overflow or cancellation: the loss and its slope are exact however small they are.
///
/// `p` is PyTorch's `pos_weight`, the weight of the positive class; `w` its `weight`. [`Bce`] takes probabilities.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{BceWithLogits, Loss};
/// use gradus_tensor::Tensor;
/// let logits = Var::leaf(Tensor::<f64>::zeros([3]));
/// let loss = BceWithLogits::new().loss(&logits, &Tensor::from([0.0, 1.0, 1.0]));
/// assert!((loss.item() - 2f64.ln()).abs() < 1e-12);
/// ```
#[doc(alias("BinaryCrossentropy", "BCEWithLogitsLoss", "binary_cross_entropy_with_logits", "sigmoid_binary_cross_entropy"))]
#[derive(Clone, Debug, Default)]
pub struct BceWithLogits(Options);

/// Binary cross-entropy from probabilities `q`, as a sigmoid gives them, elementwise: `-w (p t ln q + (1 - t) ln(1 - q))`.
///
/// A probability that rounds to 0 or 1 has lost how sure the model is; logits have not. Probabilities below the smallest normal
/// number count as that number: a loss is at most 87 in `f32`. [`BceWithLogits`] takes logits, and is the better choice.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Bce, BceWithLogits, Loss};
/// use gradus_tensor::Tensor;
/// let (x, t) = (Var::leaf(Tensor::from([-1.0f64, 2.0])), Tensor::from([0.0, 1.0]));
/// let loss = Bce::new().loss(&x.sigmoid(), &t);
/// assert!((loss.item() - BceWithLogits::new().loss(&x, &t).item()).abs() < 1e-12);
/// ```
#[doc(alias = "BCELoss")]
#[derive(Clone, Debug, Default)]
pub struct Bce(Options);

/// What both losses can be told.
#[derive(Clone, Debug, Default)]
struct Options {
    weight: Option<Tensor<f64>>,
    pos_weight: Option<Tensor<f64>>,
    reduction: Reduction,
}

macro_rules! builders {
    ($($name:ident)*) => {
        $(
            impl $name {
                /// The mean over elements, all of equal weight.
                pub fn new() -> Self {
                    Self::default()
                }

                /// With a weight for the positive class; or for that of each column, broadcast to the output's shape.
                #[must_use]
                pub fn pos_weight(self, pos_weight: impl Into<Tensor<f64>>) -> Self {
                    Self(Options { pos_weight: Some(pos_weight.into()), ..self.0 })
                }

                /// With weights of the elements, broadcast to the output's shape. The mean still divides by the number of elements.
                #[must_use]
                pub fn weight(self, weight: impl Into<Tensor<f64>>) -> Self {
                    Self(Options { weight: Some(weight.into()), ..self.0 })
                }

                /// With another reduction.
                #[must_use]
                pub fn reduction(self, reduction: Reduction) -> Self {
                    Self(Options { reduction, ..self.0 })
                }
            }
        )*
    };
}
builders!(BceWithLogits Bce);

/// Weights as numbers of type `T`, if they broadcast to `shape`.
fn weights<T: Float>(op: &'static str, weight: &Tensor<f64>, shape: &[usize]) -> Result<Tensor<T>, ShapeError> {
    match broadcast_shapes(op, weight.shape(), shape) {
        Ok(s) if s == *shape => Ok(weight.cast()),
        _ => {
            let detail = format!("weights {} do not broadcast to the output {shape:?}", weight.shape());
            Err(ShapeError::new(op, detail))
        }
    }
}

impl Options {
    fn check<T: Float>(&self, op: &'static str, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
        check_same_shape(op, output, target.shape())?;
        self.weight.iter().chain(&self.pos_weight).try_for_each(|w| weights::<T>(op, w, output).map(drop))
    }

    /// The targets times the weight of the positive class.
    #[track_caller]
    fn positive<T: Float>(&self, op: &'static str, target: &Tensor<T>) -> Tensor<T> {
        match &self.pos_weight {
            Some(p) => target * &weights(op, p, target.shape()).or_panic(),
            None => target.clone(),
        }
    }

    /// The losses of the elements times their weights, reduced.
    #[track_caller]
    fn reduce<T: Float>(&self, op: &'static str, losses: Var<T>) -> Var<T> {
        let losses = match &self.weight {
            Some(w) => {
                let weights = weights(op, w, losses.shape()).or_panic();
                losses * Var::constant(weights)
            }
            None => losses,
        };
        self.reduction.apply(losses)
    }
}

const WITH_LOGITS: &str = "bce_with_logits";
const BCE: &str = "bce";

#[compiled_once]
impl<T: Float> Loss<T, Tensor<T>> for BceWithLogits {
    #[track_caller]
    fn loss(&self, x: &Var<T>, target: &Tensor<T>) -> Var<T> {
        Loss::<T, Tensor<T>>::check(self, x.shape(), target).or_panic();
        Loss::<T, Tensor<T>>::check_output(self, x).or_panic();
        let losses = weighted_softplus(x, self.0.positive(WITH_LOGITS, target), 1.0 - target);
        self.0.reduce(WITH_LOGITS, losses)
    }

    fn weight(&self, target: &Tensor<T>, _: usize) -> BatchWeight {
        self.0.reduction.weight(target.numel() as f64)
    }

    fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
        self.0.check(WITH_LOGITS, output, target)
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        OutputKind::Logits.check_origin(WITH_LOGITS, output, "leave out the last sigmoid, or write `Bce::new()`")
    }

    fn output_kind(&self) -> OutputKind {
        OutputKind::Logits
    }
}

#[compiled_once]
impl<T: Float> Loss<T, Tensor<T>> for Bce {
    #[track_caller]
    fn loss(&self, q: &Var<T>, target: &Tensor<T>) -> Var<T> {
        Loss::<T, Tensor<T>>::check(self, q.shape(), target).or_panic();
        Loss::<T, Tensor<T>>::check_output(self, q).or_panic();
        let ln = |q: &Var<T>| q.clamp(T::TINY.to_f64(), f64::INFINITY).ln();
        let positive = self.0.positive(BCE, target);
        self.0.reduce(BCE, -(Var::constant(positive) * ln(q) + Var::constant(1.0 - target) * ln(&(1.0 - q))))
    }

    fn weight(&self, target: &Tensor<T>, _: usize) -> BatchWeight {
        self.0.reduction.weight(target.numel() as f64)
    }

    fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
        self.0.check(BCE, output, target)
    }

    fn check_output(&self, output: &Var<T>) -> Result<(), ShapeError> {
        check_probabilities(BCE, output.value())
    }

    fn output_kind(&self) -> OutputKind {
        OutputKind::Probabilities
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
        "bce_with_logits"
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
        let negative = x.zip_map("bce_with_logits", a, move |x, a| times(a, (-x).maximum(T::zero())));
        let positive = x.zip_map("bce_with_logits", b, move |x, b| times(b, x.maximum(T::zero())));
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
        vec![OpSample::new("bce_with_logits", |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            let weights = |rng: &mut Rng| Tensor::<f64>::uniform(x.shape().clone(), 0.0, 2.0, rng);
            let (a, b) = (weights(rng), weights(rng));
            Case::new([x], move |v| weighted_softplus(&v[0], a.cast(), b.cast()))
        })]
    }
}
