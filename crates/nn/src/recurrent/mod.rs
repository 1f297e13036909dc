//! Recurrent networks: what one step computes, and how a sequence is run through it.

mod backprop;
mod cell;
mod combine;
mod driver;
mod elman;
mod gates;
mod gru;
mod lstm;
mod sequence;

pub use cell::{Cell, CellState};
pub use combine::{Bidirectional, Merge, Stacked, Stateful};
pub use driver::{Recurrent, Unfold};
pub use elman::{Elman, Nonlinearity};
pub use gru::Gru;
pub use lstm::Lstm;

pub use sequence::Sequence;
