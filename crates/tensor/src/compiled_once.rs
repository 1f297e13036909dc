//! Functions of an element type that are compiled for `f32` and `f64` in the crate that defines them.
//!
//! What is generic is compiled anew in every crate that uses it. `#[compiled_once]` on an impl block writes, for each method, a type
//! that has the method's instances as functions which are not generic, and so are compiled with the method. [`Float::once`](crate::Float::once) picks
//! one by its type alone, so the call is a direct one, the compiler checks all types, and `#[track_caller]` works.

pub use gradus_derive::compiled_once;

pub use crate::element::{ElementFn, NumFn};
pub use crate::float::FloatFn;
