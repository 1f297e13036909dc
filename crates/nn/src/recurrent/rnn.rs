//! The simple recurrent cell.

use super::cell::RnnCell;
use super::gates::Gates;
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Rng, Tensor};

/// What an [`Rnn`] cell applies to its sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Nonlinearity {
    /// The hyperbolic tangent.
    #[default]
    Tanh,
    /// `max(0, x)`.
    Relu,
}

/// `h = tanh(x W_ihᵀ + b_ih + h' W_hhᵀ + b_hh)`, which is also the output (Elman 1990; `torch.nn.RNNCell`).
///
/// ```
/// use gradus_nn::{Rnn, RnnCell};
/// use gradus_tensor::{Rng, Tensor};
/// let cell: Rnn = Rnn::new(3, 5, &mut Rng::seed(0));
/// let (y, h) = cell.step(&Tensor::ones([2, 3]).into(), &cell.initial_state(2));
/// assert_eq!((y.shape().to_vec(), h.shape().to_vec()), (vec![2, 5], vec![2, 5]));
/// ```
#[doc(alias = "Elman")]
#[doc(alias = "RNNCell")]
#[doc(alias = "SimpleRNN")]
#[doc(alias = "SimpleRNNCell")]
#[derive(Clone, Debug, Module)]
pub struct Rnn<T: Float = f32> {
    #[module(flatten)]
    gates: Gates<T>,
    #[module(skip)]
    nonlinearity: Nonlinearity,
}

#[compiled_once]
impl<T: Float> Rnn<T> {
    /// From `inputs` numbers a step to `hidden` units.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { gates: Gates::new("Rnn", 1, inputs, [hidden, hidden], rng), nonlinearity: Nonlinearity::Tanh }
    }

    /// With another function than the hyperbolic tangent.
    #[must_use]
    pub fn nonlinearity(self, nonlinearity: Nonlinearity) -> Self {
        Self { nonlinearity, ..self }
    }

    /// With both products normalised over the units (Ba, Kiros and Hinton 2016).
    #[must_use]
    pub fn layer_norm(self) -> Self {
        Self { gates: self.gates.layer_norm(), ..self }
    }
}

impl<T: Float> RnnCell<T> for Rnn<T> {
    type State = Var<T>;

    fn initial_state(&self, batch: usize) -> Var<T> {
        self.gates.zeros(batch)
    }

    #[track_caller]
    fn step(&self, x: &Var<T>, h: &Var<T>) -> (Var<T>, Var<T>) {
        self.step_projected(&self.project(x), h, h)
    }

    #[track_caller]
    fn project(&self, xs: &Var<T>) -> Var<T> {
        self.gates.project(xs)
    }

    #[track_caller]
    fn step_projected(&self, p: &Var<T>, _: &Var<T>, seen: &Var<T>) -> (Var<T>, Var<T>) {
        let sum = p + self.gates.recur(p, seen);
        let h = match self.nonlinearity {
            Nonlinearity::Tanh => sum.tanh(),
            Nonlinearity::Relu => sum.relu(),
        };
        (h.clone(), h)
    }

    #[track_caller]
    fn sequence(&self, xs: &Var<T>, h: &Var<T>, mask: Option<&Tensor<bool>>) -> Option<(Var<T>, Var<T>)> {
        let share = self.gates.fused_share(xs, h, true)?;
        let relu = self.nonlinearity == Nonlinearity::Relu;
        let states = share.rnn_sequence(&self.gates.weight_hh, h, mask, relu);
        let last = states.select(0, xs.shape()[0] - 1);
        Some((states, last))
    }
}
