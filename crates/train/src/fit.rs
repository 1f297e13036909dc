//! How long and how a training goes.

use crate::progress::Verbosity;
use std::path::PathBuf;
use std::sync::Arc;

/// The options of one call of [`Trainer::fit`](crate::Trainer::fit).
///
/// ```
/// use gradus_train::Fit;
/// let fit = Fit::epochs(5).batch(128).seed(42).checkpoint("last.safetensors");
/// ```
#[derive(Clone, Debug)]
pub struct Fit {
    pub(crate) epochs: usize,
    pub(crate) batch: usize,
    pub(crate) accumulate: usize,
    pub(crate) seed: u64,
    pub(crate) shuffle: bool,
    pub(crate) sample_weights: Option<Arc<[f64]>>,
    pub(crate) drop_last: bool,
    pub(crate) prefetch: usize,
    pub(crate) verbosity: Verbosity,
    pub(crate) allow_nan: bool,
    pub(crate) checkpoint: Option<PathBuf>,
    pub(crate) checkpoint_steps: Option<u64>,
    pub(crate) resume: Option<PathBuf>,
    pub(crate) resume_if_there: bool,
}

impl Fit {
    /// This many passes over the data, in shuffled batches of 32, with seed 0.
    pub fn epochs(epochs: usize) -> Self {
        Self {
            epochs,
            batch: 32,
            accumulate: 1,
            seed: 0,
            shuffle: true,
            sample_weights: None,
            drop_last: false,
            prefetch: 2,
            verbosity: Verbosity::Auto,
            allow_nan: false,
            checkpoint: None,
            checkpoint_steps: None,
            resume: None,
            resume_if_there: false,
        }
    }

    /// Samples a batch, and a step unless batches are [accumulated](Self::accumulate).
    #[doc(alias = "batch_size")]
    #[must_use]
    pub fn batch(self, batch: usize) -> Self {
        Self { batch, ..self }
    }

    /// Batches a step, which is as large as memory would not let one batch be: their gradients are combined into that of the loss of
    /// all their samples at once, by [`Loss::weight`](gradus_nn::Loss::weight) or [`Objective::weight`](crate::Objective::weight). 1 unless set; 0 counts as 1.
    #[doc(alias("gradient_accumulation_steps", "MultiSteps"))]
    #[must_use]
    pub fn accumulate(self, batches: usize) -> Self {
        Self { accumulate: batches.max(1), ..self }
    }

    /// What the order of samples and the randomness of layers depend on.
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Whether samples come in another order each epoch; they do unless said otherwise.
    #[must_use]
    pub fn shuffle(self, shuffle: bool) -> Self {
        Self { shuffle, ..self }
    }

    /// Draws the samples of each epoch with replacement, with probabilities in proportion to these weights, instead of taking
    /// each once: with [`Labelled::sample_weights`](gradus_data::Labelled::sample_weights), rare classes are met as often as
    /// common ones.
    #[doc(alias = "sample_weight")]
    #[must_use]
    pub fn sample_weights(self, weights: impl Into<Vec<f64>>) -> Self {
        let weights: Vec<f64> = weights.into();
        Self { sample_weights: Some(weights.into()), ..self }
    }

    /// Whether a last, smaller batch is left out; it is not unless said otherwise. Batch normalisation of vectors cannot train on a
    /// last batch of one sample.
    #[must_use]
    pub fn drop_last(self, drop_last: bool) -> Self {
        Self { drop_last, ..self }
    }

    /// Batches loaded ahead in the background; 2 unless set.
    #[must_use]
    pub fn prefetch(self, prefetch: usize) -> Self {
        Self { prefetch, ..self }
    }

    /// How much is printed.
    #[doc(alias("verbose", "ProgbarLogger"))]
    #[must_use]
    pub fn verbosity(self, verbosity: Verbosity) -> Self {
        Self { verbosity, ..self }
    }

    /// Goes on when a loss is not finite (the step is left out), instead of ending with an error.
    #[must_use]
    pub fn allow_nan(self) -> Self {
        Self { allow_nan: true, ..self }
    }

    /// Stores the whole training in this file after each epoch, to be gone on from with [`resume`](Self::resume).
    #[doc(alias("ModelCheckpoint", "BackupAndRestore"))]
    #[must_use]
    pub fn checkpoint(self, path: impl Into<PathBuf>) -> Self {
        Self { checkpoint: Some(path.into()), ..self }
    }

    /// Stores it after every so many steps too.
    #[must_use]
    pub fn checkpoint_every(self, steps: u64) -> Self {
        Self { checkpoint_steps: Some(steps.max(1)), ..self }
    }

    /// Goes on from a stored training: to the same bits as if it had not been interrupted, when network, optimiser, data and
    /// options are the same.
    #[doc(alias = "initial_epoch")]
    #[must_use]
    pub fn resume(self, path: impl Into<PathBuf>) -> Self {
        Self { resume: Some(path.into()), resume_if_there: false, ..self }
    }

    /// As [`resume`](Self::resume) if there is such a file, else from the start.
    #[must_use]
    pub fn resume_if_there(self, path: impl Into<PathBuf>) -> Self {
        Self { resume: Some(path.into()), resume_if_there: true, ..self }
    }
}
