//! Applying an op: the one way onto the tape.

use crate::context::{ForwardContext, Operands};
use crate::declared_inputs::Closing;
use crate::mode::{MODE, Mode};
use crate::node::{Inputs, Node, OpBox, Recorded, Residuals, ends_of};
use crate::observe::{Seen, Site, show};
use crate::op::Op;
use crate::tape_end::Cut;
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use std::mem::needs_drop;
use std::panic::Location;
use std::sync::Arc;

/// Applies an op to variables: computes its value by [`Op::forward`], and records it, for the ops of Gradus and for yours.
///
/// When no input is on the tape, or inside [`no_grad`](crate::no_grad), the result is a constant and the op is dropped.
///
/// # Panics
/// When the forward pass reads the value of a variable on the tape that the op holds, and did not get as an input: its gradient would
/// be lost.
#[track_caller]
#[inline]
pub fn apply<T: Float>(op: impl Op<T>, inputs: &[&Var<T>]) -> Var<T> {
    let mode = MODE.get();
    let mut cx = lent(inputs, mode, None);
    let y = forward(&op, &mut cx, mode);
    finish(op, inputs, y, cx.residuals, mode, Location::caller())
}

/// As [`apply`], for one operand that is handed over: [`ForwardContext::take`] gives its buffer to be written in place.
#[track_caller]
#[inline]
pub fn apply_owned<T: Float>(op: impl Op<T>, x: Var<T>) -> Var<T> {
    let (mode, at) = (MODE.get(), Location::caller());
    let recording = Var::begin(&[&x], mode);
    if (recording && op.saves().has_input(0)) || mode.observed.reads_values() {
        // The operand is read after the call.
        return apply_at(op, &[&x], at);
    }
    let Var { value, node, cut } = x;
    let mut value = Some(value);
    let mut cx = ForwardContext { operands: Operands::Owned(&mut value), residuals: None, aux: None, saving: recording };
    let y = forward(&op, &mut cx, mode);
    Var::finished_owned(&mut Some(op), node, cut, y, cx.residuals, mode, at)
}

/// As [`apply`], with what the caller has found already that the forward pass would compute: [`ForwardContext::take_found`] gives it.
#[track_caller]
#[inline]
pub fn apply_with<T: Float, R: Send + Sync + 'static>(op: impl Op<T>, inputs: &[&Var<T>], found: R) -> Var<T> {
    let mode = MODE.get();
    let mut cx = lent(inputs, mode, Some(Box::new(found)));
    let y = forward(&op, &mut cx, mode);
    finish(op, inputs, y, cx.residuals, mode, Location::caller())
}

/// As [`apply`], with the by-product of the forward pass ([`ForwardContext::set_aux`]): means that a normalisation found, the places of
/// maxima.
///
/// # Panics
/// When there is none, or one of another type; and as [`apply`].
#[track_caller]
#[inline]
pub fn apply_aux<T: Float, A: 'static>(op: impl Op<T>, inputs: &[&Var<T>]) -> (Var<T>, A) {
    let mode = MODE.get();
    let mut cx = lent(inputs, mode, None);
    let y = forward(&op, &mut cx, mode);
    let aux = cx.aux.and_then(|aux| aux.downcast().ok());
    let aux = aux.unwrap_or_else(|| panic!("`{}` has no by-product {}", op.name(), std::any::type_name::<A>()));
    (finish(op, inputs, y, cx.residuals, mode, Location::caller()), *aux)
}

/// The value of an op at other inputs than those that it was recorded with: what it says of itself computed again, and not recorded.
///
/// ```
/// use gradus_autograd::{Var, evaluate};
/// use gradus_tensor::Tensor;
/// let y = Var::leaf(Tensor::from([1.0f64, 2.0])).powf(3.0);
/// assert_eq!(evaluate(y.op().unwrap(), &[&Tensor::from([2.0])]).to_vec(), [8.0]);
/// ```
///
/// # Panics
/// When the inputs are not what the op takes; or when it was recorded by a short form for closures ([`op`](crate::op())), which keeps no
/// way to compute it.
#[track_caller]
pub fn evaluate<T: Float>(op: &dyn Op<T>, inputs: &[&Tensor<T>]) -> Tensor<T> {
    let inputs: Vec<Var<T>> = inputs.iter().map(|&x| Var::constant(x.clone())).collect();
    let inputs: Vec<&Var<T>> = inputs.iter().collect();
    let mut cx = ForwardContext { operands: Operands::Lent(&inputs), residuals: None, aux: None, saving: false };
    op.forward(&mut cx)
}

#[inline]
#[track_caller]
fn apply_at<T: Float>(op: impl Op<T>, inputs: &[&Var<T>], at: &'static Location<'static>) -> Var<T> {
    let mode = MODE.get();
    let mut cx = lent(inputs, mode, None);
    let y = forward(&op, &mut cx, mode);
    finish(op, inputs, y, cx.residuals, mode, at)
}

#[inline]
#[track_caller]
fn lent<'a, T: Float>(inputs: &'a [&'a Var<T>], mode: Mode, found: Option<Residuals>) -> ForwardContext<'a, T> {
    let saving = Var::begin(inputs, mode);
    ForwardContext { operands: Operands::Lent(inputs), residuals: found, aux: None, saving }
}

/// The op's value.
#[inline]
#[track_caller]
fn forward<T: Float, O: Op<T>>(op: &O, cx: &mut ForwardContext<'_, T>, mode: Mode) -> Tensor<T> {
    if needs_drop::<O>() && mode.recording {
        let _closing = Closing::of(op.name());
        return op.forward(cx);
    }
    // An op of plain numbers holds no variable that it could read; and where nothing is recorded, no gradient is lost.
    op.forward(cx)
}

/// An op on its way to the tape: most of the way is compiled once for all ops, and boxed it is only when it gets there.
pub(crate) trait Held<T: Float> {
    fn op(&self) -> &dyn Op<T>;
    /// The op, for the tape: this is called once.
    fn boxed(&mut self) -> OpBox<T>;
}

const RECORDED: &str = "an op is recorded once";

impl<T: Float, O: Op<T>> Held<T> for Option<O> {
    fn op(&self) -> &dyn Op<T> {
        self.as_ref().expect(RECORDED)
    }
    fn boxed(&mut self) -> OpBox<T> {
        Box::new(self.take().expect(RECORDED))
    }
}

/// Records an op that has its value; whoever looks on is shown it.
#[inline]
pub(crate) fn finish<T: Float>(
    op: impl Op<T>,
    inputs: &[&Var<T>],
    y: Tensor<T>,
    residuals: Option<Residuals>,
    mode: Mode,
    at: &'static Location<'static>,
) -> Var<T> {
    Var::finished(&mut Some(op), inputs, y, residuals, mode, at)
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// Whether an op of these inputs is recorded. Inside the forward pass of an op it may read no other variable.
    #[track_caller]
    fn begin(inputs: &[&Var<T>], mode: Mode) -> bool {
        if mode.closed {
            for x in inputs {
                x.read();
            }
        }
        mode.recording && inputs.iter().any(|x| x.node.is_some())
    }

    /// [`finish`], for every op.
    fn finished(
        op: &mut dyn Held<T>,
        inputs: &[&Var<T>],
        y: Tensor<T>,
        residuals: Option<Residuals>,
        mode: Mode,
        at: &'static Location<'static>,
    ) -> Var<T> {
        if mode.observed.is_on() {
            show_op(Site { op: op.op().name(), at }, inputs, &y);
        }
        if !(mode.recording && inputs.iter().any(|v| v.node.is_some())) {
            return Var::cut_at(y, cut_of(inputs, mode));
        }
        let saves = op.op().saves();
        let count = saves.count(inputs.len());
        let mut saved = Vec::with_capacity(count);
        if count > 0 {
            for (i, x) in inputs.iter().enumerate() {
                if saves.has_input(i) {
                    saved.push(x.value.clone());
                }
            }
            if saves.output {
                saved.push(y.clone());
            }
        }
        let mut nodes = Inputs::with_capacity(inputs.len());
        for x in inputs {
            nodes.push(x.node.clone());
        }
        let entry = Recorded::of(op.boxed(), y.shape().clone(), saved, residuals, at);
        let y = Var::on_tape(y, Arc::new(Node::new(nodes, entry)));
        if inputs.iter().any(|x| x.cut.is_some()) {
            note_ends(&y, inputs);
        }
        if mode.observed.is_on() { shown(y) } else { y }
    }

    /// As [`finished`](Self::finished), where the only operand is gone: what is left of it is its node, or where its tape ended.
    fn finished_owned(
        op: &mut dyn Held<T>,
        node: Option<Arc<Node<T>>>,
        cut: Cut,
        y: Tensor<T>,
        residuals: Option<Residuals>,
        mode: Mode,
        at: &'static Location<'static>,
    ) -> Var<T> {
        if mode.observed.is_on() {
            show_op::<T>(Site { op: op.op().name(), at }, &[], &y);
        }
        let Some(node) = node else { return Var::cut_at(y, cut) };
        if !mode.recording {
            return Var::cut_at(y, mode.cut);
        }
        let saved = if op.op().saves().output { vec![y.clone()] } else { Vec::new() };
        let mut nodes = Inputs::new();
        nodes.push(Some(node));
        let entry = Recorded::of(op.boxed(), y.shape().clone(), saved, residuals, at);
        let y = Var::on_tape(y, Arc::new(Node::new(nodes, entry)));
        if mode.observed.is_on() { shown(y) } else { y }
    }
}

/// Where the tape ended of an op's result that is not recorded.
#[inline]
fn cut_of<T: Float>(inputs: &[&Var<T>], mode: Mode) -> Cut {
    if inputs.iter().any(|x| x.node.is_some()) {
        return mode.cut;
    }
    inputs.iter().fold(Cut::NONE, |cut, x| cut.or(x.cut))
}

/// The new node knows where the tapes of its constant inputs ended.
#[cold]
fn note_ends<T: Float>(y: &Var<T>, inputs: &[&Var<T>]) {
    if let Some(node) = &y.node {
        let _ = node.extras().ends.set(ends_of(inputs));
    }
}

/// Shows an op that has its value to observers.
#[cold]
fn show_op<T: Float>(site: Site, inputs: &[&Var<T>], y: &Tensor<T>) {
    let operands: Vec<&dyn Seen> = inputs.iter().map(|x| &x.value as &dyn Seen).collect();
    show(|o| o.op_ran(site, &operands, y));
}

/// Shows a new node to observers.
#[cold]
fn shown<T: Float>(y: Var<T>) -> Var<T> {
    if let Some(node) = &y.node {
        show(|o| o.op_recorded(&|| Box::new(y.clone()), &node.extras().cost));
    }
    y
}
