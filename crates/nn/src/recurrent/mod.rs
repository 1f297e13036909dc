//! Recurrent networks: what one step computes.

mod cell;
mod elman;
mod gates;
mod gru;
mod lstm;

pub use cell::{Cell, CellState};
pub use elman::{Elman, Nonlinearity};
pub use gru::Gru;
pub use lstm::Lstm;
