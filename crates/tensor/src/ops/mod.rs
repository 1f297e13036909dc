//! What can be done with tensors, a subject a file. Every op checks its operands here and leaves the
//! loops to [`kernels`](crate::kernels).

pub(crate) mod compare;
pub(crate) mod conv;
pub(crate) mod einsum;
pub(crate) mod elementwise;
pub mod functions;
pub(crate) mod index;
mod join;
pub(crate) mod linalg;
pub(crate) mod matmul;
mod norm;
pub(crate) mod normalize;
mod operators;
pub(crate) mod pool;
pub(crate) mod recurrent;
pub(crate) mod reduce;
mod softmax;
mod sort;
pub(crate) mod taps;
mod update;
