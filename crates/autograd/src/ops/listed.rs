//! Applying the ops of this crate, and no others.

use crate::sampling::Sampled;
use crate::var::Var;
use gradus_tensor::Float;

/// An op of this crate's list (`list.rs`).
pub(crate) trait Listed<T: Float>: Sampled<T> {}

/// [`apply`](crate::apply) for the ops of the list: one that is not on it does not compile.
#[track_caller]
#[inline]
pub(crate) fn apply<T: Float>(op: impl Listed<T>, inputs: &[&Var<T>]) -> Var<T> {
    crate::apply::apply(op, inputs)
}

/// [`apply_owned`](crate::apply_owned) for the ops of the list.
#[track_caller]
#[inline]
pub(crate) fn apply_owned<T: Float>(op: impl Listed<T>, x: Var<T>) -> Var<T> {
    crate::apply::apply_owned(op, x)
}

/// [`apply_with`](crate::apply_with) for the ops of the list.
#[track_caller]
#[inline]
pub(crate) fn apply_with<T: Float, R: Send + Sync + 'static>(op: impl Listed<T>, inputs: &[&Var<T>], found: R) -> Var<T> {
    crate::apply::apply_with(op, inputs, found)
}

/// [`apply_aux`](crate::apply_aux) for the ops of the list.
#[track_caller]
#[inline]
pub(crate) fn apply_aux<T: Float, A: 'static>(op: impl Listed<T>, inputs: &[&Var<T>]) -> (Var<T>, A) {
    crate::apply::apply_aux(op, inputs)
}
