//! Looking at what the tape does.

pub(crate) mod anomaly;
mod dot;
mod kind;
mod layout;
mod svg;
mod table;
pub(crate) mod tape;
