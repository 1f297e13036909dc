//! Gradients of a fused op that must be differentiable themselves: of the same function made of small ops.

use crate::backward::{GradMode, gradients};
use crate::op::Pull;
use crate::var::Var;
use gradus_tensor::Float;

/// The gradients of a fused op, of the same one unfolded.
pub(super) fn unfolded_gradients<T: Float>(
    p: &Pull<'_, T>,
    inputs: &[Var<T>],
    unfold: impl Fn(&[Var<T>]) -> Var<T>,
) -> Vec<Option<Var<T>>> {
    // In new variables: an input may depend on another, and what it does is not this op's.
    let own: Vec<Var<T>> = inputs.iter().map(|v| v.reshape(v.shape())).collect();
    let y = unfold(&own);
    let found = gradients(&y, p.gy(), &own.iter().collect::<Vec<_>>(), GradMode::Differentiable);
    found.unwrap_or_else(|e| panic!("the ops of an unfolded form have derivatives of every order: {e}"))
}
