//! Small problems to train on.

use gradus_data::TensorDataset;
use gradus_nn::{Accuracy, BatchNorm1d, CrossEntropy, Direction, Dropout, Linear, Metric, Relu, Sequential, Tanh};
use gradus_optim::{Optimizer, UpdateRule};
use gradus_tensor::{Rng, Tensor};
use gradus_train::{Callback, EpochRecord, Fit, History, Run, StepRecord, TrainError, Trainer, Verbosity};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `n` points `[n, 2]` on two intertwined spirals, and which one each is on.
pub fn spirals(n: usize, seed: u64) -> TensorDataset {
    let rng = &mut Rng::seed(seed);
    let (mut points, mut labels) = (Vec::new(), Vec::new());
    for i in 0..n {
        let (arm, along) = (i % 2, 0.3 + 0.7 * rng.uniform());
        let angle = 4.0 * along + arm as f64 * std::f64::consts::PI;
        points.push((along * angle.cos() + 0.02 * rng.normal()) as f32);
        points.push((along * angle.sin() + 0.02 * rng.normal()) as f32);
        labels.push(arm as i64);
    }
    TensorDataset::new(Tensor::from_vec(points, [n, 2]), Tensor::from_vec(labels, [n])).unwrap()
}

/// A net with everything that a checkpoint must keep: weights, running statistics, random masks.
pub fn net(seed: u64) -> Sequential {
    let rng = &mut Rng::seed(seed);
    Sequential::new()
        .add(Linear::new(2, 24, rng))
        .add(BatchNorm1d::new(24))
        .add(Relu)
        .add(Dropout::new(0.2))
        .add(Linear::new(24, 2, rng))
}

/// A net without randomness.
pub fn plain_net(seed: u64) -> Sequential {
    let rng = &mut Rng::seed(seed);
    Sequential::new().add(Linear::new(2, 24, rng)).add(Tanh).add(Linear::new(24, 2, rng))
}

pub fn trainer<R: UpdateRule<f32>>(net: Sequential, optimizer: Optimizer<R>) -> Trainer<Sequential> {
    Trainer::new(net, CrossEntropy::new(), optimizer).metric(Accuracy::new())
}

pub fn quiet(epochs: usize) -> Fit {
    Fit::epochs(epochs).verbosity(Verbosity::Silent)
}

/// The bits of all parameters and buffers.
pub fn bits(weights: &BTreeMap<String, Tensor<f32>>) -> Vec<(String, Vec<u32>)> {
    weights.iter().map(|(name, t)| (name.clone(), t.to_vec().into_iter().map(f32::to_bits).collect())).collect()
}

/// The history without what the clock says.
pub fn timeless(mut history: History) -> History {
    history.epochs.iter_mut().for_each(|e| (e.seconds, e.waited) = (0.0, 0.0));
    history
}

/// A metric whose values are given, one an epoch, in training and validation alike.
#[derive(Clone)]
pub struct Scripted {
    name: &'static str,
    values: Vec<f64>,
    says: Option<Direction>,
    epoch: Arc<AtomicUsize>,
}

impl Scripted {
    pub fn new(name: &'static str, values: impl Into<Vec<f64>>) -> Self {
        Self { name, values: values.into(), says: Direction::of_name(name), epoch: Arc::default() }
    }

    /// A metric that knows which way it is better.
    pub fn says(self, direction: Direction) -> Self {
        Self { says: Some(direction), ..self }
    }

    /// What turns the page after each epoch.
    pub fn turn(&self) -> impl Callback + 'static {
        let epoch = self.epoch.clone();
        AtEpochEnd(move |_: &mut Run<'_>, _: &EpochRecord| {
            epoch.fetch_add(1, Ordering::SeqCst);
        })
    }
}

impl Metric<f32, Tensor<i64>> for Scripted {
    fn name(&self) -> &str {
        self.name
    }
    fn update(&mut self, _: &Tensor<f32>, _: &Tensor<i64>) {}
    fn value(&self) -> f64 {
        self.values[self.epoch.load(Ordering::SeqCst).min(self.values.len() - 1)]
    }
    fn reset(&mut self) {}
    fn direction(&self) -> Option<Direction> {
        self.says
    }
}

/// Fails at a step, as a power cut would.
pub struct PowerCut(pub u64);

impl Callback for PowerCut {
    fn name(&self) -> &'static str {
        "power_cut"
    }
    fn on_step_end(&mut self, _: &mut Run<'_>, step: &StepRecord) -> Result<(), TrainError> {
        if step.step == self.0 { Err(TrainError::new("the lights went out")) } else { Ok(()) }
    }
}

/// Runs a function after each epoch.
pub struct AtEpochEnd<F>(pub F);

impl<F: FnMut(&mut Run<'_>, &EpochRecord) + Send> Callback for AtEpochEnd<F> {
    fn name(&self) -> &'static str {
        "at_epoch_end"
    }
    fn on_epoch_end(&mut self, run: &mut Run<'_>, epoch: &EpochRecord) -> Result<(), TrainError> {
        (self.0)(run, epoch);
        Ok(())
    }
}
