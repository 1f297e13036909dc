//! Layers, losses, metrics and initialisers.
//!
//! Names, defaults, parameter names and initial values follow PyTorch. Layers and losses are generic over the element
//! type: checked in `f64`, trained in `f32`.
//!
//! ```
//! use gradus_nn::{Conv2d, Flatten, Layer, Linear, LossExt, MaxPool2d, Mode, Relu, Sequential};
//! use gradus_tensor::{Rng, Tensor};
//! let rng = &mut Rng::seed(0);
//! let net: Sequential = Sequential::new()
//!     .add(Conv2d::new(1, 4, 3, rng).same())
//!     .add(Relu)
//!     .add(MaxPool2d::new(2))
//!     .add(Flatten)
//!     .add(Linear::new(4 * 4 * 4, 10, rng));
//! let x = Tensor::normal([2, 1, 8, 8], 0.0, 1.0, rng);
//! let loss = net.forward(&x.into(), &mut Mode::Train(rng)).cross_entropy(&Tensor::from([3i64, 7]));
//! let grads = loss.backward();
//! assert_eq!(grads.len(), 4);
//! ```

// What `#[derive(Module)]` writes names the crate `gradus`, which to this crate is `gradus_autograd`.
extern crate gradus_autograd as gradus;

mod attention;
mod batch_weight;
pub mod init;
mod layer;
mod layers;
mod losses;
pub mod metrics;
mod output_kind;
mod penalty;
mod recurrent;
mod refuse;
pub mod samples;
mod sequential;

pub use attention::*;
pub use batch_weight::BatchWeight;
pub use gradus_autograd::Module;
pub use gradus_derive::Module;
pub use init::Init;
pub use layer::{Layer, Mode, named_scope};
pub use layers::*;
pub use losses::*;
pub use metrics::{Accuracy, Direction, Metric};
pub use output_kind::OutputKind;
pub use penalty::{ActivityPenalty, Penalty, collect_penalties};
pub use recurrent::*;
pub use sequential::{Sequential, Summary, SummaryRow};
