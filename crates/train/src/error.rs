//! What goes wrong in training, and how it is reported.

use gradus_autograd::{GradError, StateDictError};
use gradus_data::DataError;
use gradus_optim::OptimError;
use gradus_tensor::ShapeError;
use std::fmt;
use std::path::{Path, PathBuf};

/// Training could not start, go on, or be stored. The message says where and why.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct TrainError(Box<Kind>);

#[derive(Debug, thiserror::Error)]
enum Kind {
    #[error(transparent)]
    Data(DataError),
    #[error(transparent)]
    Optim(OptimError),
    #[error("{}: {reason}", .path.display())]
    File { path: PathBuf, reason: String },
    #[error("{0}")]
    Use(String),
    #[error("{place}: {error}")]
    Batch { place: Place, error: TrainError },
}

/// A batch of a training or an evaluation, numbered from 1.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// In an epoch of [`Trainer::fit`](crate::Trainer::fit).
    Fit { epoch: usize, batch: usize },
    /// In [`Trainer::evaluate`](crate::Trainer::evaluate).
    Evaluate { batch: usize },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fit { epoch, batch } => write!(f, "fit: epoch {epoch}, batch {batch}"),
            Self::Evaluate { batch } => write!(f, "evaluate: batch {batch}"),
        }
    }
}

impl TrainError {
    /// A wrong argument or an impossible request.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(Box::new(Kind::Use(reason.into())))
    }

    /// This, of a batch.
    pub(crate) fn at(self, place: Place) -> Self {
        Self(Box::new(Kind::Batch { place, error: self }))
    }

    /// A file that does not hold what it should.
    pub fn in_file(path: impl AsRef<Path>, reason: impl Into<String>) -> Self {
        Self(Box::new(Kind::File { path: path.as_ref().to_owned(), reason: reason.into() }))
    }
}

impl From<DataError> for TrainError {
    fn from(e: DataError) -> Self {
        Self(Box::new(Kind::Data(e)))
    }
}

impl From<OptimError> for TrainError {
    fn from(e: OptimError) -> Self {
        Self(Box::new(Kind::Optim(e)))
    }
}

impl From<ShapeError> for TrainError {
    fn from(e: ShapeError) -> Self {
        Self::new(e.to_string())
    }
}

impl From<StateDictError> for TrainError {
    fn from(e: StateDictError) -> Self {
        Self::new(e.to_string())
    }
}

impl From<GradError> for TrainError {
    fn from(e: GradError) -> Self {
        Self::new(e.to_string())
    }
}
