//! The tests of this crate, in one binary: linking is most of what they take to build.

// What `#[derive(Module)]` writes names the crate `gradus`.
extern crate gradus_autograd as gradus;

mod findings;
mod layers;
mod ops;
mod optimizers;
