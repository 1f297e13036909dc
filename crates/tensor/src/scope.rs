//! Where in a model a thread computes, so that a message can name the layer.
//!
//! A container enters a [`Scope`] with the names of its parts and says which of them runs. A panic of this workspace reads the
//! scopes of its thread: their names make the layer's path, and the line of the innermost one that lies outside of the workspace is
//! the user's. A scope costs a push and a pop, a part a store; names are read when something is wrong.

use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

/// A part of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its name in the model: `3`, `fc1`.
    pub name: String,
    /// Its kind: `Linear`.
    pub kind: String,
}

/// The parts that a [`Scope`] can be at.
#[derive(Clone, Debug, Default)]
pub enum Parts {
    /// None: the scope says where it was entered.
    #[default]
    None,
    /// Those of a list of layers.
    Listed(Arc<Vec<Part>>),
    /// Those of a struct: name and kind of each.
    Fixed(&'static [(&'static str, &'static str)]),
    /// All parameters of a model, by their leaf's number: their paths.
    Model(Arc<HashMap<u64, String>>),
}

impl Parts {
    fn get(&self, i: usize) -> Option<(&str, &str)> {
        match self {
            Self::None | Self::Model(_) => None,
            Self::Listed(parts) => parts.get(i).map(|part| (part.name.as_str(), part.kind.as_str())),
            Self::Fixed(parts) => parts.get(i).copied(),
        }
    }
}

struct Frame {
    parts: Parts,
    part: usize,
    at: &'static Location<'static>,
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

/// A stretch of a forward pass. It ends when this is dropped, on the thread that it began on.
///
/// ```
/// use gradus_tensor::Tensor;
/// use gradus_tensor::scope::{Parts, Scope};
/// let scope = Scope::enter(Parts::Fixed(&[("query", "Linear"), ("key", "Linear")]));
/// scope.part(1);
/// let error = std::panic::catch_unwind(|| Tensor::<f32>::ones([2, 3]).matmul(&Tensor::ones([4, 5]))).unwrap_err();
/// assert!(error.downcast_ref::<String>().unwrap().starts_with("matmul in `key` (Linear)"));
/// ```
#[must_use = "the scope ends when this is dropped"]
pub struct Scope {
    depth: usize,
    /// It belongs to its thread.
    local: PhantomData<*const ()>,
}

impl Scope {
    /// Enters a scope at the caller's line, at none of its parts as yet.
    #[track_caller]
    #[inline]
    pub fn enter(parts: Parts) -> Self {
        let frame = Frame { parts, part: usize::MAX, at: Location::caller() };
        let depth = FRAMES.with_borrow_mut(|frames| {
            frames.push(frame);
            frames.len() - 1
        });
        Self { depth, local: PhantomData }
    }

    /// What runs next is part `i`.
    #[inline]
    pub fn part(&self, i: usize) {
        FRAMES.with_borrow_mut(|frames| frames[self.depth].part = i);
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(|frames| frames.truncate(self.depth));
    }
}

/// What the scopes of this thread know of an error.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The path of the innermost part, and its kind; empty when there is none.
    pub path: String,
    pub kind: String,
    /// The user's line, if it is known.
    pub at: Option<&'static Location<'static>>,
}

/// Where this thread computes. An error of the layer that has the parameter of this number has its path; `at` is the line that
/// the operation knows.
pub(crate) fn place(parameter: Option<u64>, at: &'static Location<'static>) -> Place {
    FRAMES.with_borrow(|frames| {
        let mut place = Place::default();
        for (name, kind) in frames.iter().filter_map(|frame| frame.parts.get(frame.part)) {
            if !place.path.is_empty() {
                place.path.push('.');
            }
            place.path.push_str(name);
            kind.clone_into(&mut place.kind);
        }
        if let Some(path) = parameter.and_then(|id| path_of(frames, id)) {
            (place.path, place.kind) = (path, String::new());
        }
        let lines = [at].into_iter().chain(frames.iter().rev().map(|frame| frame.at));
        place.at = lines.into_iter().find(|at| !is_ours(at.file()));
        place
    })
}

/// The path of the layer that has this parameter, in the model that runs.
fn path_of(frames: &[Frame], parameter: u64) -> Option<String> {
    frames.iter().rev().find_map(|frame| match &frame.parts {
        Parts::Model(paths) => paths.get(&parameter).and_then(|path| Some(path.rsplit_once('.')?.0.to_string())),
        _ => None,
    })
}

/// Whether a source file is one of this workspace's libraries: `crates/<name>/src/..` beside this one, or in a registry
/// `gradus-<name>-<version>/src/..`.
fn is_ours(file: &str) -> bool {
    let own = file!();
    let base = own.rfind("tensor").map_or(own, |end| &own[..end]);
    let Some(rest) = file.strip_prefix(base) else { return false };
    rest.split(['/', '\\']).nth(1) == Some("src")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_libraries_are_told_from_users() {
        let base = file!().strip_suffix("tensor/src/scope.rs").unwrap();
        for ours in ["tensor/src/ops/matmul.rs", "nn/src/layers/linear.rs", "models/src/conv_net.rs"] {
            assert!(is_ours(&format!("{base}{ours}")), "{ours}");
        }
        for users in ["nn/tests/suite/layers.rs", "nn/examples/a.rs"] {
            assert!(!is_ours(&format!("{base}{users}")), "{users}");
        }
        assert!(!is_ours("src/main.rs") && !is_ours("examples/05_custom_layer_and_op.rs") && !is_ours("/home/me/net/src/lib.rs"));
    }
}
