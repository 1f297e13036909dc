//! The tests of this crate, in one binary: linking is most of what they take to build.
//! Those that read the accounts of a whole process are binaries of their own, beside this folder.

mod anomaly;
mod checkpoint;
mod custom;
mod derivatives;
mod ends;
mod implicit;
mod limits;
mod numbers;
mod ops;
mod parts;
mod pictures;
mod profile;
mod singular;
mod surface;
mod tape;
mod threads;
