//! Dense layers.

use crate::init::{Init, default_parameters, redraw};
use crate::layer::{Layer, Mode};
use crate::refuse::refuse_input_of;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Rng};

/// `y = x Wᵀ + b` for `x` of `[.., in]`, `W` of `[out, in]`, `b` of `[out]`; starts as PyTorch's does, uniform on
/// `±1/√in`.
///
/// ```
/// use gradus_nn::{Layer, Linear, Mode};
/// use gradus_tensor::{Rng, Tensor};
/// let layer: Linear = Linear::new(3, 2, &mut Rng::seed(0));
/// let y = layer.forward(&Tensor::ones([4, 3]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [4, 2]);
/// ```
///
/// # Panics
/// On the forward pass, when the input's last axis has another size than `in`.
#[doc(alias("nn.Linear", "Dense"))]
#[derive(Clone, Debug, Module)]
pub struct Linear<T: Float = f32> {
    /// `[out, in]`.
    pub weight: Param<T>,
    /// `[out]`.
    pub bias: Option<Param<T>>,
}

#[compiled_once]
impl<T: Float> Linear<T> {
    /// From `inputs` numbers to `outputs`.
    #[track_caller]
    pub fn new(inputs: usize, outputs: usize, rng: &mut Rng) -> Self {
        let (weight, bias) = default_parameters([outputs, inputs], outputs, inputs, rng);
        Self { weight, bias }
    }

    /// With or without a bias.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        if !bias {
            self.bias = None;
        }
        self
    }

    /// With weights drawn anew; the bias becomes 0.
    #[must_use]
    #[track_caller]
    pub fn init(mut self, init: Init, rng: &mut Rng) -> Self {
        redraw(&mut self.weight, self.bias.as_mut(), init, rng);
        self
    }

    #[track_caller]
    #[inline]
    fn check(&self, x: &Var<T>) {
        let inputs = self.weight.shape()[1];
        if x.shape().last() != Some(&inputs) {
            refuse_input_of("Linear", Some(&self.weight), format_args!("[.., {inputs}]"), x)
        }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for Linear<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        self.check(x);
        x.linear(&self.weight, self.bias.as_deref())
    }
    #[track_caller]
    fn forward_relu(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        self.check(x);
        x.linear_relu(&self.weight, self.bias.as_deref())
    }
}
