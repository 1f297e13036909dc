//! Recording an op: the one way onto the tape, and what a rule is given on the way back.

use crate::backward::{GradMode, Queue, Wanted};
use crate::cut::{Cut, ends_of};
use crate::mode::MODE;
use crate::seeing;
use crate::tape::{Factor, Inputs, Node, Rule, nodes_of, record};
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::panic::Location;
use std::sync::Arc;

/// What a rule is given: the gradient of the result, and what else it may read.
pub struct Pull<'a, T: Float> {
    pub(crate) gy: Option<Var<T>>,
    pub(crate) node: &'a Arc<Node<T>>,
    pub(crate) mode: GradMode,
    pub(crate) wanted: &'a Wanted,
    /// The sums so far, in a walk for plain gradients.
    pub(crate) waiting: Option<&'a mut Queue<T>>,
    /// Why the rule has no gradient to give: `grad` returns it as an error.
    pub(crate) refused: Option<String>,
}

const TAKEN: &str = "the rule took the gradient by `take_gy` before";

impl<T: Float> Pull<'_, T> {
    /// The gradient with respect to the op's result; of the result's shape.
    #[inline]
    pub fn gy(&self) -> &Var<T> {
        self.gy.as_ref().expect(TAKEN)
    }

    /// As [`gy`](Self::gy), handed over: an op that takes it by value may write into its buffer.
    ///
    /// # Panics
    /// The second time; and [`gy`](Self::gy) panics after it.
    #[inline]
    pub fn take_gy(&mut self) -> Var<T> {
        self.gy.take().expect(TAKEN)
    }

    /// The gradient that input `i` has got so far from ops recorded later, handed over; the rule must then give the sum of it
    /// and its own. For an op that reads a part of its input: many of them, as the steps of a sequence, add their parts to one
    /// gradient in place, where each would otherwise be filled up with zeros to the input's size and added whole.
    ///
    /// `None` when there is none yet, or the gradient must be differentiable: the rule then gives its own gradient alone.
    ///
    /// ```
    /// use gradus_autograd::{Var, op};
    /// use gradus_tensor::{Float, Tensor};
    /// /// The element at `i` of a vector.
    /// fn pick<T: Float>(x: &Var<T>, i: usize) -> Var<T> {
    ///     let n = x.shape()[0];
    ///     op("pick", [x], x.value().slice(0, i..=i), move |p| match p.take_sum(0) {
    ///         Some(sum) => [Some(sum.into_value().slice_add(0, i, 1, p.gy().value()).into())],
    ///         None => [Some(p.gy().pad_step(0, n, i, 1))],
    ///     })
    /// }
    /// let x = Var::leaf([1.0f64, 2.0, 3.0].into());
    /// let y = pick(&x, 0) * pick(&x, 2) + pick(&x, 2);
    /// assert_eq!(y.backward()[&x].to_vec(), [3.0, 0.0, 2.0]);
    /// ```
    pub fn take_sum(&mut self, i: usize) -> Option<Var<T>> {
        let input = self.wanted.input(self.node, i)?;
        self.waiting.as_mut()?.take(input.id)
    }

    /// The op's result, for ops made by [`op_with_output`].
    ///
    /// # Panics
    /// When the op was made by [`op`], which does not keep it.
    pub fn y(&self) -> Var<T> {
        self.node.output_var(self.mode)
    }

    /// The op's result as a variable, for a rule that has its value already and so need not have it kept.
    pub(crate) fn y_of_value(&self, value: Tensor<T>) -> Var<T> {
        Var { value, node: self.is_differentiable().then(|| self.node.clone()), cut: Cut::NONE }
    }

    /// Whether input `i` wants a gradient; a rule may skip the work for one that does not.
    #[inline]
    pub fn needs(&self, i: usize) -> bool {
        self.wanted.input(self.node, i).is_some()
    }

    /// Whether the gradients must be differentiable themselves. A rule may take a fused short cut on plain
    /// tensors when they need not; it must then give the same values.
    #[inline]
    pub fn is_differentiable(&self) -> bool {
        self.mode == GradMode::Differentiable
    }
}

/// Records an operation: `y` computed from `inputs`, with its rule. This is the one way onto the tape,
/// for the ops of Gradus and for yours.
///
/// The rule turns the gradient of the result ([`Pull::gy`]) into a gradient for each input, each of its
/// input's shape. Written with ops on [`Var`]s, it is differentiable again, to any order.
///
/// **The value must depend on nothing on the tape but `inputs`.** It is handed over finished, and nobody can see what it was
/// computed from: in `op("f", [&x], x.value() * w.value(), ..)`, `w` gets no gradient through `f`, and no error says so.
/// [`custom_op`](crate::custom_op) computes the value from its inputs and refuses any other variable: prefer it, and keep `op` for a
/// value that is there already. The gradient checker finds a parameter or an argument that is read so, as its gradient is not the
/// difference quotient.
///
/// When no input is on the tape, or inside [`no_grad`](crate::no_grad), the result is a constant and the rule is dropped.
///
/// ```
/// use gradus_autograd::{Var, op};
/// use gradus_tensor::Float;
/// /// Rounds on the way forward, passes the gradient straight through.
/// pub fn round_ste<T: Float>(x: &Var<T>) -> Var<T> {
///     op("round_ste", [x], x.value().round(), |p| [Some(p.gy().clone())])
/// }
/// let x = Var::leaf([0.6f32].into());
/// let y = round_ste(&x);
/// assert_eq!(y.item(), 1.0);
/// assert_eq!(y.backward()[&x].item(), 1.0);
/// ```
#[track_caller]
#[inline]
pub fn op<T: Float, const N: usize>(
    name: &'static str,
    inputs: [&Var<T>; N],
    y: Tensor<T>,
    pullback: impl Fn(&mut Pull<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    record_few(name, inputs, y, false, pullback)
}

/// As [`op`], for a rule that reads the op's own result through [`Pull::y`]. Capturing the result in the
/// rule instead would make it a constant to second derivatives.
#[track_caller]
#[inline]
pub fn op_with_output<T: Float, const N: usize>(
    name: &'static str,
    inputs: [&Var<T>; N],
    y: Tensor<T>,
    pullback: impl Fn(&mut Pull<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    record_few(name, inputs, y, true, pullback)
}

#[track_caller]
#[inline]
fn record_few<T: Float, const N: usize>(
    name: &'static str,
    inputs: [&Var<T>; N],
    y: Tensor<T>,
    keep_output: bool,
    pullback: impl Fn(&mut Pull<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    if !records(name, &inputs, &y, Location::caller()) {
        return Var::cut_at(y, cut_of(&inputs));
    }
    let rule = Rule::Pullback(Box::new(move |p, grads| grads.extend(pullback(p))));
    seen(noted(record(name, nodes_of(&inputs), y, keep_output, rule, Location::caller()), &inputs))
}

/// As [`op`], for any number of inputs known at run time only.
#[track_caller]
pub fn op_of_many<T: Float>(
    name: &'static str,
    inputs: &[&Var<T>],
    y: Tensor<T>,
    pullback: impl Fn(&mut Pull<'_, T>) -> Vec<Option<Var<T>>> + Send + Sync + 'static,
) -> Var<T> {
    record_many(name, inputs, y, false, pullback)
}

/// As [`op_with_output`], for any number of inputs known at run time only.
#[track_caller]
pub fn op_of_many_with_output<T: Float>(
    name: &'static str,
    inputs: &[&Var<T>],
    y: Tensor<T>,
    pullback: impl Fn(&mut Pull<'_, T>) -> Vec<Option<Var<T>>> + Send + Sync + 'static,
) -> Var<T> {
    record_many(name, inputs, y, true, pullback)
}

#[track_caller]
fn record_many<T: Float>(
    name: &'static str,
    inputs: &[&Var<T>],
    y: Tensor<T>,
    keep_output: bool,
    pullback: impl Fn(&mut Pull<'_, T>) -> Vec<Option<Var<T>>> + Send + Sync + 'static,
) -> Var<T> {
    if !records(name, inputs, &y, Location::caller()) {
        return Var::cut_at(y, cut_of(inputs));
    }
    let rule = move |p: &mut Pull<'_, T>, grads: &mut Vec<Option<Var<T>>>| {
        grads.extend(pullback(p));
        let (given, wanted) = (grads.len(), p.node.inputs.len());
        assert!(given == wanted, "the rule of `{name}` (called at {}) gave {given} gradients for {wanted} inputs", p.node.at);
    };
    seen(noted(record(name, nodes_of(inputs), y, keep_output, Rule::Pullback(Box::new(rule)), Location::caller()), inputs))
}

/// Whether the op is to be recorded; whoever looks on is shown it.
#[inline]
fn records<T: Float>(name: &'static str, inputs: &[&Var<T>], y: &Tensor<T>, at: &'static Location<'static>) -> bool {
    let mode = MODE.get();
    if mode.seeing.is_on() {
        seeing::see_forward(mode.seeing, name, inputs, y, at);
    }
    mode.recording && inputs.iter().any(|v| v.node.is_some())
}

/// As [`op`], for a function of one operand and a number, which multiplies gradients by `factor`. The operand's value is handed to
/// `f` to be written in place when nobody else holds it.
#[track_caller]
#[inline]
pub(crate) fn op_scaled<T: Float>(
    name: &'static str,
    x: Var<T>,
    f: impl FnOnce(Tensor<T>) -> Tensor<T>,
    factor: Factor,
) -> Var<T> {
    let (mode, at) = (MODE.get(), Location::caller());
    // The operand is read after the call.
    let read = mode.seeing.reads_values().then(|| x.clone());
    let Var { value, node, cut } = x;
    let y = f(value);
    if mode.seeing.is_on() {
        seeing::see_forward(mode.seeing, name, read.as_ref().as_slice(), &y, at);
    }
    let Some(node) = node else { return Var::cut_at(y, cut) };
    if !mode.recording {
        return Var::cut_at(y, mode.cut);
    }
    let mut inputs = Inputs::new();
    inputs.push(Some(node));
    seen(record(name, inputs, y, false, Rule::Scaled(factor), at))
}

/// Where the tape ended of an op's result that is not recorded.
#[inline]
fn cut_of<T: Float>(inputs: &[&Var<T>]) -> Cut {
    if inputs.iter().any(|x| x.node.is_some()) {
        return MODE.get().cut;
    }
    inputs.iter().fold(Cut::NONE, |cut, x| cut.or(x.cut))
}

/// A new node, which knows where the tapes of its constant inputs ended.
#[inline]
fn noted<T: Float>(y: Var<T>, inputs: &[&Var<T>]) -> Var<T> {
    if inputs.iter().any(|x| x.cut.is_some()) {
        note_ends(&y, inputs);
    }
    y
}

#[cold]
fn note_ends<T: Float>(y: &Var<T>, inputs: &[&Var<T>]) {
    if let Some(node) = &y.node {
        let _ = node.extras().ends.set(ends_of(inputs));
    }
}

/// Shows a new node to whoever looks on.
#[inline]
fn seen<T: Float>(y: Var<T>) -> Var<T> {
    if MODE.get().seeing.is_on()
        && let Some(node) = &y.node
    {
        seeing::see_node(&y, node);
    }
    y
}
