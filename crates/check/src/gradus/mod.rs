//! Functions of Gradus' variables as [`Function`](crate::Function)s.

mod function;
mod quiet;

pub use function::{GradusFunction, check, tensor_of};
