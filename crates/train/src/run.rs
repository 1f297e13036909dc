//! What callbacks see of a running training, and the stored state that one goes on from.

use crate::error::TrainError;
use crate::history::{EpochRecord, History, StepRecord};
use crate::weights::{load_tensors, save_tensors};
use gradus_autograd::Module;
use gradus_optim::{Optimizer, OptimizerState, Rule};
use gradus_tensor::{Rng, RngState, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// The optimiser, whatever its rule.
pub(crate) trait AnyOptimizer {
    fn lr(&self) -> f64;
    fn set_lr(&mut self, lr: f64);
    fn state(&self) -> OptimizerState<f32>;
}

impl<R: Rule<f32>> AnyOptimizer for Optimizer<R, f32> {
    fn lr(&self) -> f64 {
        Optimizer::lr(self)
    }
    fn set_lr(&mut self, lr: f64) {
        Optimizer::set_lr(self, lr);
    }
    fn state(&self) -> OptimizerState<f32> {
        self.state_dict()
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
    pub(crate) optimizer: &'a mut dyn AnyOptimizer,
    pub(crate) rng: &'a Rng,
    pub(crate) history: &'a History,
    pub(crate) position: Position,
    pub(crate) seed: u64,
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
    /// Tells callbacks of one training apart in its checkpoint.
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

/// All that a training goes on from, bit for bit.
pub(crate) struct Checkpoint {
    pub weights: BTreeMap<String, Tensor<f32>>,
    pub optimizer: OptimizerState<f32>,
    pub rng: RngState,
    pub seed: u64,
    pub position: Position,
    pub history: History,
    pub callbacks: BTreeMap<String, CallbackState>,
}

impl Checkpoint {
    pub fn of(run: &Run<'_>, callbacks: BTreeMap<String, CallbackState>) -> Self {
        Self {
            weights: run.weights(),
            optimizer: run.optimizer.state(),
            rng: run.rng.state(),
            seed: run.seed,
            position: run.position,
            history: run.history.clone(),
            callbacks,
        }
    }

    /// Writes one safetensors file: the weights under their paths behind `model.`, the rest behind other prefixes and as
    /// metadata. Numbers are stored as text that reads back to the same bits.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let (mut tensors, mut meta) = (BTreeMap::new(), BTreeMap::new());
        let prefixed = |prefix: &str, map: &BTreeMap<String, Tensor<f32>>| -> Vec<(String, Tensor<f32>)> {
            map.iter().map(|(name, t)| (format!("{prefix}{name}"), t.clone())).collect()
        };
        tensors.extend(prefixed("model.", &self.weights));
        tensors.extend(prefixed("optimizer.", &self.optimizer.tensors));
        for (name, state) in &self.callbacks {
            tensors.extend(prefixed(&format!("callback.{name}."), &state.tensors));
            meta.extend(state.numbers.iter().map(|(n, v)| (format!("callback.{name}.{n}"), format!("{v:?}"))));
        }
        meta.extend(self.optimizer.scalars.iter().map(|(n, v)| (format!("optimizer.{n}"), format!("{v:?}"))));
        let key: String = self.rng.key.iter().map(|b| format!("{b:02x}")).collect();
        for (name, value) in [
            ("format", "gradus training 1".to_string()),
            ("rule", self.optimizer.rule.clone()),
            ("rng.key", key),
            ("rng.words", self.rng.words.to_string()),
            ("rng.tensors", self.rng.tensors.to_string()),
            ("seed", self.seed.to_string()),
            ("position.epochs", self.position.epochs.to_string()),
            ("position.steps_in_epoch", self.position.steps_in_epoch.to_string()),
            ("position.steps", self.position.steps.to_string()),
            ("history", self.history.to_json()),
        ] {
            meta.insert(name.to_string(), value);
        }
        save_tensors(path, &tensors, &meta)
    }

    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let (tensors, meta) = load_tensors::<f32>(path)?;
        let bad = |what: &str| TrainError::in_file(path, format!("not a whole training checkpoint: {what}"));
        let text = |name: &str| meta.get(name).map(String::as_str).ok_or_else(|| bad(&format!("no entry `{name}`")));
        let number = |name: &str| text(name)?.parse::<u64>().map_err(|_| bad(&format!("`{name}` is no whole number")));
        if text("format")? != "gradus training 1" {
            return Err(bad("of another format"));
        }
        let under = |prefix: &str| -> BTreeMap<String, Tensor<f32>> {
            tensors.iter().filter_map(|(n, t)| Some((n.strip_prefix(prefix)?.to_string(), t.clone()))).collect()
        };
        let numbers_under = |prefix: &str| -> Result<BTreeMap<String, f64>, TrainError> {
            let entry = |(n, v): (&String, &String)| Some((n.strip_prefix(prefix)?.to_string(), v.parse::<f64>()));
            let parsed = meta.iter().filter_map(entry);
            parsed.map(|(n, v)| Ok((n.clone(), v.map_err(|_| bad(&format!("`{prefix}{n}` is no number")))?))).collect()
        };
        let mut callbacks: BTreeMap<String, CallbackState> = BTreeMap::new();
        for name in meta.keys().chain(tensors.keys()).filter_map(|n| n.strip_prefix("callback.")?.split('.').next()) {
            if !callbacks.contains_key(name) {
                let prefix = format!("callback.{name}.");
                let state = CallbackState { numbers: numbers_under(&prefix)?, tensors: under(&prefix) };
                callbacks.insert(name.to_string(), state);
            }
        }
        let size = |name: &str| Ok::<_, TrainError>(number(name)? as usize);
        Ok(Self {
            weights: under("model."),
            optimizer: OptimizerState {
                rule: text("rule")?.to_string(),
                tensors: under("optimizer."),
                scalars: numbers_under("optimizer.")?,
            },
            rng: RngState {
                key: key_of(text("rng.key")?).ok_or_else(|| bad("`rng.key` is no key"))?,
                words: number("rng.words")?,
                tensors: number("rng.tensors")?,
            },
            seed: number("seed")?,
            position: Position {
                epochs: size("position.epochs")?,
                steps_in_epoch: size("position.steps_in_epoch")?,
                steps: number("position.steps")?,
            },
            history: History::from_json(text("history")?).map_err(|e| bad(&e.to_string()))?,
            callbacks,
        })
    }
}

/// 32 bytes from 64 hexadecimal digits.
fn key_of(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(key)
}
