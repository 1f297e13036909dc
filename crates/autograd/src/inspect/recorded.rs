//! The ops that a computation records, each with its value and its rule: for whoever checks them one by one.

use crate::derivatives::pull_back;
use crate::mode::{GradMode, enable_grad, unrecorded};
use crate::observe::{Cost, Observer, with_observer};
use crate::op::Op;
use crate::var::Var;
use gradus_tensor::Float;
use std::any::Any;
use std::cell::RefCell;
use std::sync::{Arc, OnceLock};

thread_local! {
    static OPS: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Collects the results.
struct Results;

impl Observer for Results {
    fn op_recorded(&self, var: &dyn Fn() -> Box<dyn Any>, _: &OnceLock<Arc<Cost>>) {
        let y = var();
        OPS.with_borrow_mut(|ops| ops.push(y));
    }
}

/// Runs `f`, and gives the results of all ops of element type `T` that it recorded, in their order.
///
/// ```
/// use gradus_autograd::{Var, recorded_ops};
/// let x = Var::leaf([2.0f64].into());
/// let (y, ops) = recorded_ops::<f64, _>(|| (&x * 3.0).exp());
/// let names: Vec<_> = ops.iter().map(|op| op.op_name().unwrap()).collect();
/// assert_eq!((y.id(), names), (ops[1].id(), vec!["mul_scalar", "exp"]));
/// assert_eq!(ops[0].item(), 6.0);
/// ```
pub fn recorded_ops<T: Float, R>(f: impl FnOnce() -> R) -> (R, Vec<Var<T>>) {
    /// What an outer call has seen so far, to come back also after a panic.
    struct Restore(Vec<Box<dyn Any>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            OPS.set(std::mem::take(&mut self.0));
        }
    }
    let restore = Restore(OPS.take());
    let result = with_observer(&Results, f);
    let ops = OPS.take();
    drop(restore);
    (result, ops.into_iter().filter_map(|op| op.downcast::<Var<T>>().ok().map(|op| *op)).collect())
}

impl<T: Float> Var<T> {
    /// The op that made this variable, with its attributes; `None` for a leaf or a constant.
    pub fn op(&self) -> Option<&dyn Op<T>> {
        self.node.as_ref()?.op()
    }

    /// The name of the op that made this variable, `leaf` for a leaf; `None` for a constant.
    pub fn op_name(&self) -> Option<&'static str> {
        self.node.as_ref().map(|node| node.name())
    }

    /// What the rule of the op that made this variable, and nothing before it, makes of a gradient `gy`: one for each input, `None`
    /// for a constant. Empty for what has no rule: a leaf, a constant, a checkpoint.
    ///
    /// # Panics
    /// When the rule does, or has no gradient to give.
    pub fn pull_through_op(&self, gy: &Var<T>, mode: GradMode) -> Vec<Option<Var<T>>> {
        let Some(node) = &self.node else { return Vec::new() };
        let needs = node.inputs.iter().map(Option::is_some).collect();
        let pull = || pull_back(node, gy, mode, needs).into_vec();
        match mode {
            GradMode::Plain => unrecorded(pull),
            GradMode::Differentiable => enable_grad(pull),
        }
    }
}
