//! What a variable records at its node: the op with what its rule reads, and the user's line.

use crate::observe::Cost;
use crate::op::Op;
use crate::tape;
use crate::tape_end::Cut;
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Shape, Tensor};
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

pub(crate) type Node<T> = tape::Node<Recorded<T>>;
pub(crate) type Nodes<'a, T> = tape::Nodes<'a, Recorded<T>>;
pub(crate) type Inputs<T> = tape::Inputs<Recorded<T>>;
pub(crate) type Hook<T> = Box<dyn Fn(&Var<T>) -> Option<Var<T>> + Send + Sync>;
/// What the forward pass of an op found that its rule reads, of a type that the op chooses.
pub(crate) type Residuals = Box<dyn Any + Send + Sync>;
/// An op; one without attributes takes no memory.
pub(crate) type OpBox<T> = Box<dyn Op<T>>;

/// A leaf, or the result of an op.
pub(crate) struct Recorded<T: Float> {
    pub at: &'static Location<'static>,
    pub shape: Shape,
    /// `None` for a leaf.
    op: Option<OpBox<T>>,
    /// What `Op::saves` names: inputs in their order, then the output.
    pub saved: Vec<Tensor<T>>,
    pub residuals: Option<Residuals>,
    extras: OnceLock<Box<Extras<T>>>,
}

#[compiled_once]
impl<T: Float> tape::Entry for Recorded<T> {
    #[inline]
    fn is_leaf(&self) -> bool {
        self.op.is_none()
    }

    fn release(&mut self, inputs: Inputs<T>) {
        tape::unwind((inputs, self.op.take(), self.extras.take()));
    }
}

/// What few nodes have: hooks, the wish to have the gradient reported.
pub(crate) struct Extras<T: Float> {
    retain: AtomicBool,
    hooks: Mutex<Vec<Hook<T>>>,
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
impl<T: Float> Recorded<T> {
    pub fn leaf(shape: Shape, at: &'static Location<'static>) -> Self {
        Self { at, shape, op: None, saved: Vec::new(), residuals: None, extras: OnceLock::new() }
    }

    #[inline]
    pub fn of(
        op: OpBox<T>,
        shape: Shape,
        saved: Vec<Tensor<T>>,
        residuals: Option<Residuals>,
        at: &'static Location<'static>,
    ) -> Self {
        Self { at, shape, op: Some(op), saved, residuals, extras: OnceLock::new() }
    }

    #[inline]
    pub fn op(&self) -> Option<&dyn Op<T>> {
        self.op.as_deref()
    }

    /// The op's name, `leaf` for a leaf.
    #[inline]
    pub fn name(&self) -> &'static str {
        self.op().map_or("leaf", |op| op.name())
    }

    #[inline]
    pub fn is_leaf(&self) -> bool {
        self.op.is_none()
    }

    pub fn extras(&self) -> &Extras<T> {
        self.extras.get_or_init(|| {
            Box::new(Extras {
                retain: AtomicBool::new(false),
                hooks: Mutex::new(Vec::new()),
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

    #[inline]
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
                        self.name(),
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

/// The places where the tapes of an op's constant operands ended, each once.
pub(crate) fn ends_of<T: Float>(inputs: &[&Var<T>]) -> Vec<Cut> {
    let mut ends = Vec::new();
    for cut in inputs.iter().map(|x| x.cut).filter(|cut| cut.is_some()) {
        if !ends.contains(&cut) {
            ends.push(cut);
        }
    }
    ends
}

/// The places where tapes under these nodes ended.
pub(crate) fn ends_under<'a, T: Float>(nodes: impl IntoIterator<Item = &'a Arc<Node<T>>>) -> Vec<Cut> {
    let ends: BTreeSet<Cut> = nodes.into_iter().flat_map(|node| node.ends().iter().copied()).collect();
    ends.into_iter().collect()
}
