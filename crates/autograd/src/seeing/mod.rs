//! Looking at what the tape does.

pub(crate) mod anomaly;
