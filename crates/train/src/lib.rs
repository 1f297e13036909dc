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
//! history.plot("curves.svg")?;
//! # Ok::<(), gradus_train::TrainError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod batch;
mod best;
mod callbacks;
mod checkpoint;
mod engine;
mod error;
mod fit;
mod history;
pub mod plot;
mod progress;
mod run;
mod trainer;
mod weights;

pub use callbacks::{CsvLog, EarlyStopping, LearningRate, SaveBest, StopOnNan};
pub use error::TrainError;
pub use fit::Fit;
pub use history::{EpochRecord, History, StepRecord};
pub use progress::Verbosity;
pub use run::{Callback, CallbackState, Phase, Position, Run};
pub use trainer::{TrainData, Trainer, extract_features};
pub use weights::{load_tensors, load_weights, save_tensors, save_weights};
