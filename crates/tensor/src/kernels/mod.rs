//! The loops under the tensors: slices in, slices out, no shapes beyond what a loop needs. The only
//! place in Gradus with `unsafe` code.

pub(crate) mod alloc;
pub mod conv;
pub mod epilogue;
pub(crate) mod fused;
pub mod gemm;
mod gemv;
pub(crate) mod index;
pub(crate) mod lu;
pub(crate) mod map;
pub(crate) mod math;
pub mod norm;
pub mod parallel;
pub mod pool;
pub mod recurrent;
pub(crate) mod reduce;
pub(crate) mod select;
mod shared;
pub mod simd;
pub(crate) mod softmax;
pub(crate) mod squares;
pub(crate) mod strided;
