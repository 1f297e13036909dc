//! Long short-term memory.

use super::cell::RnnCell;
use super::gates::Gates;
use crate::init::default_weight;
use crate::layer::{Layer, Mode};
use crate::layers::LayerNorm;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Rng, Tensor};

/// Long short-term memory (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000; `torch.nn.LSTMCell`).
/// With `s = x W_ihᵀ + b_ih + h' W_hhᵀ + b_hh` in four parts:
///
/// ```text
/// i = σ(s₁)   f = σ(s₂)   g = tanh(s₃)   o = σ(s₄)
/// c = f c' + i g          h = o tanh(c)
/// ```
///
/// The state is `(h, c)`, the output `h`.
///
/// ```
/// use gradus_nn::{RnnCell, Lstm};
/// use gradus_tensor::{Rng, Tensor};
/// let cell: Lstm = Lstm::new(3, 5, &mut Rng::seed(0));
/// let (y, (h, c)) = cell.step(&Tensor::ones([2, 3]).into(), &cell.initial_state(2));
/// assert_eq!(y.value(), h.value());
/// assert_eq!(*c.shape(), [2, 5]);
/// ```
#[doc(alias("LSTMCell", "OptimizedLSTMCell"))]
#[derive(Clone, Debug, Module)]
pub struct Lstm<T: Float = f32> {
    #[module(flatten)]
    gates: Gates<T>,
    /// `[projection, hidden]`.
    weight_hr: Option<Param<T>>,
    /// `[3, hidden]`: how much the gates `i`, `f` and `o` see of the memory.
    peephole: Option<Param<T>>,
    /// Of the memory, before its hyperbolic tangent.
    norm_c: Option<LayerNorm<T>>,
}

#[compiled_once]
impl<T: Float> Lstm<T> {
    /// From `inputs` numbers a step to `hidden` units.
    #[track_caller]
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        let gates = Gates::new("Lstm", 4, inputs, [hidden, hidden], rng);
        Self { gates, weight_hr: None, peephole: None, norm_c: None }
    }

    /// From `inputs` numbers a step to `hidden` units, of which `h = W_hr (o tanh c)` makes `projection` outputs (Sak et al.
    /// 2014; `proj_size` of `torch.nn.LSTM`): a large memory with small products.
    #[doc(alias = "proj_size")]
    #[track_caller]
    pub fn with_projection(inputs: usize, hidden: usize, projection: usize, rng: &mut Rng) -> Self {
        let gates = Gates::new("Lstm", 4, inputs, [hidden, projection], rng);
        let weight_hr = Some(Param::new(default_weight([projection, hidden], hidden, rng)));
        Self { gates, weight_hr, peephole: None, norm_c: None }
    }

    /// With both products normalised over the four gates together, and the memory before its hyperbolic tangent (Ba, Kiros
    /// and Hinton 2016).
    #[must_use]
    pub fn layer_norm(self) -> Self {
        let norm_c = Some(LayerNorm::new([self.gates.hidden()]));
        Self { gates: self.gates.layer_norm(), norm_c, ..self }
    }

    /// With gates that see the memory: `p_i c'` is added to `s₁`, `p_f c'` to `s₂`, `p_o c` to `s₄` (Gers and Schmidhuber
    /// 2000). The `p` start at 0.
    #[must_use]
    pub fn peephole(mut self) -> Self {
        self.peephole = Some(Param::new(Tensor::zeros([3, self.gates.hidden()])));
        self
    }
}

impl<T: Float> RnnCell<T> for Lstm<T> {
    type State = (Var<T>, Var<T>);

    fn initial_state(&self, batch: usize) -> (Var<T>, Var<T>) {
        (Tensor::zeros([batch, self.gates.weight_hh.shape()[1]]).into(), self.gates.zeros(batch))
    }

    #[track_caller]
    fn step(&self, x: &Var<T>, state: &Self::State) -> (Var<T>, Self::State) {
        self.step_projected(&self.project(x), state, state)
    }

    #[track_caller]
    fn project(&self, xs: &Var<T>) -> Var<T> {
        self.gates.project(xs)
    }

    #[track_caller]
    fn step_projected(&self, p: &Var<T>, (_, c): &Self::State, (seen, _): &Self::State) -> (Var<T>, Self::State) {
        let parts = (p + self.gates.recur(p, seen)).chunk(4, 1);
        self.gates.check_state("memory", p.shape()[0], c, self.gates.hidden());
        let peep = |s: &Var<T>, which: usize, c: &Var<T>| match &self.peephole {
            Some(weight) => s + c * weight.select(0, which),
            None => s.clone(),
        };
        let (i, f) = (peep(&parts[0], 0, c).sigmoid(), peep(&parts[1], 1, c).sigmoid());
        let c = f * c + i * parts[2].tanh();
        let shown = match &self.norm_c {
            Some(norm) => norm.forward(&c, &mut Mode::Eval),
            None => c.clone(),
        };
        let h = peep(&parts[3], 2, &c).sigmoid() * shown.tanh();
        let h = match &self.weight_hr {
            Some(weight) => h.linear(weight, None),
            None => h,
        };
        (h.clone(), (h, c))
    }

    #[track_caller]
    fn sequence(&self, xs: &Var<T>, (h, c): &Self::State, mask: Option<&Tensor<bool>>) -> Option<(Var<T>, Self::State)> {
        if self.peephole.is_some() || self.weight_hr.is_some() {
            return None;
        }
        let share = self.gates.fused_share(xs, h, true)?;
        self.gates.check_state("memory", xs.shape()[1], c, self.gates.hidden());
        let (states, memory) = share.lstm_sequence(&self.gates.weight_hh, h, c, mask);
        let last = states.select(0, xs.shape()[0] - 1);
        Some((states, (last, memory)))
    }
}
