//! Recurrent networks: what one step computes, and how a sequence is run through it.

mod backprop;
mod beam;
mod cell;
mod combine;
mod decoder;
mod driver;
mod encoder_decoder;
mod forcing;
mod gates;
mod gru;
mod lstm;
mod measure;
mod names;
mod output;
mod patterns;
mod rnn;
mod sampling;
mod sequence;

pub use beam::{BeamSearch, Hypothesis};
pub use cell::{CellState, RnnCell};
pub use combine::{Bidirectional, Merge, Stacked, Stateful};
pub use decoder::{Decoded, Decoder, Encoded};
pub use driver::{Recurrent, RecurrentLayer};
pub use encoder_decoder::EncoderDecoder;
pub use forcing::{ForcingGap, TeacherForcing};
pub use gru::Gru;
pub use lstm::Lstm;
pub use measure::{bits_per_character, edit_distance, perplexity};
pub use names::torch_recurrent_name;
pub use output::{Feedback, OutputRecurrence};
pub use patterns::{HiddenRecurrence, SequenceToOne};
pub use rnn::{Nonlinearity, Rnn};
pub use sampling::Sampler;
pub use sequence::Sequence;
pub(crate) use sequence::sequence_of;
