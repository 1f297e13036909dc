//! What callbacks see of a running training.

use crate::error::TrainError;
use crate::history::{EpochRecord, History, StepRecord};
use gradus_autograd::Module;
use gradus_optim::{Optimizer, Rule};
use gradus_tensor::Tensor;
use std::collections::BTreeMap;

/// The learning rate of an optimiser, whatever its rule.
pub(crate) trait Rate {
    fn lr(&self) -> f64;
    fn set_lr(&mut self, lr: f64);
}

impl<R: Rule<f32>> Rate for Optimizer<R, f32> {
    fn lr(&self) -> f64 {
        Optimizer::lr(self)
    }
    fn set_lr(&mut self, lr: f64) {
        Optimizer::set_lr(self, lr);
    }
}

/// Where a training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Whole epochs done.
    pub epochs: usize,
    /// Steps done in the epoch under way.
    pub steps_in_epoch: usize,
    /// Steps done in all.
    pub steps: u64,
}

/// A running training, as a [`Callback`](crate::Callback) sees it.
pub struct Run<'a> {
    pub(crate) model: &'a mut dyn Module<f32>,
    pub(crate) optimizer: &'a mut dyn Rate,
    pub(crate) history: &'a History,
    pub(crate) position: Position,
    pub(crate) stop: Option<String>,
}

impl Run<'_> {
    /// The weights and buffers by path.
    pub fn weights(&self) -> BTreeMap<String, Tensor<f32>> {
        self.model.state_dict()
    }

    /// Replaces weights and buffers.
    ///
    /// # Errors
    /// When the values do not fit the model.
    pub fn set_weights(&mut self, weights: &BTreeMap<String, Tensor<f32>>) -> Result<(), TrainError> {
        let mut model = &mut *self.model;
        Ok(Module::<f32>::load_state_dict(&mut model, weights)?)
    }

    /// The learning rate.
    pub fn lr(&self) -> f64 {
        self.optimizer.lr()
    }

    /// Sets the learning rate.
    pub fn set_lr(&mut self, lr: f64) {
        self.optimizer.set_lr(lr);
    }

    /// The record so far, this epoch's included at its end.
    pub fn history(&self) -> &History {
        self.history
    }

    /// Where the training stands.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Ends the training after this epoch or step, and says why.
    pub fn stop(&mut self, reason: impl Into<String>) {
        self.stop = Some(reason.into());
    }
}

/// Something that happens along a training. Every method does nothing unless it is written.
pub trait Callback: Send {
    /// The name that its memory has in a checkpoint; one line.
    fn name(&self) -> &'static str;

    /// Before the first step.
    fn on_train_begin(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        let _ = run;
        Ok(())
    }

    /// After each step.
    fn on_step_end(&mut self, run: &mut Run<'_>, step: &StepRecord) -> Result<(), TrainError> {
        let _ = (run, step);
        Ok(())
    }

    /// After each epoch and its validation.
    fn on_epoch_end(&mut self, run: &mut Run<'_>, epoch: &EpochRecord) -> Result<(), TrainError> {
        let _ = (run, epoch);
        Ok(())
    }

    /// After the last step.
    fn on_train_end(&mut self, run: &mut Run<'_>) -> Result<(), TrainError> {
        let _ = run;
        Ok(())
    }

    /// What must be known to go on after an interruption.
    fn state(&self) -> CallbackState {
        CallbackState::default()
    }

    /// Goes on from [`state`](Self::state).
    fn load_state(&mut self, state: CallbackState) {
        let _ = state;
    }
}

/// A callback's memory: numbers and tensors by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackState {
    /// Numbers by name.
    pub numbers: BTreeMap<String, f64>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor<f32>>,
}
