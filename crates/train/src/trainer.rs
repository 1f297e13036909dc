//! Fit, evaluate, predict.

use crate::callbacks::StopOnNan;
use crate::error::TrainError;
use crate::fit::Fit;
use crate::history::{EpochRecord, History, StepRecord};
use crate::progress::EpochProgress;
use crate::run::{Callback, CallbackState, Checkpoint, Position, Run};
use gradus_autograd::{Module, Var, no_grad};
use gradus_data::Dataset;
use gradus_nn::{Layer, Loss, Metric, Mode};
use gradus_optim::{Optimizer, Rule};
use gradus_tensor::{Rng, Tensor};
use std::collections::BTreeMap;
use std::time::Instant;

/// A data set that a trainer can learn from: batches of inputs `[N, ..]` and targets.
pub trait TrainData<Y>: Dataset<Batch = (Tensor<f32>, Y)> + Clone + Send + 'static {}
impl<Y, D: Dataset<Batch = (Tensor<f32>, Y)> + Clone + Send + 'static> TrainData<Y> for D {}

/// A network with what it takes to train it: a loss, an optimiser, metrics and callbacks. `Y` is what the loss takes as
/// target: class labels unless said otherwise.
///
/// ```
/// use gradus_data::TensorDataset;
/// use gradus_nn::{Accuracy, CrossEntropy, Linear};
/// use gradus_optim::Adam;
/// use gradus_tensor::{Rng, Tensor};
/// use gradus_train::{Fit, Trainer, Verbosity};
/// let rng = &mut Rng::seed(0);
/// let x = Tensor::normal([200, 2], 0.0, 1.0, rng);
/// let y = x.sum(1).gt(0.0).to_num::<i64>();
/// let data = TensorDataset::new(x, y)?;
/// let mut trainer = Trainer::new(Linear::new(2, 2, rng), CrossEntropy::new(), Adam::new(0.1)).metric(Accuracy::new());
/// let history = trainer.fit(&data, &data, Fit::epochs(5).batch(32).verbosity(Verbosity::Silent))?;
/// assert!(history.last("val_acc").unwrap() > 0.95);
/// # Ok::<(), gradus_train::TrainError>(())
/// ```
pub struct Trainer<N, L, R: Rule<f32>, Y = Tensor<i64>> {
    net: N,
    loss: L,
    optimizer: Optimizer<R, f32>,
    metrics: Vec<Box<dyn Metric<f32, Y>>>,
    callbacks: Vec<Box<dyn Callback>>,
}

impl<N, L, R, Y> Trainer<N, L, R, Y>
where
    N: Layer<f32>,
    L: Loss<f32, Y>,
    R: Rule<f32>,
    Y: Send + 'static,
{
    /// Trains `net` to make `loss` small by `optimizer`.
    pub fn new(net: N, loss: L, optimizer: Optimizer<R, f32>) -> Self {
        Self { net, loss, optimizer, metrics: Vec::new(), callbacks: Vec::new() }
    }

    /// With one more metric in progress and history.
    #[must_use]
    pub fn metric(mut self, metric: impl Metric<f32, Y> + 'static) -> Self {
        self.metrics.push(Box::new(metric));
        self
    }

    /// With one more callback.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// The network.
    pub fn net(&self) -> &N {
        &self.net
    }

    /// The network, to be changed.
    pub fn net_mut(&mut self) -> &mut N {
        &mut self.net
    }

    /// The network, trained.
    pub fn into_net(self) -> N {
        self.net
    }

    /// Trains on `train`, and evaluates on `valid` after each epoch.
    ///
    /// # Errors
    /// When a data set is empty or fails, the batch size is 0, a label is no class, the loss is not finite, a parameter
    /// gets no gradient, or a file cannot be written.
    pub fn fit(&mut self, train: &impl TrainData<Y>, valid: &impl TrainData<Y>, fit: Fit) -> Result<History, TrainError> {
        if valid.is_empty() {
            return Err(TrainError::new("fit: the validation data set is empty"));
        }
        let (valid, batch) = (valid.clone(), fit.batch);
        self.run(train, fit, |trainer| Ok(Some(trainer.evaluate(&valid, batch)?)))
    }

    /// Trains on `train` without evaluation.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_without_validation(&mut self, train: &impl TrainData<Y>, fit: Fit) -> Result<History, TrainError> {
        self.run(train, fit, |_| Ok(None))
    }

    /// The loss and the metrics over a data set, in evaluation mode.
    ///
    /// # Errors
    /// When the data set is empty or fails, or the batch size is 0.
    pub fn evaluate(&mut self, data: &impl TrainData<Y>, batch: usize) -> Result<Vec<(String, f64)>, TrainError> {
        let Self { net, loss, metrics, .. } = self;
        metrics.iter_mut().for_each(|m| m.reset());
        let mut total = Mean::default();
        for item in data.batches(batch).prefetch(2) {
            let (x, y) = item?;
            let samples = x.shape().first().copied().unwrap_or(0);
            let (output, value) = no_grad(|| {
                let output = net.forward(&x.into(), &mut Mode::Eval);
                loss.check(output.shape(), &y)?;
                let value = loss.loss(&output, &y).item();
                Ok::<_, TrainError>((output, value))
            })?;
            total.add(f64::from(value), samples);
            metrics.iter_mut().for_each(|m| m.update(output.value(), &y));
        }
        Ok(named(&total, metrics))
    }

    /// The network's outputs for inputs `[N, ..]`, in evaluation mode, computed `batch` at a time.
    ///
    /// # Errors
    /// When there is no input, or the batch size is 0.
    pub fn predict(&self, inputs: &Tensor<f32>, batch: usize) -> Result<Tensor<f32>, TrainError> {
        let n = inputs.shape().first().copied().unwrap_or(0);
        if n == 0 || batch == 0 {
            return Err(TrainError::new(format!("predict: {n} inputs in batches of {batch}; wanted 1 or more of both")));
        }
        let part = |x: Tensor<f32>| no_grad(|| self.net.forward(&x.into(), &mut Mode::Eval)).into_value();
        let outputs: Vec<Tensor<f32>> = inputs.split(batch, 0).into_iter().map(part).collect();
        Ok(Tensor::concat(&outputs.iter().collect::<Vec<_>>(), 0))
    }

    fn run(
        &mut self,
        train: &impl TrainData<Y>,
        fit: Fit,
        mut validate: impl FnMut(&mut Self) -> Result<Option<Vec<(String, f64)>>, TrainError>,
    ) -> Result<History, TrainError> {
        if fit.batch == 0 || train.is_empty() {
            return Err(TrainError::new(format!(
                "fit: {} samples in batches of {}; wanted 1 or more of both",
                train.len(),
                fit.batch
            )));
        }
        let mut callbacks = std::mem::take(&mut self.callbacks);
        if !fit.allow_nan {
            callbacks.push(Box::new(StopOnNan));
        }
        let mut state = State::new(&fit);
        let result = self.run_with(train, &fit, &mut validate, &mut callbacks, &mut state);
        callbacks.retain(|c| c.name() != "stop_on_nan");
        self.callbacks = callbacks;
        result.map(|()| state.history)
    }

    fn run_with(
        &mut self,
        train: &impl TrainData<Y>,
        fit: &Fit,
        validate: &mut impl FnMut(&mut Self) -> Result<Option<Vec<(String, f64)>>, TrainError>,
        callbacks: &mut [Box<dyn Callback>],
        state: &mut State,
    ) -> Result<(), TrainError> {
        if let Some(path) = &fit.resume {
            if path.exists() || !fit.resume_if_there {
                self.resume(Checkpoint::load(path)?, fit, callbacks, state)?;
            }
        }
        self.tell(callbacks, state, fit, |c, run| c.on_train_begin(run))?;
        while state.position.epochs < fit.epochs && state.stop.is_none() {
            let start = Instant::now();
            let (mut values, progress) = self.epoch(train, fit, callbacks, state)?;
            if state.position.steps_in_epoch > 0 {
                // Stopped in the middle of an epoch.
                break;
            }
            values.extend(validate(self)?.into_iter().flatten().map(|(name, v)| (format!("val_{name}"), v)));
            progress.finish(&values);
            let watched = values.iter().find(|(n, _)| n == "val_loss").or(values.first()).map(|(_, v)| *v);
            values.push(("lr".into(), self.optimizer.lr()));
            self.optimizer.end_epoch(watched)?;
            let record = EpochRecord { epoch: state.position.epochs, seconds: start.elapsed().as_secs_f64(), values };
            state.history.epochs.push(record.clone());
            self.tell(callbacks, state, fit, |c, run| c.on_epoch_end(run, &record))?;
            if let Some(checkpoint) = &fit.checkpoint {
                self.store(checkpoint, fit, callbacks, state)?;
            }
        }
        self.tell(callbacks, state, fit, |c, run| c.on_train_end(run))
    }

    /// The rest of the epoch that `state` stands in.
    fn epoch(
        &mut self,
        train: &impl TrainData<Y>,
        fit: &Fit,
        callbacks: &mut [Box<dyn Callback>],
        state: &mut State,
    ) -> Result<(Vec<(String, f64)>, EpochProgress), TrainError> {
        let epoch = state.position.epochs;
        let mut batches = train.batches(fit.batch).drop_last(fit.drop_last).skip_batches(state.position.steps_in_epoch);
        if fit.shuffle {
            batches = batches.shuffle(&mut order_of(fit.seed, epoch));
        }
        let whole = if fit.drop_last { train.len() / fit.batch } else { train.len().div_ceil(fit.batch) };
        let done = state.position.steps_in_epoch as u64;
        let mut progress = EpochProgress::start(fit.verbosity, (epoch + 1, fit.epochs), done, whole as u64);
        self.metrics.iter_mut().for_each(|m| m.reset());
        let mut total = Mean::default();
        for item in batches.prefetch(fit.prefetch) {
            let (x, y) = item?;
            let samples = x.shape().first().copied().unwrap_or(0);
            let lr = self.optimizer.lr();
            let loss = self.step(x, &y, &mut state.rng)?;
            total.add(loss, samples);
            state.position.steps_in_epoch += 1;
            state.position.steps += 1;
            let record = StepRecord { step: state.position.steps, epoch: epoch + 1, loss, lr };
            state.history.steps.push(record);
            self.tell(callbacks, state, fit, |c, run| c.on_step_end(run, &record))?;
            progress.step(|| named(&total, &self.metrics));
            let last = state.position.steps_in_epoch == whole;
            if let (Some(path), Some(every), false) = (&fit.checkpoint, fit.checkpoint_steps, last) {
                if state.position.steps % every == 0 {
                    self.store(path, fit, callbacks, state)?;
                }
            }
            if state.stop.is_some() && !last {
                return Ok((named(&total, &self.metrics), progress));
            }
        }
        state.position.epochs += 1;
        state.position.steps_in_epoch = 0;
        Ok((named(&total, &self.metrics), progress))
    }

    /// One step on one batch: its loss.
    fn step(&mut self, x: Tensor<f32>, y: &Y, rng: &mut Rng) -> Result<f64, TrainError> {
        let output = self.net.forward(&Var::constant(x), &mut Mode::Train(rng));
        self.loss.check(output.shape(), y)?;
        let loss = self.loss.loss(&output, y);
        let value = f64::from(loss.item());
        self.metrics.iter_mut().for_each(|m| m.update(output.value(), y));
        drop(output);
        if value.is_finite() {
            self.optimizer.step(&mut self.net, loss.backward())?;
        }
        Ok(value)
    }

    /// Calls `f` for each callback.
    fn tell(
        &mut self,
        callbacks: &mut [Box<dyn Callback>],
        state: &mut State,
        fit: &Fit,
        mut f: impl FnMut(&mut dyn Callback, &mut Run<'_>) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        if callbacks.is_empty() {
            return Ok(());
        }
        let mut run = state.run(&mut self.net, &mut self.optimizer, fit.seed);
        let result = callbacks.iter_mut().try_for_each(|c| f(c.as_mut(), &mut run));
        let stop = run.stop.take();
        state.stop = state.stop.take().or(stop);
        result
    }

    fn store(
        &mut self,
        path: &std::path::Path,
        fit: &Fit,
        callbacks: &[Box<dyn Callback>],
        state: &mut State,
    ) -> Result<(), TrainError> {
        let memories = callbacks.iter().map(|c| (c.name().to_string(), c.state())).collect();
        Checkpoint::of(&state.run(&mut self.net, &mut self.optimizer, fit.seed), memories).save(path)
    }

    fn resume(
        &mut self,
        stored: Checkpoint,
        fit: &Fit,
        callbacks: &mut [Box<dyn Callback>],
        state: &mut State,
    ) -> Result<(), TrainError> {
        if stored.seed != fit.seed {
            let (was, is) = (stored.seed, fit.seed);
            return Err(TrainError::new(format!("resume: the checkpoint was made with seed {was}, this training has {is}")));
        }
        self.net.load_state_dict(&stored.weights)?;
        self.optimizer.load_state_dict(&mut self.net, &stored.optimizer)?;
        let mut memories: BTreeMap<String, CallbackState> = stored.callbacks;
        for c in callbacks.iter_mut() {
            if let Some(memory) = memories.remove(c.name()) {
                c.load_state(memory);
            }
        }
        state.rng = Rng::from_state(&stored.rng);
        state.position = stored.position;
        state.history = stored.history;
        Ok(())
    }
}

/// What changes as a training goes on, beside the network and the optimiser.
struct State {
    rng: Rng,
    position: Position,
    history: History,
    stop: Option<String>,
}

impl State {
    fn new(fit: &Fit) -> Self {
        Self { rng: Rng::seed(fit.seed), position: Position::default(), history: History::default(), stop: None }
    }

    fn run<'a, N: Module<f32>, R: Rule<f32>>(
        &'a self,
        net: &'a mut N,
        optimizer: &'a mut Optimizer<R, f32>,
        seed: u64,
    ) -> Run<'a> {
        let Self { rng, position, history, .. } = self;
        Run { model: net, optimizer, rng, history, position: *position, seed, stop: None }
    }
}

/// The random source that the order of an epoch's samples is drawn from; epochs are independent, so that a training can
/// go on in the middle of one.
fn order_of(seed: u64, epoch: usize) -> Rng {
    Rng::seed(seed ^ (epoch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A mean over samples, from means over batches.
#[derive(Default)]
struct Mean {
    sum: f64,
    samples: usize,
}

impl Mean {
    fn add(&mut self, mean: f64, samples: usize) {
        self.sum += mean * samples as f64;
        self.samples += samples;
    }
    fn value(&self) -> f64 {
        self.sum / self.samples as f64
    }
}

fn named<Y>(loss: &Mean, metrics: &[Box<dyn Metric<f32, Y>>]) -> Vec<(String, f64)> {
    let metrics = metrics.iter().map(|m| (m.name().to_string(), m.value()));
    [("loss".to_string(), loss.value())].into_iter().chain(metrics).collect()
}
