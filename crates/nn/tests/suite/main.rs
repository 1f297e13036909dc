//! The tests of this crate, in one binary: linking is most of what they take to build.

mod attention;
mod checkpoint;
mod gradients;
mod init;
mod layers;
mod losses;
mod metrics;
mod patterns;
mod penalty;
mod pytorch;
mod recurrent;
mod sequences;
mod sequential;
mod unfolding;
