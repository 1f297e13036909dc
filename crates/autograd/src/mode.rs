//! Whether a thread records its ops, and whether anybody looks at them.

use crate::tape_end::{Cut, End};
use std::cell::Cell;

/// Whether gradients are to be constants, or differentiable themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GradMode {
    /// Constants; the fastest.
    Plain,
    /// Variables on the tape, for second and higher derivatives.
    #[doc(alias = "create_graph")]
    Differentiable,
}

/// What a thread's mode knows of its observers: one test says whether there are any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Observed {
    No,
    Ops,
    /// With their operands' values.
    Values,
}

impl Observed {
    #[inline]
    pub fn is_on(self) -> bool {
        self != Self::No
    }

    #[inline]
    pub fn reads_values(self) -> bool {
        self == Self::Values
    }
}

/// What this thread does with its ops.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub recording: bool,
    /// Where recording was switched off.
    pub cut: Cut,
    /// Whether anybody looks at them.
    pub observed: Observed,
    /// Whether the forward pass of an op runs that may not read every variable (`declared_inputs.rs`).
    pub closed: bool,
}

thread_local! {
    pub(crate) static MODE: Cell<Mode> = const { Cell::new(Mode { recording: true, cut: Cut::NONE, observed: Observed::No, closed: false }) };
}

/// Whether operations of this thread are recorded.
#[inline]
pub fn is_grad_enabled() -> bool {
    MODE.get().recording
}

struct Restore(bool, Cut);

impl Restore {
    /// Switches recording, until dropped.
    fn after(recording: bool, cut: Cut) -> Self {
        let before = MODE.get();
        MODE.set(Mode { recording, cut, ..before });
        Self(before.recording, before.cut)
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        MODE.set(Mode { recording: self.0, cut: self.1, ..MODE.get() });
    }
}

/// Runs `f` with recording off: its results are constants.
///
/// ```
/// use gradus_autograd::{Var, no_grad};
/// let x = Var::leaf([1.0f32].into());
/// assert!(!no_grad(|| &x * 2.0).requires_grad());
/// ```
///
/// # Threads
/// Recording is a state of the thread, as in PyTorch. Gradus' own ops use several threads inside `f`, and run no other task
/// on this one. A parallel loop of your own does both: its other threads record, and this one, while it waits for them,
/// runs whatever task comes next, with recording off. So call `no_grad` inside the loop and not around it:
///
/// ```
/// use gradus_autograd::{Var, no_grad};
/// use rayon::prelude::*;
/// let x = Var::leaf([1.0f32].into());
/// let squares: Vec<_> = (0..100).into_par_iter().map(|i| no_grad(|| &x * f64::from(i))).collect();
/// assert!(squares.iter().all(|y| !y.requires_grad()));
/// ```
///
/// A function that does not know whether it runs inside `no_grad` hands the state on with [`set_grad_enabled`].
#[doc(alias = "inference_mode")]
#[track_caller]
pub fn no_grad<R>(f: impl FnOnce() -> R) -> R {
    set_grad_enabled(false, f)
}

/// As [`no_grad`], for the walks of this crate: whoever began one says what its results are cut from.
pub(crate) fn unrecorded<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore::after(false, Cut::NONE);
    f()
}

/// Runs `f` with recording on, inside a [`no_grad`].
pub fn enable_grad<R>(f: impl FnOnce() -> R) -> R {
    set_grad_enabled(true, f)
}

/// Runs `f` with recording on or off: [`enable_grad`] or [`no_grad`].
///
/// With [`is_grad_enabled`] it takes the state of one thread to others:
///
/// ```
/// use gradus_autograd::{Var, is_grad_enabled, no_grad, set_grad_enabled};
/// use rayon::prelude::*;
/// fn doubled(xs: &[Var<f32>]) -> Vec<Var<f32>> {
///     let enabled = is_grad_enabled();
///     xs.par_iter().map(|x| set_grad_enabled(enabled, || x * 2.0)).collect()
/// }
/// let xs: Vec<_> = (0..100).map(|i| Var::leaf([i as f32].into())).collect();
/// assert!(doubled(&xs).iter().all(Var::requires_grad));
/// assert!(!no_grad(|| doubled(&xs)).iter().any(Var::requires_grad));
/// ```
#[track_caller]
pub fn set_grad_enabled<R>(enabled: bool, f: impl FnOnce() -> R) -> R {
    let cut = if enabled { Cut::NONE } else { Cut::here(End::NoGrad) };
    let _restore = Restore::after(enabled, cut);
    f()
}
