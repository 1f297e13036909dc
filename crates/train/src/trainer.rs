//! Fit, evaluate, predict.

use crate::batch::{AtPlace, RunningLoss, number, samples, total, weight_penalty};
use crate::engine::named;
use crate::error::{Place, TrainError};
use crate::fit::Fit;
use crate::history::History;
use crate::run::Callback;
use gradus_autograd::{Module, no_grad};
use gradus_data::{Dataset, TensorDataset};
use gradus_nn::{Layer, Loss, Metric, Mode, OutputKind, Penalty};
use gradus_optim::{Optimizer, Rule};
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Element, Tensor};
use std::sync::Arc;

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
    pub(crate) net: N,
    pub(crate) loss: L,
    pub(crate) optimizer: Optimizer<R, f32>,
    pub(crate) penalties: Vec<Penalty>,
    pub(crate) metrics: Vec<Box<dyn Metric<f32, Y>>>,
    pub(crate) callbacks: Vec<Box<dyn Callback>>,
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
        Self { net, loss, optimizer, penalties: Vec::new(), metrics: Vec::new(), callbacks: Vec::new() }
    }

    /// With one more penalty in the loss, in training and in evaluation, as Keras has it; those of
    /// [`ActivityPenalty`](gradus_nn::ActivityPenalty) layers are in it anyway.
    ///
    /// # Panics
    /// When no parameter of the network has a path that fits the penalty's pattern.
    #[must_use]
    #[track_caller]
    pub fn penalty(mut self, penalty: Penalty) -> Self {
        let _ = penalty.of(&self.net);
        self.penalties.push(penalty);
        self
    }

    /// With one more metric in progress and history. It leaves out the label that the loss ignores, unless it has been told
    /// another one.
    #[must_use]
    pub fn metric(mut self, mut metric: impl Metric<f32, Y> + 'static) -> Self {
        if let Some(label) = self.loss.ignored_label() {
            metric.ignore_label(label);
        }
        self.metrics.push(Box::new(metric));
        self
    }

    /// With one more callback. Callbacks are called by their [`Phase`](crate::Phase), and within one in the order in which they
    /// were added.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        let after = self.callbacks.partition_point(|c| c.phase() <= callback.phase());
        self.callbacks.insert(after, Box::new(callback));
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
    /// The losses of batches combine by the [weights](Loss::weight) that the loss gives them, into what it would be for all of
    /// them at once. A batch of weight 0, such as one whose labels are all ignored, counts for nothing, and no step is taken.
    ///
    /// # Errors
    /// When a data set is empty or fails, the batch size is 0, the loss is not finite, a parameter gets no gradient, or a file
    /// cannot be written. When a batch does not fit a layer, the loss or a metric: a label that is no class, a shape, a target
    /// longer than its input, batch normalisation of one sample. When the network's output is not of the kind that the loss takes,
    /// as probabilities where it takes logits.
    #[track_caller]
    pub fn fit(&mut self, train: &impl TrainData<Y>, valid: &impl TrainData<Y>, fit: Fit) -> Result<History, TrainError> {
        let _scope = scope(&self.net);
        if valid.is_empty() {
            return Err(TrainError::new("fit: the validation data set is empty"));
        }
        let (valid, batch) = (valid.clone(), fit.batch);
        self.run(train, fit, |trainer| trainer.evaluate(&valid, batch))
    }

    /// Trains on `train` without evaluation.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    #[track_caller]
    pub fn fit_without_validation(&mut self, train: &impl TrainData<Y>, fit: Fit) -> Result<History, TrainError> {
        let _scope = scope(&self.net);
        self.run(train, fit, |_| Ok(Vec::new()))
    }

    /// The loss and the metrics over a data set, in evaluation mode. They do not depend on the batch size: the loss is what it
    /// would be of all samples in one batch, be it a mean or a sum; NaN when nothing counts.
    ///
    /// # Errors
    /// When the data set is empty or fails, or the batch size is 0; when a batch does not fit a layer, the loss or a metric.
    #[track_caller]
    pub fn evaluate(&mut self, data: &impl TrainData<Y>, batch: usize) -> Result<Vec<(String, f64)>, TrainError> {
        let _scope = scope(&self.net);
        self.check_kinds()?;
        self.metrics.iter_mut().for_each(|m| m.reset());
        let penalty = no_grad(|| weight_penalty(&self.penalties, &self.net)).as_ref().map(number);
        let mut mean = RunningLoss::default();
        for (i, item) in data.batches(batch).prefetch(2).enumerate() {
            let item = item?;
            let (first, samples) = ((i == 0).then(|| item.0.clone()), samples(&item.0));
            let place = Place::Evaluate { batch: i + 1 };
            let weight = self.weight(&item.1, samples).at(place)?;
            let passed = no_grad(|| self.pass(item, weight, &mut Mode::Eval)).at(place)?;
            if let Some(x) = first {
                self.check_unrecorded_output(&x, passed.output.value()).at(place)?;
            }
            let penalty = total([penalty, passed.activity.as_ref().map(number)]);
            mean.add(passed.loss.as_ref().map_or(f64::NAN, number), weight, penalty, samples);
        }
        Ok(named(&mean, &self.metrics))
    }

    /// An error when a metric reads the outputs as another kind of numbers than the loss does.
    pub(crate) fn check_kinds(&self) -> Result<(), TrainError> {
        let loss = self.loss.output_kind();
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

    /// The network's outputs for inputs `[N, ..]`, in evaluation mode, computed `batch` at a time.
    ///
    /// # Errors
    /// When there is no input, or the batch size is 0.
    #[track_caller]
    pub fn predict(&self, inputs: &Tensor<f32>, batch: usize) -> Result<Tensor<f32>, TrainError> {
        let n = inputs.shape().first().copied().unwrap_or(0);
        if n == 0 || batch == 0 {
            return Err(TrainError::new(format!("predict: {n} inputs in batches of {batch}; wanted 1 or more of both")));
        }
        let _scope = scope(&self.net);
        let outputs: Vec<Tensor<f32>> = inputs.split(batch, 0).into_iter().map(|x| output(&self.net, x)).collect();
        Ok(Tensor::concat(&outputs.iter().collect::<Vec<_>>(), 0))
    }

    /// As [`predict`](Self::predict) for the inputs of a data set, which need not fit into memory at once. The outputs come
    /// in the data set's order.
    ///
    /// # Errors
    /// When the data set is empty or fails, or the batch size is 0.
    #[track_caller]
    pub fn predict_all(&self, data: &impl TrainData<Y>, batch: usize) -> Result<Tensor<f32>, TrainError> {
        let _scope = scope(&self.net);
        let outputs = data.batches(batch).prefetch(2).map(|item| Ok(output(&self.net, item?.0)));
        let outputs = outputs.collect::<Result<Vec<_>, TrainError>>()?;
        Ok(Tensor::concat(&outputs.iter().collect::<Vec<_>>(), 0))
    }
}

/// What `layer` makes of a data set, in evaluation mode and `batch` samples at a time, with the targets as they are: the
/// frozen part of a network, computed once for all epochs of what is trained on top.
///
/// ```
/// use gradus_data::{Dataset, TensorDataset};
/// use gradus_nn::{Linear, ReLU, Sequential};
/// use gradus_tensor::{Rng, Tensor};
/// use gradus_train::extract_features;
/// let base: Sequential = Sequential::new().add(Linear::new(2, 5, &mut Rng::seed(0))).add(ReLU);
/// let data = TensorDataset::new(Tensor::<f32>::ones([10, 2]), Tensor::<i64>::zeros([10]))?;
/// let features = extract_features(&base, &data, 4)?;
/// assert_eq!(*features.inputs().shape(), [10, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the data set is empty or fails, or the batch size is 0.
#[track_caller]
pub fn extract_features<U: Element>(
    layer: &impl Layer<f32>,
    data: &impl TrainData<Tensor<U>>,
    batch: usize,
) -> Result<TensorDataset<f32, U>, TrainError> {
    let _scope = scope(layer);
    let (mut features, mut targets) = (Vec::new(), Vec::new());
    for item in data.batches(batch).prefetch(2) {
        let (x, y) = item?;
        features.push(output(layer, x));
        targets.push(y);
    }
    let (features, targets): (Vec<_>, Vec<_>) = (features.iter().collect(), targets.iter().collect());
    Ok(TensorDataset::new(Tensor::concat(&features, 0), Tensor::concat(&targets, 0))?)
}

/// What an error in a forward pass knows of the model, and of the line that began the training.
#[track_caller]
fn scope(net: &impl Module<f32>) -> Scope {
    let paths = net.named_parameters().into_iter().map(|(path, param)| (param.number(), path)).collect();
    Scope::enter(Parts::Model(Arc::new(paths)))
}

fn output(layer: &impl Layer<f32>, x: Tensor<f32>) -> Tensor<f32> {
    no_grad(|| layer.forward(&x.into(), &mut Mode::Eval)).into_value()
}
