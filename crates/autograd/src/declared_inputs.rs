//! What the forward pass of an op may read: its inputs, and no other variable, whose gradient would be lost.

use crate::mode::{MODE, Mode, is_grad_enabled};
use crate::tape::next_id;
use std::cell::{Cell, RefCell};
use std::panic::Location;

/// The forward pass of an op that runs.
#[derive(Clone, Copy)]
struct Closed {
    /// The number of the first node that belongs to it. What is older may not be read.
    first: u64,
    name: &'static str,
}

thread_local! {
    static CLOSED: Cell<Closed> = const { Cell::new(Closed { first: 0, name: "" }) };
    /// The nodes of variables that a closure may read all the same, as they are its op's inputs.
    static LISTED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Until it is dropped, the forward pass of an op runs, which gets its inputs' values from a context.
pub(crate) struct Closing {
    was_closed: bool,
    before: Closed,
}

impl Closing {
    pub fn of(name: &'static str) -> Self {
        let (mode, closed) = (MODE.get(), Closed { first: next_id(), name });
        MODE.set(Mode { closed: true, ..mode });
        Self { was_closed: mode.closed, before: CLOSED.replace(closed) }
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        MODE.set(Mode { closed: self.was_closed, ..MODE.get() });
        CLOSED.set(self.before);
    }
}

/// Runs the forward pass of a closure, which may also read the variables of these numbers, its op's inputs.
pub(crate) fn closed_but_for<R>(name: &'static str, inputs: impl Iterator<Item = Option<u64>>, forward: impl FnOnce() -> R) -> R {
    struct Unlist(Vec<u64>);
    impl Drop for Unlist {
        fn drop(&mut self) {
            LISTED.replace(std::mem::take(&mut self.0));
        }
    }
    if !is_grad_enabled() {
        // No gradient is recorded, and none is lost.
        return forward();
    }
    let _unlist = Unlist(LISTED.replace(inputs.flatten().collect()));
    let _closing = Closing::of(name);
    forward()
}

/// The value at node `id`, which `made` describes, is read: not inside an op that would lose its gradient.
#[cold]
#[track_caller]
pub(crate) fn reads(id: u64, made: impl FnOnce() -> String) {
    if id < CLOSED.get().first && !LISTED.with_borrow(|listed| listed.contains(&id)) {
        let name = CLOSED.get().name;
        panic!("`{name}` at {}: {UNLISTED}: {}; make it an input, or detach() it", Location::caller(), made());
    }
}

pub(crate) const UNLISTED: &str = "the forward pass reads a variable that is not among its inputs, whose gradient would be lost";
