//! The tests of this crate, in one binary: linking is most of what they take to build.

// What `#[derive(Module)]` writes names the crate `gradus`.
extern crate gradus_autograd as gradus;

mod batch_size;
mod callbacks;
mod common;
mod fit;
mod messages;
mod mismatch;
mod mistakes;
mod monitor;
mod objectives;
mod phases;
#[cfg(feature = "plots")]
mod plots;
mod resume;
mod turns;
mod waiting;
mod weights;
