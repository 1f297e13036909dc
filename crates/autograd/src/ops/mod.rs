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
mod masked;
mod matmul;
mod no_nan;
mod norm;
mod operators;
mod pool;
mod recurrent;
mod reduce;
mod slice;
mod softmax;
mod straight_through;
mod taps;
mod unary;
mod unfolded;
mod view;

pub use ctc::check_ctc;
pub use unary::UnaryRule;

use crate::samples::OpSample;
use gradus_tensor::Float;

/// The samples of every op on this table; an op that has none fails the tests.
pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    let families = [
        unary::samples::<T>(),
        abs::samples::<T>(),
        activation::samples::<T>(),
        binary::samples::<T>(),
        no_nan::samples::<T>(),
        operators::samples::<T>(),
        reduce::samples::<T>(),
        norm::samples::<T>(),
        view::samples::<T>(),
        slice::samples::<T>(),
        index::samples::<T>(),
        join::samples::<T>(),
        masked::samples::<T>(),
        matmul::samples::<T>(),
        linalg::samples::<T>(),
        conv::samples::<T>(),
        ctc::samples::<T>(),
        einsum::samples::<T>(),
        pool::samples::<T>(),
        recurrent::samples::<T>(),
        softmax::samples::<T>(),
        straight_through::samples::<T>(),
        taps::samples::<T>(),
        crate::derivatives::samples::<T>(),
        crate::checkpoint::samples::<T>(),
        crate::fixed_point::samples::<T>(),
    ];
    families.into_iter().flatten().collect()
}
