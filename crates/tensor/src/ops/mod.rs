//! What can be done with tensors, a subject a file. Every op checks its operands here and leaves the
//! loops to [`kernels`](crate::kernels).

pub(crate) mod compare;
pub(crate) mod elementwise;
mod operators;
pub(crate) mod reduce;
