//! Whole sequences of a recurrent cell, forward and backward, given the input's share of all steps.
//!
//! A loop over steps cannot be cut, but a batch can: its rows never meet before the weights' gradient. So rows go to
//! tasks in groups, each of which runs all its steps in buffers that stay in the cache of one core, with nothing to wait
//! for. The weights' gradient is one product over all steps at the end: `dW = Σ_t dp_tᵀ h_(t-1)` has the states before
//! each step as its right side, which lie behind one another, for states are kept from the first one on.
//!
//! All arrays are row-major: shares of gates `[T, N, G·H]`, states `[T + 1, N, H]`, weights `[G·H, H]`, a mask `[T, N]`.
//! Where a mask is false, the state stays, and its gradient passes by.

mod given;
mod gru;
mod lstm;
mod rnn;

pub use given::{Given, Sizes};
pub use gru::{gru_backward, gru_forward, gru_gates, gru_gates_backward};
pub use lstm::{Kept as LstmKept, lstm_backward, lstm_forward};
pub use rnn::{rnn_backward, rnn_forward};
