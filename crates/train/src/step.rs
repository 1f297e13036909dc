//! One step of training, and an evaluation.

use crate::data::Pass;
use crate::engine::{Engine, State, Totals};
use crate::error::{Place, TrainError};
use crate::learner::{Learner, Split};
use crate::objective::StepContext;
use crate::run::Position;
use crate::running::{RunningLoss, Shares, Values, number, scaled, total, weight_penalty};
use crate::turn::{freeze_others, unfreeze};
use gradus_autograd::{Grads, Var, no_grad};
use gradus_nn::BatchWeight;
use gradus_tensor::{Float, Rng};
use std::collections::HashSet;

/// The learner in one optimiser's turn: all other parameters are constants.
struct InTurn<'a, T: Float> {
    learner: &'a mut dyn Learner<T>,
    frozen: HashSet<u64>,
}

impl<'a, T: Float> InTurn<'a, T> {
    fn begin(learner: &'a mut dyn Learner<T>, pattern: Option<&str>) -> Self {
        let frozen = freeze_others(learner.model(), pattern);
        Self { learner, frozen }
    }
}

impl<T: Float> Drop for InTurn<'_, T> {
    fn drop(&mut self) {
        unfreeze(self.learner.model(), &self.frozen);
    }
}

/// Which batch a pass is of: the turn, the number among the loaded ones, its samples and weight.
#[derive(Clone, Copy)]
struct Item {
    turn: usize,
    batch: usize,
    samples: usize,
    weight: BatchWeight,
    first: bool,
}

/// What an objective makes of one batch.
struct Passed<T: Float> {
    /// The loss, unless the batch counts for nothing.
    loss: Option<Var<T>>,
    /// The penalty of the layers' activities.
    activity: Option<Var<T>>,
    /// Whether there was an output for the metrics.
    output: bool,
}

/// A batch through its objective, and into metrics and logs.
fn pass<T: Float>(
    learner: &mut dyn Learner<T>,
    item: Item,
    (rng, train): (&mut Rng, bool),
    totals: &mut Totals,
) -> Result<Passed<T>, TrainError> {
    let Item { turn, batch, samples, weight, first } = item;
    let mut cx = StepContext::new(rng, train, (samples, weight), first);
    let (loss, activity) = learner.loss(turn, batch, &mut cx)?;
    let (output, logged) = cx.finish();
    if loss.value().numel() != 1 {
        let shape = loss.shape();
        return Err(TrainError::new(format!("the loss is {shape}; wanted one number: reduce it to a mean or sum")));
    }
    if let Some(output) = &output {
        learner.update_metrics(batch, output)?;
    }
    if weight.counts() {
        logged.into_iter().for_each(|(name, value)| totals.logs.add(name, value, weight, samples));
    }
    Ok(Passed { loss: weight.counts().then_some(loss), activity, output: output.is_some() })
}

/// How the loss of a batch combines with those of others.
fn weight_of<T: Float>(learner: &dyn Learner<T>, turn: usize, batch: usize, samples: usize) -> Result<BatchWeight, TrainError> {
    match learner.weight(turn, batch, samples) {
        BatchWeight::Mean(weight) if !(weight.is_finite() && weight >= 0.0) => {
            Err(TrainError::new(format!("the loss has the weight {weight}; wanted a number from 0")))
        }
        weight => Ok(weight),
    }
}

fn check_output<T: Float>(learner: &dyn Learner<T>, given: bool) -> Result<(), TrainError> {
    match learner.metric_values().first() {
        Some((name, _)) if !given => {
            let why =
                format!("the metric `{name}` takes the model's output, and the objective gives none: call cx.output(&output)");
            Err(TrainError::new(why))
        }
        _ => Ok(()),
    }
}

/// What a turn of one step has come to.
struct Turned<T: Float> {
    loss: RunningLoss,
    grads: Option<Grads<T>>,
    output: bool,
}

impl<T: Float> Engine<T> {
    /// One step on the loaded batches as if they were one: each turn's loss, gradients and update. Gives the sum of the losses,
    /// unless the batches count for nothing.
    pub(crate) fn step(
        &mut self,
        learner: &mut dyn Learner<T>,
        samples: &[usize],
        state: &mut State,
    ) -> Result<Option<f64>, TrainError> {
        let Position { epochs, steps_in_epoch, .. } = state.position;
        let first = steps_in_epoch * state.plan.accumulate;
        let place = move |i: usize| Place::Fit { epoch: epochs + 1, batch: first + i + 1 };
        let (mut sum, mut output) = (None, false);
        for turn in 0..self.turns.len() {
            let weigh = |(i, &n): (usize, &usize)| weight_of(learner, turn, i, n).map_err(|e| e.at(place(i)));
            let shares = Shares::new(samples.iter().enumerate().map(weigh).collect::<Result<_, _>>()?);
            let turned = self.gradients(learner, turn, (samples, &shares), state, &place)?;
            output |= turned.output;
            if !shares.count() {
                continue;
            }
            let loss = turned.loss.value();
            if let Some(grads) = turned.grads.filter(|_| loss.is_finite()) {
                self.update(learner, turn, grads)?;
            }
            sum = total([sum, Some(loss)]);
        }
        check_output(learner, output).map_err(|e| e.at(place(0)))?;
        Ok(sum)
    }

    /// The loss and the gradients of the loaded batches in one turn.
    fn gradients(
        &self,
        learner: &mut dyn Learner<T>,
        turn: usize,
        (samples, shares): (&[usize], &Shares),
        state: &mut State,
        place: &dyn Fn(usize) -> Place,
    ) -> Result<Turned<T>, TrainError> {
        let all: usize = samples.iter().sum();
        let inside = InTurn::begin(learner, self.turns[turn].pattern.as_deref());
        let mut penalty = weight_penalty(&self.penalties, inside.learner.model());
        let penalty_value = penalty.as_ref().map(number);
        let mut turned = Turned { loss: RunningLoss::default(), grads: None::<Grads<T>>, output: false };
        for (batch, &samples) in samples.iter().enumerate() {
            let (weight, share) = shares.of(batch);
            let item = Item { turn, batch, samples, weight, first: false };
            let passed =
                pass(&mut *inside.learner, item, (&mut state.rng, true), &mut state.totals).map_err(|e| e.at(place(batch)))?;
            let Passed { loss, activity, output } = passed;
            turned.output |= output;
            let value = loss.as_ref().map_or(f64::NAN, number);
            let beside = total([penalty_value, activity.as_ref().map(number)]).filter(|_| shares.count());
            turned.loss.add(value, weight, beside, samples);
            state.totals.losses[turn].add(value, weight, beside, samples);
            if !shares.count() || (weight.counts() && !turned.loss.value().is_finite()) {
                continue;
            }
            let loss = loss.map(|loss| scaled(loss, share));
            let activity = activity.map(|activity| scaled(activity, samples as f64 / all as f64));
            // The penalty for the weights is in the step once, however many batches it has.
            let parts = loss.into_iter().chain(penalty.take()).chain(activity);
            let Some(whole) = parts.reduce(|a, b| a + b) else { continue };
            if !whole.requires_grad() {
                return Err(TrainError::new("the loss depends on no trainable parameter").at(place(batch)));
            }
            let grads = whole.backward();
            match &mut turned.grads {
                Some(sum) => sum.accumulate(grads),
                None => turned.grads = Some(grads),
            }
        }
        Ok(turned)
    }

    /// The trainer's hooks, then the optimiser's step.
    fn update(&mut self, learner: &mut dyn Learner<T>, turn: usize, mut grads: Grads<T>) -> Result<(), TrainError> {
        for hook in &mut self.hooks {
            hook(learner.model(), &mut grads).map_err(|e| TrainError::new(format!("before_step: {e}")))?;
        }
        Ok(self.turns[turn].step(learner.model(), grads)?)
    }

    /// The losses, the metrics and what is logged over the validation data, in evaluation mode.
    pub(crate) fn evaluate(&mut self, learner: &mut dyn Learner<T>, batch: usize) -> Result<Values, TrainError> {
        learner.check_kinds()?;
        learner.reset_metrics();
        let turns = 0..self.turns.len();
        let penalty = |turn: usize| {
            let inside = InTurn::begin(&mut *learner, self.turns[turn].pattern.as_deref());
            no_grad(|| weight_penalty(&self.penalties, inside.learner.model())).as_ref().map(number)
        };
        let penalties: Vec<Option<f64>> = turns.clone().map(penalty).collect();
        learner.start(Split::Valid, Pass::in_order(batch))?;
        let (mut totals, rng) = (Totals::new(turns.len()), &mut Rng::seed(0));
        for number_of_batch in 1.. {
            let Some(&samples) = learner.load(1)?.first() else { break };
            let at = |e: TrainError| e.at(Place::Evaluate { batch: number_of_batch });
            let mut output = false;
            for turn in turns.clone() {
                let weight = weight_of(learner, turn, 0, samples).map_err(at)?;
                let item = Item { turn, batch: 0, samples, weight, first: number_of_batch == 1 };
                let passed = pass(learner, item, (&mut *rng, false), &mut totals).map_err(at)?;
                output |= passed.output;
                let beside = total([penalties[turn], passed.activity.as_ref().map(number)]);
                totals.losses[turn].add(passed.loss.as_ref().map_or(f64::NAN, number), weight, beside, samples);
            }
            check_output(learner, output).map_err(at)?;
        }
        Ok(self.values(learner, &totals))
    }
}
