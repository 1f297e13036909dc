//! One batch through the network, the loss and the metrics; and what the losses of batches are together.

use crate::error::{Place, TrainError};
use crate::trainer::Trainer;
use gradus_autograd::{Module, Var, enable_grad};
use gradus_nn::metrics::RunningMean;
use gradus_nn::{BatchWeight, Layer, Loss, Mode, Penalty, collect_penalties};
use gradus_optim::Rule;
use gradus_tensor::{Tensor, catch_shape_errors};

/// The loss over batches, as if they were one: the losses combined by their weights, and the mean of the penalties.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RunningLoss {
    loss: RunningMean,
    penalties: RunningMean,
}

impl RunningLoss {
    /// Takes in a batch of `samples`, whose loss counts as `weight` says and has this penalty beside it, if any.
    pub fn add(&mut self, loss: f64, weight: BatchWeight, penalty: Option<f64>, samples: usize) {
        self.loss.add(loss, weight);
        if let Some(penalty) = penalty {
            self.penalties.add(penalty, samples);
        }
    }

    /// NaN when no batch counted.
    pub fn value(&self) -> f64 {
        let penalty = if self.penalties.weight() > 0.0 { self.penalties.value() } else { 0.0 };
        self.loss.value() + penalty
    }

    pub fn state(&self) -> Vec<f64> {
        [self.loss.state(), self.penalties.state()].concat()
    }

    pub fn load_state(&mut self, state: &[f64]) {
        if let [loss, weight, penalty, samples] = *state {
            self.loss.load_state(&[loss, weight]);
            self.penalties.load_state(&[penalty, samples]);
        }
    }
}

/// What the network makes of one batch.
pub(crate) struct Passed {
    pub output: Var<f32>,
    /// The loss, unless the batch counts for nothing.
    pub loss: Option<Var<f32>>,
    /// The penalty of the layers' activities: a mean over samples.
    pub activity: Option<Var<f32>>,
}

impl<N, L, R, Y> Trainer<N, L, R, Y>
where
    N: Layer<f32>,
    L: Loss<f32, Y>,
    R: Rule<f32>,
    Y: Send + 'static,
{
    /// How the loss of a batch combines with those of others.
    pub(crate) fn weight(&self, target: &Y, samples: usize) -> Result<BatchWeight, TrainError> {
        match self.loss.weight(target, samples) {
            BatchWeight::Mean(weight) if !(weight.is_finite() && weight >= 0.0) => {
                Err(TrainError::new(format!("the loss has the weight {weight}; wanted a number from 0")))
            }
            weight => Ok(weight),
        }
    }

    /// A batch through the network and the loss, and into the metrics. A mistake that the data make, in a layer, the loss or a
    /// metric, is an error.
    pub(crate) fn pass(
        &mut self,
        (x, target): (Tensor<f32>, Y),
        weight: BatchWeight,
        mode: &mut Mode,
    ) -> Result<Passed, TrainError> {
        let forward = || collect_penalties(|| self.net.forward(&Var::constant(x), mode));
        let (output, activity) = catch_shape_errors(forward)?;
        self.loss.check_output(&output)?;
        self.loss.check(output.shape(), &target)?;
        let loss = match weight.counts() {
            true => Some(one_number(self.loss.loss(&output, &target))?),
            false => None,
        };
        for metric in &mut self.metrics {
            metric.check(output.shape(), &target)?;
            metric.update(output.value(), &target);
        }
        Ok(Passed { output, loss, activity })
    }

    /// An error when the outputs for `x` could be of another kind than the loss takes, and their tape shows that they are. In
    /// evaluation nothing is recorded, so that it takes a second pass to see the tape.
    pub(crate) fn check_unrecorded_output(&self, x: &Tensor<f32>, output: &Tensor<f32>) -> Result<(), TrainError> {
        if !self.loss.output_kind().is_doubtful(output) {
            return Ok(());
        }
        let forward = || collect_penalties::<f32, _>(|| self.net.forward(&Var::constant(x.clone()), &mut Mode::Eval));
        let (recorded, _) = catch_shape_errors(|| enable_grad(forward))?;
        Ok(self.loss.check_output(&recorded)?)
    }
}

/// The parts that the batches of one step have in its loss and gradient.
pub(crate) struct Shares {
    weights: Vec<BatchWeight>,
    /// What means have a share of.
    divisor: f64,
}

impl Shares {
    pub fn new(weights: Vec<BatchWeight>) -> Self {
        let means = weights.iter().map(|w| if let BatchWeight::Mean(w) = w { *w } else { 0.0 });
        Self { divisor: means.sum(), weights }
    }

    /// Whether any batch counts.
    pub fn count(&self) -> bool {
        self.weights.iter().any(|w| w.counts())
    }

    /// The weight of batch `i`, and its share: of a mean a part, of a sum the whole.
    pub fn of(&self, i: usize) -> (BatchWeight, f64) {
        match self.weights[i] {
            BatchWeight::Mean(weight) => (self.weights[i], weight / self.divisor),
            BatchWeight::Sum => (BatchWeight::Sum, 1.0),
        }
    }
}

/// `x · share`; nothing is recorded for the whole.
pub(crate) fn scaled(x: Var<f32>, share: f64) -> Var<f32> {
    if share == 1.0 { x } else { x * share }
}

pub(crate) fn samples(x: &Tensor<f32>) -> usize {
    x.shape().first().copied().unwrap_or(0)
}

/// The penalty for the weights of `net`, if there is one.
pub(crate) fn weight_penalty<N: Module<f32>>(penalties: &[Penalty], net: &N) -> Option<Var<f32>> {
    penalties.iter().map(|penalty| penalty.of(net)).reduce(|a, b| a + b)
}

/// The sum of numbers that need not be there.
pub(crate) fn total(numbers: [Option<f64>; 2]) -> Option<f64> {
    numbers.into_iter().flatten().reduce(|a, b| a + b)
}

pub(crate) fn number(x: &Var<f32>) -> f64 {
    f64::from(x.item())
}

fn one_number(loss: Var<f32>) -> Result<Var<f32>, TrainError> {
    match loss.value().numel() {
        1 => Ok(loss),
        _ => Err(TrainError::new(format!("the loss is {}; wanted one number: reduce it to a mean or sum", loss.shape()))),
    }
}

/// Errors of a batch, with its place.
pub(crate) trait AtPlace {
    fn at(self, place: Place) -> Self;
}

impl<V> AtPlace for Result<V, TrainError> {
    fn at(self, place: Place) -> Self {
        self.map_err(|e| e.at(place))
    }
}
