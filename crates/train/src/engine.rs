//! The loop inside [`Trainer::fit`].

use crate::best::{check_watched, shown};
use crate::callbacks::StopOnNan;
use crate::checkpoint::{Checkpoint, Plan, check_callbacks, digest, type_name};
use crate::error::TrainError;
use crate::fit::Fit;
use crate::history::{EpochRecord, History, StepRecord};
use crate::progress::EpochProgress;
use crate::run::{Callback, Position, Run};
use crate::trainer::{TrainData, Trainer};
use gradus_autograd::{Grads, Module, Var, record_function};
use gradus_nn::metrics::RunningMean;
use gradus_nn::{Direction, Layer, Loss, Metric, Mode, Penalty, collect_penalties};
use gradus_optim::{Optimizer, Rule};
use gradus_tensor::{Rng, Tensor};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

type Values = Vec<(String, f64)>;
type Callbacks = [Box<dyn Callback>];

/// What changes as a training goes on, beside the network and the optimiser.
struct State {
    rng: Rng,
    plan: Plan,
    position: Position,
    /// The mean loss of the epoch under way.
    loss: RunningMean,
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
            loss: RunningMean::new(),
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
        if fit.drop_last && samples < batch {
            let why = format!("fit: drop_last leaves no batch of {batch} in {samples} samples: an epoch would have no step");
            return Err(TrainError::new(why));
        }
        let mut callbacks = std::mem::take(&mut self.callbacks);
        let own = callbacks.len();
        if !fit.allow_nan {
            callbacks.push(Box::new(StopOnNan));
        }
        let mut loss = type_name::<L>();
        if !self.penalties.is_empty() {
            loss = format!("{loss} with penalties {:?}", self.penalties);
        }
        let directions = self.metrics.iter().map(|m| (m.name().to_string(), m.direction())).collect();
        let mut state = State::new(&fit, samples, loss, directions);
        let result = self.epochs(train, &fit, &mut validate, &mut callbacks, &mut state);
        callbacks.truncate(own);
        self.callbacks = callbacks;
        result.map(|()| state.history)
    }

    fn epochs(
        &mut self,
        train: &impl TrainData<Y>,
        fit: &Fit,
        validate: &mut impl FnMut(&mut Self) -> Result<Values, TrainError>,
        callbacks: &mut Callbacks,
        state: &mut State,
    ) -> Result<(), TrainError> {
        self.metrics.iter_mut().for_each(|m| m.reset());
        let watched = self.optimizer.watches();
        check_watched(&watched, &state.run(&mut self.net, &mut self.optimizer))?;
        if let Some(path) = fit.resume.as_ref().filter(|path| !fit.resume_if_there || path.exists()) {
            self.resume(path, callbacks, state)?;
        }
        self.tell(callbacks, state, |c, run| c.on_train_begin(run))?;
        while state.position.epochs < fit.epochs && state.stop.is_none() {
            let start = Instant::now();
            let mut progress = EpochProgress::start(fit.verbosity, (state.position.epochs + 1, fit.epochs));
            if !self.steps(train, fit, callbacks, state, &mut progress)? {
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
            state.loss = RunningMean::new();
            self.metrics.iter_mut().for_each(|m| m.reset());
            self.tell(callbacks, state, |c, run| c.on_epoch_end(run, &record))?;
            if let Some(path) = &fit.checkpoint {
                self.store(path, callbacks, state)?;
            }
        }
        self.tell(callbacks, state, |c, run| c.on_train_end(run))
    }

    /// The rest of the epoch that `state` stands in; whether it came to its end.
    fn steps(
        &mut self,
        train: &impl TrainData<Y>,
        fit: &Fit,
        callbacks: &mut Callbacks,
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
            let mean = self.step(group, &mut state.rng)?;
            let loss = mean.value();
            state.loss.add(loss, mean.count());
            state.position.steps_in_epoch += 1;
            state.position.steps += 1;
            let record = StepRecord { step: state.position.steps, epoch: epoch + 1, loss, lr };
            state.history.steps.push(record);
            self.tell(callbacks, state, |c, run| c.on_step_end(run, &record))?;
            progress.step(|| named(&state.loss, &self.metrics));
            if state.position.steps_in_epoch == whole {
                break;
            }
            let due = fit.checkpoint_steps.is_some_and(|every| state.position.steps.is_multiple_of(every));
            if let Some(path) = fit.checkpoint.as_ref().filter(|_| due || state.stop.is_some()) {
                self.store(path, callbacks, state)?;
            }
            if state.stop.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// One step on the batches of `group` as if they were one: their mean loss.
    fn step(&mut self, group: Vec<(Tensor<f32>, Y)>, rng: &mut Rng) -> Result<RunningMean, TrainError> {
        let size = |x: &Tensor<f32>| x.shape().first().copied().unwrap_or(0);
        let all: usize = group.iter().map(|(x, _)| size(x)).sum();
        let (mut mean, mut total) = (RunningMean::new(), None::<Grads<f32>>);
        for (x, y) in group {
            let samples = size(&x);
            let (output, activity) = collect_penalties(|| self.net.forward(&Var::constant(x), &mut Mode::Train(rng)));
            self.loss.check(output.shape(), &y)?;
            let mut loss = penalised(self.loss.loss(&output, &y), activity, &self.penalties, &self.net)?;
            let value = loss_value(&loss)?;
            mean.add(value, samples);
            self.metrics.iter_mut().for_each(|m| m.update(output.value(), &y));
            drop(output);
            if !value.is_finite() {
                continue;
            }
            if samples < all {
                loss = loss * (samples as f64 / all as f64);
            }
            let grads = loss.backward();
            match &mut total {
                Some(total) => total.accumulate(grads),
                None => total = Some(grads),
            }
        }
        if let Some(grads) = total.filter(|_| mean.value().is_finite()) {
            self.optimizer.step(&mut self.net, grads)?;
        }
        Ok(mean)
    }

    /// Calls `f` for each callback.
    fn tell(
        &mut self,
        callbacks: &mut Callbacks,
        state: &mut State,
        mut f: impl FnMut(&mut dyn Callback, &mut Run<'_>) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        if callbacks.is_empty() {
            return Ok(());
        }
        let mut run = state.run(&mut self.net, &mut self.optimizer);
        let result = callbacks.iter_mut().try_for_each(|c| f(c.as_mut(), &mut run));
        let stop = run.stop.take();
        state.stop = state.stop.take().or(stop);
        result
    }

    fn store(&mut self, path: &Path, callbacks: &Callbacks, state: &State) -> Result<(), TrainError> {
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
            callbacks: keys(callbacks).into_iter().zip(callbacks.iter().map(|c| c.state())).collect(),
        };
        checkpoint.save(path)
    }

    fn resume(&mut self, path: &Path, callbacks: &mut Callbacks, state: &mut State) -> Result<(), TrainError> {
        let failed = |reason: String| TrainError::in_file(path, format!("cannot go on from this checkpoint: {reason}"));
        let mut stored = Checkpoint::load(path)?;
        if !state.plan.continues(&stored.plan, stored.position.steps_in_epoch > 0) {
            return Err(failed(format!("it was made with {}; this training has {}", stored.plan, state.plan)));
        }
        let keys = keys(callbacks);
        let here = keys.iter().zip(callbacks.iter().map(|c| c.state()));
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
        for (callback, key) in callbacks.iter_mut().zip(keys) {
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
fn keys(callbacks: &Callbacks) -> Vec<String> {
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
pub(crate) fn named<Y>(loss: &RunningMean, metrics: &[Box<dyn Metric<f32, Y>>]) -> Values {
    let metrics = metrics.iter().map(|m| (m.name().to_string(), m.value()));
    [("loss".to_string(), loss.value())].into_iter().chain(metrics).collect()
}

/// The loss as a number.
pub(crate) fn loss_value(loss: &Var<f32>) -> Result<f64, TrainError> {
    match loss.value().numel() {
        1 => Ok(f64::from(loss.item())),
        _ => Err(TrainError::new(format!("fit: the loss is {}; wanted one number: reduce it to a mean or sum", loss.shape()))),
    }
}

/// The loss with what penalties add to it.
pub(crate) fn penalised<N: Module<f32>>(
    loss: Var<f32>,
    activity: Option<Var<f32>>,
    penalties: &[Penalty],
    net: &N,
) -> Result<Var<f32>, TrainError> {
    loss_value(&loss)?;
    Ok(penalties.iter().map(|penalty| penalty.of(net)).chain(activity).fold(loss, |loss, penalty| loss + penalty))
}
