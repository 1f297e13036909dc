//! The tests of this crate, in one binary: linking is most of what they take to build.
//! Those that read the accounts of a whole process are binaries of their own, beside this folder.

mod common;
mod compare;
mod conv;
mod create;
mod display;
mod einsum;
mod elementwise;
mod errors;
mod hostile;
mod index;
mod integers;
mod join;
mod layouts;
mod linalg;
mod math;
mod matmul;
mod norm;
mod normalize;
mod operators;
mod parallel;
mod pool;
mod recurrent;
mod reduce;
mod sizes;
mod softmax;
mod sort;
mod taps;
mod views;
mod winograd;
