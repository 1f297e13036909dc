//! The tests of this crate, in one binary: linking is most of what they take to build.

mod references;
mod weights;
