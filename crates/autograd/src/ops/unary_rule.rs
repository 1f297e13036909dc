//! What a differentiable function of one element is.

use crate::attributes::Attributes;
use crate::calculus::Calculus;
use gradus_tensor::{Float, Real, Tensor};

/// What a derivative formula reads, and so what the tape keeps.
#[doc(hidden)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    Nothing,
    Input,
    Output,
}

/// A differentiable function of one element: the value, and the derivative in terms of the input or the
/// output. Apply it with [`Var::apply`](crate::Var::apply).
pub trait UnaryRule: Copy + Send + Sync + 'static {
    /// The op's name on the tape.
    const NAME: &'static str;
    #[doc(hidden)]
    const READS: Reads = Reads::Input;
    /// The function's parameters.
    fn attributes(self) -> Attributes {
        Attributes::new()
    }
    /// `y = f(x)`.
    fn f<S: Real>(self, x: S) -> S;
    /// `f` of each element.
    #[doc(hidden)]
    #[track_caller]
    fn value<T: Float>(self, x: &Tensor<T>) -> Tensor<T> {
        x.map(move |v| self.f(v))
    }
    /// `dy/dx` at the input `x`, whose output is `y`. Only what `READS` names is handed over; the other is
    /// the same value once more.
    fn d<S: Calculus>(self, x: &S, y: &S) -> S;
}
