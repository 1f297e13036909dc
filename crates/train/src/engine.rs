//! The loop inside [`Trainer::fit`].

use crate::batch::{AtPlace, Passed, RunningLoss, Shares, number, samples, scaled, total, weight_penalty};
use crate::best::{check_watched, shown};
use crate::callbacks::StopOnNan;
use crate::checkpoint::{Checkpoint, Plan, check_callbacks, digest, type_name};
use crate::error::{Place, TrainError};
use crate::fit::Fit;
use crate::history::{EpochRecord, History, StepRecord};
use crate::progress::EpochProgress;
use crate::run::{Callback, Position, Run};
use crate::trainer::{TrainData, Trainer};
use gradus_autograd::{Grads, Module, Var, record_function};
use gradus_nn::{Direction, Layer, Loss, Metric, Mode};
use gradus_optim::{Optimizer, Rule};
use gradus_tensor::{Rng, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

type Values = Vec<(String, f64)>;

/// What changes as a training goes on, beside the network and the optimiser.
struct State {
    rng: Rng,
    plan: Plan,
    position: Position,
    /// The loss of the epoch under way.
    loss: RunningLoss,
    /// The callback that no trainer holds.
    stop_on_nan: Option<StopOnNan>,
    /// What the epoch under way has waited for data.
    waited: Duration,
    history: History,
    /// What each metric says of its direction.
    directions: Vec<(String, Option<Direction>)>,
    stop: Option<String>,
}

impl State {
    fn new(fit: &Fit, samples: usize, loss: String, directions: Vec<(String, Option<Direction>)>) -> Self {
        let Fit { seed, batch, accumulate, shuffle, drop_last, .. } = *fit;
        let sample_weights = fit.sample_weights.as_deref().map(digest).unwrap_or_default();
        let plan = Plan { seed, samples, batch, accumulate, shuffle, drop_last, sample_weights, loss };
        Self {
            rng: Rng::seed(fit.seed),
            plan,
            position: Position::default(),
            loss: RunningLoss::default(),
            stop_on_nan: (!fit.allow_nan).then_some(StopOnNan),
            waited: Duration::ZERO,
            history: History::default(),
            directions,
            stop: None,
        }
    }

    fn run<'a, N: Module<f32>, R: Rule<f32>>(&'a self, net: &'a mut N, optimizer: &'a mut Optimizer<R, f32>) -> Run<'a> {
        let Self { history, position, directions, .. } = self;
        Run { model: net, optimizer, history, position: *position, directions, restored: None, stop: None }
    }
}

impl<N, L, R, Y> Trainer<N, L, R, Y>
where
    N: Layer<f32>,
    L: Loss<f32, Y>,
    R: Rule<f32>,
    Y: Send + 'static,
{
    pub(crate) fn run(
        &mut self,
        train: &impl TrainData<Y>,
        fit: Fit,
        mut validate: impl FnMut(&mut Self) -> Result<Values, TrainError>,
    ) -> Result<History, TrainError> {
        let (samples, batch) = (train.len(), fit.batch);
        if batch == 0 || samples == 0 {
            return Err(TrainError::new(format!("fit: {samples} samples in batches of {batch}; wanted 1 or more of both")));
        }
        self.check_kinds()?;
        let mut loss = type_name::<L>();
        if !self.penalties.is_empty() {
            loss = format!("{loss} with penalties {:?}", self.penalties);
        }
        let directions = self.metrics.iter().map(|m| (m.name().to_string(), m.direction())).collect();
        let mut state = State::new(&fit, samples, loss, directions);
        self.epochs(train, &fit, &mut validate, &mut state)?;
        Ok(state.history)
    }

    fn epochs(
        &mut self,
        train: &impl TrainData<Y>,
        fit: &Fit,
        validate: &mut impl FnMut(&mut Self) -> Result<Values, TrainError>,
        state: &mut State,
    ) -> Result<(), TrainError> {
        self.metrics.iter_mut().for_each(|m| m.reset());
        let watched = self.optimizer.watches();
        check_watched(&watched, &state.run(&mut self.net, &mut self.optimizer))?;
        if let Some(path) = fit.resume.as_ref().filter(|path| !fit.resume_if_there || path.exists()) {
            self.resume(path, state)?;
        }
        self.tell(state, |c, run| c.on_train_begin(run))?;
        while state.position.epochs < fit.epochs && state.stop.is_none() {
            let start = Instant::now();
            let mut progress = EpochProgress::start(fit.verbosity, (state.position.epochs + 1, fit.epochs));
            if !self.steps(train, fit, state, &mut progress)? {
                break;
            }
            let mut values = named(&state.loss, &self.metrics);
            values.extend(validate(self)?.into_iter().map(|(name, v)| (format!("val_{name}"), v)));
            progress.finish(&values);
            let metric = shown(&watched, &values)?;
            values.push(("lr".into(), self.optimizer.lr()));
            self.optimizer.end_epoch(metric)?;
            let epoch = state.position.epochs + 1;
            let waited = std::mem::take(&mut state.waited).as_secs_f64();
            let record = EpochRecord { epoch, seconds: start.elapsed().as_secs_f64(), waited, values };
            state.position = Position { epochs: epoch, steps_in_epoch: 0, ..state.position };
            state.history.epochs.push(record.clone());
            state.loss = RunningLoss::default();
            self.metrics.iter_mut().for_each(|m| m.reset());
            self.tell(state, |c, run| c.on_epoch_end(run, &record))?;
            if let Some(path) = &fit.checkpoint {
                self.store(path, state)?;
            }
        }
        self.tell(state, |c, run| c.on_train_end(run))
    }

    /// The rest of the epoch that `state` stands in; whether it came to its end.
    fn steps(
        &mut self,
        train: &impl TrainData<Y>,
        fit: &Fit,
        state: &mut State,
        progress: &mut EpochProgress,
    ) -> Result<bool, TrainError> {
        let epoch = state.position.epochs;
        let done = state.position.steps_in_epoch;
        let mut batches =
            train.batches(fit.batch).epoch(epoch as u64).drop_last(fit.drop_last).skip_batches(done * fit.accumulate);
        let order = &mut order_of(fit.seed, epoch);
        batches = match &fit.sample_weights {
            Some(weights) => batches.weighted(weights, order)?,
            None if fit.shuffle => batches.shuffle(order),
            None => batches,
        };
        let whole = if fit.drop_last { train.len() / fit.batch } else { train.len().div_ceil(fit.batch) };
        let whole = whole.div_ceil(fit.accumulate);
        progress.steps(done, whole);
        let mut batches = batches.prefetch(fit.prefetch);
        loop {
            let load = || batches.by_ref().take(fit.accumulate).collect::<Result<Vec<_>, _>>();
            let start = Instant::now();
            let group = record_function("load batch", load)?;
            state.waited += start.elapsed();
            if group.is_empty() {
                break;
            }
            let lr = self.optimizer.lr();
            let loss = self.step(group, state, fit.accumulate)?;
            state.position.steps_in_epoch += 1;
            if let Some(loss) = loss {
                state.position.steps += 1;
                let record = StepRecord { step: state.position.steps, epoch: epoch + 1, loss, lr };
                state.history.steps.push(record);
                self.tell(state, |c, run| c.on_step_end(run, &record))?;
            }
            progress.step(|| named(&state.loss, &self.metrics));
            if state.position.steps_in_epoch == whole {
                break;
            }
            let due = fit.checkpoint_steps.is_some_and(|every| state.position.steps.is_multiple_of(every));
            if let Some(path) = fit.checkpoint.as_ref().filter(|_| due || state.stop.is_some()) {
                self.store(path, state)?;
            }
            if state.stop.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One step on the batches of `group` as if they were one: their loss, unless they count for nothing.
    fn step(&mut self, group: Vec<(Tensor<f32>, Y)>, state: &mut State, accumulate: usize) -> Result<Option<f64>, TrainError> {
        let Position { epochs, steps_in_epoch, .. } = state.position;
        let place = |i: usize| Place::Fit { epoch: epochs + 1, batch: steps_in_epoch * accumulate + i + 1 };
        let weigh = |(i, (x, y)): (usize, &(Tensor<f32>, Y))| self.weight(y, samples(x)).at(place(i));
        let shares = Shares::new(group.iter().enumerate().map(weigh).collect::<Result<_, _>>()?);
        let all: usize = group.iter().map(|(x, _)| samples(x)).sum();
        let mut penalty = weight_penalty(&self.penalties, &self.net);
        let penalty_value = penalty.as_ref().map(number);
        let (mut mean, mut sum) = (RunningLoss::default(), None::<Grads<f32>>);
        for (i, batch) in group.into_iter().enumerate() {
            let (samples, (weight, share)) = (samples(&batch.0), shares.of(i));
            let Passed { output, loss, activity } = self.pass(batch, weight, &mut Mode::Train(&mut state.rng)).at(place(i))?;
            drop(output);
            let value = loss.as_ref().map_or(f64::NAN, number);
            let beside = total([penalty_value, activity.as_ref().map(number)]).filter(|_| shares.count());
            mean.add(value, weight, beside, samples);
            state.loss.add(value, weight, beside, samples);
            if !shares.count() || (weight.counts() && !mean.value().is_finite()) {
                continue;
            }
            let loss = loss.map(|loss| scaled(loss, share));
            let activity = activity.map(|activity| scaled(activity, samples as f64 / all as f64));
            // The penalty for the weights is in the step once, however many batches it has.
            let parts = loss.into_iter().chain(penalty.take()).chain(activity);
            let Some(grads) = parts.reduce(|a, b| a + b).map(Var::backward) else { continue };
            match &mut sum {
                Some(sum) => sum.accumulate(grads),
                None => sum = Some(grads),
            }
        }
        if !shares.count() {
            return Ok(None);
        }
        if let Some(grads) = sum.filter(|_| mean.value().is_finite()) {
            self.optimizer.step(&mut self.net, grads)?;
        }
        Ok(Some(mean.value()))
    }

    /// Calls `f` for each callback.
    fn tell(
        &mut self,
        state: &mut State,
        mut f: impl FnMut(&mut dyn Callback, &mut Run<'_>) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        let mut stop_on_nan = state.stop_on_nan;
        let mut run = state.run(&mut self.net, &mut self.optimizer);
        let result = self.callbacks.iter_mut().try_for_each(|c| f(c.as_mut(), &mut run));
        let result = result.and_then(|()| stop_on_nan.iter_mut().try_for_each(|c| f(c, &mut run)));
        let stop = run.stop.take();
        state.stop = state.stop.take().or(stop);
        result
    }

    fn store(&mut self, path: &Path, state: &State) -> Result<(), TrainError> {
        let mut running = BTreeMap::from([("loss".to_string(), state.loss.state())]);
        running.extend(self.metrics.iter().map(|m| (format!("metric.{}", m.name()), m.state())));
        let checkpoint = Checkpoint {
            weights: self.net.state_dict(),
            optimizer: self.optimizer.state_dict(),
            rng: state.rng.state(),
            plan: state.plan.clone(),
            position: state.position,
            running,
            history: state.history.clone(),
            callbacks: keys(&self.callbacks).into_iter().zip(self.callbacks.iter().map(|c| c.state())).collect(),
        };
        checkpoint.save(path)
    }

    fn resume(&mut self, path: &Path, state: &mut State) -> Result<(), TrainError> {
        let failed = |reason: String| TrainError::in_file(path, format!("cannot go on from this checkpoint: {reason}"));
        let mut stored = Checkpoint::load(path)?;
        if !state.plan.continues(&stored.plan, stored.position.steps_in_epoch > 0) {
            return Err(failed(format!("it was made with {}; this training has {}", stored.plan, state.plan)));
        }
        let keys = keys(&self.callbacks);
        let here = keys.iter().zip(self.callbacks.iter().map(|c| c.state()));
        check_callbacks(here, &stored.callbacks).map_err(failed)?;
        if stored.position.steps_in_epoch > 0 {
            let entry = |name: &str| stored.running.get(name).cloned().unwrap_or_default();
            state.loss.load_state(&entry("loss"));
            for metric in &mut self.metrics {
                let memory = entry(&format!("metric.{}", metric.name()));
                if memory.len() != metric.state().len() {
                    return Err(failed(format!("it does not know the metric `{}`", metric.name())));
                }
                metric.load_state(&memory);
            }
        }
        let before = self.net.state_dict();
        self.net.load_state_dict(&stored.weights).map_err(|e| failed(e.to_string()))?;
        if let Err(e) = self.optimizer.load_state_dict(&mut self.net, &stored.optimizer) {
            self.net.load_state_dict(&before)?;
            return Err(failed(e.to_string()));
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
}

/// A name for each callback in a checkpoint: two of a kind are told apart by their order.
fn keys(callbacks: &[Box<dyn Callback>]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let key = |c: &str| {
        let count = counts.entry(c.to_string()).or_default();
        *count += 1;
        format!("{c}#{count}")
    };
    callbacks.iter().map(|c| c.name()).map(key).collect()
}

/// The random source that the order of an epoch's samples is drawn from; epochs are independent, so that a training can
/// go on in the middle of one.
fn order_of(seed: u64, epoch: usize) -> Rng {
    Rng::seed(seed ^ (epoch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The loss and the metrics by name.
pub(crate) fn named<Y>(loss: &RunningLoss, metrics: &[Box<dyn Metric<f32, Y>>]) -> Values {
    let metrics = metrics.iter().map(|m| (m.name().to_string(), m.value()));
    [("loss".to_string(), loss.value())].into_iter().chain(metrics).collect()
}
