//! What a trainer has beside its network, objectives and metrics; and what changes as it trains.

use crate::callbacks::StopOnNan;
use crate::checkpoint::{Plan, digest};
use crate::error::TrainError;
use crate::fit::Fit;
use crate::history::History;
use crate::learner::Learner;
use crate::run::{Callback, Position, Run};
use crate::running::{Logs, RunningLoss, Values};
use crate::turn::Turn;
use gradus_autograd::Module;
use gradus_nn::{Direction, Penalty};
use gradus_optim::BeforeStep;
use gradus_tensor::{Float, Rng};
use std::time::Duration;

/// What a trainer has beside its network, objectives and metrics.
pub struct Engine<T: Float> {
    pub turns: Vec<Turn<T>>,
    pub penalties: Vec<Penalty>,
    pub callbacks: Vec<Box<dyn Callback<T>>>,
    pub hooks: Vec<BeforeStep<T>>,
}

/// A call of one of a callback's methods.
pub(crate) type Event<'a, T> = &'a mut dyn FnMut(&mut dyn Callback<T>, &mut Run<'_, T>) -> Result<(), TrainError>;

/// What changes as a training goes on, beside the network and the optimisers.
pub(crate) struct State {
    pub rng: Rng,
    pub plan: Plan,
    pub position: Position,
    /// What the epoch under way has come to.
    pub totals: Totals,
    /// The callback that no trainer holds.
    pub stop_on_nan: Option<StopOnNan>,
    /// What the epoch under way has waited for data.
    pub waited: Duration,
    pub history: History,
    /// What each metric says of its direction.
    pub directions: Vec<(String, Option<Direction>)>,
    pub stop: Option<String>,
}

impl State {
    pub fn new(fit: &Fit, samples: usize, loss: String, directions: Vec<(String, Option<Direction>)>, turns: usize) -> Self {
        let Fit { seed, batch, accumulate, shuffle, drop_last, .. } = *fit;
        let sample_weights = fit.sample_weights.as_deref().map(digest).unwrap_or_default();
        let plan = Plan { seed, samples, batch, accumulate, shuffle, drop_last, sample_weights, loss };
        Self {
            rng: Rng::seed(fit.seed),
            plan,
            position: Position::default(),
            totals: Totals::new(turns),
            stop_on_nan: (!fit.allow_nan).then_some(StopOnNan),
            waited: Duration::ZERO,
            history: History::default(),
            directions,
            stop: None,
        }
    }

    pub fn run<'a, T: Float>(&'a self, model: &'a mut dyn Module<T>, turns: &'a mut [Turn<T>]) -> Run<'a, T> {
        let Self { history, position, directions, .. } = self;
        Run { model, turns, history, position: *position, directions, restored: None, stop: None }
    }
}

/// The losses of the turns, and what their objectives have logged.
#[derive(Clone, Debug)]
pub(crate) struct Totals {
    pub losses: Vec<RunningLoss>,
    pub logs: Logs,
}

impl Totals {
    pub fn new(turns: usize) -> Self {
        Self { losses: vec![RunningLoss::default(); turns], logs: Logs::default() }
    }

    /// The loss of a turn by its name in the history.
    pub fn losses<'a, T: Float>(&'a self, turns: &'a [Turn<T>]) -> impl Iterator<Item = (String, &'a RunningLoss)> {
        turns.iter().map(|turn| turn.named("loss")).zip(&self.losses)
    }
}

impl<T: Float> Engine<T> {
    /// The losses, the metrics and what was logged, by name. `loss` is the sum of all turns' losses.
    pub(crate) fn values(&self, learner: &dyn Learner<T>, totals: &Totals) -> Values {
        let sum = totals.losses.iter().map(RunningLoss::value).reduce(|a, b| a + b);
        let mut values = vec![("loss".to_string(), sum.unwrap_or(f64::NAN))];
        if self.turns.len() > 1 {
            values.extend(totals.losses(&self.turns).map(|(name, loss)| (name, loss.value())));
        }
        values.extend(learner.metric_values());
        values.extend(totals.logs.values());
        values
    }

    /// Calls `f` for each callback.
    pub(crate) fn tell(&mut self, learner: &mut dyn Learner<T>, state: &mut State, f: Event<'_, T>) -> Result<(), TrainError> {
        let mut stop_on_nan = state.stop_on_nan;
        let mut run = state.run(learner.model(), &mut self.turns);
        let result = self.callbacks.iter_mut().try_for_each(|c| f(c.as_mut(), &mut run));
        let result = result.and_then(|()| stop_on_nan.iter_mut().try_for_each(|c| f(c, &mut run)));
        let stop = run.stop.take();
        state.stop = state.stop.take().or(stop);
        result
    }
}
