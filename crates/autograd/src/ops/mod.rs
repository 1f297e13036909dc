//! The ops, each in one place: its documentation, its rule and its samples.

mod binary;
mod operators;
mod reduce;
mod unary;
mod view;

pub use unary::UnaryRule;

use crate::samples::OpSample;

/// The samples of every op on this table; an op that has none fails the tests.
pub(crate) fn samples() -> Vec<OpSample> {
    [unary::samples(), binary::samples(), operators::samples(), reduce::samples(), view::samples()]
        .into_iter()
        .flatten()
        .collect()
}
