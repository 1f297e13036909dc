//! Walking the tape: gradients.

use crate::context::{Ending, VjpContext};
use crate::error::GradError;
use crate::grads::{Grads, add_ends, why_missing};
use crate::mode::{GradMode, MODE, enable_grad, unrecorded};
use crate::node::{Node, ends_under};
use crate::observe::{Seen, Site, WalkEnd, show, unobserved};
use crate::op::{Gradients, Op};
use crate::queue::{Queue, Wanted};
use crate::tape::nodes_since;
use crate::tape_end::{Cut, End, listed};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Why `y` does not depend on `x`: where its tape ends.
fn why_independent<T: Float>(y: &Var<T>, x: &Var<T>) -> String {
    match (&x.node, &y.node) {
        (None, _) => why_missing(x, &[]),
        (_, None) if y.cut.is_some() => format!("y is a constant, computed from {}", y.cut),
        (_, None) => "y is a constant: it was computed from nothing on the tape, or from plain tensors (value(), item())".into(),
        (_, Some(root)) => match ends_under(nodes_since(root, 0).0.into_values()) {
            ends if ends.is_empty() => "no op on the tape of y has it as an input; what is computed from its value() as a plain \
                                        tensor does not count"
                .into(),
            ends => format!("the tape of y ends before it, at {}", listed(&ends)),
        },
    }
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// The gradients of this scalar with respect to all leaves. Consumes the variable, so that the tape is
    /// freed as the walk passes over it.
    ///
    /// # Panics
    /// When this has not exactly one element, or is a constant.
    #[doc(alias = "zero_grad")]
    #[track_caller]
    pub fn backward(self) -> Grads<T> {
        assert!(
            self.value.numel() == 1,
            "backward: the result has shape {}; a scalar is wanted (sum or average it, or give its gradient to backward_with)",
            self.shape()
        );
        let seed = Tensor::ones(self.shape().clone());
        self.backward_with(seed)
    }

    /// As [`backward`](Self::backward), from a given gradient with respect to this variable: the
    /// vector-Jacobian product.
    ///
    /// # Panics
    /// When the shapes differ, this is a constant, or a rule has no gradient to give.
    #[doc(alias = "grad_outputs")]
    #[track_caller]
    pub fn backward_with(self, gy: Tensor<T>) -> Grads<T> {
        assert!(
            gy.shape() == self.shape(),
            "backward: a gradient of shape {} for a result of shape {}",
            gy.shape(),
            self.shape()
        );
        let Some(node) = self.node else {
            if self.cut.is_some() {
                panic!("backward: the result is a constant, computed from {}", self.cut)
            }
            panic!("backward: the result is a constant: it was computed from no leaf, or from plain tensors (value(), item())")
        };
        drop(self.value);
        let (mut by_id, mut ends) = (HashMap::new(), Vec::new());
        let walked = unrecorded(|| {
            walk(node, Var::constant(gy), GradMode::Plain, &Wanted::All, |node, g| {
                if node.is_leaf() || node.retains_grad() {
                    by_id.insert(node.id, g.value.clone());
                }
                add_ends(&mut ends, node.ends());
            })
        });
        if let Err(error) = walked {
            panic!("backward: {error}");
        }
        Grads { by_id, ends }
    }
}

/// The gradients of a scalar `y` with respect to each of `xs`, leaves or intermediate.
///
/// Unlike [`Var::backward`] this leaves the tape in place, and does only the work that `xs` need.
/// With [`GradMode::Differentiable`] the gradients can be differentiated again.
///
/// # Errors
/// When `y` is no scalar, does not depend on one of `xs`, or a rule on the way has no gradient to give.
///
/// ```
/// use gradus_autograd::{GradMode, Var, grad};
/// let x = Var::leaf([2.0f64].into());
/// let y = x.powf(3.0).sum(..);
/// let dy = grad(&y, &[&x], GradMode::Differentiable)?.remove(0);
/// assert_eq!(dy.item(), 12.0);
/// let ddy = grad(&dy.sum(..), &[&x], GradMode::Plain)?.remove(0);
/// assert_eq!(ddy.item(), 12.0);
/// # Ok::<(), gradus_autograd::GradError>(())
/// ```
#[doc(alias("autograd.grad", "retain_graph"))]
#[track_caller]
pub fn grad<T: Float>(y: &Var<T>, xs: &[&Var<T>], mode: GradMode) -> Result<Vec<Var<T>>, GradError> {
    if y.value.numel() != 1 {
        return Err(GradError(format!("grad: y has shape {}; a scalar is wanted, or use grad_with", y.shape())));
    }
    grad_with(y, &Var::constant(Tensor::ones(y.shape().clone())), xs, mode)
}

/// As [`grad`], from a given gradient `gy` with respect to `y`, which may be of any shape: the
/// vector-Jacobian product. It is differentiable with respect to `gy` too.
///
/// # Errors
/// When the shapes of `y` and `gy` differ, `y` does not depend on one of `xs`, or a rule on the way has no gradient to
/// give.
#[doc(alias = "grad_outputs")]
#[track_caller]
pub fn grad_with<T: Float>(y: &Var<T>, gy: &Var<T>, xs: &[&Var<T>], mode: GradMode) -> Result<Vec<Var<T>>, GradError> {
    if y.shape() != gy.shape() {
        return Err(GradError(format!("grad: a gradient of shape {} for a result of shape {}", gy.shape(), y.shape())));
    }
    let unreachable = |i: usize| {
        GradError(format!("grad: y does not depend on xs[{i}] (shape {}): {}", xs[i].shape(), why_independent(y, xs[i])))
    };
    let mut grads = gradients(y, gy, xs, mode)?;
    if mode == GradMode::Plain {
        let cut = Cut::here(End::PlainGrad);
        grads.iter_mut().flatten().for_each(|g| g.cut = cut);
    }
    grads.into_iter().enumerate().map(|(i, g)| g.ok_or_else(|| unreachable(i))).collect()
}

/// What [`gradients`] gives: `None` where `y` does not depend on an `x`.
pub(crate) type Found<T> = Result<Vec<Option<Var<T>>>, GradError>;

/// As [`grad_with`], with `None` where `y` does not depend on an `x`.
pub(crate) fn gradients<T: Float>(y: &Var<T>, gy: &Var<T>, xs: &[&Var<T>], mode: GradMode) -> Found<T> {
    let mut found: BTreeMap<u64, Option<Var<T>>> = xs.iter().filter_map(|x| Some((x.id()?, None))).collect();
    if let Some(root) = &y.node {
        let leads = leading_to(root, &found);
        if leads.contains(&root.id) {
            let seed = if mode == GradMode::Plain { gy.untracked() } else { gy.clone() };
            let wanted = Wanted::Leading(RefCell::new(leads));
            let mut run = || {
                walk(root.clone(), seed.clone(), mode, &wanted, |node, g| {
                    if let Some(slot) = found.get_mut(&node.id) {
                        *slot = Some(g.clone());
                    }
                })
            };
            match mode {
                GradMode::Plain => unrecorded(run),
                GradMode::Differentiable => enable_grad(&mut run),
            }?;
        }
    }
    Ok(xs.iter().map(|x| found.get(&x.id()?)?.clone()).collect())
}

/// Whether a gradient `seed` of `y` reaches a leaf, as anything but 0, on a path that does not pass the node of number `except`.
/// A leaf depends on nothing.
pub(crate) fn reaches_past<T: Float>(y: &Var<T>, seed: Tensor<T>, except: u64) -> bool {
    let Some(root) = y.node.as_ref().filter(|root| root.id != except && !root.is_leaf()) else { return false };
    let (nodes, _) = nodes_since(root, 0);
    let wanted = Wanted::Leading(RefCell::new(nodes.into_keys().filter(|&id| id != except).collect()));
    let mut reached = false;
    let look = |node: &Node<T>, g: &Var<T>| reached |= node.is_leaf() && !g.value.eq(0.0).all();
    let walked = unrecorded(|| walk(root.clone(), Var::constant(seed), GradMode::Plain, &wanted, look));
    reached || walked.is_err()
}

/// The nodes under `root` from which a path leads to one of `targets`.
fn leading_to<T: Float>(root: &Arc<Node<T>>, targets: &BTreeMap<u64, Option<Var<T>>>) -> HashSet<u64> {
    // Inputs are older than what is made of them: nothing older than every target leads to one.
    let oldest = *targets.keys().next().unwrap_or(&0);
    let (newer, _) = nodes_since(root, oldest);
    let mut leads = HashSet::with_capacity(newer.len());
    for (id, node) in newer {
        if targets.contains_key(&id) || node.inputs.iter().flatten().any(|i| leads.contains(&i.id)) {
            leads.insert(id);
        }
    }
    leads
}

/// Walks from `root` to older nodes, newest first, so that each gradient is complete when its node is
/// reached. `visit` sees every complete gradient.
fn walk<T: Float>(
    root: Arc<Node<T>>,
    seed: Var<T>,
    mode: GradMode,
    wanted: &Wanted,
    mut visit: impl FnMut(&Node<T>, &Var<T>),
) -> Result<(), GradError> {
    let _end = MODE.get().observed.is_on().then_some(WalkEnd);
    let mut queue = Queue::new(root, seed);
    while let Some((node, mut gy)) = queue.pop_newest() {
        node.run_hooks(&mut gy);
        visit(&node, &gy);
        let Some(op) = node.op() else { continue };
        let waiting = (mode == GradMode::Plain).then_some(&mut queue);
        let mut cx = VjpContext::new(gy, &node, mode, wanted, waiting);
        let mut grads = if MODE.get().observed.is_on() { shown_rule(op, &mut cx) } else { op.vjp(&mut cx) };
        match cx.ending {
            Ending::Gradients => {}
            Ending::Refused(why) => return Err(GradError(why)),
            Ending::Resumed(root, gy) => {
                // What it recorded is newer than all that waits, and so comes next.
                queue.add(&root, gy);
                continue;
            }
        }
        let grads = grads.as_mut_slice();
        check_count(&node, grads);
        for (i, g) in grads.iter_mut().enumerate() {
            if let Some(input) = wanted.input(&node, i) {
                queue.add(input, checked(&node, input, g.take()));
            }
        }
    }
    Ok(())
}

/// Runs a rule before observers. What it does is its op's, and its own ops are on no line of the user's, so they are not shown.
#[cold]
fn shown_rule<T: Float>(op: &dyn Op<T>, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
    let (site, gy) = (Site { op: op.name(), at: cx.node.at }, cx.gy().value.clone());
    show(|o| o.rule_begins(site));
    let mut grads = unobserved(|| op.vjp(cx));
    let seen: Vec<Option<&dyn Seen>> = grads.as_mut_slice().iter().map(|g| Some(&g.as_ref()?.value as &dyn Seen)).collect();
    show(|o| o.rule_ran(site, &gy, &seen));
    grads
}

/// That a rule gave a gradient, or `None`, for each input.
#[inline]
pub(crate) fn check_count<T: Float>(node: &Node<T>, grads: &[Option<Var<T>>]) {
    let (given, wanted) = (grads.len(), node.inputs.len());
    assert!(given == wanted, "the rule of `{}` (called at {}) gave {given} gradients for {wanted} inputs", node.name(), node.at);
}

/// The gradient that a rule gave for an input that needs one: present, and of the input's shape.
#[inline]
pub(crate) fn checked<T: Float>(node: &Node<T>, input: &Node<T>, g: Option<Var<T>>) -> Var<T> {
    let Some(g) = g else {
        panic!(
            "the rule of `{}` (called at {}) gave no gradient for an input of shape {} that needs one",
            node.name(),
            node.at,
            input.shape
        )
    };
    assert!(
        g.shape() == &input.shape,
        "the rule of `{}` (called at {}) gave a gradient of shape {} for an input of shape {}{}",
        node.name(),
        node.at,
        g.shape(),
        input.shape,
        if broadcasts(&input.shape, g.shape()) { "; the input was broadcast: add its gradient up by sum_to" } else { "" }
    );
    g
}

/// Whether the one shape broadcasts to the other.
fn broadcasts(from: &[usize], to: &[usize]) -> bool {
    from.len() <= to.len() && from.iter().rev().zip(to.iter().rev()).all(|(a, b)| a == b || *a == 1)
}
