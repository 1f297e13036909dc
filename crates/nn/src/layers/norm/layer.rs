//! Normalisation over the last axes of each sample.

use super::{affine, in_units, standardize, units};
use crate::layer::{Layer, Mode};
use crate::refuse::refuse_input_of;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::AxisList;
use gradus_tensor::{Float, Shape, Tensor};

/// `y = (x - mean) / √(var + eps) · weight + bias`, mean and (biased) variance being those of the last axes of each sample
/// (Ba, Kiros and Hinton 2016).
///
/// ```
/// use gradus_nn::{Layer, LayerNorm, Mode};
/// use gradus_tensor::Tensor;
/// let norm: LayerNorm = LayerNorm::new([2]);
/// let y = norm.forward(&Tensor::from([[1.0, 3.0], [10.0, 30.0]]).into(), &mut Mode::Eval);
/// assert!((y.value() - &Tensor::from([[-1.0, 1.0], [-1.0, 1.0]])).abs().max(..).item() < 1e-4);
/// ```
///
/// # Panics
/// On the forward pass, when the input does not end in the normalised shape.
#[doc(alias = "LayerNormalization")]
#[derive(Clone, Debug, Module)]
pub struct LayerNorm<T: Float = f32> {
    /// Of the normalised shape, 1 at first.
    pub weight: Option<Param<T>>,
    /// Of the normalised shape, 0 at first.
    pub bias: Option<Param<T>>,
    #[module(skip)]
    shape: Shape,
    eps: f64,
}

#[compiled_once]
impl<T: Float> LayerNorm<T> {
    /// Over the last axes, which have this shape; eps is 1e-5, as in PyTorch.
    pub fn new(shape: impl Into<Shape>) -> Self {
        let weight = Some(Param::new(Tensor::ones(shape.clone())));
        let bias = Some(Param::new(Tensor::zeros(shape.clone())));
        Self { weight, bias, shape, eps: 1e-5 }
    }

    /// What is added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With or without weight and bias.
    #[must_use]
    pub fn affine(self, affine: bool) -> Self {
        let Self { weight, bias, .. } = self;
        Self { weight: weight.filter(|_| affine), bias: bias.filter(|_| affine), ..self }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for LayerNorm<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        let axes = last_axes("LayerNorm", self.weight.as_ref(), x, &self.shape);
        let (y, _, _) = standardize(x, axes, self.eps);
        affine(y, self.weight.as_deref(), self.bias.as_deref(), &self.shape)
    }
}

/// `y = x / √(mean(x²) + eps) · weight`, the mean being that over the last axes of each sample (Zhang and Sennrich 2019).
///
/// ```
/// use gradus_nn::{Layer, Mode, RmsNorm};
/// use gradus_tensor::Tensor;
/// let norm: RmsNorm = RmsNorm::new([2]);
/// let y = norm.forward(&Tensor::from([[1.0, 7.0]]).into(), &mut Mode::Eval);
/// assert!((y.value() - &Tensor::from([[0.2, 1.4]])).abs().max(..).item() < 1e-6);
/// ```
///
/// # Panics
/// On the forward pass, when the input does not end in the normalised shape.
#[doc(alias = "RMSNormalization")]
#[derive(Clone, Debug, Module)]
pub struct RmsNorm<T: Float = f32> {
    /// Of the normalised shape, 1 at first.
    pub weight: Option<Param<T>>,
    #[module(skip)]
    shape: Shape,
    eps: f64,
}

#[compiled_once]
impl<T: Float> RmsNorm<T> {
    /// Over the last axes, which have this shape; eps is the element type's precision, as in PyTorch.
    pub fn new(shape: impl Into<Shape>) -> Self {
        let weight = Some(Param::new(Tensor::ones(shape.clone())));
        Self { weight, shape, eps: T::EPSILON.to_f64() }
    }

    /// What is added to the mean square.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// With or without weight.
    #[must_use]
    pub fn affine(self, affine: bool) -> Self {
        let Self { weight, .. } = self;
        Self { weight: weight.filter(|_| affine), ..self }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for RmsNorm<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        let axes = last_axes("RmsNorm", self.weight.as_ref(), x, &self.shape);
        let squares = x.square().mean_keep(&axes);
        let y = match units(x.value(), squares.value(), &axes, self.eps) {
            None => x * (squares + self.eps).sqrt().recip(),
            Some(unit) => {
                let eps = Var::constant(in_units(self.eps, &unit));
                let x = x / Var::constant(unit);
                &x * (x.square().mean_keep(&axes) + eps).sqrt().recip()
            }
        };
        affine(y, self.weight.as_deref(), None, &self.shape)
    }
}

/// The axes that `wanted` names, the last of `x`.
#[track_caller]
fn last_axes<T: Float>(layer: &'static str, weight: Option<&Param<T>>, x: &Var<T>, wanted: &Shape) -> AxisList {
    if !x.shape().ends_with(wanted) {
        let last: String = wanted.iter().map(|n| format!(", {n}")).collect();
        refuse_input_of(layer, weight, format_args!("[..{last}]"), x)
    }
    (x.rank() - wanted.rank()..x.rank()).collect()
}
