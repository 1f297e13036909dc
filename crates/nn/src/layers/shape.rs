//! Layers that compute little: other shapes, nothing, or any closure.

use crate::layer::{Layer, Mode};
use crate::refuse::refuse_input;
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_derive::Module;
use gradus_tensor::Float;
use gradus_tensor::compiled_once::compiled_once;

/// `[N, ..]` to `[N, rest]`.
#[derive(Clone, Copy, Debug, Module)]
pub struct Flatten;

#[compiled_once]
impl<T: Float> Layer<T> for Flatten {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        if x.rank() < 2 {
            refuse_input("Flatten", "[N, ..] of 2 axes or more", x)
        }
        x.flatten(1)
    }
}

/// The input itself.
#[derive(Clone, Copy, Debug, Module)]
pub struct Identity;

#[compiled_once]
impl<T: Float> Layer<T> for Identity {
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        x.clone()
    }
}

/// A closure as a layer without parameters.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Lambda, Layer, Mode};
/// use gradus_tensor::Tensor;
/// let double = Lambda(|x: &Var| x * 2.0);
/// assert_eq!(double.forward(&Tensor::from([1.5]).into(), &mut Mode::Eval).item(), 3.0);
/// ```
pub struct Lambda<F>(/** What the layer computes. */ pub F);

impl<T: Float, F> Module<T> for Lambda<F> {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn Visitor<'a, T>) {}
    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Param<T>)) {}
}

impl<T: Float, F: Fn(&Var<T>) -> Var<T> + Send + Sync> Layer<T> for Lambda<F> {
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        (self.0)(x)
    }
}
