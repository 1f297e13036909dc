//! The stored state that a training goes on from, bit for bit.

use crate::error::TrainError;
use crate::history::{History, StepRecord};
use crate::run::{CallbackState, Position};
use crate::weights;
use gradus_data::{Array, safetensors};
use gradus_optim::OptimizerState;
use gradus_tensor::{Float, RngState, Tensor};
use std::collections::BTreeMap;
use std::path::Path;

/// All that a training goes on from.
pub(crate) struct Checkpoint<T: Float> {
    pub weights: BTreeMap<String, Tensor<T>>,
    /// Those of the turns, in their order.
    pub optimizers: Vec<OptimizerState<T>>,
    pub rng: RngState,
    /// What decides which samples the next step sees.
    pub plan: Plan,
    pub position: Position,
    /// What the loss and the metrics of the epoch under way have come to.
    pub running: BTreeMap<String, Vec<f64>>,
    pub history: History,
    pub callbacks: BTreeMap<String, CallbackState<T>>,
}

/// What decides which samples a step sees, and what becomes smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub seed: u64,
    pub samples: usize,
    pub batch: usize,
    pub accumulate: usize,
    pub shuffle: bool,
    pub drop_last: bool,
    /// A digest of the sample weights; empty without.
    pub sample_weights: String,
    /// The objectives, and the penalties added to them.
    pub loss: String,
}

impl Plan {
    /// Whether a training with this plan can go on from a place of one with `stored`. Between epochs more data, other batches or
    /// another order are a choice; within one they would be a mistake.
    pub fn continues(&self, stored: &Plan, within_epoch: bool) -> bool {
        let weights = self.sample_weights == stored.sample_weights || self.samples != stored.samples;
        if within_epoch { self == stored } else { self.seed == stored.seed && self.loss == stored.loss && weights }
    }
}

impl std::fmt::Display for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, samples, batch, accumulate, shuffle, drop_last, sample_weights, loss } = self;
        let order = match (sample_weights.as_str(), shuffle) {
            ("", true) => "shuffled".to_string(),
            ("", false) => "in order".to_string(),
            (digest, _) => format!("drawn by sample weights ({digest})"),
        };
        let last = if *drop_last { ", without a last smaller batch" } else { "" };
        write!(f, "seed {seed}, {samples} samples {order} in batches of {batch}{last}, {accumulate} a step, loss {loss}")
    }
}

/// 16 hexadecimal digits that tell lists of weights apart: FNV-1a over their bits.
pub(crate) fn digest(weights: &[f64]) -> String {
    let bytes = weights.iter().flat_map(|w| w.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// Why callbacks cannot go on from what those of a checkpoint remember, if they cannot.
pub(crate) fn check_callbacks<'a, T: Float>(
    here: impl Iterator<Item = (&'a String, CallbackState<T>)>,
    stored: &BTreeMap<String, CallbackState<T>>,
) -> Result<(), String> {
    let here: BTreeMap<&String, CallbackState<T>> = here.collect();
    for (name, memory) in stored {
        match here.get(name) {
            None if *memory == CallbackState::default() => {}
            None => return Err(format!("it has the memory of the callback `{name}`, which this training does not have")),
            Some(own) if own.settings != memory.settings => {
                return Err(format!("the callback `{name}` was set to {:?}; here it is {:?}", memory.settings, own.settings));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

const FORMAT: &str = "gradus training 3";
const STEPS: &str = "history.steps";

impl<T: Float> Checkpoint<T> {
    /// Writes one safetensors file: the weights under their paths behind `model.`, the rest behind other prefixes and as
    /// metadata. Numbers are stored as text that reads back to the same bits.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let mut tensors = prefixed("model.", &self.weights);
        // The header has an end; steps, of which there may be millions, are data.
        tensors.insert(STEPS.to_string(), table_of(&self.history.steps).into());
        let mut meta = BTreeMap::new();
        for (i, optimizer) in self.optimizers.iter().enumerate() {
            tensors.extend(prefixed(&format!("optimizer.{i}."), &optimizer.tensors));
            meta.extend(prefixed_numbers(&format!("optimizer.{i}."), &optimizer.scalars));
            meta.extend(prefixed_texts(&format!("optimizer-setting.{i}."), &optimizer.settings));
        }
        for (name, state) in &self.callbacks {
            tensors.extend(prefixed(&format!("callback.{name}."), &state.tensors));
            meta.extend(prefixed_numbers(&format!("callback.{name}."), &state.numbers));
            meta.extend(prefixed_texts(&format!("callback-setting.{name}."), &state.settings));
        }
        for (name, values) in &self.running {
            let values: Vec<String> = values.iter().map(|v| format!("{v:?}")).collect();
            meta.insert(format!("running.{name}"), values.join(" "));
        }
        let key: String = self.rng.key.iter().map(|b| format!("{b:02x}")).collect();
        for (name, value) in [
            ("format", FORMAT.to_string()),
            ("rules", self.optimizers.iter().map(|o| o.rule.as_str()).collect::<Vec<_>>().join("\n")),
            ("callbacks", self.callbacks.keys().cloned().collect::<Vec<_>>().join("\n")),
            ("rng.key", key),
            ("rng.words", self.rng.words.to_string()),
            ("rng.tensors", self.rng.tensors.to_string()),
            ("plan.seed", self.plan.seed.to_string()),
            ("plan.samples", self.plan.samples.to_string()),
            ("plan.batch", self.plan.batch.to_string()),
            ("plan.accumulate", self.plan.accumulate.to_string()),
            ("plan.shuffle", u8::from(self.plan.shuffle).to_string()),
            ("plan.drop_last", u8::from(self.plan.drop_last).to_string()),
            ("plan.sample_weights", self.plan.sample_weights.clone()),
            ("plan.loss", self.plan.loss.clone()),
            ("position.epochs", self.position.epochs.to_string()),
            ("position.steps_in_epoch", self.position.steps_in_epoch.to_string()),
            ("position.steps", self.position.steps.to_string()),
            ("history", History { epochs: self.history.epochs.clone(), steps: Vec::new() }.to_json()),
        ] {
            meta.insert(name.to_string(), value);
        }
        Ok(safetensors::write(path, &tensors, &meta)?)
    }

    /// What [`save`](Self::save) wrote.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let (tensors, meta) = safetensors::read(path)?;
        Reader { tensors, meta }
            .checkpoint()
            .map_err(|reason| TrainError::in_file(path, format!("not a whole training checkpoint: {reason}")))
    }
}

/// One row a step: its number, its epoch, its loss, its learning rate.
fn table_of(steps: &[StepRecord]) -> Tensor<f64> {
    let rows = steps.iter().flat_map(|s| [s.step as f64, s.epoch as f64, s.loss, s.lr]);
    Tensor::from_vec(rows.collect(), [steps.len(), 4])
}

fn prefixed<T: Float>(prefix: &str, map: &BTreeMap<String, Tensor<T>>) -> BTreeMap<String, Array> {
    map.iter().map(|(name, t)| (format!("{prefix}{name}"), Array::of(t))).collect()
}

fn prefixed_numbers(prefix: &str, map: &BTreeMap<String, f64>) -> BTreeMap<String, String> {
    map.iter().map(|(name, v)| (format!("{prefix}{name}"), format!("{v:?}"))).collect()
}

fn prefixed_texts(prefix: &str, map: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    map.iter().map(|(name, v)| (format!("{prefix}{name}"), v.clone())).collect()
}

/// The file's content, being taken apart.
struct Reader {
    tensors: BTreeMap<String, Array>,
    meta: BTreeMap<String, String>,
}

impl Reader {
    fn checkpoint<T: Float>(&self) -> Result<Checkpoint<T>, String> {
        if self.text("format")? != FORMAT {
            return Err(format!("its format is `{}`; wanted `{FORMAT}`", self.text("format")?));
        }
        let mut callbacks = BTreeMap::new();
        for name in self.text("callbacks")?.lines() {
            let prefix = format!("callback.{name}.");
            let state = CallbackState {
                numbers: self.numbers_under(&prefix)?,
                tensors: self.tensors_under(&prefix)?,
                settings: self.texts_under(&format!("callback-setting.{name}.")),
            };
            callbacks.insert(name.to_string(), state);
        }
        let optimizer = |(i, rule): (usize, &str)| {
            Ok(OptimizerState {
                rule: rule.to_string(),
                tensors: self.tensors_under(&format!("optimizer.{i}."))?,
                scalars: self.numbers_under(&format!("optimizer.{i}."))?,
                settings: self.texts_under(&format!("optimizer-setting.{i}.")),
            })
        };
        let running = self.meta.iter().filter_map(|(name, text)| Some((name.strip_prefix("running.")?, text)));
        let running = running.map(|(name, text)| {
            let values: Result<Vec<f64>, _> = text.split_whitespace().map(str::parse).collect();
            Ok((name.to_string(), values.map_err(|_| format!("`running.{name}` is no list of numbers"))?))
        });
        Ok(Checkpoint {
            weights: self.tensors_under("model.")?,
            optimizers: self.text("rules")?.lines().enumerate().map(optimizer).collect::<Result<_, String>>()?,
            rng: RngState {
                key: key_of(self.text("rng.key")?).ok_or("`rng.key` is no key")?,
                words: self.whole("rng.words")?,
                tensors: self.whole("rng.tensors")?,
            },
            plan: Plan {
                seed: self.whole("plan.seed")?,
                samples: self.whole("plan.samples")?,
                batch: self.whole("plan.batch")?,
                accumulate: self.whole("plan.accumulate")?,
                shuffle: self.whole::<u8>("plan.shuffle")? != 0,
                drop_last: self.whole::<u8>("plan.drop_last")? != 0,
                sample_weights: self.text("plan.sample_weights")?.to_string(),
                loss: self.text("plan.loss")?.to_string(),
            },
            position: Position {
                epochs: self.whole("position.epochs")?,
                steps_in_epoch: self.whole("position.steps_in_epoch")?,
                steps: self.whole("position.steps")?,
            },
            running: running.collect::<Result<_, String>>()?,
            history: self.history()?,
            callbacks,
        })
    }

    fn text(&self, name: &str) -> Result<&str, String> {
        self.meta.get(name).map(String::as_str).ok_or_else(|| format!("there is no entry `{name}`"))
    }

    fn whole<T: std::str::FromStr>(&self, name: &str) -> Result<T, String> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("`{name}` is `{text}`; wanted a whole number"))
    }

    fn tensors_under<T: Float>(&self, prefix: &str) -> Result<BTreeMap<String, Tensor<T>>, String> {
        let entries = self.tensors.iter().filter_map(|(n, t)| Some((n.strip_prefix(prefix)?, t)));
        let tensor = |(n, t): (&str, &Array)| match weights::tensor(t) {
            Ok(tensor) => Ok((n.to_string(), tensor)),
            Err(reason) => Err(format!("the tensor `{prefix}{n}` {reason}")),
        };
        entries.map(tensor).collect()
    }

    fn history(&self) -> Result<History, String> {
        let epochs = History::from_json(self.text("history")?).map_err(|e| e.to_string())?.epochs;
        let table = self.tensors.get(STEPS).ok_or_else(|| format!("there is no tensor `{STEPS}`"))?;
        let table = weights::tensor::<f64>(table).map_err(|reason| format!("the tensor `{STEPS}` {reason}"))?;
        if table.rank() != 2 || table.size(1) != 4 {
            return Err(format!("the tensor `{STEPS}` is {}; wanted [steps, 4]", table.shape()));
        }
        let values = table.to_vec();
        let (rows, _) = values.as_chunks::<4>();
        let step = |&[step, epoch, loss, lr]: &[f64; 4]| StepRecord { step: step as u64, epoch: epoch as usize, loss, lr };
        Ok(History { epochs, steps: rows.iter().map(step).collect() })
    }

    fn texts_under(&self, prefix: &str) -> BTreeMap<String, String> {
        self.meta.iter().filter_map(|(n, v)| Some((n.strip_prefix(prefix)?.to_string(), v.clone()))).collect()
    }

    fn numbers_under(&self, prefix: &str) -> Result<BTreeMap<String, f64>, String> {
        let entries = self.meta.iter().filter_map(|(n, v)| Some((n.strip_prefix(prefix)?, v)));
        let number = |(n, v): (&str, &String)| match v.parse() {
            Ok(v) => Ok((n.to_string(), v)),
            Err(_) => Err(format!("`{prefix}{n}` is `{v}`; wanted a number")),
        };
        entries.map(number).collect()
    }
}

/// 32 bytes from 64 hexadecimal digits.
fn key_of(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (i, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
    }
    Some(key)
}
