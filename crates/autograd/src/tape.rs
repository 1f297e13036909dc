//! The tape: numbered nodes.

use crate::backward::GradMode;
use crate::cut::Cut;
use crate::derivatives::Forward;
use crate::op::Pull;
use crate::seeing::recorder::Cost;
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::{Float, Shape, Tensor};
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::mem::{self, ManuallyDrop};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

pub(crate) type Hook<T> = Box<dyn Fn(&Var<T>) -> Option<Var<T>> + Send + Sync>;
/// A rule; it appends a gradient for each input, `None` where none is needed.
type Pullback<T> = Box<dyn Fn(&mut Pull<'_, T>, &mut Vec<Option<Var<T>>>) + Send + Sync>;

/// How derivatives pass a node.
pub(crate) enum Rule<T: Float> {
    /// By a rule.
    Pullback(Pullback<T>),
    /// By the nodes of the computation that it stands for, which this records anew.
    Replay(Box<dyn Fn() -> Var<T> + Send + Sync>),
    /// By a number, for the only input: no closure to make room for.
    Scaled(Factor),
}

/// What an op of one operand and a number multiplies gradients by.
#[derive(Clone, Copy)]
pub(crate) enum Factor {
    One,
    MinusOne,
    Times(f64),
    Over(f64),
}

impl Factor {
    fn apply<T: Float>(self, g: Var<T>) -> Var<T> {
        match self {
            Self::One => g,
            Self::MinusOne => -g,
            Self::Times(c) => g * c,
            Self::Over(c) => g / c,
        }
    }
}

impl<T: Float> Rule<T> {
    /// Appends a gradient for each input, `None` where none is needed.
    #[inline]
    pub fn pull(&self, p: &mut Pull<'_, T>, grads: &mut Vec<Option<Var<T>>>) {
        match self {
            Self::Pullback(pullback) => pullback(p, grads),
            Self::Scaled(factor) => grads.push(Some(factor.apply(p.take_gy()))),
            Self::Replay(_) => unreachable!("a segment is recorded anew, and its nodes have rules of their own"),
        }
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
/// How many of the numbers went to leaves, and how many to nodes that are gone: to count with these, a node that is made
/// need take no more than its number.
static LEAVES: AtomicU64 = AtomicU64::new(0);
static GONE: AtomicU64 = AtomicU64::new(0);

/// One recorded operation. Creation order is topological order: the numbering is the tape.
pub(crate) struct Node<T: Float> {
    pub id: u64,
    pub name: &'static str,
    pub at: &'static Location<'static>,
    pub inputs: Inputs<T>,
    pub shape: Shape,
    /// Kept only when the rule reads it; captured by the rule it would be a constant to second derivatives.
    pub output: Option<Box<Tensor<T>>>,
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
    /// What the op took, when it ran inside a profile.
    pub cost: OnceLock<Arc<Cost>>,
    /// Where the tapes of its constant inputs ended.
    pub ends: OnceLock<Vec<Cut>>,
}

impl<T: Float> Extras<T> {
    pub fn retain(&self) {
        self.retain.store(true, Ordering::Relaxed);
    }

    pub fn add_hook(&self, hook: Hook<T>) {
        self.hooks.lock().unwrap_or_else(|e| e.into_inner()).push(hook);
    }
}

#[compiled_once]
impl<T: Float> Node<T> {
    pub fn leaf(shape: Shape, at: &'static Location<'static>) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        LEAVES.fetch_add(1, Ordering::Relaxed);
        Self {
            id,
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

    /// Whether a gradient passes it in one step.
    pub fn has_rule(&self) -> bool {
        matches!(self.rule, Some(Rule::Pullback(_) | Rule::Scaled(_)))
    }

    pub fn is_leaf(&self) -> bool {
        self.rule.is_none()
    }

    /// The kept output; a constant unless what is made of it is to be differentiated.
    pub fn output_var(self: &Arc<Self>, mode: GradMode) -> Var<T> {
        let Some(value) = &self.output else {
            panic!("the rule of `{}` reads its output: make the op with `op_with_output`", self.name)
        };
        let value = Tensor::clone(value);
        match mode {
            GradMode::Differentiable => Var::on_tape(value, self.clone()),
            GradMode::Plain => Var::constant(value),
        }
    }

    pub fn extras(&self) -> &Extras<T> {
        self.extras.get_or_init(|| {
            Box::new(Extras {
                retain: AtomicBool::new(false),
                hooks: Mutex::new(Vec::new()),
                forward: OnceLock::new(),
                cost: OnceLock::new(),
                ends: OnceLock::new(),
            })
        })
    }

    pub fn cost(&self) -> Option<&Cost> {
        Some(self.extras.get()?.cost.get()?)
    }

    /// Where the tapes of its constant inputs ended.
    #[inline]
    pub fn ends(&self) -> &[Cut] {
        self.extras.get().and_then(|extras| extras.ends.get()).map_or(&[], Vec::as_slice)
    }

    pub fn forward_rule(&self) -> Option<&Forward<T>> {
        self.extras.get()?.forward.get()
    }

    pub fn retains_grad(&self) -> bool {
        self.extras.get().is_some_and(|e| e.retain.load(Ordering::Relaxed))
    }

    /// Makes of the complete gradient what the hooks do.
    #[inline]
    pub fn run_hooks(&self, grad: &mut Var<T>) {
        if let Some(extras) = self.extras.get() {
            for hook in extras.hooks.lock().unwrap_or_else(|e| e.into_inner()).iter() {
                if let Some(new) = hook(grad) {
                    assert!(
                        new.shape() == &self.shape,
                        "a hook on `{}` made at {} turned a gradient of shape {} into one of shape {}",
                        self.name,
                        self.at,
                        self.shape,
                        new.shape()
                    );
                    *grad = new;
                }
            }
        }
    }
}

/// So many nodes may be dropped within each other; what lies deeper waits, so that a chain of any length unwinds
/// in a loop and not in a recursion.
const DEEPEST: u32 = 16;

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Never dropped, so that it is there also while a thread ends and drops the tapes that its other variables hold.
    static WAITING: RefCell<ManuallyDrop<Vec<Box<dyn Send>>>> = const { RefCell::new(ManuallyDrop::new(Vec::new())) };
}

#[compiled_once]
impl<T: Float> Drop for Node<T> {
    fn drop(&mut self) {
        if self.is_leaf() {
            return;
        }
        GONE.fetch_add(1, Ordering::Relaxed);
        // Everything through which this may be the last owner of an older node: its links, and what its rule and its
        // hooks captured.
        let parts = (mem::take(&mut self.inputs), self.rule.take(), self.extras.take());
        let depth = DEPTH.get();
        if depth >= DEEPEST {
            WAITING.with_borrow_mut(|waiting| waiting.push(Box::new(parts)));
            return;
        }
        DEPTH.set(depth + 1);
        drop(parts);
        if depth == 0 && WAITING.with_borrow(|waiting| !waiting.is_empty()) {
            while let Some(next) = WAITING.with_borrow_mut(|waiting| waiting.pop()) {
                drop(next);
            }
            drop(ManuallyDrop::into_inner(WAITING.take()));
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
    let [gone, leaves, made] = [&GONE, &LEAVES, &NEXT_ID].map(|count| count.load(Ordering::Relaxed));
    made as i64 - leaves as i64 - gone as i64
}

/// The nodes of an op's operands; a constant has none.
pub(crate) type Inputs<T> = SmallVec<[Option<Arc<Node<T>>>; 2]>;

#[inline]
pub(crate) fn nodes_of<T: Float>(inputs: &[&Var<T>]) -> Inputs<T> {
    let mut nodes = Inputs::with_capacity(inputs.len());
    for input in inputs {
        nodes.push(input.node.clone());
    }
    nodes
}

pub(crate) fn record<T: Float>(
    name: &'static str,
    inputs: Inputs<T>,
    y: Tensor<T>,
    keep_output: bool,
    rule: Rule<T>,
    at: &'static Location<'static>,
) -> Var<T> {
    let node = Arc::new(Node {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        name,
        at,
        inputs,
        shape: y.shape().clone(),
        output: keep_output.then(|| Box::new(y.clone())),
        rule: Some(rule),
        symmetric: AtomicBool::new(false),
        extras: OnceLock::new(),
    });
    Var::on_tape(y, node)
}
