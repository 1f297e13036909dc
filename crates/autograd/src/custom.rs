//! Rules of one's own: a whole computation under one rule, and rules that can be differentiated only once.

use crate::mode::{is_grad_enabled, unrecorded};
use crate::op::{Pull, op, op_with_output};
use crate::tape::{Node, next_id};
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Records a custom operation: the value that `forward` computes from the inputs' values, with its rule.
///
/// The rule turns the gradient of the result ([`Pull::gy`]) into one for each input, each of its input's shape, as that of an
/// [`op`] does. Written in ops on [`Var`]s, it is differentiable again, to any order.
///
/// ```
/// use gradus_autograd::{Var, custom_op};
/// /// `x · eˣ`, which is its own derivative but for `eˣ`.
/// fn xexp(x: &Var<f64>) -> Var<f64> {
///     let at = x.clone();
///     custom_op("xexp", [x], |[x]| x * x.exp(), move |p| [Some(p.gy() * (&at + 1.0) * at.exp())])
/// }
/// let x = Var::leaf([1.0].into());
/// assert_eq!(xexp(&x).backward()[&x].item(), 2.0 * 1f64.exp());
/// ```
///
/// A variable that `forward` captures instead of listing it would lose its gradient without a word. So its value cannot be read
/// there:
///
/// ```should_panic
/// use gradus_autograd::{Var, custom_op};
/// let (x, w) = (Var::leaf([1.0f64].into()), Var::leaf([2.0].into()));
/// let kept = w.clone();
/// custom_op("scale", [&x], |[x]| x * w.value(), move |p| [Some(p.gy() * &kept)]);
/// ```
///
/// What is meant to be a constant is handed in as one: by [`Var::detach`], or as a tensor whose value was taken before.
///
/// # Panics
/// When `forward` reads the value of a variable on the tape that is not among `inputs`.
#[doc(alias("autograd.Function", "custom_gradient"))]
#[track_caller]
pub fn custom_op<T: Float, const N: usize>(
    name: &'static str,
    inputs: [&Var<T>; N],
    forward: impl FnOnce([&Tensor<T>; N]) -> Tensor<T>,
    pullback: impl Fn(&mut Pull<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    let y = closed(name, &inputs, || forward(inputs.map(|x| &x.value)));
    op(name, inputs, y, pullback)
}

thread_local! {
    /// Inside the forward pass of a custom op, the number of the first node that belongs to it; else 0. What is older may not be
    /// read.
    static CLOSED: Cell<u64> = const { Cell::new(0) };
    /// That op's name, and the nodes of its inputs.
    static OPEN: RefCell<(&'static str, Vec<u64>)> = const { RefCell::new(("", Vec::new())) };
}

/// Runs the forward pass of an op that may read `inputs` and what it makes itself.
fn closed<T: Float, R>(name: &'static str, inputs: &[&Var<T>], forward: impl FnOnce() -> R) -> R {
    struct Restore(u64, (&'static str, Vec<u64>));
    impl Drop for Restore {
        fn drop(&mut self) {
            CLOSED.set(self.0);
            OPEN.replace(std::mem::take(&mut self.1));
        }
    }
    if !is_grad_enabled() {
        // No gradient is recorded, and none is lost.
        return forward();
    }
    let open = (name, inputs.iter().filter_map(|x| x.id()).collect());
    let _restore = Restore(CLOSED.replace(next_id()), OPEN.replace(open));
    forward()
}

/// The value of `x` is read: not inside an op that would lose its gradient.
#[inline]
#[track_caller]
pub(crate) fn reads<T: Float>(x: &Var<T>) {
    let closed = CLOSED.get();
    if closed != 0
        && let Some(node) = &x.node
        && node.id < closed
    {
        refuse_unlisted(node);
    }
}

#[cold]
#[track_caller]
fn refuse_unlisted<T: Float>(node: &Node<T>) {
    let (name, listed) = OPEN.with_borrow(|(name, inputs)| (*name, inputs.contains(&node.id)));
    assert!(
        listed,
        "`{name}` at {}: {UNLISTED}: `{}` of shape {} made at {}; make it an input, or detach() it",
        std::panic::Location::caller(),
        node.name,
        node.shape,
        node.at
    );
}

const UNLISTED: &str = "the forward pass reads a variable that is not among its inputs, whose gradient would be lost";

/// Gives a computation a rule of its own, in place of the rules of the ops that it is made of: for gradients that are
/// cheaper, more stable or other than what automatic differentiation finds (`jax.custom_vjp`,
/// `torch.autograd.Function`, `tf.custom_gradient`).
///
/// `forward` is run once, on constants, so that nothing of it is recorded. `pullback` turns the gradient of the result
/// ([`Pull::gy`]) into one for each input, each of its input's shape; it is handed the inputs, and reads the result from
/// [`Pull::y`]. Written in ops on these, it is differentiable again, to any order. Inputs and result are kept until the
/// tape is freed; a rule that needs less of them takes less memory as an [`op`].
///
/// ```
/// use gradus_autograd::{Var, custom_vjp};
/// /// `√(x² + y²)` without NaN at the origin, where it has the gradient 0.
/// fn hypot(x: &Var<f64>, y: &Var<f64>) -> Var<f64> {
///     let safe = |r: Var<f64>| r.clamp(f64::MIN_POSITIVE, f64::MAX);
///     custom_vjp("hypot", [x, y], |[x, y]| (x.square() + y.square()).sqrt(), move |p, [x, y]| {
///         let r = safe(p.y());
///         [Some(p.gy() * x / &r), Some(p.gy() * y / &r)]
///     })
/// }
/// let (x, y) = (Var::leaf([3.0, 0.0].into()), Var::leaf([4.0, 0.0].into()));
/// let grads = hypot(&x, &y).sum(..).backward();
/// assert_eq!((grads[&x].to_vec(), grads[&y].to_vec()), (vec![0.6, 0.0], vec![0.8, 0.0]));
/// ```
///
/// # Panics
/// When `forward` reads a variable on the tape that is not among `inputs`: its gradient would be lost.
#[track_caller]
pub fn custom_vjp<T: Float, const N: usize>(
    name: &'static str,
    inputs: [&Var<T>; N],
    forward: impl FnOnce([&Var<T>; N]) -> Var<T>,
    pullback: impl Fn(&mut Pull<'_, T>, [&Var<T>; N]) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    let start = next_id();
    let constants = inputs.map(Var::untracked);
    let y = closed(name, &inputs, || forward(constants.each_ref()));
    check_closed(&format!("custom_vjp of `{name}`"), &y, start);
    let kept = inputs.map(Var::clone);
    op_with_output(name, inputs, y.into_value(), move |p| pullback(p, kept.each_ref()))
}

/// That what was computed since node `start` from constants is a constant. Recording is on, but of constants there is
/// nothing to record: what is recorded came in another way than through the inputs.
#[track_caller]
pub(crate) fn check_closed<T: Float>(name: &str, y: &Var<T>, start: u64) {
    let Some(root) = &y.node else { return };
    let (_, outer) = nodes_since(root, start);
    let found = outer.last_key_value().map_or_else(String::new, |(_, n)| format!(": `{}` made at {}", n.name, n.at));
    panic!("{name}: {UNLISTED}{found}; make it an input, or detach() it");
}

/// Nodes by their numbers.
pub(crate) type Nodes<'a, T> = BTreeMap<u64, &'a Arc<Node<T>>>;

/// The recorded nodes under `root` that were made from number `start` on, and the older ones that these were made of.
pub(crate) fn nodes_since<T: Float>(root: &Arc<Node<T>>, start: u64) -> (Nodes<'_, T>, Nodes<'_, T>) {
    let (mut inner, mut outer) = (Nodes::new(), Nodes::new());
    let mut stack = vec![root];
    while let Some(node) = stack.pop() {
        if node.id < start {
            outer.insert(node.id, node);
        } else if inner.insert(node.id, node).is_none() {
            stack.extend(node.inputs.iter().flatten());
        }
    }
    (inner, outer)
}

/// A variable that stands for a place on the tape, where no value is read.
fn place<T: Float>(node: &Arc<Node<T>>) -> Var<T> {
    Var::on_tape(Tensor::from_vec(vec![], [0]), node.clone())
}

/// Recorded behind a gradient that must not be differentiated. It has no derivative that samples could check.
const ONCE_DIFFERENTIABLE: &str = "once_differentiable";

impl<T: Float> Pull<'_, T> {
    /// For a rule that is not written in differentiable ops: runs it with recording off, and makes a second derivative
    /// through it an error, where it would otherwise be a silent zero (`torch.autograd.function.once_differentiable`).
    ///
    /// First derivatives work in either [`GradMode`](crate::GradMode). Differentiating a result of
    /// [`GradMode::Differentiable`](crate::GradMode::Differentiable) again is an error of [`grad`](crate::grad) and a
    /// panic of [`Var::backward`], which names the op and the line that called it.
    ///
    /// ```
    /// use gradus_autograd::{GradMode, Var, grad, op};
    /// let x = Var::leaf([0.5f64].into());
    /// let kept = x.value().clone();
    /// let y = op("cube", [&x], x.value().powf(3.0), move |p| {
    ///     // Plain tensors: a tape cannot see into this.
    ///     p.once_differentiable(|| [Some(Var::constant(p.gy().value() * &kept * &kept * 3.0))])
    /// });
    /// let dy = grad(&y, &[&x], GradMode::Differentiable)?.remove(0);
    /// assert_eq!(dy.item(), 0.75);
    /// let error = grad(&dy, &[&x], GradMode::Plain).unwrap_err().to_string();
    /// assert!(error.contains("`cube`"));
    /// # Ok::<(), gradus_autograd::GradError>(())
    /// ```
    pub fn once_differentiable<G: AsMut<[Option<Var<T>>]>>(&self, rule: impl FnOnce() -> G) -> G {
        let mut grads = unrecorded(rule);
        if !self.is_differentiable() {
            return grads;
        }
        let why = format!(
            "the gradient of `{}` (called at {}) cannot be differentiated again: its rule is once_differentiable",
            self.node.name, self.node.at
        );
        // The op itself stands for its inputs: the gradient depends on them even where `gy` is a constant.
        let of = place(self.node);
        for g in grads.as_mut().iter_mut().flatten() {
            let why = why.clone();
            *g = op(ONCE_DIFFERENTIABLE, [&of, self.gy()], g.value().clone(), move |p| {
                p.refuse(why.clone());
                [None, None]
            });
        }
        grads
    }

    /// Says that there is no gradient to give; what the rule then returns is not read.
    pub(crate) fn refuse(&mut self, why: String) {
        self.refused = Some(why);
    }
}
