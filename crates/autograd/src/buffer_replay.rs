//! What a computation reads of buffers, noted so that it can be run again as if for the first time.

use gradus_tensor::{Float, Tensor};
use std::any::Any;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// Tensors by the numbers of the buffers that hold them.
type Values = HashMap<u64, Box<dyn Any + Send + Sync>>;

fn value_of<T: Float>(values: &Values, buffer: u64) -> Option<Tensor<T>> {
    values.get(&buffer)?.downcast_ref().cloned()
}

/// A computation that is under way on this thread.
enum Page {
    /// For the first time: what buffers held before it touched them.
    Noted(Values),
    /// Again: what they held at first, and what it wrote since. The buffers themselves stay as they are.
    Replayed { before: Arc<Values>, since: Values },
}

thread_local! {
    /// The innermost last.
    static OPEN: RefCell<Vec<Page>> = const { RefCell::new(Vec::new()) };
}

/// An open page; closed also by a panic.
struct Open;

impl Open {
    fn new(page: Page) -> Self {
        OPEN.with_borrow_mut(|open| open.push(page));
        Self
    }

    fn close(self) -> Option<Page> {
        std::mem::forget(self);
        OPEN.with_borrow_mut(Vec::pop)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.with_borrow_mut(Vec::pop);
    }
}

/// What the buffers that a computation touched held before it.
pub(crate) struct Journal(Arc<Values>);

impl Journal {
    /// Runs `f`, noting.
    pub fn write<R>(f: impl FnOnce() -> R) -> (R, Self) {
        let page = Open::new(Page::Noted(Values::new()));
        let result = f();
        match page.close() {
            Some(Page::Noted(values)) => (result, Self(Arc::new(values))),
            _ => unreachable!("every page closes before the one around it"),
        }
    }

    /// Runs `f` again: buffers read as they did at first, and what is written to them is forgotten after.
    pub fn replay<R>(&self, f: impl FnOnce() -> R) -> R {
        let _page = Open::new(Page::Replayed { before: self.0.clone(), since: Values::new() });
        f()
    }
}

/// Whether the segment of a [`checkpoint`](crate::checkpoint) is running on this thread, for the first time or again. What
/// it computes beside its result does not outlive it: a layer that hands something on another way refuses to run there.
pub fn is_checkpointing() -> bool {
    OPEN.with_borrow(|open| !open.is_empty())
}

/// What a read of the buffer of this number gives.
pub(crate) fn read<T: Float>(buffer: u64, stored: impl FnOnce() -> Tensor<T>) -> Tensor<T> {
    OPEN.with_borrow_mut(|open| if open.is_empty() { stored() } else { noted_read(open, buffer, stored) })
}

fn noted_read<T: Float>(open: &mut [Page], buffer: u64, stored: impl FnOnce() -> Tensor<T>) -> Tensor<T> {
    let mut replays = open.iter().rev().filter_map(|page| match page {
        Page::Replayed { before, since } => value_of(since, buffer).or_else(|| value_of(before, buffer)),
        Page::Noted(_) => None,
    });
    let value = replays.next().unwrap_or_else(stored);
    // Those within the innermost replay are run in it for the first time.
    for page in open.iter_mut().rev() {
        let Page::Noted(values) = page else { break };
        values.entry(buffer).or_insert_with(|| Box::new(value.clone()));
    }
    value
}

/// Notes a write to the buffer of this number, and gives back what the buffer is to store, if anything.
pub(crate) fn write<T: Float>(buffer: u64, new: Tensor<T>, stored: impl FnOnce() -> Tensor<T>) -> Option<Tensor<T>> {
    OPEN.with_borrow_mut(|open| {
        if open.is_empty() {
            return Some(new);
        }
        noted_read(open, buffer, stored);
        for page in open.iter_mut().rev() {
            if let Page::Replayed { since, .. } = page {
                since.insert(buffer, Box::new(new));
                return None;
            }
        }
        Some(new)
    })
}
