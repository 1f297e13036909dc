//! Fit, evaluate, predict.

use crate::data::TrainData;
use crate::engine::Engine;
use crate::epochs::TrainFloat;
use crate::error::TrainError;
use crate::fit::Fit;
use crate::history::History;
use crate::learner::{BatchWeigher, Loading, Session};
use crate::objective::Objective;
use crate::run::Callback;
use crate::supervised::{OnTarget, Supervised};
use crate::turn::Turn;
use gradus_autograd::{Grads, Module, no_grad};
use gradus_data::TensorDataset;
use gradus_nn::{Layer, Loss, Metric, Mode, Penalty};
use gradus_optim::{HookResult, Optimizer, UpdateRule};
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Element, Float, Tensor};
use std::sync::Arc;

/// A network with what it takes to train it: an objective, an optimiser, metrics and callbacks. `B` is a batch, inputs and class
/// labels unless said otherwise; `T` is what it computes in.
///
/// ```
/// use gradus_data::TensorDataset;
/// use gradus_nn::{Accuracy, CrossEntropy, Linear};
/// use gradus_optim::Adam;
/// use gradus_tensor::{Rng, Tensor};
/// use gradus_train::{Fit, Trainer, Verbosity};
/// let rng = &mut Rng::seed(0);
/// let x: Tensor = Tensor::normal([200, 2], 0.0, 1.0, rng);
/// let y = x.sum(1).gt(0.0).to_num::<i64>();
/// let data = TensorDataset::new(x, y)?;
/// let mut trainer = Trainer::new(Linear::new(2, 2, rng), CrossEntropy::new(), Adam::new(0.1)).metric(Accuracy::new());
/// let history = trainer.fit(&data, &data, Fit::epochs(5).batch(32).verbosity(Verbosity::Silent))?;
/// assert!(history.last("val_acc").unwrap() > 0.95);
/// # Ok::<(), gradus_train::TrainError>(())
/// ```
///
/// [`with_objective`](Self::with_objective) takes a closure over network and batch in the loss' place, and
/// [`alternating`](Self::alternating) several with an optimiser each.
#[doc(alias = "TrainState")]
pub struct Trainer<N, B = (Tensor<f32>, Tensor<i64>), T: Float = f32> {
    net: N,
    objectives: Vec<Box<dyn Objective<N, B, T>>>,
    weigher: Option<BatchWeigher<B>>,
    metrics: Vec<Box<dyn Metric<T, B>>>,
    engine: Engine<T>,
}

/// Outputs compared with targets.
impl<N: Layer<T>, Y: 'static, T: Float> Trainer<N, (Tensor<T>, Y), T> {
    /// Creates a trainer that minimises `loss` of the outputs of `net` and their targets, by the steps of `optimizer`.
    #[doc(alias("Model", "compile"))]
    pub fn new<L: Loss<T, Y> + 'static, R: UpdateRule<T>>(net: N, loss: L, optimizer: Optimizer<R, T>) -> Self {
        Self::with_objective(net, Supervised(loss), optimizer)
    }
}

/// Any objective.
impl<N: Module<T>, B: 'static, T: Float> Trainer<N, B, T> {
    /// Creates a trainer that minimises an [`Objective`], such as a closure over the network and a batch, by the steps of
    /// `optimizer`. Multi-input models, variational autoencoders, physics-informed networks and sequence models are trained so.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_data::{Dataset, TensorDataset};
    /// use gradus_nn::{Layer, Linear};
    /// use gradus_optim::Adam;
    /// use gradus_tensor::{Rng, Tensor};
    /// use gradus_train::{Fit, StepContext, Trainer, Verbosity};
    /// // Two numbers are to say as much as three: the inputs are their own targets.
    /// let rng = &mut Rng::seed(0);
    /// let xs = Tensor::normal([64, 2], 0.0, 1.0, rng).matmul(&Tensor::normal([2, 3], 0.0, 1.0, rng));
    /// let data = TensorDataset::new(xs, Tensor::<i64>::zeros([64]))?.map(|(x, _)| x);
    /// let net: (Linear, Linear) = (Linear::new(3, 2, rng), Linear::new(2, 3, rng));
    /// let objective = |(encoder, decoder): &(Linear, Linear), x: &Tensor, cx: &mut StepContext| {
    ///     let code = encoder.forward(&x.into(), &mut cx.mode());
    ///     cx.log("size_of_codes", code.value().square().mean(..).item().into());
    ///     (decoder.forward(&code, &mut cx.mode()) - Var::from(x)).square().mean(..)
    /// };
    /// let mut trainer = Trainer::with_objective(net, objective, Adam::new(0.05));
    /// let history = trainer.fit(&data, &data, Fit::epochs(50).batch(16).verbosity(Verbosity::Silent))?;
    /// assert_eq!(history.names(), ["loss", "size_of_codes", "val_loss", "val_size_of_codes", "lr"]);
    /// assert!(history.last("val_loss").unwrap() < 0.01);
    /// # Ok::<(), gradus_train::TrainError>(())
    /// ```
    #[doc(alias("train_step", "training_step", "custom_loss", "train_on_batch", "add_loss"))]
    pub fn with_objective<R: UpdateRule<T>>(
        net: N,
        objective: impl Objective<N, B, T> + 'static,
        optimizer: Optimizer<R, T>,
    ) -> Self {
        let mut trainer = Self::alternating(net);
        trainer.objectives.push(Box::new(objective));
        trainer.engine.turns.push(Turn { pattern: None, optimizer: Box::new(optimizer) });
        trainer
    }

    /// Creates a trainer whose steps have several [turns](Self::turn), each with an objective, an optimiser, and the part of the
    /// network that it trains, as those of generator and discriminator in a generative adversarial network.
    #[doc(alias("manual_optimization", "multiple optimizers"))]
    pub fn alternating(net: N) -> Self {
        let engine = Engine { turns: Vec::new(), penalties: Vec::new(), callbacks: Vec::new(), hooks: Vec::new() };
        Self { net, objectives: Vec::new(), weigher: None, metrics: Vec::new(), engine }
    }

    /// With one more turn in each step, after those before it and on the same batch: minimises `objective` by changing the parameters
    /// whose paths fit `pattern` (`discriminator.*`), while all others are constants. The history has its loss as
    /// `discriminator_loss` and its learning rate as `discriminator_lr`; `loss` is the sum of all turns' losses.
    ///
    /// # Panics
    /// When no parameter has a path that fits.
    #[must_use]
    #[track_caller]
    pub fn turn<R: UpdateRule<T>>(
        mut self,
        pattern: &str,
        objective: impl Objective<N, B, T> + 'static,
        optimizer: Optimizer<R, T>,
    ) -> Self {
        let turn = Turn { pattern: Some(pattern.to_string()), optimizer: Box::new(optimizer) };
        let paths: Vec<String> = self.net.named_parameters().into_iter().map(|(path, _)| path).collect();
        if !paths.iter().any(|path| turn.trains(path)) {
            panic!("no parameter has a path that fits the turn's `{pattern}`; there are {}", paths.join(", "));
        }
        self.objectives.push(Box::new(objective));
        self.engine.turns.push(turn);
        self
    }

    /// With batches that count by this number, such as the steps of their sequences, instead of what the objective says: it is what the
    /// loss' mean divides by. See [`Objective::weight`].
    #[must_use]
    pub fn batch_weight(mut self, weight: impl Fn(&B) -> f64 + 'static) -> Self {
        self.weigher = Some(Box::new(weight));
        self
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
        self.engine.penalties.push(penalty);
        self
    }

    /// With one more callback. Callbacks are called by their [`Phase`](crate::Phase), and within one in the order in which they
    /// were added.
    #[must_use]
    pub fn callback(mut self, callback: impl Callback<T> + 'static) -> Self {
        let callbacks = &mut self.engine.callbacks;
        let after = callbacks.partition_point(|c| c.phase() <= callback.phase());
        callbacks.insert(after, Box::new(callback));
        self
    }

    /// Calls `hook` between the backward pass and each optimiser's step, with the network and the gradients: here gradients are
    /// read, changed, logged, or exchanged with other processes, by path. It comes before the optimiser's own
    /// [`before_step`](Optimizer::before_step), its checks, its clipping and its update. Of accumulated batches it sees the
    /// combined gradients, once.
    ///
    /// ```
    /// # use gradus_nn::{CrossEntropy, Linear};
    /// # use gradus_optim::Adam;
    /// # use gradus_tensor::Rng;
    /// # use gradus_train::Trainer;
    /// # let net: Linear = Linear::new(2, 2, &mut Rng::seed(0));
    /// let trainer: Trainer<Linear> = Trainer::new(net, CrossEntropy::new(), Adam::new(0.1)).before_step(|net, grads| {
    ///     for (path, g) in grads.named(net) {
    ///         println!("{path}: {}", g.square().sum(..).item().sqrt());
    ///     }
    ///     Ok(())
    /// });
    /// ```
    #[must_use]
    #[doc(alias = "on_before_optimizer_step")]
    pub fn before_step(mut self, hook: impl FnMut(&dyn Module<T>, &mut Grads<T>) -> HookResult + Send + 'static) -> Self {
        self.engine.hooks.push(Box::new(hook));
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
}

/// Batches of inputs, of any kind, and targets.
impl<N, X: 'static, Y: 'static, T: Float> Trainer<N, (X, Y), T> {
    /// With one more metric in progress and history. It leaves out the label that the loss ignores, unless it has been told
    /// another one. It compares the target with the network's output, which an objective of your own hands over by
    /// [`StepContext::output`](crate::StepContext::output).
    #[must_use]
    pub fn metric(mut self, mut metric: impl Metric<T, Y> + 'static) -> Self {
        if let Some(label) = self.objectives.iter().find_map(|objective| objective.ignored_label()) {
            metric.ignore_label(label);
        }
        self.metrics.push(Box::new(OnTarget(metric)));
        self
    }
}

impl<N: Module<T>, B: 'static, T: TrainFloat> Trainer<N, B, T> {
    /// Trains on `train`, and evaluates on `valid` after each epoch.
    ///
    /// The losses of batches combine by the weights that the [loss](Loss::weight) or [objective](Objective::weight) gives them, into
    /// what it would be for all of them at once. A batch of weight 0, such as one whose labels are all ignored, counts for nothing,
    /// and no step is taken.
    ///
    /// # Errors
    /// When a data set is empty or fails, the batch size is 0, the loss is not finite, a parameter gets no gradient, or a file
    /// cannot be written. When a batch does not fit a layer, the loss or a metric: a label that is no class, a shape, a target
    /// longer than its input, batch normalisation of one sample. When the network's output is not of the kind that the loss takes,
    /// as probabilities where it takes logits. When a hook of [`before_step`](Self::before_step) fails.
    #[doc(alias("model.fit", "validation_data"))]
    #[track_caller]
    pub fn fit(
        &mut self,
        train: &impl TrainData<Batch = B>,
        valid: &impl TrainData<Batch = B>,
        fit: Fit,
    ) -> Result<History, TrainError> {
        let _scope = scope(&self.net);
        if valid.is_empty() {
            return Err(TrainError::new("fit: the validation data set is empty"));
        }
        let (engine, mut session) = self.session();
        session.train = Some(train);
        session.valid = Some(valid);
        T::fit(engine, &mut session, &fit)
    }

    /// Trains on `train` without evaluation.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    #[track_caller]
    pub fn fit_without_validation(&mut self, train: &impl TrainData<Batch = B>, fit: Fit) -> Result<History, TrainError> {
        let _scope = scope(&self.net);
        let (engine, mut session) = self.session();
        session.train = Some(train);
        T::fit(engine, &mut session, &fit)
    }

    /// The loss, the metrics and what the objective logs over a data set, in evaluation mode. They do not depend on the batch size:
    /// the loss is what it would be of all samples in one batch, be it a mean or a sum; NaN when nothing counts.
    ///
    /// # Errors
    /// When the data set is empty or fails, or the batch size is 0; when a batch does not fit a layer, the loss or a metric.
    #[track_caller]
    pub fn evaluate(&mut self, data: &impl TrainData<Batch = B>, batch: usize) -> Result<Vec<(String, f64)>, TrainError> {
        let _scope = scope(&self.net);
        let (engine, mut session) = self.session();
        session.valid = Some(data);
        T::evaluate(engine, &mut session, batch)
    }

    /// The loop, and what it works on.
    fn session(&mut self) -> (&mut Engine<T>, Session<'_, N, B, T>) {
        let Self { net, objectives, weigher, metrics, engine } = self;
        let weigher = weigher.as_ref();
        (engine, Session { net, objectives, weigher, metrics, train: None, valid: None, loading: Loading::default() })
    }
}

impl<N: Layer<T>, B, T: Float> Trainer<N, B, T> {
    /// The network's outputs for inputs `[N, ..]`, in evaluation mode, computed `batch` at a time.
    ///
    /// # Errors
    /// When there is no input, or the batch size is 0.
    #[track_caller]
    pub fn predict(&self, inputs: &Tensor<T>, batch: usize) -> Result<Tensor<T>, TrainError> {
        let n = inputs.shape().first().copied().unwrap_or(0);
        if n == 0 || batch == 0 {
            return Err(TrainError::new(format!("predict: {n} inputs in batches of {batch}; wanted 1 or more of both")));
        }
        let _scope = scope(&self.net);
        let outputs: Vec<Tensor<T>> = inputs.split(batch, 0).into_iter().map(|x| output(&self.net, x)).collect();
        Ok(Tensor::concat(&outputs.iter().collect::<Vec<_>>(), 0))
    }

    /// As [`predict`](Self::predict) for the inputs of a data set, which need not fit into memory at once. The outputs come
    /// in the data set's order.
    ///
    /// # Errors
    /// When the data set is empty or fails, or the batch size is 0.
    #[track_caller]
    pub fn predict_all<Y: Send + 'static>(
        &self,
        data: &impl TrainData<Batch = (Tensor<T>, Y)>,
        batch: usize,
    ) -> Result<Tensor<T>, TrainError> {
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
/// use gradus_data::TensorDataset;
/// use gradus_nn::{Linear, Relu, Sequential};
/// use gradus_tensor::{Rng, Tensor};
/// use gradus_train::extract_features;
/// let base: Sequential = Sequential::new().add(Linear::new(2, 5, &mut Rng::seed(0))).add(Relu);
/// let data = TensorDataset::new(Tensor::<f32>::ones([10, 2]), Tensor::<i64>::zeros([10]))?;
/// let features = extract_features(&base, &data, 4)?;
/// assert_eq!(*features.inputs().shape(), [10, 5]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the data set is empty or fails, or the batch size is 0.
#[track_caller]
pub fn extract_features<T: Float, U: Element>(
    layer: &impl Layer<T>,
    data: &impl TrainData<Batch = (Tensor<T>, Tensor<U>)>,
    batch: usize,
) -> Result<TensorDataset<T, U>, TrainError> {
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
fn scope<T: Float>(net: &impl Module<T>) -> Scope {
    let paths = net.named_parameters().into_iter().map(|(path, param)| (param.number(), path)).collect();
    Scope::enter(Parts::Model(Arc::new(paths)))
}

fn output<T: Float>(layer: &impl Layer<T>, x: Tensor<T>) -> Tensor<T> {
    no_grad(|| layer.forward(&x.into(), &mut Mode::Eval)).into_value()
}
