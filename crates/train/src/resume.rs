//! Storing a training, and going on with it.

use crate::checkpoint::{Checkpoint, check_callbacks};
use crate::engine::{Engine, State};
use crate::error::TrainError;
use crate::learner::Learner;
use crate::run::Callback;
use gradus_autograd::Module;
use gradus_optim::OptimizerState;
use gradus_tensor::{Float, Rng};
use std::collections::BTreeMap;
use std::path::Path;

impl<T: Float> Engine<T> {
    pub(crate) fn store(&mut self, learner: &mut dyn Learner<T>, path: &Path, state: &State) -> Result<(), TrainError> {
        let losses = state.totals.losses(&self.turns).map(|(name, loss)| (name, loss.state()));
        let mut running: BTreeMap<String, Vec<f64>> = losses.collect();
        running.extend(learner.metric_states().into_iter().map(|(name, state)| (format!("metric.{name}"), state)));
        running.extend(state.totals.logs.states().map(|(name, state)| (format!("log.{name}"), state)));
        let checkpoint = Checkpoint {
            weights: learner.model().state_dict(),
            optimizers: self.turns.iter().map(|turn| turn.optimizer.state_dict()).collect(),
            rng: state.rng.state(),
            plan: state.plan.clone(),
            position: state.position,
            running,
            history: state.history.clone(),
            callbacks: keys(&self.callbacks).into_iter().zip(self.callbacks.iter().map(|c| c.state())).collect(),
        };
        checkpoint.save(path)
    }

    pub(crate) fn resume(&mut self, learner: &mut dyn Learner<T>, path: &Path, state: &mut State) -> Result<(), TrainError> {
        let failed = |reason: String| TrainError::in_file(path, format!("cannot go on from this checkpoint: {reason}"));
        let mut stored = Checkpoint::load(path)?;
        if !state.plan.continues(&stored.plan, stored.position.steps_in_epoch > 0) {
            return Err(failed(format!("it was made with {}; this training has {}", stored.plan, state.plan)));
        }
        let keys = keys(&self.callbacks);
        let here = keys.iter().zip(self.callbacks.iter().map(|c| c.state()));
        check_callbacks(here, &stored.callbacks).map_err(failed)?;
        if stored.position.steps_in_epoch > 0 {
            self.load_running(learner, &stored.running, state).map_err(failed)?;
        }
        let mut model = learner.model();
        let before = model.state_dict();
        Module::load_state_dict(&mut model, &stored.weights).map_err(|e| failed(e.to_string()))?;
        if let Err(reason) = self.load_optimizers(model, &stored.optimizers) {
            Module::load_state_dict(&mut model, &before)?;
            return Err(failed(reason));
        }
        for (callback, key) in self.callbacks.iter_mut().zip(keys) {
            if let Some(memory) = stored.callbacks.remove(&key) {
                callback.load_state(memory);
            }
        }
        state.rng = Rng::from_state(&stored.rng);
        state.position = stored.position;
        state.history = stored.history;
        Ok(())
    }

    /// What the epoch under way has come to.
    fn load_running(
        &mut self,
        learner: &mut dyn Learner<T>,
        stored: &BTreeMap<String, Vec<f64>>,
        state: &mut State,
    ) -> Result<(), String> {
        let entry = |name: &str| stored.get(name).cloned().unwrap_or_default();
        for (turn, loss) in self.turns.iter().zip(&mut state.totals.losses) {
            loss.load_state(&entry(&turn.named("loss")));
        }
        for (i, (name, own)) in learner.metric_states().into_iter().enumerate() {
            let memory = entry(&format!("metric.{name}"));
            if memory.len() != own.len() {
                return Err(format!("it does not know the metric `{name}`"));
            }
            learner.load_metric_state(i, &memory);
        }
        for (name, memory) in stored {
            if let Some(name) = name.strip_prefix("log.") {
                state.totals.logs.load_state(name, memory);
            }
        }
        Ok(())
    }

    /// All optimisers' states, or none's.
    fn load_optimizers(&mut self, model: &mut dyn Module<T>, stored: &[OptimizerState<T>]) -> Result<(), String> {
        if stored.len() != self.turns.len() {
            return Err(format!("it has {} optimisers, this training {}", stored.len(), self.turns.len()));
        }
        let before: Vec<_> = self.turns.iter().map(|turn| turn.optimizer.state_dict()).collect();
        for (i, state) in stored.iter().enumerate() {
            if let Err(error) = self.turns[i].load_state_dict(model, state) {
                for (turn, state) in self.turns[..i].iter_mut().zip(&before) {
                    turn.load_state_dict(model, state).map_err(|e| e.to_string())?;
                }
                return Err(error.to_string());
            }
        }
        Ok(())
    }
}

/// A name for each callback in a checkpoint: two of a kind are told apart by their order.
fn keys<T: Float>(callbacks: &[Box<dyn Callback<T>>]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let key = |c: &str| {
        let count = counts.entry(c.to_string()).or_default();
        *count += 1;
        format!("{c}#{count}")
    };
    callbacks.iter().map(|c| c.name()).map(key).collect()
}
