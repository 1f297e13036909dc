//! The optimisers, one a file, each with its formula and where it is from.

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod adamw;
mod lion;
mod momentum;
mod nadam;
mod nesterov;
mod rmsprop;
mod sgd;

pub use adadelta::{Adadelta, AdadeltaState};
pub use adagrad::{Adagrad, AdagradState};
pub use adam::{Adam, AdamState};
pub use adamax::{Adamax, AdamaxState};
pub use adamw::AdamW;
pub use lion::{Lion, LionState};
pub use momentum::{Momentum, MomentumState};
pub use nadam::{NAdam, NAdamState};
pub use nesterov::Nesterov;
pub use rmsprop::{RmsProp, RmsPropState};
pub use sgd::{Sgd, SgdState};
