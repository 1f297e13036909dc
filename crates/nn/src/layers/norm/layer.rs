//! Normalisation over the last axes of each sample.

use crate::layer::{Layer, Mode};
use crate::refuse::refuse_input_of;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Normalization, Over, Shape, Tensor};

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
        let n = over_last("LayerNorm", self.weight.as_ref(), x, &self.shape).eps(self.eps);
        x.normalize(&n, self.weight.as_deref(), self.bias.as_deref()).0
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
        let n = over_last("RmsNorm", self.weight.as_ref(), x, &self.shape).root_mean_square().eps(self.eps);
        x.normalize(&n, self.weight.as_deref(), None).0
    }
}

/// Over the axes that `wanted` names, the last of `x`.
#[track_caller]
fn over_last<T: Float>(layer: &'static str, weight: Option<&Param<T>>, x: &Var<T>, wanted: &Shape) -> Normalization {
    if !x.shape().ends_with(wanted) {
        let last: String = wanted.iter().map(|n| format!(", {n}")).collect();
        refuse_input_of(layer, weight, format_args!("[..{last}]"), x)
    }
    Normalization::over(Over::Last(wanted.rank()))
}
