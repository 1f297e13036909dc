//! The patterns of recurrent networks after Goodfellow, Bengio and Courville, "Deep Learning", section 10.2, in which the
//! hidden state recurs: an output each step (figure 10.3), and one output for a whole sequence (figure 10.5). The third,
//! in which the output recurs (figure 10.4), is [`OutputRecurrence`](super::OutputRecurrence).

use super::driver::{Recurrent, RecurrentLayer};
use super::rnn::Rnn;
use super::sequence::{Sequence, sequence_of};
use crate::layer::{Layer, Mode};
use crate::layers::Linear;
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, Rng};

/// The parts of both patterns, for messages.
const PARTS: Parts = Parts::Fixed(&[("recurrent", ""), ("head", "Linear")]);

/// An output at each step, from a hidden state that recurs (figure 10.3, equations 10.8 to 10.10): over an [`Rnn`] cell,
///
/// ```text
/// h_t = tanh(b + W h_(t-1) + U x_t)      o_t = c + V h_t
/// ```
///
/// and over any other recurrent layer the same of its outputs. `[N, T, in]` becomes `[N, T, out]`. The state carries whatever
/// training finds useful, so that this pattern can compute anything; its steps must be run one after the other.
///
/// ```
/// use gradus_nn::{HiddenRecurrence, Layer, Mode};
/// use gradus_tensor::{Rng, Tensor};
/// let net: HiddenRecurrence = HiddenRecurrence::rnn(3, 8, 4, &mut Rng::seed(0));
/// assert_eq!(*net.forward(&Tensor::ones([2, 7, 3]).into(), &mut Mode::Eval).shape(), [2, 7, 4]);
/// ```
#[derive(Module)]
pub struct HiddenRecurrence<U = Recurrent<Rnn>, T: Float = f32> {
    recurrent: U,
    head: Linear<T>,
}

/// One output for a whole sequence (figure 10.5): what a recurrent layer has to say when it has read all steps, through a
/// dense layer. `[N, T, in]` becomes `[N, out]`.
///
/// ```
/// use gradus_nn::{Gru, Layer, Linear, Mode, Recurrent, SequenceToOne};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let net: SequenceToOne<Recurrent<Gru>> = SequenceToOne::new(Recurrent::new(Gru::new(3, 8, rng)), Linear::new(8, 2, rng));
/// assert_eq!(*net.forward(&Tensor::ones([5, 7, 3]).into(), &mut Mode::Eval).shape(), [5, 2]);
/// ```
#[derive(Module)]
pub struct SequenceToOne<U = Recurrent<Rnn>, T: Float = f32> {
    recurrent: U,
    head: Linear<T>,
}

impl<T: Float, U: RecurrentLayer<T>> HiddenRecurrence<U, T> {
    /// Of a recurrent layer, and a dense one that takes its outputs.
    pub fn new(recurrent: U, head: Linear<T>) -> Self {
        Self { recurrent, head }
    }

    /// The recurrent layer.
    pub fn recurrent(&self) -> &U {
        &self.recurrent
    }

    /// The dense layer.
    pub fn head(&self) -> &Linear<T> {
        &self.head
    }

    /// The outputs of all steps, `[.., out]`, from `state` on, and the state after the last. Those at padding are of no meaning.
    #[track_caller]
    pub fn run_from(&self, x: &Sequence<T>, state: &U::State, mode: &mut Mode) -> (Sequence<T>, U::State) {
        let scope = Scope::enter(PARTS);
        scope.part(0);
        let (h, state) = self.recurrent.run_from(x, state, mode);
        scope.part(1);
        (h.with_steps(self.head.forward(h.steps(), mode)), state)
    }

    /// As [`run_from`](Self::run_from), from the initial state on.
    #[track_caller]
    pub fn run(&self, x: &Sequence<T>, mode: &mut Mode) -> (Sequence<T>, U::State) {
        self.run_from(x, &self.recurrent.initial_state(x.batch()), mode)
    }
}

impl<T: Float> HiddenRecurrence<Recurrent<Rnn<T>>, T> {
    /// As the book has it: a hyperbolic tangent of `hidden` units between `inputs` and `outputs` numbers a step.
    pub fn rnn(inputs: usize, hidden: usize, outputs: usize, rng: &mut Rng) -> Self {
        Self::new(Recurrent::new(Rnn::new(inputs, hidden, rng)), Linear::new(hidden, outputs, rng))
    }
}

impl<T: Float, U: RecurrentLayer<T>> SequenceToOne<U, T> {
    /// Of a recurrent layer, and a dense one that takes its last output.
    pub fn new(recurrent: U, head: Linear<T>) -> Self {
        Self { recurrent, head }
    }

    /// The recurrent layer.
    pub fn recurrent(&self) -> &U {
        &self.recurrent
    }

    /// The dense layer.
    pub fn head(&self) -> &Linear<T> {
        &self.head
    }

    /// The output of each sequence, `[N, out]`, after its own last step.
    #[track_caller]
    pub fn last_output(&self, x: &Sequence<T>, mode: &mut Mode) -> Var<T> {
        let scope = Scope::enter(PARTS);
        scope.part(0);
        let last = self.recurrent.last_output(x, mode);
        scope.part(1);
        self.head.forward(&last, mode)
    }
}

impl<T: Float> SequenceToOne<Recurrent<Rnn<T>>, T> {
    /// Over a hyperbolic tangent of `hidden` units.
    pub fn rnn(inputs: usize, hidden: usize, outputs: usize, rng: &mut Rng) -> Self {
        Self::new(Recurrent::new(Rnn::new(inputs, hidden, rng)), Linear::new(hidden, outputs, rng))
    }
}

impl<T: Float, U: RecurrentLayer<T>> Layer<T> for HiddenRecurrence<U, T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.run(&sequence_of("HiddenRecurrence", x), mode).0.data()
    }
}

impl<T: Float, U: RecurrentLayer<T>> Layer<T> for SequenceToOne<U, T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.last_output(&sequence_of("SequenceToOne", x), mode)
    }
}
