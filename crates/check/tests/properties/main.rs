//! What holds for every op of the table, whatever it computes.

mod checkpointed;
mod common;
mod elementwise;
mod magnitudes;
mod memory;
mod nan;
mod precision;
mod scales;
mod sharing;
mod threads;
mod zero_gradient;
