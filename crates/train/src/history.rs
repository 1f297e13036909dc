//! What training has come to, epoch by epoch and step by step.

use crate::error::TrainError;
use gradus_data::atomic_write;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// One epoch: its number from 1, its duration, and named values (`loss`, `acc`, `val_loss`, `val_acc`, `lr` …) in the
/// order in which they are shown.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: usize,
    /// Wall-clock time, validation included.
    pub seconds: f64,
    /// The part of it that training stood still because the next batch was not loaded yet.
    pub waited: f64,
    /// Named values.
    pub values: Vec<(String, f64)>,
}

impl EpochRecord {
    /// The value under `name`.
    pub fn get(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(n, _)| n == name).map(|(_, v)| *v)
    }
}

/// One step: its number from 1 over the whole training, and its loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepRecord {
    /// From 1, over the whole training.
    pub step: u64,
    /// The epoch it belongs to, from 1.
    pub epoch: usize,
    /// The loss of its batch.
    pub loss: f64,
    /// The learning rate it was taken with.
    pub lr: f64,
}

/// The record of a training: prints as a table, and is stored as CSV, JSON or a picture.
///
/// ```
/// use gradus_train::{EpochRecord, History};
/// let mut history = History::default();
/// history.epochs.push(EpochRecord { epoch: 1, seconds: 2.0, waited: 0.0, values: vec![("loss".into(), 0.5), ("val_loss".into(), 0.6)] });
/// assert_eq!(history.values("val_loss"), [0.6]);
/// assert_eq!(history.to_csv(), "epoch,seconds,loss,val_loss\n1,2,0.5,0.6\n");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// One record an epoch.
    pub epochs: Vec<EpochRecord>,
    /// One record a step.
    pub steps: Vec<StepRecord>,
}

impl History {
    /// The values under `name`, one an epoch; NaN for an epoch without.
    pub fn values(&self, name: &str) -> Vec<f64> {
        self.epochs.iter().map(|e| e.get(name).unwrap_or(f64::NAN)).collect()
    }

    /// The last epoch's value under `name`.
    pub fn last(&self, name: &str) -> Option<f64> {
        self.epochs.last()?.get(name)
    }

    /// Every name that an epoch has a value for, in order of appearance.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.epochs.iter().flat_map(|e| &e.values) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// What part of their time the epochs waited for data, from 0 to 1; NaN without an epoch. A part that is more than a
    /// percent or two calls for cheaper samples, a longer [`prefetch`](crate::Fit::prefetch) or more threads.
    ///
    /// ```
    /// use gradus_train::{EpochRecord, History};
    /// let mut history = History::default();
    /// history.epochs.push(EpochRecord { epoch: 1, seconds: 8.0, waited: 0.5, values: vec![] });
    /// assert_eq!(history.waiting(), 0.0625);
    /// ```
    pub fn waiting(&self) -> f64 {
        let sum = |f: fn(&EpochRecord) -> f64| self.epochs.iter().map(f).sum::<f64>();
        sum(|e| e.waited) / sum(|e| e.seconds)
    }

    /// The epochs as CSV with a header.
    pub fn to_csv(&self) -> String {
        let names = self.names();
        let mut csv = format!("epoch,seconds{}\n", names.iter().map(|n| format!(",{}", csv_field(n))).collect::<String>());
        for e in &self.epochs {
            let values: String = names.iter().map(|n| e.get(n).map_or(",".into(), |v| format!(",{v}"))).collect();
            let _ = writeln!(csv, "{},{}{values}", e.epoch, e.seconds);
        }
        csv
    }

    /// Epochs and steps as JSON. What JSON has no number for is a string: `"NaN"`, `"Infinity"`, `"-Infinity"`.
    pub fn to_json(&self) -> String {
        let epoch = |e: &EpochRecord| {
            let values: Map<String, Value> = e.values.iter().map(|(n, v)| (n.clone(), json_of(*v))).collect();
            // The order of the values is that of the pairs; a JSON object need not keep it.
            let order: Vec<&str> = e.values.iter().map(|(n, _)| n.as_str()).collect();
            let [seconds, waited] = [e.seconds, e.waited].map(json_of);
            json!({"epoch": e.epoch, "seconds": seconds, "waited": waited, "values": values, "order": order})
        };
        let step = |s: &StepRecord| json!({"step": s.step, "epoch": s.epoch, "loss": json_of(s.loss), "lr": json_of(s.lr)});
        json!({"epochs": self.epochs.iter().map(epoch).collect::<Vec<_>>(), "steps": self.steps.iter().map(step).collect::<Vec<_>>()})
            .to_string()
    }

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// When the text is something else.
    pub fn from_json(text: &str) -> Result<Self, TrainError> {
        let bad = |what: &str| TrainError::new(format!("not a training history: {what}"));
        let root: Value = serde_json::from_str(text).map_err(|e| bad(&e.to_string()))?;
        let number = |of: &Value, name: &str| number_of(&of[name]).ok_or_else(|| bad(&format!("`{name}` is {}", of[name])));
        let list = |name: &str| root[name].as_array().cloned().ok_or_else(|| bad(&format!("no list `{name}`")));
        let epochs = list("epochs")?
            .iter()
            .map(|e| {
                let order = e["order"].as_array().ok_or_else(|| bad("an epoch without `order`"))?;
                let names = order.iter().filter_map(Value::as_str);
                let values = names.map(|n| Ok((n.to_string(), number(&e["values"], n)?))).collect::<Result<_, TrainError>>()?;
                let epoch = e["epoch"].as_u64().ok_or_else(|| bad("an epoch without number"))? as usize;
                Ok(EpochRecord { epoch, seconds: number(e, "seconds")?, waited: number(e, "waited")?, values })
            })
            .collect::<Result<_, TrainError>>()?;
        let steps = list("steps")?
            .iter()
            .map(|s| {
                let step = s["step"].as_u64().ok_or_else(|| bad("a step without number"))?;
                let epoch = s["epoch"].as_u64().ok_or_else(|| bad("a step without epoch"))? as usize;
                Ok(StepRecord { step, epoch, loss: number(s, "loss")?, lr: number(s, "lr")? })
            })
            .collect::<Result<_, TrainError>>()?;
        Ok(Self { epochs, steps })
    }

    /// Writes the epochs as CSV.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_csv(&self, path: impl AsRef<Path>) -> Result<(), TrainError> {
        write_text(path.as_ref(), &self.to_csv())
    }

    /// Writes epochs and steps as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save_json(&self, path: impl AsRef<Path>) -> Result<(), TrainError> {
        write_text(path.as_ref(), &self.to_json())
    }
}

/// A number, or the name of one that JSON has none for, as in the JSON of protocol buffers.
fn json_of(v: f64) -> Value {
    match v {
        v if v.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        v => json!(v),
    }
}

/// What [`json_of`] wrote.
fn number_of(value: &Value) -> Option<f64> {
    match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(_) => None,
        None => value.as_f64(),
    }
}

/// Quoted if need be (RFC 4180).
fn csv_field(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")).into() } else { text.into() }
}

fn write_text(path: &Path, text: &str) -> Result<(), TrainError> {
    Ok(atomic_write(path, |file| file.write_all(text.as_bytes()))?)
}
