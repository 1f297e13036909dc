//! Long short-term memory.

use super::cell::Cell;
use super::gates::Gates;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
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
/// use gradus_nn::{Cell, Lstm};
/// use gradus_tensor::{Rng, Tensor};
/// let cell: Lstm = Lstm::new(3, 5, &mut Rng::seed(0));
/// let (y, (h, c)) = cell.step(&Tensor::ones([2, 3]).into(), &cell.initial_state(2));
/// assert_eq!(y.value(), h.value());
/// assert_eq!(*c.shape(), [2, 5]);
/// ```
#[derive(Clone, Debug, Module)]
pub struct Lstm<T: Float = f32> {
    #[module(flatten)]
    gates: Gates<T>,
    /// `[3, hidden]`: how much the gates `i`, `f` and `o` see of the memory.
    peephole: Option<Param<T>>,
}

impl<T: Float> Lstm<T> {
    /// From `inputs` numbers a step to `hidden` units.
    pub fn new(inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self { gates: Gates::new(4, inputs, hidden, rng), peephole: None }
    }

    /// With gates that see the memory: `p_i c'` is added to `s₁`, `p_f c'` to `s₂`, `p_o c` to `s₄` (Gers and Schmidhuber
    /// 2000). The `p` start at 0.
    #[must_use]
    pub fn peephole(mut self) -> Self {
        self.peephole = Some(Param::new(Tensor::zeros([3, self.gates.hidden()])));
        self
    }
}

impl<T: Float> Cell<T> for Lstm<T> {
    type State = (Var<T>, Var<T>);

    fn initial_state(&self, batch: usize) -> (Var<T>, Var<T>) {
        (self.gates.zeros(batch), self.gates.zeros(batch))
    }

    #[track_caller]
    fn step(&self, x: &Var<T>, (h, c): &(Var<T>, Var<T>)) -> (Var<T>, (Var<T>, Var<T>)) {
        let (from_x, from_h) = self.gates.shares("lstm", x, h);
        let parts = (from_x + from_h).chunk(4, 1);
        let peep = |s: &Var<T>, which: usize, c: &Var<T>| match &self.peephole {
            Some(p) => s + c * p.select(0, which),
            None => s.clone(),
        };
        let (i, f) = (peep(&parts[0], 0, c).sigmoid(), peep(&parts[1], 1, c).sigmoid());
        let c = f * c + i * parts[2].tanh();
        let h = peep(&parts[3], 2, &c).sigmoid() * c.tanh();
        (h.clone(), (h, c))
    }
}
