//! What training makes small: one batch through a network, to one number.

use crate::error::TrainError;
use gradus_autograd::Var;
use gradus_nn::{BatchWeight, Mode, OutputKind};
use gradus_tensor::{Float, Rng, Tensor};

/// What one pass of a batch is for, and what it says beside the loss.
pub struct StepContext<'a, T: Float = f32> {
    rng: &'a mut Rng,
    train: bool,
    samples: usize,
    weight: BatchWeight,
    /// Whether it is the first batch of its pass.
    first: bool,
    output: Option<Tensor<T>>,
    logged: Vec<(String, f64)>,
}

impl<'a, T: Float> StepContext<'a, T> {
    pub(crate) fn new(rng: &'a mut Rng, train: bool, (samples, weight): (usize, BatchWeight), first: bool) -> Self {
        Self { rng, train, samples, weight, first, output: None, logged: Vec::new() }
    }

    /// The mode of forward passes: `net.forward(&x, &mut cx.mode())`.
    pub fn mode(&mut self) -> Mode<'_> {
        if self.train { Mode::Train(self.rng) } else { Mode::Eval }
    }

    /// Whether this is a training pass, and no evaluation.
    pub fn is_train(&self) -> bool {
        self.train
    }

    /// The random source, for noise of the objective's own. In training it is the one that dropout draws from, which a checkpoint
    /// keeps; every evaluation begins with the same one.
    pub fn rng(&mut self) -> &mut Rng {
        self.rng
    }

    /// How many samples the batch has.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How the loss of the batch combines with those of others.
    pub fn weight(&self) -> BatchWeight {
        self.weight
    }

    /// Puts the batch's mean of a quantity into the progress and the history, where it stands under `name` as the mean over the
    /// epoch, and under `val_{name}` as that of the evaluation.
    #[doc(alias = "add_metric")]
    pub fn log(&mut self, name: impl Into<String>, value: f64) {
        self.logged.push((name.into(), value));
    }

    /// Hands the model's output to the [metrics](crate::Trainer::metric), which compare it with the batch's target.
    pub fn output(&mut self, output: &Var<T>) {
        self.output = Some(output.value().clone());
    }

    pub(crate) fn is_first(&self) -> bool {
        self.first
    }

    /// What was handed over and logged.
    pub(crate) fn finish(self) -> (Option<Tensor<T>>, Vec<(String, f64)>) {
        (self.output, self.logged)
    }
}

/// What training makes small: a number from a network `N` and a batch `B`.
///
/// A closure is one: `|net: &N, batch: &B, cx: &mut StepContext| -> Var`, or one that gives a `Result`. A loss of outputs and
/// targets is another, [`Supervised`](crate::Supervised), which [`Trainer::new`](crate::Trainer::new) makes. A type of your own that
/// implements this is for objectives with a state, or with another [`weight`](Self::weight).
///
/// In training, the loss is differentiated with respect to the network's parameters. In evaluation the objective is called with
/// [`is_train`](StepContext::is_train) false, and the tape is recorded as well, since a loss may take derivatives itself; wrap in
/// [`no_grad`](gradus_autograd::no_grad) what needs none.
pub trait Objective<N, B, T: Float = f32> {
    /// The loss of one batch.
    ///
    /// # Errors
    /// When the batch does not fit; the trainer adds the place. A failed check of a shape inside counts as such an error, too.
    fn loss(&mut self, net: &N, batch: &B, cx: &mut StepContext<'_, T>) -> Result<Var<T>, TrainError>;

    /// How the loss of a batch of `samples` combines with those of others: as a mean over samples, unless written. Called before
    /// [`loss`](Self::loss).
    fn weight(&self, batch: &B, samples: usize) -> BatchWeight {
        let _ = batch;
        samples.into()
    }

    /// What a checkpoint compares, so that a training does not go on with another objective.
    fn name(&self) -> String {
        type_name::<Self>()
    }

    /// The label that counts for nothing, which metrics leave out.
    fn ignored_label(&self) -> Option<i64> {
        None
    }

    /// The kind of output that the objective works on, which metrics must take, too.
    fn output_kind(&self) -> OutputKind {
        OutputKind::Any
    }
}

impl<N, B, T, F, V> Objective<N, B, T> for F
where
    T: Float,
    F: FnMut(&N, &B, &mut StepContext<'_, T>) -> V,
    V: IntoLoss<T>,
{
    fn loss(&mut self, net: &N, batch: &B, cx: &mut StepContext<'_, T>) -> Result<Var<T>, TrainError> {
        self(net, batch, cx).into_loss()
    }
}

/// What a closure may give as its loss: a variable, or a `Result` with one.
pub trait IntoLoss<T: Float> {
    /// The loss.
    ///
    /// # Errors
    /// When the result is one.
    fn into_loss(self) -> Result<Var<T>, TrainError>;
}

impl<T: Float> IntoLoss<T> for Var<T> {
    fn into_loss(self) -> Result<Var<T>, TrainError> {
        Ok(self)
    }
}

impl<T: Float, E: Into<TrainError>> IntoLoss<T> for Result<Var<T>, E> {
    fn into_loss(self) -> Result<Var<T>, TrainError> {
        self.map_err(Into::into)
    }
}

/// A type's name without the modules it is in.
pub(crate) fn type_name<T: ?Sized>() -> String {
    let (mut short, mut word) = (String::new(), String::new());
    for c in std::any::type_name::<T>().chars() {
        match c {
            ':' => word.clear(),
            c if c.is_alphanumeric() || c == '_' => word.push(c),
            c => {
                short.push_str(&word);
                word.clear();
                short.push(c);
            }
        }
    }
    short + &word
}
