//! Tangents carried forward along the tape.
//!
//! An op's forward rule is derived from its pullback, of which it is the adjoint. Three cases, the cheapest first:
//! a rule given with [`Var::with_jvp`]; a symmetric Jacobian, as of every elementwise op, whose pullback is the
//! pushforward; else the pullback differentiated: it is linear in the gradient `v` that it is given, so the derivative
//! of `⟨pullback(v), u⟩` by `v` is the Jacobian times `u` (Townsend 2017, "A new trick for calculating Jacobian vector
//! products").

use super::recorded::Recorded;
use crate::backward::{GradMode, Wanted, checked, gradients};
use crate::checkpoint::replay;
use crate::mode::{enable_grad, unrecorded};
use crate::op::Pull;
use crate::tape::{Node, Rule};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::{Float, Tensor};
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) type Forward<T> = Box<dyn Fn(&Push<'_, T>) -> Var<T> + Send + Sync>;
type Tangents<T> = SmallVec<[Option<Var<T>>; 2]>;

/// What a forward rule is given ([`Var::with_jvp`]): the inputs' tangents.
pub struct Push<'a, T: Float> {
    tangents: &'a Tangents<T>,
    node: &'a Arc<Node<T>>,
    mode: GradMode,
}

impl<T: Float> Push<'_, T> {
    /// The tangent of input `i`, of its shape; `None` for zero.
    pub fn tangent(&self, i: usize) -> Option<&Var<T>> {
        self.tangents[i].as_ref()
    }

    /// The result's tangent for a function of two operands `a` and `b` that is linear in each: `f(da, b) + f(a, db)`.
    pub(crate) fn product_rule(&self, a: &Var<T>, b: &Var<T>, f: impl Fn(&Var<T>, &Var<T>) -> Var<T>) -> Var<T> {
        match (self.tangent(0), self.tangent(1)) {
            (Some(da), Some(db)) => f(da, b) + f(a, db),
            (Some(da), None) => f(da, b),
            (None, db) => f(a, db.expect("one of the operands moves")),
        }
    }

    /// The op's result, for ops made by [`op_with_output`](crate::op_with_output).
    ///
    /// # Panics
    /// When the op was made by [`op`](crate::op), which does not keep it.
    pub fn y(&self) -> Var<T> {
        self.node.output_var(self.mode)
    }
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// Gives the op that made this variable a forward rule of its own, for [`jvp`](crate::jvp) and what is made of it:
    /// the result's tangent from those of the inputs. Without one the rule is derived from the pullback, so this is
    /// for speed only. Write it in ops on variables, so that it is differentiable.
    ///
    /// Does nothing on a constant; a rule given before stays.
    ///
    /// ```
    /// use gradus_autograd::{Var, jvp, op};
    /// /// Running sums; forward they cost one pass and not three.
    /// fn running(x: &Var<f64>) -> Var<f64> {
    ///     op("running", [x], x.value().cumsum(0), |p| [Some(p.gy().flip(0).cumsum(0).flip(0))])
    ///         .with_jvp(|p| p.tangent(0).expect("the only input moves").cumsum(0))
    /// }
    /// let x = Var::from(gradus_tensor::Tensor::from([1.0, 2.0, 3.0]));
    /// let u = Var::from(gradus_tensor::Tensor::from([1.0, 0.0, 1.0]));
    /// assert_eq!(jvp(running, &x, &u).1.value().to_vec(), [1.0, 1.0, 2.0]);
    /// ```
    pub fn with_jvp(self, rule: impl Fn(&Push<'_, T>) -> Var<T> + Send + Sync + 'static) -> Self {
        if let Some(node) = &self.node {
            let _ = node.extras().forward.set(Box::new(rule));
        }
        self
    }

    /// Says that the op that made this variable has a symmetric Jacobian, as every elementwise op of one operand has:
    /// then its pullback serves [`jvp`](crate::jvp) as it stands.
    ///
    /// # Panics
    /// When the op has not one input, of the result's shape.
    #[track_caller]
    pub fn with_symmetric_jacobian(self) -> Self {
        if let Some(node) = &self.node {
            let fits = matches!(&node.inputs[..], [Some(x)] if x.shape == node.shape);
            assert!(fits, "with_symmetric_jacobian: `{}` has not one input of its result's shape {}", node.name, node.shape);
        }
        self.symmetric()
    }

    /// As [`with_symmetric_jacobian`](Self::with_symmetric_jacobian), unchecked.
    #[inline]
    pub(crate) fn symmetric(self) -> Self {
        if let Some(node) = &self.node {
            node.symmetric.store(true, Ordering::Relaxed);
        }
        self
    }
}

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
fn push_along<T: Float>(nodes: &[Arc<Node<T>>], tangents: &mut HashMap<u64, Var<T>>, mode: GradMode) {
    for node in nodes {
        let us: Tangents<T> = node.inputs.iter().map(|i| tangents.get(&i.as_ref()?.id).cloned()).collect();
        if us.iter().all(Option::is_none) {
            continue;
        }
        let tangent = match &node.rule {
            Some(Rule::Replay(segment)) => push_again(node, segment, tangents, mode),
            _ => push_through(node, us, mode),
        };
        if let Some(u) = tangent {
            tangents.insert(node.id, u);
        }
    }
}

/// The tangent of a checkpoint's result, carried along what its segment records.
fn push_again<T: Float>(
    node: &Node<T>,
    segment: &dyn Fn() -> Var<T>,
    tangents: &mut HashMap<u64, Var<T>>,
    mode: GradMode,
) -> Option<Var<T>> {
    let mut within: Vec<Arc<Node<T>>> = Vec::new();
    let root = replay(node, segment, |nodes| within.extend(nodes.values().map(|&n| n.clone())));
    let root = root.unwrap_or_else(|error| panic!("jvp: {error}"));
    push_along(&within, tangents, mode);
    let tangent = tangents.get(&root.id).cloned();
    for node in &within {
        tangents.remove(&node.id);
    }
    tangent
}

/// The tangent of a node's result; `None` for zero.
fn push_through<T: Float>(node: &Arc<Node<T>>, us: Tangents<T>, mode: GradMode) -> Option<Var<T>> {
    let tangent = if let Some(rule) = node.forward_rule() {
        Some(rule(&Push { tangents: &us, node, mode }))
    } else if node.symmetric.load(Ordering::Relaxed) || matches!(node.rule, Some(Rule::Scaled(_))) {
        let u = us[0].as_ref().expect("the only input moves");
        pull_back(node, u, mode, SmallVec::from_slice(&[true])).pop()?
    } else {
        differentiated_pullback(node, &us, mode)
    };
    if let Some(u) = &tangent {
        assert!(
            u.shape() == &node.shape,
            "the forward rule of `{}` (called at {}) gave a tangent of shape {} for a result of shape {}",
            node.name,
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
                "the rule of `{}` (called at {}) cannot be differentiated: its gradients are not computed from Pull::gy by \
                 ops on variables; write it so, or give the op a forward rule by with_jvp",
                node.name,
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

/// What the node's rule makes of the gradient `gy`, for the inputs of which a gradient is needed.
pub(crate) fn pull_back<T: Float>(node: &Arc<Node<T>>, gy: &Var<T>, mode: GradMode, needs: SmallVec<[bool; 2]>) -> Tangents<T> {
    let Some(rule) = &node.rule else { return SmallVec::new() };
    let wanted = Wanted::Inputs(needs);
    let mut pull = Pull { gy: Some(gy.clone()), node, mode, wanted: &wanted, waiting: None, refused: None };
    let mut grads = Vec::new();
    rule.pull(&mut pull, &mut grads);
    if let Some(why) = pull.refused.take() {
        panic!("jvp: {why}");
    }
    let used = grads.into_iter().enumerate();
    used.map(|(i, g)| wanted.input(node, i).map(|input| checked(node, input, g))).collect()
}
