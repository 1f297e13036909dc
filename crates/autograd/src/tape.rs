//! The tape: numbered nodes, and the one way to make them.

use crate::backward::{GradMode, Wanted};
use crate::derivatives::Forward;
use crate::seeing::anomaly;
use crate::var::Var;
use gradus_tensor::{Float, Shape, Tensor};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::mem;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

pub(crate) type Hook<T> = Box<dyn Fn(&Var<T>) -> Option<Var<T>> + Send + Sync>;
/// A rule; it appends a gradient for each input, `None` where none is needed.
type Pullback<T> = Box<dyn Fn(&Pull<'_, T>, &mut Vec<Option<Var<T>>>) + Send + Sync>;

/// How derivatives pass a node.
pub(crate) enum Rule<T: Float> {
    /// By a rule.
    Pullback(Pullback<T>),
    /// By the nodes of the computation that it stands for, which this records anew.
    Replay(Box<dyn Fn() -> Var<T> + Send + Sync>),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// One recorded operation. Creation order is topological order: the numbering is the tape.
pub(crate) struct Node<T: Float> {
    pub id: u64,
    pub name: &'static str,
    pub at: &'static Location<'static>,
    pub inputs: SmallVec<[Option<Arc<Node<T>>>; 2]>,
    pub shape: Shape,
    /// Kept only when the rule reads it; captured by the rule it would be a constant to second derivatives.
    pub output: Option<Tensor<T>>,
    /// `None` for a leaf.
    pub rule: Option<Rule<T>>,
    /// The Jacobian is symmetric: what the pullback makes of a tangent is the result's tangent.
    pub symmetric: AtomicBool,
    extras: OnceLock<Box<Extras<T>>>,
}

/// What few nodes have: hooks, the wish to have the gradient reported, a forward rule.
pub(crate) struct Extras<T: Float> {
    retain: AtomicBool,
    hooks: Mutex<Vec<Hook<T>>>,
    pub forward: OnceLock<Forward<T>>,
}

impl<T: Float> Extras<T> {
    pub fn retain(&self) {
        self.retain.store(true, Ordering::Relaxed);
    }

    pub fn add_hook(&self, hook: Hook<T>) {
        self.hooks.lock().unwrap_or_else(|e| e.into_inner()).push(hook);
    }
}

impl<T: Float> Node<T> {
    pub fn leaf(shape: Shape, at: &'static Location<'static>) -> Self {
        Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            name: "leaf",
            at,
            inputs: SmallVec::new(),
            shape,
            output: None,
            rule: None,
            symmetric: AtomicBool::new(false),
            extras: OnceLock::new(),
        }
    }

    pub fn is_leaf(&self) -> bool {
        self.rule.is_none()
    }

    /// The kept output; a constant unless what is made of it is to be differentiated.
    pub fn output_var(self: &Arc<Self>, mode: GradMode) -> Var<T> {
        let Some(value) = &self.output else {
            panic!("the rule of `{}` reads its output: make the op with `op_with_output`", self.name)
        };
        let node = (mode == GradMode::Differentiable).then(|| self.clone());
        Var { value: value.clone(), node }
    }

    pub fn extras(&self) -> &Extras<T> {
        let new = || Extras { retain: AtomicBool::new(false), hooks: Mutex::new(Vec::new()), forward: OnceLock::new() };
        self.extras.get_or_init(|| Box::new(new()))
    }

    pub fn forward_rule(&self) -> Option<&Forward<T>> {
        self.extras.get()?.forward.get()
    }

    pub fn retains_grad(&self) -> bool {
        self.extras.get().is_some_and(|e| e.retain.load(Ordering::Relaxed))
    }

    /// The complete gradient, as the hooks leave it.
    pub fn run_hooks(&self, mut grad: Var<T>) -> Var<T> {
        if let Some(extras) = self.extras.get() {
            for hook in extras.hooks.lock().unwrap_or_else(|e| e.into_inner()).iter() {
                if let Some(new) = hook(&grad) {
                    assert!(
                        new.shape() == &self.shape,
                        "a hook on `{}` made at {} turned a gradient of shape {} into one of shape {}",
                        self.name,
                        self.at,
                        self.shape,
                        new.shape()
                    );
                    grad = new;
                }
            }
        }
        grad
    }
}

/// So many nodes may be dropped within each other; what lies deeper waits, so that a chain of any length unwinds
/// in a loop and not in a recursion.
const DEEPEST: u32 = 16;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static WAITING: RefCell<Vec<Box<dyn Send>>> = const { RefCell::new(Vec::new()) };
}

impl<T: Float> Drop for Node<T> {
    fn drop(&mut self) {
        if self.is_leaf() {
            return;
        }
        LIVE.fetch_sub(1, Ordering::Relaxed);
        // Everything through which this may be the last owner of an older node: its links, and what its rule and its
        // hooks captured.
        let parts = (mem::take(&mut self.inputs), self.rule.take(), self.extras.take());
        let depth = DEPTH.get();
        if depth >= DEEPEST {
            let parts = Box::new(parts);
            // While a thread ends there may be no list any more: then `parts` goes here and now.
            let _ = WAITING.try_with(move |waiting| waiting.borrow_mut().push(parts));
            return;
        }
        DEPTH.set(depth + 1);
        drop(parts);
        if depth == 0 {
            while let Ok(Some(next)) = WAITING.try_with(|waiting| waiting.borrow_mut().pop()) {
                drop(next);
            }
        }
        DEPTH.set(depth);
    }
}

/// The number of the next node: all that are made from now on are this or newer.
pub(crate) fn next_id() -> u64 {
    NEXT_ID.load(Ordering::Relaxed)
}

/// How many recorded operations (leaves do not count) are alive in this process: 0 when every tape has
/// been consumed or dropped. For finding leaks.
pub fn live_nodes() -> i64 {
    LIVE.load(Ordering::Relaxed)
}

/// What this thread does with its ops.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub recording: bool,
    /// Inside [`detect_anomaly`](crate::detect_anomaly).
    pub watching: bool,
}

thread_local! {
    pub(crate) static MODE: Cell<Mode> = const { Cell::new(Mode { recording: true, watching: false }) };
}

/// Whether operations of this thread are recorded.
#[inline]
pub fn is_grad_enabled() -> bool {
    MODE.get().recording
}

struct Restore(bool);

impl Restore {
    /// Switches recording, until dropped.
    fn after(recording: bool) -> Self {
        let before = MODE.get();
        MODE.set(Mode { recording, ..before });
        Self(before.recording)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        MODE.set(Mode { recording: self.0, ..MODE.get() });
    }
}

/// Runs `f` with recording off: its results are constants.
///
/// ```
/// use gradus_autograd::{Var, no_grad};
/// let x = Var::leaf([1.0f32].into());
/// assert!(!no_grad(|| &x * 2.0).requires_grad());
/// ```
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore::after(false);
    f()
}

/// Runs `f` with recording on, inside a [`no_grad`].
pub fn enable_grad<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore::after(true);
    f()
}

/// What a rule is given: the gradient of the result, and what else it may read.
pub struct Pull<'a, T: Float> {
    pub(crate) gy: &'a Var<T>,
    pub(crate) node: &'a Arc<Node<T>>,
    pub(crate) mode: GradMode,
    pub(crate) wanted: &'a Wanted,
    /// Why the rule has no gradient to give: `grad` returns it as an error.
    pub(crate) refused: RefCell<Option<String>>,
}

impl<T: Float> Pull<'_, T> {
    /// The gradient with respect to the op's result; of the result's shape.
    #[inline]
    pub fn gy(&self) -> &Var<T> {
        self.gy
    }

    /// The op's result, for ops made by [`op_with_output`].
    ///
    /// # Panics
    /// When the op was made by [`op`], which does not keep it.
    pub fn y(&self) -> Var<T> {
        self.node.output_var(self.mode)
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
/// When no input is on the tape, or inside [`no_grad`], the result is a constant and the rule is dropped.
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
    pullback: impl Fn(&Pull<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    if !records(name, &inputs, &y, Location::caller()) {
        return Var::constant(y);
    }
    record(name, &inputs, y, false, Rule::Pullback(Box::new(move |p, grads| grads.extend(pullback(p)))), Location::caller())
}

/// As [`op`], for a rule that reads the op's own result through [`Pull::y`]. Capturing the result in the
/// rule instead would make it a constant to second derivatives.
#[track_caller]
#[inline]
pub fn op_with_output<T: Float, const N: usize>(
    name: &'static str,
    inputs: [&Var<T>; N],
    y: Tensor<T>,
    pullback: impl Fn(&Pull<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    if !records(name, &inputs, &y, Location::caller()) {
        return Var::constant(y);
    }
    record(name, &inputs, y, true, Rule::Pullback(Box::new(move |p, grads| grads.extend(pullback(p)))), Location::caller())
}

/// As [`op`], for any number of inputs known at run time only.
#[track_caller]
pub fn op_of_many<T: Float>(
    name: &'static str,
    inputs: &[&Var<T>],
    y: Tensor<T>,
    pullback: impl Fn(&Pull<'_, T>) -> Vec<Option<Var<T>>> + Send + Sync + 'static,
) -> Var<T> {
    if !records(name, inputs, &y, Location::caller()) {
        return Var::constant(y);
    }
    let rule = move |p: &Pull<'_, T>, grads: &mut Vec<Option<Var<T>>>| {
        grads.extend(pullback(p));
        let (given, wanted) = (grads.len(), p.node.inputs.len());
        assert!(given == wanted, "the rule of `{name}` (called at {}) gave {given} gradients for {wanted} inputs", p.node.at);
    };
    record(name, inputs, y, false, Rule::Pullback(Box::new(rule)), Location::caller())
}

#[inline]
fn records<T: Float>(name: &'static str, inputs: &[&Var<T>], y: &Tensor<T>, at: &'static Location<'static>) -> bool {
    let mode = MODE.get();
    if mode.watching {
        anomaly::see_forward(name, inputs, y, at);
    }
    mode.recording && inputs.iter().any(|v| v.node.is_some())
}

pub(crate) fn record<T: Float>(
    name: &'static str,
    inputs: &[&Var<T>],
    y: Tensor<T>,
    keep_output: bool,
    rule: Rule<T>,
    at: &'static Location<'static>,
) -> Var<T> {
    LIVE.fetch_add(1, Ordering::Relaxed);
    let node = Node {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        name,
        at,
        inputs: inputs.iter().map(|v| v.node.clone()).collect(),
        shape: y.shape().clone(),
        output: keep_output.then(|| y.clone()),
        rule: Some(rule),
        symmetric: AtomicBool::new(false),
        extras: OnceLock::new(),
    };
    Var { value: y, node: Some(Arc::new(node)) }
}

/// One line of a printed tape.
#[derive(Clone, Debug, PartialEq)]
pub struct TapeEntry {
    /// The node's number.
    pub id: u64,
    /// The op's name; `leaf` for a leaf.
    pub name: &'static str,
    /// The result's shape.
    pub shape: Shape,
    /// Where in the user's code the op was called.
    pub at: &'static Location<'static>,
    /// The numbers of the nodes that it was computed from; constants have none.
    pub inputs: Vec<u64>,
}

impl<T: Float> Var<T> {
    /// The recorded operations that lead to this variable, oldest first.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// let x = Var::leaf([1.0f32, 2.0].into());
    /// let y = x.exp().sum(..);
    /// let names: Vec<_> = y.tape().iter().map(|e| e.name).collect();
    /// assert_eq!(names, ["leaf", "exp", "sum"]);
    /// ```
    pub fn tape(&self) -> Vec<TapeEntry> {
        let mut seen = std::collections::BTreeMap::new();
        let mut stack: Vec<&Arc<Node<T>>> = self.node.iter().collect();
        while let Some(node) = stack.pop() {
            if seen.insert(node.id, node).is_none() {
                stack.extend(node.inputs.iter().flatten());
            }
        }
        let entry = |n: &Arc<Node<T>>| TapeEntry {
            id: n.id,
            name: n.name,
            shape: n.shape.clone(),
            at: n.at,
            inputs: n.inputs.iter().flatten().map(|i| i.id).collect(),
        };
        seen.into_values().map(entry).collect()
    }
}
