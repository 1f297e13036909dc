//! Tangents carried forward along the tape.
//!
//! An op's forward rule is derived from its pullback, of which it is the adjoint. Three cases, the cheapest first:
//! a rule that the op has ([`Op::jvp`](crate::Op::jvp)); a symmetric Jacobian, as of every elementwise op, whose pullback is the
//! pushforward; else the pullback differentiated: it is linear in the gradient `v` that it is given, so the derivative
//! of `⟨pullback(v), u⟩` by `v` is the Jacobian times `u` (Townsend 2017, "A new trick for calculating Jacobian vector
//! products").

use super::recorded::Recorded;
use crate::backward::{check_count, checked, gradients};
use crate::context::{Ending, JvpContext, Tangents, VjpContext};
use crate::mode::{GradMode, enable_grad, unrecorded};
use crate::node::Node;
use crate::queue::Wanted;
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;

#[compiled_once]
impl<T: Float> Recorded<T> {
    /// `Σ dy/dxᵢ · uᵢ` for each output; `None` for zero, on either side.
    pub fn push(&self, us: &[Option<&Var<T>>]) -> Vec<Option<Var<T>>> {
        let mode = self.mode(us);
        let moving = self.inputs.iter().zip(us).filter_map(|(x, u)| Some((x.id()?, (*u)?.clone())));
        let mut tangents: HashMap<u64, Var<T>> = moving.collect();
        let mut run = || {
            push_along(&self.nodes, &mut tangents, mode);
        };
        match mode {
            GradMode::Plain => unrecorded(&mut run),
            GradMode::Differentiable => enable_grad(&mut run),
        }
        self.outputs.iter().map(|y| tangents.get(&y.id()?).cloned()).collect()
    }
}

/// Finds the tangents of the results of `nodes`, oldest first.
pub(crate) fn push_along<T: Float>(nodes: &[Arc<Node<T>>], tangents: &mut HashMap<u64, Var<T>>, mode: GradMode) {
    for node in nodes {
        let us: Tangents<T> = node.inputs.iter().map(|i| tangents.get(&i.as_ref()?.id).cloned()).collect();
        if us.iter().all(Option::is_none) {
            continue;
        }
        if let Some(u) = push_through(node, us, mode) {
            tangents.insert(node.id, u);
        }
    }
}

/// The tangent of a node's result; `None` for zero.
fn push_through<T: Float>(node: &Arc<Node<T>>, us: Tangents<T>, mode: GradMode) -> Option<Var<T>> {
    let op = node.op().expect("what has inputs is an op");
    let tangent = if let Some(u) = op.jvp(&JvpContext { tangents: &us, node, mode }) {
        Some(u)
    } else if op.has_symmetric_jacobian() {
        assert!(
            matches!(&node.inputs[..], [Some(x)] if x.shape == node.shape),
            "`{}` (called at {}) says that its Jacobian is symmetric, and has not one input of its result's shape {}",
            node.name(),
            node.at,
            node.shape
        );
        let u = us[0].as_ref().expect("the only input moves");
        pull_back(node, u, mode, SmallVec::from_slice(&[true])).pop()?
    } else {
        differentiated_pullback(node, &us, mode)
    };
    if let Some(u) = &tangent {
        assert!(
            u.shape() == &node.shape,
            "the forward rule of `{}` (called at {}) gave a tangent of shape {} for a result of shape {}",
            node.name(),
            node.at,
            u.shape(),
            node.shape
        );
    }
    tangent
}

/// The derivative of `Σ ⟨pullback(v)ᵢ, uᵢ⟩` by `v`.
fn differentiated_pullback<T: Float>(node: &Arc<Node<T>>, us: &Tangents<T>, mode: GradMode) -> Option<Var<T>> {
    // Any value would do; one stored element, and not 0, so that a constant among the results can be told from zero.
    let v = Var::leaf(Tensor::full(node.shape.clone(), T::one()));
    let needs = us.iter().map(Option::is_some).collect();
    let pulled = enable_grad(|| pull_back(node, &v, GradMode::Differentiable, needs));
    let mut total: Option<Var<T>> = None;
    for (g, u) in pulled.iter().zip(us) {
        let (Some(g), Some(u)) = (g, u) else { continue };
        let part = gradients(g, u, &[&v], mode).unwrap_or_else(|error| panic!("jvp: {error}")).remove(0);
        let Some(part) = part else {
            assert!(
                g.value().eq(0.0).all(),
                "the rule of `{}` (called at {}) cannot be differentiated: its gradients are not computed from VjpContext::gy \
                 by ops on variables; write it so, or give the op a forward rule, Op::jvp",
                node.name(),
                node.at
            );
            continue;
        };
        total = Some(match total {
            Some(sum) => sum + part,
            None => part,
        });
    }
    total
}

/// What the node's rule makes of the gradient `gy`, for the inputs of which a gradient is needed. Nothing, of what has no rule of its
/// own: a leaf, a checkpoint.
pub(crate) fn pull_back<T: Float>(node: &Arc<Node<T>>, gy: &Var<T>, mode: GradMode, needs: SmallVec<[bool; 2]>) -> Tangents<T> {
    let Some(op) = node.op() else { return SmallVec::new() };
    let wanted = Wanted::Inputs(needs);
    let mut cx = VjpContext::new(gy.clone(), node, mode, &wanted, None);
    let mut grads = op.vjp(&mut cx);
    match cx.ending {
        Ending::Gradients => check_count(node, grads.as_mut_slice()),
        Ending::Refused(why) => panic!("jvp: {why}"),
        Ending::Resumed(..) => return SmallVec::new(),
    }
    let used = grads.as_mut_slice().iter_mut().enumerate();
    used.map(|(i, g)| wanted.input(node, i).map(|input| checked(node, input, g.take()))).collect()
}
