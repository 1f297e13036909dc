//! A network, its objectives and the data, without their types: what the loop works on.

use crate::data::{AnyBatches, Pass, Source};
use crate::error::TrainError;
use crate::objective::{Objective, StepContext};
use crate::running::Values;
use gradus_autograd::{Module, Var};
use gradus_nn::{BatchWeight, Direction, Metric, OutputKind, collect_penalties};
use gradus_tensor::{Float, Tensor, catch_shape_errors};

/// Which data a pass goes over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Split {
    Train,
    Valid,
}

/// What the loop needs of a network, its objectives, its metrics and the data, whatever their types: so the loop is compiled once.
pub trait Learner<T: Float> {
    fn model(&mut self) -> &mut dyn Module<T>;

    /// How many samples there are; `None` without such data.
    fn samples(&self, split: Split) -> Option<usize>;
    /// Begins a pass.
    fn start(&mut self, split: Split, pass: Pass<'_>) -> Result<(), TrainError>;
    /// Loads the next batches of the pass, at most `n`, and gives the number of samples of each.
    fn load(&mut self, n: usize) -> Result<Vec<usize>, TrainError>;

    /// How the loss of a loaded batch counts.
    fn weight(&self, objective: usize, batch: usize, samples: usize) -> BatchWeight;
    /// The loss of a loaded batch, and the penalty of the layers' activities, a mean over samples.
    fn loss(
        &mut self,
        objective: usize,
        batch: usize,
        cx: &mut StepContext<'_, T>,
    ) -> Result<(Var<T>, Option<Var<T>>), TrainError>;
    /// The objectives by name.
    fn objectives(&self) -> Vec<String>;

    /// Takes the output for a loaded batch into the metrics.
    fn update_metrics(&mut self, batch: usize, output: &Tensor<T>) -> Result<(), TrainError>;
    fn reset_metrics(&mut self);
    fn metric_values(&self) -> Values;
    fn metric_directions(&self) -> Vec<(String, Option<Direction>)>;
    fn metric_states(&self) -> Vec<(String, Vec<f64>)>;
    fn load_metric_state(&mut self, metric: usize, state: &[f64]);
    /// An error when a metric reads the outputs as another kind of numbers than the objective does.
    fn check_kinds(&self) -> Result<(), TrainError>;
}

/// The weight of a batch, where the trainer is told.
pub type BatchWeigher<B> = Box<dyn Fn(&B) -> f64>;

/// One call of `fit` or `evaluate`.
pub struct Session<'a, N, B, T: Float> {
    pub net: &'a mut N,
    pub objectives: &'a mut [Box<dyn Objective<N, B, T>>],
    pub weigher: Option<&'a BatchWeigher<B>>,
    pub metrics: &'a mut [Box<dyn Metric<T, B>>],
    pub train: Option<&'a dyn Source<B>>,
    pub valid: Option<&'a dyn Source<B>>,
    pub loading: Loading<B>,
}

/// The pass under way.
pub struct Loading<B> {
    batches: Option<AnyBatches<B>>,
    size: usize,
    /// How many samples have not been loaded.
    left: usize,
    /// The batches loaded last.
    group: Vec<B>,
}

impl<B> Default for Loading<B> {
    fn default() -> Self {
        Self { batches: None, size: 0, left: 0, group: Vec::new() }
    }
}

impl<N, B, T: Float> Session<'_, N, B, T> {
    fn source(&self, split: Split) -> Option<&dyn Source<B>> {
        match split {
            Split::Train => self.train,
            Split::Valid => self.valid,
        }
    }
}

impl<N: Module<T>, B, T: Float> Learner<T> for Session<'_, N, B, T> {
    fn model(&mut self) -> &mut dyn Module<T> {
        self.net
    }

    fn samples(&self, split: Split) -> Option<usize> {
        self.source(split).map(Source::len)
    }

    fn start(&mut self, split: Split, pass: Pass<'_>) -> Result<(), TrainError> {
        let Some(source) = self.source(split) else { return Err(TrainError::new("there are no such data")) };
        let (size, left) = (pass.batch, source.len().saturating_sub(pass.batch.saturating_mul(pass.skip)));
        let batches = Some(source.pass(pass)?);
        self.loading = Loading { batches, size, left, group: Vec::new() };
        Ok(())
    }

    fn load(&mut self, n: usize) -> Result<Vec<usize>, TrainError> {
        let Loading { batches, size, left, group } = &mut self.loading;
        group.clear();
        let mut samples = Vec::with_capacity(n);
        for batch in batches.iter_mut().flatten().take(n) {
            group.push(batch?);
            samples.push((*size).min(*left));
            *left -= (*size).min(*left);
        }
        Ok(samples)
    }

    fn weight(&self, objective: usize, batch: usize, samples: usize) -> BatchWeight {
        let batch = &self.loading.group[batch];
        match self.weigher {
            Some(weigh) => BatchWeight::Mean(weigh(batch)),
            None => self.objectives[objective].weight(batch, samples),
        }
    }

    fn loss(
        &mut self,
        objective: usize,
        batch: usize,
        cx: &mut StepContext<'_, T>,
    ) -> Result<(Var<T>, Option<Var<T>>), TrainError> {
        let Self { net, objectives, loading, .. } = self;
        let run = || collect_penalties(|| objectives[objective].loss(net, &loading.group[batch], cx));
        let (loss, activity) = catch_shape_errors(run)?;
        Ok((loss?, activity))
    }

    fn objectives(&self) -> Vec<String> {
        self.objectives.iter().map(|o| o.name()).collect()
    }

    fn update_metrics(&mut self, batch: usize, output: &Tensor<T>) -> Result<(), TrainError> {
        let batch = &self.loading.group[batch];
        for metric in self.metrics.iter_mut() {
            metric.check(output.shape(), batch)?;
            metric.update(output, batch);
        }
        Ok(())
    }

    fn reset_metrics(&mut self) {
        self.metrics.iter_mut().for_each(|m| m.reset());
    }

    fn metric_values(&self) -> Values {
        self.metrics.iter().map(|m| (m.name().to_string(), m.value())).collect()
    }

    fn metric_directions(&self) -> Vec<(String, Option<Direction>)> {
        self.metrics.iter().map(|m| (m.name().to_string(), m.direction())).collect()
    }

    fn metric_states(&self) -> Vec<(String, Vec<f64>)> {
        self.metrics.iter().map(|m| (m.name().to_string(), m.state())).collect()
    }

    fn load_metric_state(&mut self, metric: usize, state: &[f64]) {
        self.metrics[metric].load_state(state);
    }

    fn check_kinds(&self) -> Result<(), TrainError> {
        let loss = self.objectives.first().map_or(OutputKind::Any, |o| o.output_kind());
        let differs = |kind: OutputKind| kind != loss && kind != OutputKind::Any && loss != OutputKind::Any;
        match self.metrics.iter().find(|m| differs(m.output_kind())) {
            Some(metric) => Err(TrainError::new(format!(
                "the metric `{}` takes {}, the loss {loss}: make both of one kind, as by `BinaryAccuracy::from_probabilities()`",
                metric.name(),
                metric.output_kind()
            ))),
            None => Ok(()),
        }
    }
}
