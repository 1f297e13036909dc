//! The callbacks that come with Gradus.

use crate::best::Best;
use crate::error::TrainError;
use crate::history::{EpochRecord, StepRecord};
use crate::run::{Callback, CallbackState, Phase, Position, Run};
use crate::weights::save_tensors;
use gradus_data::Array;
use gradus_nn::Direction;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Which way the monitored quantity is better.
macro_rules! direction_builders {
    () => {
        /// Larger values are better, whatever the name says.
        #[must_use]
        #[doc(alias = "mode")]
        pub fn maximize(mut self) -> Self {
            self.best.told = Some(Direction::Maximize);
            self
        }

        /// Smaller values are better, whatever the name says.
        #[must_use]
        #[doc(alias = "mode")]
        pub fn minimize(mut self) -> Self {
            self.best.told = Some(Direction::Minimize);
            self
        }
    };
}

/// Stops when a monitored quantity has not become better for some epochs, and puts the best weights back.
///
/// Which way is better, the metric says, or else the name, by whole words: smaller for `val_loss` and `mae`, larger for `val_acc`
/// and `f1`. Where neither tells, training does not begin: write [`maximize`](Self::maximize) or [`minimize`](Self::minimize).
///
/// Weights are kept, and put back, before any other callback is called, in whatever order they were added ([`Phase`]). Where two
/// callbacks of this type put weights back, those of the later epoch stay.
///
/// ```
/// use gradus_train::EarlyStopping;
/// let stop = EarlyStopping::on("val_loss").patience(3).min_delta(1e-4);
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    best: Best,
    patience: usize,
    restore_best: bool,
    waited: usize,
    /// The epoch that `weights` are of.
    best_epoch: usize,
    weights: BTreeMap<String, Array>,
}

impl EarlyStopping {
    /// Watches a value of the history: `val_loss`, `val_acc`.
    pub fn on(monitor: impl Into<String>) -> Self {
        let best = Best::of(monitor);
        Self { best, patience: 3, restore_best: true, waited: 0, best_epoch: 0, weights: BTreeMap::new() }
    }

    direction_builders!();

    /// How many epochs without improvement are waited for; 3 unless set.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// By how much a value must beat the best so far to count as better, as a difference and not a share; 0 unless set.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.best.min_delta = min_delta;
        self
    }

    /// Whether the weights of the best epoch come back at the end; they do unless said otherwise.
    #[doc(alias = "restore_best_weights")]
    #[must_use]
    pub fn restore_best(mut self, restore: bool) -> Self {
        self.restore_best = restore;
        self
    }

    fn stop_if_due<T: Float>(&self, run: &mut Run<'_, T>) {
        if self.waited > 0 && self.waited >= self.patience {
            run.stop(format!("{} has not improved for {} epochs", self.best.monitor, self.waited));
        }
    }
}

impl<T: Float> Callback<T> for EarlyStopping {
    fn name(&self) -> &'static str {
        "early_stopping"
    }

    fn phase(&self) -> Phase {
        Phase::Restore
    }

    fn on_train_begin(&mut self, run: &mut Run<'_, T>) -> Result<(), TrainError> {
        self.best.begin(run)?;
        if run.position() == Position::default() {
            // Nothing of a training before this one counts.
            (self.best.value, self.waited, self.weights) = (None, 0, BTreeMap::new());
        }
        self.stop_if_due(run);
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_, T>, epoch: &EpochRecord) -> Result<(), TrainError> {
        if self.best.improves(epoch)? {
            self.waited = 0;
            if self.restore_best {
                let weights = run.weights().into_iter().map(|(path, w)| (path, Array::of(&w)));
                (self.best_epoch, self.weights) = (epoch.epoch, weights.collect());
            }
        } else {
            self.waited += 1;
            self.stop_if_due(run);
        }
        Ok(())
    }

    fn on_train_end(&mut self, run: &mut Run<'_, T>) -> Result<(), TrainError> {
        if self.restore_best && !self.weights.is_empty() {
            run.restore(self.best_epoch, &tensors(&self.weights))?;
        }
        Ok(())
    }

    fn state(&self) -> CallbackState<T> {
        let counts = [("waited", self.waited), ("best_epoch", self.best_epoch)];
        let mut numbers: BTreeMap<String, f64> = counts.map(|(name, count)| (name.to_string(), count as f64)).into();
        numbers.extend(self.best.value.map(|b| ("best".to_string(), b)));
        CallbackState { numbers, tensors: tensors(&self.weights), settings: self.best.settings() }
    }

    fn load_state(&mut self, state: CallbackState<T>) {
        let count = |name: &str| state.numbers.get(name).copied().unwrap_or(0.0) as usize;
        (self.waited, self.best_epoch) = (count("waited"), count("best_epoch"));
        self.best.value = state.numbers.get("best").copied();
        self.weights = state.tensors.into_iter().map(|(path, w)| (path, Array::of(&w))).collect();
    }
}

fn tensors<T: Float>(arrays: &BTreeMap<String, Array>) -> BTreeMap<String, Tensor<T>> {
    arrays.iter().map(|(path, w)| (path.clone(), w.cast())).collect()
}

/// Writes the weights of the best epoch as `best.safetensors` into a folder; [`Fit::checkpoint`](crate::Fit::checkpoint)
/// stores the last state of the whole training.
///
/// Which way is better is found out as by [`EarlyStopping`]. The file has the weights that were evaluated, whatever other
/// callbacks do to them at the end of the epoch ([`Phase`]).
#[doc(alias = "ModelCheckpoint")]
#[derive(Clone, Debug)]
pub struct SaveBest {
    best: Best,
    folder: PathBuf,
}

impl SaveBest {
    /// Watches a value of the history and writes into `folder`.
    pub fn on(monitor: impl Into<String>, folder: impl Into<PathBuf>) -> Self {
        Self { best: Best::of(monitor), folder: folder.into() }
    }

    direction_builders!();
}

impl<T: Float> Callback<T> for SaveBest {
    fn name(&self) -> &'static str {
        "save_best"
    }

    fn phase(&self) -> Phase {
        Phase::Record
    }

    fn on_train_begin(&mut self, run: &mut Run<'_, T>) -> Result<(), TrainError> {
        self.best.begin(run)?;
        if run.position() == Position::default() {
            self.best.value = None;
        }
        std::fs::create_dir_all(&self.folder)
            .map_err(|e| TrainError::in_file(&self.folder, format!("cannot make the folder: {e}")))
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_, T>, epoch: &EpochRecord) -> Result<(), TrainError> {
        if self.best.improves(epoch)? {
            let value = format!("{:?}", epoch.get(&self.best.monitor).unwrap_or(f64::NAN));
            let meta = BTreeMap::from([("epoch".into(), epoch.epoch.to_string()), (self.best.monitor.clone(), value)]);
            save_tensors(self.folder.join("best.safetensors"), &run.weights(), &meta)?;
        }
        Ok(())
    }

    fn state(&self) -> CallbackState<T> {
        let numbers = self.best.value.map(|b| ("best".to_string(), b)).into_iter().collect();
        CallbackState { numbers, tensors: BTreeMap::new(), settings: self.best.settings() }
    }

    fn load_state(&mut self, state: CallbackState<T>) {
        self.best.value = state.numbers.get("best").copied();
    }
}

/// Rewrites a CSV file after each epoch.
#[doc(alias = "CSVLogger")]
#[derive(Clone, Debug)]
pub struct CsvLog {
    path: PathBuf,
}

impl CsvLog {
    /// Writes to `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl<T: Float> Callback<T> for CsvLog {
    fn name(&self) -> &'static str {
        "csv_log"
    }

    fn phase(&self) -> Phase {
        Phase::Record
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_, T>, _: &EpochRecord) -> Result<(), TrainError> {
        run.history().save_csv(&self.path)
    }
}

/// Ends the training with an error when a loss is NaN or infinite; every training has it unless
/// [`Fit::allow_nan`](crate::Fit::allow_nan) says otherwise.
#[doc(alias = "TerminateOnNaN")]
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOnNan;

impl<T: Float> Callback<T> for StopOnNan {
    fn name(&self) -> &'static str {
        "stop_on_nan"
    }

    fn phase(&self) -> Phase {
        Phase::Record
    }

    fn on_step_end(&mut self, _: &mut Run<'_, T>, step: &StepRecord) -> Result<(), TrainError> {
        if step.loss.is_finite() {
            return Ok(());
        }
        Err(TrainError::new(format!(
            "the loss is {} at step {} (epoch {}, learning rate {}): a lower learning rate, gradient clipping or other data may \
             keep it finite",
            step.loss, step.step, step.epoch, step.lr
        )))
    }
}

/// Sets the learning rate before each epoch by a function of the epoch's number, from 0. Schedules proper belong to the
/// optimiser: `Adam::new(1e-3).schedule(Every::Epoch, …)`.
pub struct LearningRate<F>(/** The rate by the epoch. */ pub F);

impl<F: FnMut(usize) -> f64> LearningRate<F> {
    fn set<T: Float>(&mut self, run: &mut Run<'_, T>, epochs: usize) -> Result<(), TrainError> {
        let lr = (self.0)(epochs);
        if !lr.is_finite() || lr < 0.0 {
            let why = format!("learning_rate: the function gives {lr} for {epochs}; expected a finite number of 0 or more");
            return Err(TrainError::new(why));
        }
        run.set_lr(lr);
        Ok(())
    }
}

impl<T: Float, F: FnMut(usize) -> f64 + Send> Callback<T> for LearningRate<F> {
    fn name(&self) -> &'static str {
        "learning_rate"
    }

    fn on_train_begin(&mut self, run: &mut Run<'_, T>) -> Result<(), TrainError> {
        self.set(run, run.position().epochs)
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_, T>, epoch: &EpochRecord) -> Result<(), TrainError> {
        self.set(run, epoch.epoch)
    }
}
