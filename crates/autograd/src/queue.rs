//! What a walk over the tape is for, and what it has yet to pass.

use crate::node::{Node, Nodes};
use crate::var::Var;
use gradus_tensor::Float;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The nodes whose gradients a walk is for.
pub(crate) enum Wanted {
    /// All.
    All,
    /// Those from which a path leads to what was asked for.
    Leading(RefCell<HashSet<u64>>),
    /// Of a single node, the inputs of these numbers.
    Inputs(SmallVec<[bool; 2]>),
}

impl Wanted {
    /// The `i`-th input of `node`, if it is on the tape and its gradient is wanted.
    #[inline]
    pub fn input<'a, T: Float>(&self, node: &'a Node<T>, i: usize) -> Option<&'a Arc<Node<T>>> {
        let input = node.inputs[i].as_ref()?;
        let wanted = match self {
            Wanted::All => true,
            Wanted::Leading(leads) => leads.borrow().contains(&input.id),
            Wanted::Inputs(these) => these[i],
        };
        wanted.then_some(input)
    }

    /// Takes in nodes that were recorded during the walk, oldest first.
    pub fn extend<T: Float>(&self, new: &Nodes<'_, T>) {
        if let Wanted::Leading(leads) = self {
            let mut leads = leads.borrow_mut();
            for (id, node) in new {
                if node.inputs.iter().flatten().any(|i| leads.contains(&i.id)) {
                    leads.insert(*id);
                }
            }
        }
    }
}

/// The nodes that a walk has reached but not passed, each with the sum of the gradients that it got so far.
pub(crate) struct Queue<T: Float> {
    /// The newest of all. Most nodes have one reader and are newer than all others that wait: they get no further.
    newest: Option<(Arc<Node<T>>, Var<T>)>,
    older: BTreeMap<u64, (Arc<Node<T>>, Var<T>)>,
}

impl<T: Float> Queue<T> {
    /// With the node that a walk begins at, and its gradient.
    pub fn new(root: Arc<Node<T>>, seed: Var<T>) -> Self {
        Self { newest: Some((root, seed)), older: BTreeMap::new() }
    }

    #[inline]
    pub fn pop_newest(&mut self) -> Option<(Arc<Node<T>>, Var<T>)> {
        self.newest.take().or_else(|| self.older.pop_last().map(|(_, entry)| entry))
    }

    /// Takes out the sum that waits for the node of number `id`.
    pub fn take(&mut self, id: u64) -> Option<Var<T>> {
        let entry = self.newest.take_if(|(n, _)| n.id == id).or_else(|| self.older.remove(&id));
        entry.map(|(_, sum)| sum)
    }

    /// Adds to the sum of a node.
    #[inline]
    pub fn add(&mut self, node: &Arc<Node<T>>, g: Var<T>) {
        let newest = self.newest.as_ref().map(|(n, _)| n.id).or_else(|| self.older.last_key_value().map(|(&id, _)| id));
        if newest.is_none_or(|newest| newest < node.id) {
            if let Some(entry) = self.newest.replace((node.clone(), g)) {
                self.older.insert(entry.0.id, entry);
            }
        } else if let Some((node, sum)) = self.newest.take_if(|(n, _)| n.id == node.id) {
            self.newest = Some((node, sum + g));
        } else {
            let entry = match self.older.remove(&node.id) {
                Some((node, sum)) => (node, sum + g),
                None => (node.clone(), g),
            };
            self.older.insert(entry.0.id, entry);
        }
    }
}
