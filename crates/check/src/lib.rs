//! A toolkit that checks gradients.
//!
//! The core knows functions of `f64` arrays and the vector-Jacobian products that are claimed for them
//! ([`Function`]), and no framework; so it can check any framework's code. With the feature `gradus` (the default), a
//! function of Gradus variables is checked in one line:
//!
//! ```
//! # #[cfg(feature = "gradus")] {
//! use gradus_check::check;
//! use gradus_tensor::Tensor;
//! check(|x| x[0].tanh() * &x[1], [Tensor::from([0.3, -0.4]), Tensor::from([1.0, 2.0])]).unwrap();
//! # }
//! ```
//!
//! Layers (`check_layer`) and models (`check_module`) are checked with respect to every parameter, by its path;
//! optimisers (`check_optimizer`) against their formulas.
//!
//! First and second derivatives are held against independent witnesses ([`Oracle`]); a [`Report`] says what was
//! compared, what disagreed, and shows the smallest inputs that still fail.
//!
//! With the feature `proptest`, the module `strategies` has shapes, arrays and layouts for property tests.

mod array;
mod checker;
mod engine;
mod function;
#[cfg(feature = "gradus")]
mod gradus;
mod hints;
mod invariants;
mod oracle;
mod random;
mod report;
mod shrink;
#[cfg(feature = "proptest")]
pub mod strategies;

pub use array::{Array, View};
pub use checker::{Checker, Convention};
pub use function::Function;
#[cfg(feature = "gradus")]
pub use gradus::*;
pub use oracle::{Opinion, Oracle};
pub use report::{Coverage, Entry, Failure, Fault, Finding, Report, Verdict};
