//! What holds for every op of the table, whatever it computes.

mod common;
mod memory;
mod nan;
mod threads;
mod zero_gradient;
