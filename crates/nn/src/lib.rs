//! Layers, losses, metrics and initialisers.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

// What `#[derive(Module)]` writes names the crate `gradus`, which to this crate is `gradus_autograd`.
extern crate gradus_autograd as gradus;

mod layer;
mod sequential;

pub use gradus_derive::Module;
pub use layer::{Layer, Mode};
pub use sequential::{Sequential, Summary, SummaryRow};
