//! Depthwise separable convolutions.

use super::{Conv2d, Padding, PerAxis};
use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, Rng};

/// A depthwise convolution of pictures `[N, C, H, W]`, each channel by filters of its own, and then one of 1x1 that mixes
/// the channels into `F`: with far fewer weights than a whole one (Chollet 2017). As in Keras, the only bias is at the end.
///
/// ```
/// use gradus_nn::{Layer, Mode, Module, SeparableConv2d};
/// use gradus_tensor::{Rng, Tensor};
/// let conv: SeparableConv2d = SeparableConv2d::new(16, 32, 3, &mut Rng::seed(0)).same();
/// let y = conv.forward(&Tensor::ones([1, 16, 8, 8]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [1, 32, 8, 8]);
/// assert_eq!(conv.num_parameters(), 16 * 9 + 16 * 32 + 32);
/// ```
///
/// # Panics
/// On the forward pass, as [`Conv2d`].
#[derive(Clone, Debug, Module)]
pub struct SeparableConv2d<T: Float = f32> {
    /// Weights `[C · multiplier, 1, KH, KW]`.
    pub depthwise: Conv2d<T>,
    /// Weights `[F, C · multiplier, 1, 1]`.
    pub pointwise: Conv2d<T>,
}

#[compiled_once]
impl<T: Float> SeparableConv2d<T> {
    /// From `channels` to `filters`, with one filter of `kernel` (one number, or `[rows, columns]`) a channel.
    #[track_caller]
    pub fn new(channels: usize, filters: usize, kernel: impl PerAxis<2>, rng: &mut Rng) -> Self {
        Self::with_multiplier(channels, filters, kernel, 1, rng)
    }

    /// As [`new`](Self::new), with `multiplier` filters a channel (Keras' `depth_multiplier`).
    #[track_caller]
    pub fn with_multiplier(channels: usize, filters: usize, kernel: impl PerAxis<2>, multiplier: usize, rng: &mut Rng) -> Self {
        Self {
            depthwise: Conv2d::depthwise(channels, multiplier, kernel, rng).bias(false),
            pointwise: Conv2d::new(channels.saturating_mul(multiplier), filters, 1, rng),
        }
    }

    /// With "same" padding; see [`Padding::Same`].
    #[must_use]
    pub fn same(self) -> Self {
        self.padded(Padding::Same)
    }

    /// With this many zeros on all sides: one number, or `[rows, columns]`.
    #[must_use]
    pub fn padding(self, padding: impl PerAxis<2>) -> Self {
        Self { depthwise: self.depthwise.padding(padding), ..self }
    }

    /// With padding of any kind.
    #[must_use]
    pub fn padded(self, padding: Padding) -> Self {
        Self { depthwise: self.depthwise.padded(padding), ..self }
    }

    /// With another stride.
    #[must_use]
    pub fn stride(self, stride: impl PerAxis<2>) -> Self {
        Self { depthwise: self.depthwise.stride(stride), ..self }
    }

    /// With gaps between the filters' taps.
    #[must_use]
    pub fn dilation(self, dilation: impl PerAxis<2>) -> Self {
        Self { depthwise: self.depthwise.dilation(dilation), ..self }
    }

    /// With or without the bias at the end.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        Self { pointwise: self.pointwise.bias(bias), ..self }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for SeparableConv2d<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let scope = Scope::enter(Parts::Fixed(&[("depthwise", "Conv2d"), ("pointwise", "Conv2d")]));
        scope.part(0);
        let y = self.depthwise.forward(x, mode);
        scope.part(1);
        self.pointwise.forward(&y, mode)
    }
}
