//! Gradients of a fused op that must be differentiable themselves: of the same function made of small ops.

use crate::backward::gradients;
use crate::context::VjpContext;
use crate::mode::GradMode;
use crate::op::Gradients;
use crate::var::Var;
use gradus_tensor::Float;

/// The gradients of a fused op, which keeps its inputs, of the same one unfolded.
pub(super) fn unfolded_gradients<T: Float>(cx: &VjpContext<'_, T>, unfold: impl Fn(&[Var<T>]) -> Var<T>) -> Gradients<T> {
    // In new variables: an input may depend on another, and what it does is not this op's.
    let own: Vec<Var<T>> = (0..cx.len()).map(|i| cx.input(i)).map(|v| v.reshape(v.shape())).collect();
    let y = unfold(&own);
    let found = gradients(&y, cx.gy(), &own.iter().collect::<Vec<_>>(), GradMode::Differentiable);
    found.unwrap_or_else(|e| panic!("the ops of an unfolded form have derivatives of every order: {e}")).into()
}
