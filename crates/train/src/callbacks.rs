//! The callbacks that come with Gradus.

use crate::error::TrainError;
use crate::history::{EpochRecord, StepRecord};
use crate::run::{Callback, CallbackState, Position, Run};
use crate::weights::save_tensors;
use gradus_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The best value of a monitored quantity so far. Accuracies and the like are better when larger, all else when smaller.
#[derive(Clone, Debug)]
struct Best {
    monitor: String,
    larger_is_better: bool,
    min_delta: f64,
    best: Option<f64>,
}

impl Best {
    fn of(monitor: impl Into<String>) -> Self {
        let monitor = monitor.into();
        let larger = ["acc", "precision", "recall", "f1", "auc"].iter().any(|m| monitor.contains(m));
        Self { monitor, larger_is_better: larger, min_delta: 0.0, best: None }
    }

    /// Whether this epoch is better than all before it, by `min_delta` at least.
    fn improves(&mut self, epoch: &EpochRecord) -> Result<bool, TrainError> {
        let Some(value) = epoch.get(&self.monitor) else {
            let names: Vec<&str> = epoch.values.iter().map(|(n, _)| n.as_str()).collect();
            return Err(TrainError::new(format!("there is no `{}` to monitor; there are {}", self.monitor, names.join(", "))));
        };
        let gain = |best: f64| if self.larger_is_better { value - best } else { best - value };
        let better = !value.is_nan() && self.best.is_none_or(|b| gain(b) > self.min_delta);
        if better {
            self.best = Some(value);
        }
        Ok(better)
    }
}

/// Stops when a monitored quantity has not become better for some epochs, and puts the best weights back.
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
    weights: BTreeMap<String, Tensor<f32>>,
}

impl EarlyStopping {
    /// Watches a value of the history: `val_loss`, `val_acc`.
    pub fn on(monitor: impl Into<String>) -> Self {
        Self { best: Best::of(monitor), patience: 3, restore_best: true, waited: 0, weights: BTreeMap::new() }
    }

    /// How many epochs without improvement are waited for; 3 unless set.
    #[must_use]
    pub fn patience(mut self, epochs: usize) -> Self {
        self.patience = epochs;
        self
    }

    /// How much better counts as better; 0 unless set.
    #[must_use]
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.best.min_delta = min_delta;
        self
    }

    /// Whether the weights of the best epoch come back at the end; they do unless said otherwise.
    #[must_use]
    pub fn restore_best(mut self, restore: bool) -> Self {
        self.restore_best = restore;
        self
    }

    fn stop_if_due(&self, run: &mut Run<'_>) {
        if self.waited > 0 && self.waited >= self.patience {
            run.stop(format!("{} has not improved for {} epochs", self.best.monitor, self.waited));
        }
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &'static str {
        "early_stopping"
    }

    fn on_train_begin(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        if run.position() == Position::default() {
            // Nothing of a training before this one counts.
            (self.best.best, self.waited, self.weights) = (None, 0, BTreeMap::new());
        }
        self.stop_if_due(run);
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_>, epoch: &EpochRecord) -> Result<(), TrainError> {
        if self.best.improves(epoch)? {
            self.waited = 0;
            if self.restore_best {
                self.weights = run.weights();
            }
        } else {
            self.waited += 1;
            self.stop_if_due(run);
        }
        Ok(())
    }

    fn on_train_end(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        if self.restore_best && !self.weights.is_empty() {
            run.set_weights(&self.weights)?;
        }
        Ok(())
    }

    fn state(&self) -> CallbackState {
        let mut numbers = BTreeMap::from([("waited".to_string(), self.waited as f64)]);
        numbers.extend(self.best.best.map(|b| ("best".to_string(), b)));
        CallbackState { numbers, tensors: self.weights.clone() }
    }

    fn load_state(&mut self, state: CallbackState) {
        self.waited = state.numbers.get("waited").copied().unwrap_or(0.0) as usize;
        self.best.best = state.numbers.get("best").copied();
        self.weights = state.tensors;
    }
}

/// Writes the weights of the best epoch as `best.safetensors` into a folder; [`Fit::checkpoint`](crate::Fit::checkpoint)
/// stores the last state of the whole training.
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
}

impl Callback for SaveBest {
    fn name(&self) -> &'static str {
        "save_best"
    }

    fn on_train_begin(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        if run.position() == Position::default() {
            self.best.best = None;
        }
        std::fs::create_dir_all(&self.folder)
            .map_err(|e| TrainError::in_file(&self.folder, format!("cannot make the folder: {e}")))
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_>, epoch: &EpochRecord) -> Result<(), TrainError> {
        if self.best.improves(epoch)? {
            let value = format!("{:?}", epoch.get(&self.best.monitor).unwrap_or(f64::NAN));
            let meta = BTreeMap::from([("epoch".into(), epoch.epoch.to_string()), (self.best.monitor.clone(), value)]);
            save_tensors(self.folder.join("best.safetensors"), &run.weights(), &meta)?;
        }
        Ok(())
    }

    fn state(&self) -> CallbackState {
        let numbers = self.best.best.map(|b| ("best".to_string(), b)).into_iter().collect();
        CallbackState { numbers, tensors: BTreeMap::new() }
    }

    fn load_state(&mut self, state: CallbackState) {
        self.best.best = state.numbers.get("best").copied();
    }
}

/// Rewrites a CSV file after each epoch.
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

impl Callback for CsvLog {
    fn name(&self) -> &'static str {
        "csv_log"
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_>, _: &EpochRecord) -> Result<(), TrainError> {
        run.history().save_csv(&self.path)
    }
}

/// Ends the training with an error when a loss is NaN or infinite; every training has it unless
/// [`Fit::allow_nan`](crate::Fit::allow_nan) says otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct StopOnNan;

impl Callback for StopOnNan {
    fn name(&self) -> &'static str {
        "stop_on_nan"
    }

    fn on_step_end(&mut self, _: &mut Run<'_>, step: &StepRecord) -> Result<(), TrainError> {
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

impl<F: FnMut(usize) -> f64 + Send> Callback for LearningRate<F> {
    fn name(&self) -> &'static str {
        "learning_rate"
    }

    fn on_train_begin(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        let lr = (self.0)(run.position().epochs);
        run.set_lr(lr);
        Ok(())
    }

    fn on_epoch_end(&mut self, run: &mut Run<'_>, epoch: &EpochRecord) -> Result<(), TrainError> {
        let lr = (self.0)(epoch.epoch);
        run.set_lr(lr);
        Ok(())
    }
}
