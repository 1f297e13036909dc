//! What a layer is.

use gradus_autograd::{Module, Var};
use gradus_tensor::{Float, Rng};

/// Whether a forward pass is for training, and what randomness it may draw from. Training without
/// randomness to draw from cannot be expressed, so dropout cannot be forgotten.
#[derive(Debug)]
pub enum Mode<'a> {
    /// For evaluation: dropout passes through, normalisation uses its running statistics.
    Eval,
    /// For training.
    Train(&'a mut Rng),
}

impl Mode<'_> {
    /// Whether this is a training pass.
    pub fn is_train(&self) -> bool {
        matches!(self, Mode::Train(_))
    }
}

/// A module that turns one variable into another.
///
/// ```
/// use gradus_autograd::{Param, Var};
/// use gradus_nn::{Layer, Mode, Module};
/// use gradus_tensor::Tensor;
/// # extern crate gradus_autograd as gradus;
/// /// Multiplies by one learnt number.
/// #[derive(Module)]
/// struct Scale {
///     factor: Param,
/// }
/// impl Layer for Scale {
///     fn forward(&self, x: &Var, _: &mut Mode) -> Var {
///         x * &*self.factor
///     }
/// }
/// let scale = Scale { factor: Param::new(Tensor::scalar(2.0)) };
/// assert_eq!(scale.forward(&Tensor::from([1.5]).into(), &mut Mode::Eval).item(), 3.0);
/// ```
pub trait Layer<T: Float = f32>: Module<T> + Send + Sync {
    /// The layer's output for `x`.
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T>;

    /// `max(y, 0)` of the layer's output `y`. A [`Sequential`](crate::Sequential) asks for this when a ReLU comes next; a layer
    /// that can do both in one pass says how.
    fn forward_relu(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.forward(x, mode).relu()
    }

    /// Whether this layer is `max(x, 0)` and nothing else, so that the layer before it may do its work.
    fn is_relu(&self) -> bool {
        false
    }

    /// The layer's kind, as [`Sequential::summary`](crate::Sequential::summary) prints it.
    fn kind(&self) -> String {
        let name = std::any::type_name::<Self>();
        let name = name.split('<').next().unwrap_or(name);
        name.rsplit("::").next().unwrap_or(name).to_string()
    }
}

impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        (**self).forward(x, mode)
    }
    fn forward_relu(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        (**self).forward_relu(x, mode)
    }
    fn is_relu(&self) -> bool {
        (**self).is_relu()
    }
    fn kind(&self) -> String {
        (**self).kind()
    }
}
