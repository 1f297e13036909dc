//! The tests of this crate, in one binary: linking is most of what they take to build.

mod against_pytorch;
mod driver;
mod magnitudes;
mod properties;
mod schedules;
mod state;
