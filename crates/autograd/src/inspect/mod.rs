//! Looking at what the tape does.

pub(crate) mod anomaly;
mod dot;
mod kind;
mod layout;
mod memory;
pub(crate) mod profile;
pub(crate) mod recorded;
pub(crate) mod recorder;
mod report;
mod svg;
mod table;
pub(crate) mod tape;
