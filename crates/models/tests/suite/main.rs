//! The tests of this crate, in one binary: linking is most of what they take to build.

mod explain;
#[cfg(feature = "hdf5")]
mod keras;
mod messages;
mod references;
#[cfg(feature = "zip")]
mod weights;
