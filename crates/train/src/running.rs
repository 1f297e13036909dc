//! What the losses of batches are together.

use gradus_autograd::{Module, Var};
use gradus_nn::metrics::RunningMean;
use gradus_nn::{BatchWeight, Penalty};
use gradus_tensor::Float;

/// Numbers of an epoch by name: `loss`, `acc`.
pub(crate) type Values = Vec<(String, f64)>;

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

/// The means of what an objective has logged, in the order of the first time.
#[derive(Clone, Debug, Default)]
pub(crate) struct Logs(Vec<(String, RunningMean)>);

impl Logs {
    /// Takes in the mean of a batch, which stands for as much as its loss does.
    pub fn add(&mut self, name: String, value: f64, weight: BatchWeight, samples: usize) {
        let weight = if let BatchWeight::Mean(weight) = weight { weight } else { samples as f64 };
        self.of(name).add(value, weight);
    }

    fn of(&mut self, name: String) -> &mut RunningMean {
        let at = self.0.iter().position(|(n, _)| *n == name).unwrap_or_else(|| {
            self.0.push((name, RunningMean::new()));
            self.0.len() - 1
        });
        &mut self.0[at].1
    }

    pub fn values(&self) -> impl Iterator<Item = (String, f64)> {
        self.0.iter().map(|(name, mean)| (name.clone(), mean.value()))
    }

    pub fn states(&self) -> impl Iterator<Item = (&str, Vec<f64>)> {
        self.0.iter().map(|(name, mean)| (name.as_str(), mean.state()))
    }

    pub fn load_state(&mut self, name: &str, state: &[f64]) {
        self.of(name.to_string()).load_state(state);
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
pub(crate) fn scaled<T: Float>(x: Var<T>, share: f64) -> Var<T> {
    if share == 1.0 { x } else { x * share }
}

/// The penalty for the trainable weights of `net`, if there is one.
pub(crate) fn weight_penalty<T: Float>(penalties: &[Penalty], net: &dyn Module<T>) -> Option<Var<T>> {
    penalties.iter().map(|penalty| penalty.of(net)).reduce(|a, b| a + b)
}

/// The sum of numbers that need not be there.
pub(crate) fn total(numbers: [Option<f64>; 2]) -> Option<f64> {
    numbers.into_iter().flatten().reduce(|a, b| a + b)
}

pub(crate) fn number<T: Float>(x: &Var<T>) -> f64 {
    x.item().to_f64()
}
