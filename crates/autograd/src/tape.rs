//! The tape: numbered nodes that link to older ones. It knows neither variables nor ops, but what they put on it as an entry.

use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::mem::{self, ManuallyDrop};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
/// How many of the numbers went to leaves, and how many to nodes that are gone: to count with these, a node that is made
/// need take no more than its number.
static LEAVES: AtomicU64 = AtomicU64::new(0);
static GONE: AtomicU64 = AtomicU64::new(0);

/// What is recorded at a node.
pub(crate) trait Entry: Send + Sync + Sized + 'static {
    /// Whether it was computed from nothing.
    fn is_leaf(&self) -> bool;

    /// Unwinds everything through which a node that is dropped may be the last owner of older ones: its inputs, and what the
    /// entry holds.
    fn release(&mut self, inputs: Inputs<Self>);
}

/// A place on the tape. Creation order is topological order: the numbering is the tape.
pub(crate) struct Node<E: Entry> {
    pub id: u64,
    pub inputs: Inputs<E>,
    entry: E,
}

/// The nodes that a node was computed from; a constant has none.
pub(crate) type Inputs<E> = SmallVec<[Option<Arc<Node<E>>>; 2]>;

impl<E: Entry> Node<E> {
    #[inline]
    pub fn new(inputs: Inputs<E>, entry: E) -> Self {
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        if entry.is_leaf() {
            LEAVES.fetch_add(1, Ordering::Relaxed);
        }
        Self { id, inputs, entry }
    }
}

impl<E: Entry> Deref for Node<E> {
    type Target = E;

    #[inline]
    fn deref(&self) -> &E {
        &self.entry
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

impl<E: Entry> Drop for Node<E> {
    fn drop(&mut self) {
        if self.entry.is_leaf() {
            return;
        }
        GONE.fetch_add(1, Ordering::Relaxed);
        self.entry.release(mem::take(&mut self.inputs));
    }
}

/// Drops what a node held.
pub(crate) fn unwind(parts: impl Send + 'static) {
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

/// Nodes by their numbers.
pub(crate) type Nodes<'a, E> = BTreeMap<u64, &'a Arc<Node<E>>>;

/// The recorded nodes under `root` that were made from number `start` on, and the older ones that these were made of.
pub(crate) fn nodes_since<E: Entry>(root: &Arc<Node<E>>, start: u64) -> (Nodes<'_, E>, Nodes<'_, E>) {
    let (mut inner, mut outer) = (Nodes::new(), Nodes::new());
    let mut stack = vec![root];
    while let Some(node) = stack.pop() {
        if node.id < start {
            outer.insert(node.id, node);
        } else if inner.insert(node.id, node).is_none() {
            stack.extend(node.inputs.iter().flatten());
        }
    }
    (inner, outer)
}
