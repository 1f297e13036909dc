//! Observers: whoever is shown each op and each rule of this thread as it runs. They register from above; the tape knows what they are
//! told, not who they are.

use crate::mode::{MODE, Mode, Observed};
use gradus_tensor::{Float, Shape, Tensor};
use std::any::Any;
use std::cell::RefCell;
use std::panic::Location;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A value that an observer is shown, of whatever element type.
pub(crate) trait Seen {
    fn shape(&self) -> &Shape;
    fn is_finite(&self) -> bool;
    fn numbers(&self) -> Vec<f64>;
}

impl<T: Float> Seen for Tensor<T> {
    fn shape(&self) -> &Shape {
        Tensor::shape(self)
    }

    fn is_finite(&self) -> bool {
        self.contiguous().as_slice().unwrap_or_default().iter().all(|v| v.is_finite())
    }

    fn numbers(&self) -> Vec<f64> {
        self.to_vec().into_iter().map(|v| v.to_f64()).collect()
    }
}

/// An op, and the user's line that called it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub op: &'static str,
    pub at: &'static Location<'static>,
}

/// What an op took, as an observer notes it on the op's node.
pub(crate) struct Cost {
    /// Of the computation, forward.
    pub time: Duration,
    /// Bytes of the buffers that it made and that are alive.
    pub kept: AtomicUsize,
}

/// Whoever looks on. It has its state elsewhere, in variables of the thread.
pub(crate) trait Observer: Any + Sync {
    /// Whether it reads operands, which an op then may not write in place.
    fn reads_values(&self) -> bool {
        false
    }

    /// An op has its value.
    fn op_ran(&self, _: Site, _operands: &[&dyn Seen], _y: &dyn Seen) {}

    /// The op that ran last has its node. `var` makes its result as a boxed variable, and `cost` is what its node says that it took.
    fn op_recorded(&self, _var: &dyn Fn() -> Box<dyn Any>, _cost: &OnceLock<Arc<Cost>>) {}

    /// A rule begins.
    fn rule_begins(&self, _: Site) {}

    /// A rule has made gradients of `gy`.
    fn rule_ran(&self, _: Site, _gy: &dyn Seen, _grads: &[Option<&dyn Seen>]) {}

    /// A walk over the tape is over.
    fn walk_ended(&self) {}
}

type Observers = Vec<&'static dyn Observer>;

thread_local! {
    static OBSERVERS: RefCell<Observers> = const { RefCell::new(Vec::new()) };
}

fn set(observers: Observers) -> Observers {
    let observed = match observers.iter().map(|o| o.reads_values()).max() {
        None => Observed::No,
        Some(false) => Observed::Ops,
        Some(true) => Observed::Values,
    };
    MODE.set(Mode { observed, ..MODE.get() });
    OBSERVERS.replace(observers)
}

/// Puts the observers back that there were before, also after a panic.
struct Restore(Observers);

impl Drop for Restore {
    fn drop(&mut self) {
        set(std::mem::take(&mut self.0));
    }
}

/// Runs `f` with this observer among those of the thread.
pub(crate) fn with_observer<R>(observer: &'static dyn Observer, f: impl FnOnce() -> R) -> R {
    let mut observers = OBSERVERS.with_borrow(Clone::clone);
    if !observers.iter().any(|o| (*o as &dyn Any).type_id() == (observer as &dyn Any).type_id()) {
        observers.push(observer);
    }
    let _restore = Restore(set(observers));
    f()
}

/// Runs `f` with nobody looking.
pub(crate) fn unobserved<R>(f: impl FnOnce() -> R) -> R {
    let _restore = MODE.get().observed.is_on().then(|| Restore(set(Vec::new())));
    f()
}

/// Whether an observer of this type looks on.
pub(crate) fn is_observed_by<O: Observer>() -> bool {
    OBSERVERS.with_borrow(|observers| observers.iter().any(|o| (*o as &dyn Any).is::<O>()))
}

/// Shows each observer something. What it does may change who they are.
#[cold]
pub(crate) fn show(what: impl Fn(&dyn Observer)) {
    for observer in OBSERVERS.with_borrow(Clone::clone) {
        what(observer);
    }
}

/// Says when it is dropped that a walk over the tape is over.
pub(crate) struct WalkEnd;

impl Drop for WalkEnd {
    fn drop(&mut self) {
        if MODE.get().observed.is_on() {
            show(|o| o.walk_ended());
        }
    }
}
