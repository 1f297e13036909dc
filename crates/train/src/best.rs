//! The best value of a monitored quantity.

use crate::error::TrainError;
use crate::history::EpochRecord;
use crate::run::Run;
use gradus_nn::Direction;
use gradus_optim::Watched;
use gradus_tensor::Float;
use std::collections::BTreeMap;

/// The best value of a monitored quantity so far.
#[derive(Clone, Debug)]
pub(crate) struct Best {
    pub monitor: String,
    /// Which way is better, where the callback was told.
    pub told: Option<Direction>,
    /// Which way is better, as found out when the training began.
    direction: Direction,
    pub min_delta: f64,
    pub value: Option<f64>,
}

impl Best {
    pub fn of(monitor: impl Into<String>) -> Self {
        Self { monitor: monitor.into(), told: None, direction: Direction::Minimize, min_delta: 0.0, value: None }
    }

    /// Finds out which way is better.
    pub fn begin<T: Float>(&mut self, run: &Run<'_, T>) -> Result<(), TrainError> {
        let known = self.told.or_else(|| run.direction(&self.monitor));
        self.direction = known.ok_or_else(|| TrainError::new(untold(&self.monitor)))?;
        Ok(())
    }

    /// Whether this epoch is better than all before it, by more than `min_delta`.
    pub fn improves(&mut self, epoch: &EpochRecord) -> Result<bool, TrainError> {
        let Some(value) = epoch.get(&self.monitor) else {
            let names: Vec<&str> = epoch.values.iter().map(|(n, _)| n.as_str()).collect();
            return Err(TrainError::new(format!("there is no `{}` to monitor; there are {}", self.monitor, names.join(", "))));
        };
        let better = !value.is_nan() && self.value.is_none_or(|best| self.direction.gain(best, value) > self.min_delta);
        if better {
            self.value = Some(value);
        }
        Ok(better)
    }

    /// What the memory belongs to.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let told = match self.told {
            Some(Direction::Minimize) => "minimize",
            Some(Direction::Maximize) => "maximize",
            None => "as its name says",
        };
        BTreeMap::from([("monitor".to_string(), self.monitor.clone()), ("direction".to_string(), told.to_string())])
    }
}

fn untold(name: &str) -> String {
    format!("whether `{name}` is better when larger or smaller, its name does not tell: write .maximize() or .minimize()")
}

/// Checks that a schedule is shown what it watches, the right way up.
pub(crate) fn check_watched<T: Float>(watched: &[Watched], run: &Run<'_, T>) -> Result<(), TrainError> {
    for Watched { name, maximize } in watched {
        let name = name.as_deref();
        if name != watched[0].name.as_deref() {
            return Err(TrainError::new("the parts of the schedule watch several quantities; one can be shown to them"));
        }
        match (name, maximize) {
            (None, Some(true)) => {
                let why = "the schedule maximises, and what it is shown is the loss: name another quantity, .on(\"val_acc\")";
                return Err(TrainError::new(why));
            }
            (Some(name), None) => match run.direction(name) {
                Some(Direction::Minimize) => {}
                Some(Direction::Maximize) => {
                    let why = format!("the schedule minimises `{name}`, which is better when larger: write .maximize()");
                    return Err(TrainError::new(why));
                }
                None => return Err(TrainError::new(untold(name))),
            },
            _ => {}
        }
    }
    Ok(())
}

/// The value that a schedule is shown: what it watches by name, or else the loss.
pub(crate) fn shown(watched: &[Watched], values: &[(String, f64)]) -> Result<Option<f64>, TrainError> {
    let value = |name: &str| values.iter().find(|(n, _)| n == name).map(|(_, v)| *v);
    match watched.first().and_then(|w| w.name.as_deref()) {
        None => Ok(value("val_loss").or(value("loss"))),
        Some(name) => value(name).map(Some).ok_or_else(|| {
            let names: Vec<&str> = values.iter().map(|(n, _)| n.as_str()).collect();
            TrainError::new(format!("there is no `{name}` for the schedule to watch; there are {}", names.join(", ")))
        }),
    }
}
