//! Training: fit, evaluate, predict; progress, history, plots and checkpoints.
//!
//! ```no_run
//! use gradus_data::Mnist;
//! use gradus_nn::{Accuracy, CrossEntropy, Flatten, Linear, Sequential};
//! use gradus_optim::Adam;
//! use gradus_tensor::Rng;
//! use gradus_train::{EarlyStopping, Fit, Trainer};
//! let mnist = Mnist::embedded()?;
//! let net: Sequential = Sequential::new().add(Flatten).add(Linear::new(784, 10, &mut Rng::seed(0)));
//! let history = Trainer::new(net, CrossEntropy::new(), Adam::new(1e-3))
//!     .metric(Accuracy::new())
//!     .callback(EarlyStopping::on("val_loss").patience(3))
//!     .fit(&mnist.train(), &mnist.test(), Fit::epochs(5).batch(128))?;
//! # #[cfg(feature = "plots")]
//! history.plot("curves.svg")?;
//! # Ok::<(), gradus_train::TrainError>(())
//! ```
//!
//! # Features
//! | feature | on by default | adds | built on |
//! |---|---|---|---|
//! | `plots` | yes | [`plot`], [`History::plot`] | plotters, png |
//! | `progress` | yes | a bar on a terminal while an epoch runs ([`Verbosity`]) | indicatif |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod bar;
mod best;
mod callbacks;
mod checkpoint;
mod data;
mod engine;
mod epochs;
mod error;
mod fit;
mod history;
mod learner;
mod objective;
#[cfg(feature = "plots")]
pub mod plot;
mod progress;
mod resume;
mod run;
mod running;
mod step;
mod supervised;
mod trainer;
mod turn;
mod weights;

pub use callbacks::{CsvLog, EarlyStopping, LearningRate, SaveBest, StopOnNan};
pub use data::TrainData;
pub use epochs::TrainFloat;
pub use error::TrainError;
pub use fit::Fit;
pub use history::{EpochRecord, History, StepRecord};
pub use objective::{IntoLoss, Objective, StepContext};
pub use progress::Verbosity;
pub use run::{Callback, CallbackState, Phase, Position, Run};
pub use supervised::Supervised;
pub use trainer::{Trainer, extract_features};
pub use weights::{load_tensors, load_weights, save_tensors, save_weights};
