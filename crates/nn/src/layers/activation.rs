//! Activations as layers; each is the method of the same name on [`Var`].

use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::Float;

macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident => $f:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name;

        impl<T: Float> Layer<T> for $name {
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                x.$f()
            }
        }
    )*};
}

activations! {
    /// `max(x, 0)`.
    ReLU => relu;
    /// `min(max(x, 0), 6)`.
    ReLU6 => relu6;
    /// `x Φ(x)` (Hendrycks and Gimpel 2016).
    GELU => gelu;
    /// `x · sigmoid(x)`.
    SiLU => silu;
    /// `1 / (1 + e^-x)`.
    Sigmoid => sigmoid;
    /// Hyperbolic tangent.
    Tanh => tanh;
    /// `ln(1 + e^x)`.
    Softplus => softplus;
}

/// `x` for `x > 0`, `slope · x` elsewhere.
#[derive(Clone, Copy, Debug, Module)]
pub struct LeakyReLU {
    /// The slope below 0; PyTorch's default is 0.01.
    pub slope: f64,
}

impl Default for LeakyReLU {
    fn default() -> Self {
        Self { slope: 0.01 }
    }
}

impl<T: Float> Layer<T> for LeakyReLU {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.leaky_relu(self.slope)
    }
}

/// `x` for `x > 0`, `alpha (e^x - 1)` elsewhere.
#[derive(Clone, Copy, Debug, Module)]
pub struct ELU {
    /// Minus the value at minus infinity; PyTorch's default is 1.
    pub alpha: f64,
}

impl Default for ELU {
    fn default() -> Self {
        Self { alpha: 1.0 }
    }
}

impl<T: Float> Layer<T> for ELU {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.elu(self.alpha)
    }
}

/// `e^x / Σ e^x` along an axis.
#[derive(Clone, Copy, Debug, Module)]
pub struct Softmax(/** The axis; negative counts from the back. */ pub isize);

impl<T: Float> Layer<T> for Softmax {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.softmax(self.0)
    }
}

/// `x - ln Σ e^x` along an axis.
#[derive(Clone, Copy, Debug, Module)]
pub struct LogSoftmax(/** The axis; negative counts from the back. */ pub isize);

impl<T: Float> Layer<T> for LogSoftmax {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.log_softmax(self.0)
    }
}
