//! The ops, each in one place: its documentation, its rule and its samples.

mod binary;
mod conv;
mod einsum;
mod index;
mod join;
mod matmul;
mod operators;
mod pool;
mod reduce;
mod slice;
mod softmax;
mod unary;
mod view;

pub use unary::UnaryRule;

use crate::samples::OpSample;

/// The samples of every op on this table; an op that has none fails the tests.
#[inline] // not compiled but where it is used
pub(crate) fn samples() -> Vec<OpSample> {
    let families = [
        unary::samples(),
        binary::samples(),
        operators::samples(),
        reduce::samples(),
        view::samples(),
        slice::samples(),
        index::samples(),
        join::samples(),
        matmul::samples(),
        conv::samples(),
        einsum::samples(),
        pool::samples(),
        softmax::samples(),
        crate::derivatives::samples(),
    ];
    families.into_iter().flatten().collect()
}
