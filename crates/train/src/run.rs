//! What callbacks see of a running training.

use crate::error::TrainError;
use crate::history::{EpochRecord, History, StepRecord};
use crate::turn::Turn;
use gradus_autograd::Module;
use gradus_nn::Direction;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;

/// Where a training stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Whole epochs done.
    pub epochs: usize,
    /// Steps done in the epoch under way, counting those that were left out because their batches count for nothing.
    pub steps_in_epoch: usize,
    /// Steps done in all.
    pub steps: u64,
}

/// A running training, as a [`Callback`](crate::Callback) sees it.
pub struct Run<'a, T: Float = f32> {
    pub(crate) model: &'a mut dyn Module<T>,
    pub(crate) turns: &'a mut [Turn<T>],
    pub(crate) history: &'a History,
    pub(crate) position: Position,
    /// What each metric says of its direction.
    pub(crate) directions: &'a [(String, Option<Direction>)],
    /// The epoch whose weights have been put back.
    pub(crate) restored: Option<usize>,
    pub(crate) stop: Option<String>,
}

impl<T: Float> Run<'_, T> {
    /// The weights and buffers by path.
    pub fn weights(&self) -> BTreeMap<String, Tensor<T>> {
        self.model.state_dict()
    }

    /// Replaces weights and buffers.
    ///
    /// # Errors
    /// When the values do not fit the model.
    pub fn set_weights(&mut self, weights: &BTreeMap<String, Tensor<T>>) -> Result<(), TrainError> {
        let mut model = &mut *self.model;
        Ok(Module::<T>::load_state_dict(&mut model, weights)?)
    }

    /// Puts back the weights that an epoch ended with. Where several callbacks do so at the end of a training, the latest of
    /// their epochs counts, in whatever order they are called.
    ///
    /// # Errors
    /// When the weights do not fit the model.
    pub fn restore(&mut self, epoch: usize, weights: &BTreeMap<String, Tensor<T>>) -> Result<(), TrainError> {
        if self.restored.is_none_or(|earlier| epoch > earlier) {
            self.set_weights(weights)?;
            self.restored = Some(epoch);
        }
        Ok(())
    }

    /// Which way a quantity of the history is better: what its metric says, or else its name, by whole words. `None` where
    /// neither tells.
    pub fn direction(&self, name: &str) -> Option<Direction> {
        let of_metric = |name: &str| self.directions.iter().find(|(metric, _)| metric == name).map(|(_, direction)| *direction);
        let own = of_metric(name).or_else(|| of_metric(name.strip_prefix("val_")?));
        own.unwrap_or_else(|| Direction::of_name(name))
    }

    /// The learning rate: of several optimisers, that of the first.
    pub fn lr(&self) -> f64 {
        self.turns[0].optimizer.lr()
    }

    /// Sets the learning rate of all optimisers.
    pub fn set_lr(&mut self, lr: f64) {
        self.turns.iter_mut().for_each(|turn| turn.optimizer.set_lr(lr));
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

/// A callback's place among the others. At every event those of an earlier phase are called first, and those of one phase in
/// the order in which they were added. So the order of the calls of [`Trainer::callback`](crate::Trainer::callback) decides
/// between callbacks of one phase only.
///
/// At the end of an epoch, the phases `Restore` and `Record` see the weights that were evaluated. At the end of the training,
/// the best weights are put back first; what is recorded then are these; and what a callback of the phase `Change` sets, such
/// as an average over time, has the last word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Keeps weights, and puts them back when the training ends: [`EarlyStopping`](crate::EarlyStopping).
    Restore,
    /// Reads weights and writes records, and changes nothing: [`SaveBest`](crate::SaveBest), [`CsvLog`](crate::CsvLog).
    Record,
    /// May set weights or the learning rate: all other callbacks, unless they say otherwise.
    #[default]
    Change,
}

/// Something that happens along a training in `T`. Every method does nothing unless it is written.
#[doc(alias = "LambdaCallback")]
pub trait Callback<T: Float = f32>: Send {
    /// The name that its memory has in a checkpoint; one line.
    fn name(&self) -> &'static str;

    /// Its place among the other callbacks.
    fn phase(&self) -> Phase {
        Phase::Change
    }

    /// Before the first step.
    fn on_train_begin(&mut self, run: &mut Run<'_, T>) -> Result<(), TrainError> {
        let _ = run;
        Ok(())
    }

    /// After each step.
    fn on_step_end(&mut self, run: &mut Run<'_, T>, step: &StepRecord) -> Result<(), TrainError> {
        let _ = (run, step);
        Ok(())
    }

    /// After each epoch and its validation.
    fn on_epoch_end(&mut self, run: &mut Run<'_, T>, epoch: &EpochRecord) -> Result<(), TrainError> {
        let _ = (run, epoch);
        Ok(())
    }

    /// After the last step.
    fn on_train_end(&mut self, run: &mut Run<'_, T>) -> Result<(), TrainError> {
        let _ = run;
        Ok(())
    }

    /// What must be known to go on after an interruption.
    fn state(&self) -> CallbackState<T> {
        CallbackState::default()
    }

    /// Goes on from [`state`](Self::state).
    fn load_state(&mut self, state: CallbackState<T>) {
        let _ = state;
    }
}

/// A callback's memory: numbers and tensors by name, and the settings that they belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CallbackState<T: Float = f32> {
    /// Numbers by name.
    pub numbers: BTreeMap<String, f64>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, Tensor<T>>,
    /// What the code sets and the memory has no meaning without, such as the name of what is watched. A checkpoint in which
    /// they are others is refused.
    pub settings: BTreeMap<String, String>,
}
