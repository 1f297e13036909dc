//! Squeeze-and-excitation blocks.

use super::{Conv2d, Relu, Sigmoid};
use crate::layer::{Layer, Mode};
use crate::refuse::{axes, refuse_input_of};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, Rng};

/// `y = x · gate(fc2(activation(fc1(mean of each plane))))` for pictures `[N, C, H, W]`: each channel is scaled by what all
/// channels hold on average (Hu, Shen and Sun 2018). Paths and layouts of parameters are torchvision's.
///
/// ```
/// use gradus_nn::{Hardsigmoid, Layer, Mode, SqueezeExcite};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let block: SqueezeExcite = SqueezeExcite::new(8, 2, rng).gate(Hardsigmoid);
/// let y = block.forward(&Tensor::ones([1, 8, 4, 4]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [1, 8, 4, 4]);
/// ```
///
/// # Panics
/// On the forward pass, when the input is no picture of as many channels.
#[derive(Module)]
pub struct SqueezeExcite<T: Float = f32> {
    /// `[squeezed, C, 1, 1]`.
    pub fc1: Conv2d<T>,
    /// `[C, squeezed, 1, 1]`.
    pub fc2: Conv2d<T>,
    activation: Box<dyn Layer<T>>,
    gate: Box<dyn Layer<T>>,
}

#[compiled_once]
impl<T: Float> SqueezeExcite<T> {
    /// From `channels` to `squeezed` and back, with [`Relu`] between and [`Sigmoid`] as the gate.
    pub fn new(channels: usize, squeezed: usize, rng: &mut Rng) -> Self {
        Self {
            fc1: Conv2d::new(channels, squeezed, 1, rng),
            fc2: Conv2d::new(squeezed, channels, 1, rng),
            activation: Box::new(Relu),
            gate: Box::new(Sigmoid),
        }
    }

    /// With another activation between the two; [`Silu`](crate::Silu) in EfficientNet.
    #[must_use]
    pub fn activation(self, activation: impl Layer<T> + 'static) -> Self {
        Self { activation: Box::new(activation), ..self }
    }

    /// With another gate; [`Hardsigmoid`](crate::Hardsigmoid) in MobileNetV3.
    #[must_use]
    pub fn gate(self, gate: impl Layer<T> + 'static) -> Self {
        Self { gate: Box::new(gate), ..self }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for SqueezeExcite<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let channels = self.fc1.weight.shape()[1];
        if x.rank() != 4 || x.shape()[1] != channels {
            refuse_input_of("SqueezeExcite", Some(&self.fc1.weight), axes(channels, 4), x)
        }
        const PARTS: Parts = Parts::Fixed(&[("fc1", "Conv2d"), ("activation", ""), ("fc2", "Conv2d"), ("gate", "")]);
        let scope = Scope::enter(PARTS);
        let mut y = x.mean_keep([2, 3]);
        let parts: [&dyn Layer<T>; 4] = [&self.fc1, &*self.activation, &self.fc2, &*self.gate];
        for (i, part) in parts.into_iter().enumerate() {
            scope.part(i);
            y = part.forward(&y, mode);
        }
        x * y
    }
}
