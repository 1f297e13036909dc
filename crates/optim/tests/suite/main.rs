//! The tests of this crate, in one binary: linking is most of what they take to build.

// What `#[derive(RuleState)]` writes names the crate `gradus`.
extern crate gradus_optim as gradus;

mod against_pytorch;
mod driver;
mod magnitudes;
mod many;
mod properties;
mod schedules;
mod state;
