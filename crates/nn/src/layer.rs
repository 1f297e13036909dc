//! What a layer is.

use gradus_autograd::{Module, Var};
use gradus_tensor::scope::{Part, Parts, Scope};
use gradus_tensor::{Float, Rng};
use std::sync::Arc;

/// Whether a forward pass is for training, and what randomness it may draw from. Training without
/// randomness to draw from cannot be expressed, so dropout cannot be forgotten.
#[doc(alias("training", "deterministic"))]
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
/// An error inside a forward pass names the layer, what it expected and what it got, and the user's line. In a container, the layer
/// has its path from there: ``Linear `features.3` at src/net.rs:41: expected input [.., 3], got [4, 5]``. A custom layer may
/// refuse an input by a [`ShapeError`](gradus_tensor::ShapeError) under its own name, and give its parts names by
/// [`named_scope`](crate::named_scope). `#[track_caller]` on its `forward` makes the user's line that which calls it.
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

/// A call through `dyn` does not know its caller's line: the scope does.
impl<T: Float, L: Layer<T> + ?Sized> Layer<T> for Box<L> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let _scope = Scope::enter(Parts::None);
        (**self).forward(x, mode)
    }
    #[track_caller]
    fn forward_relu(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let _scope = Scope::enter(Parts::None);
        (**self).forward_relu(x, mode)
    }
    fn is_relu(&self) -> bool {
        (**self).is_relu()
    }
    fn kind(&self) -> String {
        (**self).kind()
    }
}

/// Runs `f` as the part `name` of the layer that runs: an error in it has the name in its path, as one of a
/// [`Sequential`](crate::Sequential)'s layers has. For custom structs and containers, whose fields' names no error could
/// know otherwise (`jax.named_scope`, `tf.name_scope`).
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Layer, Linear, Mode, Module, named_scope};
/// # extern crate gradus_autograd as gradus;
/// # use gradus_tensor::{Rng, Tensor};
/// #[derive(Module)]
/// struct Net {
///     encoder: Linear,
///     decoder: Linear,
/// }
/// impl Layer for Net {
///     fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
///         let code = named_scope("encoder", || self.encoder.forward(x, mode)).tanh();
///         named_scope("decoder", || self.decoder.forward(&code, mode))
///     }
/// }
/// let rng = &mut Rng::seed(0);
/// let net = Net { encoder: Linear::new(4, 2, rng), decoder: Linear::new(3, 4, rng) };
/// let run = || net.forward(&Tensor::ones([1, 4]).into(), &mut Mode::Eval);
/// let error = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
/// assert!(error.downcast_ref::<String>().unwrap().starts_with("Linear `decoder`"));
/// ```
#[track_caller]
pub fn named_scope<R>(name: impl Into<String>, f: impl FnOnce() -> R) -> R {
    let part = Part { name: name.into(), kind: String::new() };
    let scope = Scope::enter(Parts::Listed(Arc::new(vec![part])));
    scope.part(0);
    f()
}
