//! Strided n-dimensional arrays and the CPU kernels under Gradus.
//!
//! [`Tensor`] is a window onto a shared buffer: views copy nothing, arithmetic broadcasts as NumPy's
//! does, and an operand that is handed over by value is overwritten in place when nobody else holds
//! it. This crate knows no derivative; those are `gradus-autograd`'s.
//!
//! ```
//! use gradus_tensor::Tensor;
//! let x = Tensor::<f32>::arange(0.0, 6.0, 1.0).reshape([2, 3]);
//! let centred = &x - x.mean_keep(1);
//! assert_eq!(centred.to_vec(), [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0]);
//! ```

// What `#[compiled_once]` writes names this crate.
extern crate self as gradus_tensor;

mod buffer;
#[doc(hidden)]
pub mod compiled_once;
mod create;
mod display;
mod element;
mod element_functions;
mod error;
mod float;
#[doc(hidden)]
#[allow(unsafe_code)] // the kernels are the one place that may: raw pointers and processor features
pub mod kernels;
mod number;
mod ops;
mod real;
mod rng;
mod scalar;
pub mod scope;
pub mod shape;
mod tensor;
mod view;

#[doc(hidden)]
pub use buffer::poison_fresh_buffers;
pub use buffer::{BufferEvent, BufferObserver, MemoryStats, memory_stats, observe_buffers, reset_peak};
#[doc(hidden)]
pub use display::thousands;
pub use element::{DType, Element, Num};
pub use error::{OrPanic, ShapeError, catch_shape_errors};
pub use float::Float;
pub use kernels::parallel;
pub use kernels::simd::{Simd, simd};
pub use number::Number;
pub use ops::compare::Rhs;
pub use ops::conv::{Conv2dOptions, ConvAlgorithm, ConvOptions, conv2d_shape, same_padding, window_reach};
pub use ops::einsum::{EinsumPlan, Label, Labels, einsum_plan};
pub use ops::functions;
pub use ops::linalg::{LinalgError, Lu, solve_shape};
pub use ops::matmul::{dense_shape, matmul_shape};
pub use ops::normalize::{Normalization, Over, Statistics};
pub use ops::pool::{Pool2dOptions, PoolOptions, pool2d_shape};
pub use ops::recurrent::FusedSequence;
pub use ops::taps::Taps;
pub use real::Real;
pub use rng::{Rng, RngState};
pub use scalar::Scalar;
pub use shape::Shape;
pub use tensor::Tensor;
