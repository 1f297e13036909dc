//! The loop inside [`Trainer::fit`](crate::Trainer::fit).

use crate::best::{check_watched, shown};
use crate::data::{Order, Pass};
use crate::engine::{Engine, State, Totals};
use crate::error::TrainError;
use crate::fit::Fit;
use crate::history::{EpochRecord, History, StepRecord};
use crate::learner::{Learner, Split};
use crate::progress::EpochProgress;
use crate::run::Position;
use crate::running::Values;
use gradus_autograd::record_function;
use gradus_tensor::{Float, Rng};
use std::time::Instant;

/// A float type that a [`Trainer`](crate::Trainer) trains in: `f32` or `f64`. The loop is compiled for both in this crate, and works
/// on a network, objectives and data of any type.
pub trait TrainFloat: Float {
    #[doc(hidden)]
    fn fit(engine: &mut Engine<Self>, learner: &mut dyn Learner<Self>, fit: &Fit) -> Result<History, TrainError>;
    #[doc(hidden)]
    fn evaluate(
        engine: &mut Engine<Self>,
        learner: &mut dyn Learner<Self>,
        batch: usize,
    ) -> Result<Vec<(String, f64)>, TrainError>;
}

macro_rules! compiled_here {
    ($($float:ident),*) => {$(
        impl TrainFloat for $float {
            fn fit(engine: &mut Engine<Self>, learner: &mut dyn Learner<Self>, fit: &Fit) -> Result<History, TrainError> {
                engine.fit(learner, fit)
            }
            fn evaluate(engine: &mut Engine<Self>, learner: &mut dyn Learner<Self>, batch: usize) -> Result<Values, TrainError> {
                engine.evaluate(learner, batch)
            }
        }
    )*};
}
compiled_here!(f32, f64);

impl<T: Float> Engine<T> {
    fn fit(&mut self, learner: &mut dyn Learner<T>, fit: &Fit) -> Result<History, TrainError> {
        let (samples, batch) = (learner.samples(Split::Train).unwrap_or(0), fit.batch);
        if batch == 0 || samples == 0 {
            return Err(TrainError::new(format!("fit: {samples} samples in batches of {batch}; wanted 1 or more of both")));
        }
        learner.check_kinds()?;
        self.check_turns(learner)?;
        let named = self.turns.iter().zip(learner.objectives());
        let named = named.map(|(turn, objective)| match &turn.pattern {
            Some(pattern) => format!("{objective} for {pattern}"),
            None => objective,
        });
        let mut loss = named.collect::<Vec<_>>().join(", ");
        if !self.penalties.is_empty() {
            loss = format!("{loss} with penalties {:?}", self.penalties);
        }
        let mut state = State::new(fit, samples, loss, learner.metric_directions(), self.turns.len());
        self.epochs(learner, fit, &mut state)?;
        Ok(state.history)
    }

    /// Refuses a parameter that would stay as it is because nobody thought of it.
    fn check_turns(&self, learner: &mut dyn Learner<T>) -> Result<(), TrainError> {
        if self.turns.is_empty() {
            return Err(TrainError::new("fit: there is no objective: add one with Trainer::turn"));
        }
        let model = learner.model();
        let fits = |path: &str| self.turns.iter().any(|turn| turn.trains(path));
        let named = model.named_parameters().into_iter();
        let idle: Vec<String> = named.filter(|(path, p)| p.is_trainable() && !fits(path)).map(|(path, _)| path).collect();
        match idle.is_empty() {
            true => Ok(()),
            false => Err(TrainError::new(format!("fit: no turn trains [{}]: add one, or freeze them", idle.join(", ")))),
        }
    }

    fn epochs(&mut self, learner: &mut dyn Learner<T>, fit: &Fit, state: &mut State) -> Result<(), TrainError> {
        learner.reset_metrics();
        let watched: Vec<_> = self.turns.iter().map(|turn| turn.optimizer.watches()).collect();
        for watched in &watched {
            check_watched(watched, &state.run(learner.model(), &mut self.turns))?;
        }
        if let Some(path) = fit.resume.as_ref().filter(|path| !fit.resume_if_there || path.exists()) {
            self.resume(learner, path, state)?;
        }
        self.tell(learner, state, &mut |c, run| c.on_train_begin(run))?;
        while state.position.epochs < fit.epochs && state.stop.is_none() {
            let start = Instant::now();
            let mut progress = EpochProgress::start(fit.verbosity, (state.position.epochs + 1, fit.epochs));
            if !self.steps(learner, fit, state, &mut progress)? {
                break;
            }
            let mut values = self.values(learner, &state.totals);
            if learner.samples(Split::Valid).is_some() {
                values.extend(self.evaluate(learner, fit.batch)?.into_iter().map(|(name, v)| (format!("val_{name}"), v)));
            }
            progress.finish(&values);
            let metrics = watched.iter().map(|watched| shown(watched, &values)).collect::<Result<Vec<_>, _>>()?;
            values.extend(self.turns.iter().map(|turn| (turn.named("lr"), turn.optimizer.lr())));
            for (turn, metric) in self.turns.iter_mut().zip(metrics) {
                turn.optimizer.end_epoch(metric)?;
            }
            let epoch = state.position.epochs + 1;
            let waited = std::mem::take(&mut state.waited).as_secs_f64();
            let record = EpochRecord { epoch, seconds: start.elapsed().as_secs_f64(), waited, values };
            state.position = Position { epochs: epoch, steps_in_epoch: 0, ..state.position };
            state.history.epochs.push(record.clone());
            state.totals = Totals::new(self.turns.len());
            learner.reset_metrics();
            self.tell(learner, state, &mut |c, run| c.on_epoch_end(run, &record))?;
            if let Some(path) = &fit.checkpoint {
                self.store(learner, path, state)?;
            }
        }
        self.tell(learner, state, &mut |c, run| c.on_train_end(run))
    }

    /// The rest of the epoch that `state` stands in; whether it came to its end.
    fn steps(
        &mut self,
        learner: &mut dyn Learner<T>,
        fit: &Fit,
        state: &mut State,
        progress: &mut EpochProgress,
    ) -> Result<bool, TrainError> {
        let (epoch, done) = (state.position.epochs, state.position.steps_in_epoch);
        let rng = order_of(fit.seed, epoch);
        let order = match &fit.sample_weights {
            Some(weights) => Order::Weighted(weights, rng),
            None if fit.shuffle => Order::Shuffled(rng),
            None => Order::AsTheyAre,
        };
        let Fit { batch, drop_last, accumulate, prefetch, .. } = *fit;
        learner.start(Split::Train, Pass { batch, epoch: epoch as u64, order, drop_last, skip: done * accumulate, prefetch })?;
        let samples = state.plan.samples;
        let whole = if drop_last { samples / batch } else { samples.div_ceil(batch) };
        let whole = whole.div_ceil(accumulate);
        progress.steps(done, whole);
        loop {
            let start = Instant::now();
            let group = record_function("load batch", || learner.load(accumulate))?;
            state.waited += start.elapsed();
            if group.is_empty() {
                break;
            }
            let lr = self.turns[0].optimizer.lr();
            let loss = self.step(learner, &group, state)?;
            state.position.steps_in_epoch += 1;
            if let Some(loss) = loss {
                state.position.steps += 1;
                let record = StepRecord { step: state.position.steps, epoch: epoch + 1, loss, lr };
                state.history.steps.push(record);
                self.tell(learner, state, &mut |c, run| c.on_step_end(run, &record))?;
            }
            progress.step(|| self.values(learner, &state.totals));
            if state.position.steps_in_epoch == whole {
                break;
            }
            let due = fit.checkpoint_steps.is_some_and(|every| state.position.steps.is_multiple_of(every));
            if let Some(path) = fit.checkpoint.as_ref().filter(|_| due || state.stop.is_some()) {
                self.store(learner, path, state)?;
            }
            if state.stop.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The random source that the order of an epoch's samples is drawn from; epochs are independent, so that a training can
/// go on in the middle of one.
fn order_of(seed: u64, epoch: usize) -> Rng {
    Rng::seed(seed ^ (epoch as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}
