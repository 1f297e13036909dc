//! Looking at what the tape does.

pub(crate) mod anomaly;
mod dot;
mod kind;
mod layout;
mod memory;
pub(crate) mod profile;
pub(crate) mod recorded;
pub(crate) mod recorder;
mod report;
mod svg;
mod table;
pub(crate) mod tape;

use crate::mode::{MODE, Mode};
use crate::tape::Node;
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::panic::Location;

/// Who looks at a thread's ops. One test says whether anybody does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seeing(u8);

impl Seeing {
    pub const NOBODY: Self = Self(0);
    /// Inside [`detect_anomaly`](crate::detect_anomaly).
    pub const ANOMALIES: Self = Self(1);
    /// Inside [`profile`](crate::profile).
    pub const COSTS: Self = Self(2);
    /// Inside [`recorded_ops`](crate::recorded_ops).
    pub const OPS: Self = Self(4);

    #[inline]
    pub fn is_on(self) -> bool {
        self != Self::NOBODY
    }

    /// Whether anybody reads what an op computes, and from what.
    #[inline]
    pub fn reads_values(self) -> bool {
        self.has(Self::ANOMALIES)
    }

    #[inline]
    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Runs `f` with these looking or not, and then as before, also after a panic.
    fn switched<R>(self, on: bool, f: impl FnOnce() -> R) -> R {
        struct Restore(Seeing);
        impl Drop for Restore {
            fn drop(&mut self) {
                MODE.set(Mode { seeing: self.0, ..MODE.get() });
            }
        }
        let before = MODE.get();
        let _restore = Restore(before.seeing);
        let seeing = if on { before.seeing.0 | self.0 } else { before.seeing.0 & !self.0 };
        MODE.set(Mode { seeing: Self(seeing), ..before });
        f()
    }
}

/// An op has its value.
#[cold]
pub(crate) fn see_forward<T: Float>(
    seeing: Seeing,
    op: &'static str,
    inputs: &[&Var<T>],
    y: &Tensor<T>,
    at: &'static Location<'static>,
) {
    if seeing.has(Seeing::COSTS) {
        recorder::op_ran(op, at);
    }
    if seeing.has(Seeing::ANOMALIES) {
        anomaly::see_forward(op, inputs, y, at);
    }
}

/// The op that ran last has its node.
#[cold]
pub(crate) fn see_node<T: Float>(y: &Var<T>, node: &Node<T>) {
    if MODE.get().seeing.has(Seeing::OPS) {
        recorded::see(y);
    }
    if let Some(cost) = recorder::take_cost() {
        // A new node has none yet.
        let _ = node.extras().cost.set(cost);
    }
}

/// Runs a rule. What it does is its op's, and its own ops are on no line of the user's, so they are not seen.
#[cold]
pub(crate) fn see_rule<T: Float>(
    node: &Node<T>,
    gy: &Var<T>,
    grads: &mut Vec<Option<Var<T>>>,
    rule: impl FnOnce(&mut Vec<Option<Var<T>>>),
) {
    let seeing = MODE.get().seeing;
    if seeing.has(Seeing::COSTS) {
        recorder::rule_begins(node.name, node.at);
    }
    seeing.switched(false, || rule(grads));
    if seeing.has(Seeing::COSTS) {
        recorder::rule_ran(node.name, node.at);
    }
    if seeing.has(Seeing::ANOMALIES) {
        anomaly::see_backward(node, gy, grads);
    }
}

/// Says when it is dropped that a walk over the tape is over.
pub(crate) struct WalkEnd;

impl Drop for WalkEnd {
    fn drop(&mut self) {
        if MODE.get().seeing.has(Seeing::COSTS) {
            recorder::rules_end();
        }
    }
}
