//! An optimiser's state as plain data, to be saved and gone on from.

use crate::driver::Driver;
use crate::error::{Kind, OptimError};
use crate::optimizer::{Every, Optimizer};
use crate::rule::{AnyRule, UpdateRule};
use gradus_autograd::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;

/// All that an optimiser remembers, and what it was set to.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerState<T: Float = f32> {
    /// The name of the rule.
    pub rule: String,
    /// The rule's state by parameter path and name: `features.0.weight.exp_avg`.
    pub tensors: BTreeMap<String, Tensor<T>>,
    /// Counts, rates and options: `steps`, `lr`, `step.features.0.weight`, `option.beta1`.
    pub scalars: BTreeMap<String, f64>,
    /// What the code sets and no number says: the kind and options of the `schedule`, the `clipping`, the patterns of the
    /// `groups` in their order.
    pub settings: BTreeMap<String, String>,
}

impl<R: UpdateRule<T>, T: Float> Optimizer<R, T> {
    /// The state as plain data. The tensors share the optimiser's memory until either is written.
    pub fn state_dict(&self) -> OptimizerState<T> {
        self.driver.state_dict(&self.rule)
    }

    /// Goes on where the optimiser that `state` came from was: the steps that follow are the same, bit for bit.
    ///
    /// Counts, learning rates, the schedule's memory and the rule's tensors are loaded. Options, weight decay, groups, the
    /// schedule with its options and the clipping belong to the code, and are compared: set this optimiser up as that one
    /// was. Schedules that are closures all count as equal.
    ///
    /// # Errors
    /// When the state is another rule's, and when entries are missing, left over, different or no possible value, each of
    /// which is named; the optimiser is left as it was.
    ///
    /// ```
    /// use gradus_autograd::Param;
    /// use gradus_optim::Adam;
    /// let mut net = vec![Param::<f32>::new([1.0, 2.0].into())];
    /// let mut opt = Adam::new(0.1);
    /// let grads = net[0].square().sum(..).backward();
    /// opt.step(&mut net, grads)?;
    ///
    /// let mut again = Adam::new(0.1);
    /// again.load_state_dict(&mut net, &opt.state_dict())?;
    /// assert_eq!(again.steps(), 1);
    ///
    /// let other = Adam::new(0.1).betas(0.8, 0.999).load_state_dict(&mut net, &opt.state_dict());
    /// assert!(other.unwrap_err().to_string().contains("option.beta1 is 0.8 here and 0.9 in the state"));
    /// # Ok::<(), gradus_optim::OptimError>(())
    /// ```
    pub fn load_state_dict<M: Module<T> + ?Sized>(&mut self, model: &mut M, state: &OptimizerState<T>) -> Result<(), OptimError> {
        self.driver.load_state_dict(&self.rule, &mut &mut *model, state)
    }
}

#[compiled_once]
impl<T: Float> Driver<T> {
    fn state_dict(&self, rule: &dyn AnyRule<T>) -> OptimizerState<T> {
        let mut scalars = self.restored();
        scalars.extend(self.fixed(rule));
        OptimizerState { rule: rule.name().to_string(), tensors: self.tensors(), scalars, settings: self.settings_as_text() }
    }

    fn load_state_dict(
        &mut self,
        rule: &dyn AnyRule<T>,
        model: &mut dyn Module<T>,
        state: &OptimizerState<T>,
    ) -> Result<(), OptimError> {
        if state.rule != rule.name() {
            return Err(Kind::OtherRule { found: state.rule.clone(), wanted: rule.name().to_string() }.into());
        }
        let before = std::mem::take(&mut self.slots);
        let loaded = self.fill(rule, model, state);
        if loaded.is_err() {
            self.slots = before;
        }
        loaded
    }

    fn fill(&mut self, rule: &dyn AnyRule<T>, model: &mut dyn Module<T>, state: &OptimizerState<T>) -> Result<(), OptimError> {
        // A state from before the first step knows of no parameter.
        if state.scalars.get("steps") != Some(&0.0) {
            self.enter(rule, model, &|path| state.scalars.contains_key(&format!("step.{path}")))?;
        }
        self.compare(rule, state)?;
        for (path, slot) in &mut self.slots {
            let Some(own) = &mut slot.state else { continue };
            for (name, tensor) in own.tensors_mut() {
                *tensor = state.tensors[&format!("{path}.{name}")].clone();
            }
            slot.t = state.scalars[&format!("step.{path}")] as u64;
        }
        self.lr = state.scalars["lr"];
        (self.steps, self.time) = (state.scalars["steps"] as u64, state.scalars["time"] as u64);
        for group in &mut self.groups {
            group.lr = state.scalars.get(&format!("group.{}.lr", group.pattern)).copied();
        }
        if let Some((_, schedule)) = &mut self.schedule {
            for (name, v) in schedule.state_mut() {
                *v = state.scalars[&format!("schedule.{name}")];
            }
        }
        self.settle();
        Ok(())
    }

    fn compare(&self, rule: &dyn AnyRule<T>, state: &OptimizerState<T>) -> Result<(), OptimError> {
        let own = self.state_dict(rule);
        let (mut missing, mut extra) = missing_and_extra(&own.tensors, &state.tensors);
        for (fewer, more) in [missing_and_extra(&own.scalars, &state.scalars), missing_and_extra(&own.settings, &state.settings)]
        {
            missing.extend(fewer);
            extra.extend(more);
        }
        let mut different = Vec::new();
        for (key, value) in &own.tensors {
            if let Some(new) = state.tensors.get(key).filter(|new| new.shape() != value.shape()) {
                different.push(format!("{key} has shape {} here and {} in the state", value.shape(), new.shape()));
            }
        }
        for (key, value) in self.fixed(rule) {
            if let Some(new) = state.scalars.get(&key).filter(|new| **new != value) {
                different.push(format!("{key} is {value} here and {new} in the state"));
            }
        }
        for (key, value) in &own.settings {
            if let Some(new) = state.settings.get(key).filter(|new| *new != value) {
                different.push(format!("{key}: {value} here and {new} in the state"));
            }
        }
        different.extend(state.scalars.iter().filter_map(|(key, value)| impossible(key, *value)));
        if missing.is_empty() && extra.is_empty() && different.is_empty() {
            return Ok(());
        }
        Err(Kind::State { missing, extra, different }.into())
    }

    fn tensors(&self) -> BTreeMap<String, Tensor<T>> {
        let known = self.slots.iter().filter_map(|(path, slot)| Some((path, slot.state.as_ref()?)));
        known
            .flat_map(|(path, state)| state.tensors().into_iter().map(move |(name, t)| (format!("{path}.{name}"), t.clone())))
            .collect()
    }

    /// The numbers that change as the optimiser runs.
    fn restored(&self) -> BTreeMap<String, f64> {
        let mut list = BTreeMap::from([
            ("steps".to_string(), self.steps as f64),
            ("time".to_string(), self.time as f64),
            ("lr".to_string(), self.lr),
        ]);
        let known = self.slots.iter().filter(|(_, slot)| slot.state.is_some());
        list.extend(known.map(|(path, slot)| (format!("step.{path}"), slot.t as f64)));
        list.extend(self.groups.iter().filter_map(|g| Some((format!("group.{}.lr", g.pattern), g.lr?))));
        if let Some((_, schedule)) = &self.schedule {
            list.extend(schedule.state().into_iter().map(|(name, v)| (format!("schedule.{name}"), v)));
        }
        list
    }

    /// What the code sets and no number says.
    fn settings_as_text(&self) -> BTreeMap<String, String> {
        let schedule = match &self.schedule {
            Some((Every::Step, schedule)) => format!("{} by steps", schedule.describe()),
            Some((Every::Epoch, schedule)) => format!("{} by epochs", schedule.describe()),
            None => "none".to_string(),
        };
        let clipping = self.clip.as_ref().map_or("none".to_string(), |clip| format!("{clip:?}"));
        let groups: Vec<String> = self.groups.iter().map(|g| format!("{:?}", g.pattern)).collect();
        let entries = [("schedule", schedule), ("clipping", clipping), ("groups", format!("[{}]", groups.join(", ")))];
        entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
    }

    /// The numbers that the code sets.
    fn fixed(&self, rule: &dyn AnyRule<T>) -> BTreeMap<String, f64> {
        let mut list = BTreeMap::from([("weight_decay".to_string(), self.weight_decay)]);
        list.extend(rule.options().into_iter().map(|(name, v)| (format!("option.{name}"), v)));
        for g in &self.groups {
            list.extend(g.weight_decay.map(|v| (format!("group.{}.weight_decay", g.pattern), v)));
            list.extend(g.frozen.map(|v| (format!("group.{}.frozen", g.pattern), v.into())));
        }
        list
    }
}

/// Why `value` cannot be the number under `key`: counts are whole, and rates are finite.
fn impossible(key: &str, value: f64) -> Option<String> {
    let counts = key == "steps" || key == "time" || key.starts_with("step.");
    let rates = key == "lr" || (key.starts_with("group.") && key.ends_with(".lr"));
    let wanted = match (counts, rates) {
        (true, _) if value < 0.0 || value.fract() != 0.0 => "a whole number",
        (_, true) if value < 0.0 || !value.is_finite() => "a finite number of 0 or more",
        _ => return None,
    };
    Some(format!("{key} is {value} in the state; expected {wanted}"))
}

fn missing_and_extra<V>(own: &BTreeMap<String, V>, new: &BTreeMap<String, V>) -> (Vec<String>, Vec<String>) {
    let missing = own.keys().filter(|k| !new.contains_key(*k)).cloned().collect();
    let extra = new.keys().filter(|k| !own.contains_key(*k)).cloned().collect();
    (missing, extra)
}
