//! The tests of this crate, in one binary: linking is most of what they take to build.

// What `#[derive(Module)]` writes names the crate `gradus`.
extern crate gradus_autograd as gradus;

mod attention;
mod checkpoint;
mod gradients;
mod init;
mod layers;
mod loss_weights;
mod losses;
mod magnitudes;
mod masked_attention;
mod messages;
mod metrics;
mod ops;
mod patterns;
mod penalty;
mod pytorch;
mod recurrent;
mod resampling;
mod sampling;
mod sequences;
mod sequential;
mod sizes;
mod unrolling;
