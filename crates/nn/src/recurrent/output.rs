//! Recurrence from the output: Goodfellow, Bengio and Courville, "Deep Learning", section 10.2.1, figures 10.4 and 10.6.

use super::forcing::{ForcingGap, TeacherForcing};
use super::sampling::Sampler;
use super::sequence::Sequence;
use crate::layer::{Layer, Mode};
use crate::layers::Linear;
use gradus_autograd::{Var, no_grad};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// What a step that runs freely reads of the output before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Feedback {
    /// The output itself; gradients pass.
    #[default]
    Output,
    /// Its softmax; gradients pass.
    Softmax,
    /// A class drawn from its softmax, as ones and zeros; no gradient passes.
    Sample,
    /// The likeliest class, as ones and zeros; no gradient passes.
    Argmax,
}

/// A network whose only memory is its output:
///
/// ```text
/// h_t = tanh(b + W y_(t-1) + U x_t)      o_t = c + V h_t
/// ```
///
/// where `y_(t-1)` is the target of the step before in training (teacher forcing), and what the network said itself in use
/// (free running); before the first step it is 0. With teacher forcing no step waits for another: all run as one batch. For
/// that it pays: what the output does not say is forgotten, so that it cannot do all that
/// [`HiddenRecurrence`](super::HiddenRecurrence) can.
///
/// ```
/// use gradus_nn::{Feedback, OutputRecurrence, Sequence};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let net: OutputRecurrence = OutputRecurrence::new(3, 8, 2, rng);
/// let (x, targets) = (Sequence::new(Tensor::ones([4, 6, 3])), Tensor::zeros([4, 6, 2]));
/// let forced = net.teacher_forced(&x, &targets);
/// let free = net.free_running(&x, rng);
/// // Before the first step there is nothing to be told.
/// assert_eq!(forced.first().value(), free.first().value());
/// assert_eq!(*free.data().shape(), [4, 6, 2]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct OutputRecurrence<T: Float = f32> {
    /// `U` and `b`.
    pub input: Linear<T>,
    /// `W`.
    pub feedback: Linear<T>,
    /// `V` and `c`.
    pub head: Linear<T>,
    #[module(skip)]
    link: Feedback,
}

#[compiled_once]
impl<T: Float> OutputRecurrence<T> {
    /// From `inputs` numbers a step over `hidden` units to `outputs`.
    pub fn new(inputs: usize, hidden: usize, outputs: usize, rng: &mut Rng) -> Self {
        let input = Linear::new(inputs, hidden, rng);
        let feedback = Linear::new(outputs, hidden, rng).bias(false);
        Self { input, feedback, head: Linear::new(hidden, outputs, rng), link: Feedback::Output }
    }

    /// With another thing read back when running freely.
    #[must_use]
    pub fn link(self, link: Feedback) -> Self {
        Self { link, ..self }
    }

    /// The outputs of all steps when each reads the target of the step before. Targets have the order of axes of `x`,
    /// `[N, T, out]`; classes are ones and zeros (`one_hot`).
    ///
    /// # Panics
    /// When the targets are of other steps, or of another width.
    #[must_use]
    #[track_caller]
    pub fn teacher_forced(&self, x: &Sequence<T>, targets: &Tensor<T>) -> Sequence<T> {
        let targets = self.steps_of(x, targets).or_panic();
        let hidden = self.hidden(self.projected(x), &Var::constant(one_later(&targets)));
        x.with_steps(self.head.forward(&hidden, &mut Mode::Eval)).zero_padding()
    }

    /// The outputs of all steps when each reads what the network itself said at the step before.
    #[must_use]
    #[track_caller]
    pub fn free_running(&self, x: &Sequence<T>, rng: &mut Rng) -> Sequence<T> {
        self.run(x, None, 0.0, rng)
    }

    /// The outputs of all steps when each, in each sequence by itself, reads the target with the probability that `forcing`
    /// has after so many updates, and else what the network said (Bengio et al. 2015).
    ///
    /// # Panics
    /// As [`teacher_forced`](Self::teacher_forced).
    #[must_use]
    #[track_caller]
    pub fn scheduled(
        &self,
        x: &Sequence<T>,
        targets: &Tensor<T>,
        forcing: TeacherForcing,
        updates: usize,
        rng: &mut Rng,
    ) -> Sequence<T> {
        let p = forcing.probability(updates);
        if p == 1.0 {
            return self.teacher_forced(x, targets);
        }
        let targets = self.steps_of(x, targets).or_panic();
        self.run(x, Some(&one_later(&targets)), p, rng)
    }

    /// A loss of the outputs with teacher forcing and running freely; nothing is recorded.
    ///
    /// # Panics
    /// As [`teacher_forced`](Self::teacher_forced).
    #[track_caller]
    pub fn forcing_gap(
        &self,
        x: &Sequence<T>,
        targets: &Tensor<T>,
        rng: &mut Rng,
        loss: impl Fn(&Sequence<T>) -> Var<T>,
    ) -> ForcingGap {
        no_grad(|| ForcingGap {
            teacher_forced: loss(&self.teacher_forced(x, targets)).item().to_f64(),
            free_running: loss(&self.free_running(x, rng)).item().to_f64(),
        })
    }

    /// `U x + b` of all steps.
    #[track_caller]
    fn projected(&self, x: &Sequence<T>) -> Var<T> {
        let scope = Scope::enter(Parts::Fixed(&[("input", "Linear")]));
        scope.part(0);
        self.input.forward(x.zero_padding().steps(), &mut Mode::Eval)
    }

    /// The hidden units of a step, or of all, from `U x + b` and the output before.
    fn hidden(&self, projected: Var<T>, before: &Var<T>) -> Var<T> {
        (projected + self.feedback.forward(before, &mut Mode::Eval)).tanh()
    }

    /// One step after the other. `told` is what a teacher would say before each, `[T, N, out]`.
    #[track_caller]
    fn run(&self, x: &Sequence<T>, told: Option<&Tensor<T>>, p: f64, rng: &mut Rng) -> Sequence<T> {
        let (projected, width) = (self.projected(x), self.head.weight.shape()[0]);
        let mut before = Var::constant(Tensor::zeros([x.batch(), width]));
        let mut outputs = Vec::with_capacity(x.len());
        for t in 0..x.len() {
            if let Some(told) = told {
                let teacher = Tensor::bernoulli([x.batch(), 1], p, rng);
                before = Var::constant(told.select(0, t)).where_(&teacher, &before);
            }
            let output = self.head.forward(&self.hidden(projected.select(0, t), &before), &mut Mode::Eval);
            before = read_back(&output, self.link, rng);
            outputs.push(output);
        }
        x.with_steps(Var::stack(&outputs.iter().collect::<Vec<_>>(), 0)).zero_padding()
    }

    /// Targets as `[T, N, out]`.
    fn steps_of(&self, x: &Sequence<T>, targets: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
        let width = self.head.weight.shape()[0];
        let data = x.data();
        let wanted = [data.shape()[0], data.shape()[1], width];
        if *targets.shape() != wanted {
            return Err(ShapeError::new("OutputRecurrence", format!("targets {}; wanted {wanted:?}", targets.shape())));
        }
        Ok(if x.is_time_major() { targets.clone() } else { targets.transpose(0, 1) })
    }
}

/// What stands at step `t` moves to step `t + 1`; the first becomes 0.
fn one_later<T: Float>(targets: &Tensor<T>) -> Tensor<T> {
    let steps = targets.shape()[0];
    let first = Tensor::zeros(targets.slice(0, ..1).shape().clone());
    Tensor::concat(&[&first, &targets.slice(0, ..steps - 1)], 0)
}

fn read_back<T: Float>(output: &Var<T>, link: Feedback, rng: &mut Rng) -> Var<T> {
    let classes = output.shape()[1];
    match link {
        Feedback::Output => output.clone(),
        Feedback::Softmax => output.softmax(1),
        Feedback::Argmax => Var::constant(Sampler::greedy().choose(output.value(), rng).one_hot(classes)),
        Feedback::Sample => Var::constant(Sampler::temperature(1.0).choose(output.value(), rng).one_hot(classes)),
    }
}
