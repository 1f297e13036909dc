//! The ops of this crate, and sample inputs for them.

use gradus_autograd::Var;
use gradus_autograd::samples::{OpSample, Sampled};
use gradus_tensor::Float;

/// An op of this crate's list.
pub(crate) trait Listed<T: Float>: Sampled<T> {}

gradus_autograd::op_list! {
    /// The ops of this crate, for operands of one element type.
    impl Listed;
    pub fn listed_ops;
    tables: [];
    ops: [
        crate::layers::Lookup,
        crate::losses::SoftmaxCrossEntropy,
        crate::losses::WeightedSoftplus,
    ]
}

/// The samples of every op of this crate, for operands of one element type; those for another draw the same.
pub fn op_samples<T: Float>() -> Vec<OpSample<T>> {
    listed_ops().into_iter().flat_map(|op| (op.samples)()).collect()
}

/// [`gradus_autograd::apply`] for the ops of the list: one that is not on it does not compile.
#[track_caller]
#[inline]
pub(crate) fn apply<T: Float>(op: impl Listed<T>, inputs: &[&Var<T>]) -> Var<T> {
    gradus_autograd::apply(op, inputs)
}
