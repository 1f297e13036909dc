//! The ops, each in one place: its documentation, its rule and its samples.

mod abs;
mod activation;
mod binary;
mod conv;
mod ctc;
mod einsum;
mod index;
mod join;
mod limits;
mod linalg;
mod list;
pub(crate) mod listed;
mod masked;
mod matmul;
mod no_nan;
mod norm;
mod normalize;
mod operators;
mod pool;
mod prod;
mod recurrent;
mod reduce;
mod select;
mod slice;
mod softmax;
mod straight_through;
mod taps;
mod unary;
mod unary_rule;
mod unfolded;
mod view;

pub use ctc::check_ctc;
pub use list::{listed_ops, op_samples};
pub use unary_rule::UnaryRule;
