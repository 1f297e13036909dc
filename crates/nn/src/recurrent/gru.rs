//! Gated recurrent units.

use super::cell::RnnCell;
use super::gates::Gates;
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Rng, Tensor};

/// Gated recurrent units (Cho et al. 2014; `torch.nn.GRUCell`). With `a = x W_ihᵀ + b_ih` and `b = h' W_hhᵀ + b_hh` in
/// three parts each:
///
/// ```text
/// r = σ(a₁ + b₁)   z = σ(a₂ + b₂)   n = tanh(a₃ + r b₃)   h = (1 - z) n + z h'
/// ```
///
/// The output is `h`.
///
/// ```
/// use gradus_nn::{RnnCell, Gru};
/// use gradus_tensor::{Rng, Tensor};
/// let cell: Gru = Gru::new(3, 5, &mut Rng::seed(0));
/// let (y, _) = cell.step(&Tensor::ones([2, 3]).into(), &cell.initial_state(2));
/// assert_eq!(*y.shape(), [2, 5]);
/// ```
#[doc(alias = "GRUCell")]
#[derive(Clone, Debug, Module)]
pub struct Gru<T: Float = f32> {
    #[module(flatten)]
    gates: Gates<T>,
    reset_before: bool,
}

#[compiled_once]
impl<T: Float> Gru<T> {
    /// From `inputs` numbers a step to `hidden` units.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { gates: Gates::new("Gru", 3, inputs, [hidden, hidden], rng), reset_before: false }
    }

    /// With the state reset before its product, as first published (Keras' `reset_after=False`):
    /// `n = tanh(a₃ + (r h') W_hh₃ᵀ + b_hh₃)`.
    ///
    /// # Panics
    /// With [`layer_norm`](Self::layer_norm).
    #[must_use]
    #[track_caller]
    pub fn reset_before(self) -> Self {
        assert!(
            !self.gates.is_normalised(),
            "gru: layer_norm is for units that reset after the product; these are to reset before it"
        );
        Self { reset_before: true, ..self }
    }

    /// With both products normalised over the three gates together (Ba, Kiros and Hinton 2016).
    ///
    /// # Panics
    /// With [`reset_before`](Self::reset_before), where there is no one product of the state.
    #[must_use]
    #[track_caller]
    pub fn layer_norm(self) -> Self {
        assert!(!self.reset_before, "gru: layer_norm is for units that reset after the product; these reset before it");
        Self { gates: self.gates.layer_norm(), ..self }
    }
}

impl<T: Float> RnnCell<T> for Gru<T> {
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
    fn step_projected(&self, p: &Var<T>, h: &Var<T>, seen: &Var<T>) -> (Var<T>, Var<T>) {
        let b = self.gates.recur(p, seen);
        if !self.reset_before {
            let h = p.gru_gates(&b, h);
            return (h.clone(), h);
        }
        let (a, b, hidden) = (p.chunk(3, 1), b.chunk(3, 1), self.gates.hidden());
        let (r, z) = ((&a[0] + &b[0]).sigmoid(), (&a[1] + &b[1]).sigmoid());
        let (w, bias) = (&self.gates.weight_hh, &self.gates.bias_hh);
        let proposal = (r * seen).linear(&w.slice(0, 2 * hidden..), Some(&bias.slice(0, 2 * hidden..)));
        let n = (&a[2] + proposal).tanh();
        let h = &n + z * (h - &n);
        (h.clone(), h)
    }

    #[track_caller]
    fn sequence(&self, xs: &Var<T>, h: &Var<T>, mask: Option<&Tensor<bool>>) -> Option<(Var<T>, Var<T>)> {
        if self.reset_before {
            return None;
        }
        let share = self.gates.fused_share(xs, h, false)?;
        let states = share.gru_sequence(&self.gates.weight_hh, &self.gates.bias_hh, h, mask);
        let last = states.select(0, xs.shape()[0] - 1);
        Some((states, last))
    }
}
