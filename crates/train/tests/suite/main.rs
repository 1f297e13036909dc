//! The tests of this crate, in one binary: linking is most of what they take to build.

mod callbacks;
mod common;
mod fit;
mod plots;
mod resume;
mod weights;
