//! Activations as layers; each is the method of the same name on [`Var`].

use crate::layer::{Layer, Mode};
use crate::refuse::{refuse_input, refuse_input_of};
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, OrPanic, Shape};

macro_rules! activations {
    ($($(#[$doc:meta])* $name:ident => $f:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name;

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
                x.$f()
            }
        }
    )*};
}

/// `max(x, 0)`.
#[derive(Clone, Copy, Debug, Module)]
pub struct Relu;

#[compiled_once]
impl<T: Float> Layer<T> for Relu {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        x.relu()
    }
    fn is_relu(&self) -> bool {
        true
    }
}

activations! {
    /// `min(max(x, 0), 6)`.
    Relu6 => relu6;
    /// `x Φ(x)` (Hendrycks and Gimpel 2016).
    Gelu => gelu;
    /// `x · sigmoid(x)`.
    #[doc(alias = "swish")]
    Silu => silu;
    /// `1 / (1 + e^-x)`.
    Sigmoid => sigmoid;
    /// Hyperbolic tangent.
    Tanh => tanh;
    /// `ln(1 + e^x)`.
    Softplus => softplus;
    /// `scale · x` for `x > 0`, `scale · alpha (e^x - 1)` elsewhere (Klambauer et al. 2017).
    Selu => selu;
    /// `x Φ(x)` with `tanh` in the place of the error function: PyTorch's `GELU(approximate="tanh")`.
    GeluTanh => gelu_tanh;
    /// `x · tanh(ln(1 + e^x))` (Misra 2020).
    Mish => mish;
    /// `x / (1 + |x|)`.
    Softsign => softsign;
    /// `ln sigmoid(x)`.
    LogSigmoid => log_sigmoid;
    /// `x - tanh x`.
    Tanhshrink => tanhshrink;
    /// `min(max(x + 3, 0), 6) / 6`.
    Hardsigmoid => hardsigmoid;
    /// `x · min(max(x + 3, 0), 6) / 6` (Howard et al. 2019).
    Hardswish => hardswish;
}

/// Those with numbers, which have PyTorch's defaults.
macro_rules! activations_with_numbers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident = $default:expr),+ } => $f:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: f64,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
                x.$f($(self.$field),+)
            }
        }
    )*};
}

activations_with_numbers! {
    /// `x` for `x > 0`, `slope · x` elsewhere.
    LeakyRelu {
        /// The slope below 0; PyTorch's default is 0.01.
        slope = 0.01
    } => leaky_relu;
    /// `x` for `x > 0`, `alpha (e^x - 1)` elsewhere.
    Elu {
        /// Minus the value at minus infinity; PyTorch's default is 1.
        alpha = 1.0
    } => elu;
    /// `x` for `x > 0`, `alpha (e^(x / alpha) - 1)` elsewhere.
    Celu {
        /// Minus the value at minus infinity; PyTorch's default is 1.
        alpha = 1.0
    } => celu;
    /// `min(max(x, low), high)`.
    Hardtanh {
        /// The smallest value; PyTorch's default is -1.
        low = -1.0,
        /// The largest value; PyTorch's default is 1.
        high = 1.0
    } => hardtanh;
    /// `x` for `x > threshold`, `value` elsewhere.
    Threshold {
        /// What passes is larger; 0 unless set.
        threshold = 0.0,
        /// What takes the place of what does not pass; 0 unless set.
        value = 0.0
    } => threshold;
    /// `x` drawn towards 0 by `lambda`, and 0 within it.
    Softshrink {
        /// How far; PyTorch's default is 0.5.
        lambda = 0.5
    } => softshrink;
    /// `x`, and 0 within `-lambda..=lambda`.
    Hardshrink {
        /// What is no larger becomes 0; PyTorch's default is 0.5.
        lambda = 0.5
    } => hardshrink;
}

/// `x` for `x > 0`, `weight · x` elsewhere, the slope being learnt (He et al. 2015): one for all, or one a channel, axis 1.
///
/// ```
/// use gradus_nn::{Layer, Mode, PRelu};
/// use gradus_tensor::Tensor;
/// let y = PRelu::new(1).forward(&Tensor::from([[2.0f32, -2.0]]).into(), &mut Mode::Eval);
/// assert_eq!(y.value().to_vec(), [2.0, -0.5]);
/// ```
///
/// # Panics
/// On the forward pass, when axis 1 has another size than the number of slopes, if that is not 1.
#[derive(Clone, Debug, Module)]
pub struct PRelu<T: Float = f32> {
    /// `[slopes]`, 0.25 at first.
    pub weight: Param<T>,
}

#[compiled_once]
impl<T: Float> PRelu<T> {
    /// With this many slopes: 1, or as many as there are channels.
    pub fn new(slopes: usize) -> Self {
        Self { weight: Param::new(crate::init::constant([slopes], 0.25)) }
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for PRelu<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        let slopes = self.weight.shape()[0];
        if slopes != 1 && (x.rank() < 2 || x.shape()[1] != slopes) {
            refuse_input_of("PRelu", Some(&self.weight), format_args!("[N, {slopes}, ..]"), x)
        }
        let each: Shape = (0..x.rank()).map(|a| if a == 1 { slopes } else { 1 }).collect();
        // At 0 the slope is that of the negative side, as in PyTorch, and the slopes' gradient is 0.
        let positive = x.value().gt(0.0);
        x.where_(&positive, &(x.masked_fill(&positive, 0.0) * self.weight.reshape(&each)))
    }
}

/// The gated linear unit `a · sigmoid(b)`, where `a` and `b` are the halves of an axis (Dauphin et al. 2017).
///
/// # Panics
/// On the forward pass, when the axis cannot be halved.
#[derive(Clone, Copy, Debug, Module)]
pub struct Glu(/** The axis; negative counts from the back. */ pub isize);

#[compiled_once]
impl<T: Float> Layer<T> for Glu {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        let axis = self.0.resolve("Glu", x.rank()).or_panic();
        let size = x.shape()[axis];
        if !size.is_multiple_of(2) {
            refuse_input("Glu", format_args!("with an even size along axis {axis}"), x)
        }
        x.slice(axis, ..size / 2) * x.slice(axis, size / 2..).sigmoid()
    }
}

/// `e^-x / Σ e^-x` along an axis.
#[derive(Clone, Copy, Debug, Module)]
pub struct Softmin(/** The axis; negative counts from the back. */ pub isize);

#[compiled_once]
impl<T: Float> Layer<T> for Softmin {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        self.0.resolve("Softmin", x.rank()).or_panic();
        (-x).softmax(self.0)
    }
}

/// `e^x / Σ e^x` along an axis.
#[doc(alias = "Softmax2d")]
#[derive(Clone, Copy, Debug, Module)]
pub struct Softmax(/** The axis; negative counts from the back. */ pub isize);

#[compiled_once]
impl<T: Float> Layer<T> for Softmax {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        self.0.resolve("Softmax", x.rank()).or_panic();
        x.softmax(self.0)
    }
}

/// `x - ln Σ e^x` along an axis.
#[derive(Clone, Copy, Debug, Module)]
pub struct LogSoftmax(/** The axis; negative counts from the back. */ pub isize);

#[compiled_once]
impl<T: Float> Layer<T> for LogSoftmax {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        self.0.resolve("LogSoftmax", x.rank()).or_panic();
        x.log_softmax(self.0)
    }
}
