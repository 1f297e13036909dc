//! Whether a thread records its ops, and who looks at them.

use crate::seeing::Seeing;
use std::cell::Cell;

/// What this thread does with its ops.
#[derive(Clone, Copy)]
pub(crate) struct Mode {
    pub recording: bool,
    /// Who looks at them.
    pub seeing: Seeing,
}

thread_local! {
    pub(crate) static MODE: Cell<Mode> = const { Cell::new(Mode { recording: true, seeing: Seeing::NOBODY }) };
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
