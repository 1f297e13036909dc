//! What a cell is, and what it hands from step to step.

use gradus_autograd::{Module, Var};
use gradus_tensor::Float;

/// What a [`Cell`] hands to its next step: variables of `[N, ..]`, one row a sequence.
///
/// A state of one's own says how a function is applied to each of its variables; all else (detaching, masking, picking
/// rows) is made of that.
pub trait CellState<T: Float>: Clone {
    /// The state with `f` applied to each of its variables, always in the same order.
    fn map(&self, f: &mut dyn FnMut(&Var<T>) -> Var<T>) -> Self;

    /// The same values as constants: derivatives stop here.
    fn detach(&self) -> Self {
        self.map(&mut |v| v.detach())
    }
}

impl<T: Float> CellState<T> for Var<T> {
    fn map(&self, f: &mut dyn FnMut(&Var<T>) -> Var<T>) -> Self {
        f(self)
    }
}

impl<T: Float, A: CellState<T>, B: CellState<T>> CellState<T> for (A, B) {
    fn map(&self, f: &mut dyn FnMut(&Var<T>) -> Var<T>) -> Self {
        (self.0.map(f), self.1.map(f))
    }
}

/// One step of a recurrent network. Its parameters are the cell's own, and so the same at every step.
///
/// ```
/// use gradus_autograd::{Param, Var};
/// use gradus_nn::{Cell, Module};
/// use gradus_tensor::Tensor;
/// # extern crate gradus_autograd as gradus;
/// /// A running mean that forgets at a learnt rate: `h <- h + a (x - h)`.
/// #[derive(Module)]
/// struct Leaky {
///     rate: Param,
/// }
/// impl Cell for Leaky {
///     type State = Var;
///     fn initial_state(&self, batch: usize) -> Var {
///         Tensor::zeros([batch, 1]).into()
///     }
///     fn step(&self, x: &Var, h: &Var) -> (Var, Var) {
///         let h = h + (x - h) * &*self.rate;
///         (h.clone(), h)
///     }
/// }
/// let cell = Leaky { rate: Param::new(Tensor::scalar(0.5)) };
/// let x = Var::constant(Tensor::from([[4.0]]));
/// let state = (0..2).fold(cell.initial_state(1), |h, _| cell.step(&x, &h).1);
/// assert_eq!(state.item(), 3.0);
/// ```
pub trait Cell<T: Float = f32>: Module<T> + Send + Sync {
    /// What one step hands to the next.
    type State: CellState<T>;

    /// The state before the first step, for `batch` sequences: zeros, for the cells here.
    fn initial_state(&self, batch: usize) -> Self::State;

    /// From the step's input `[N, in]` and the state before it, the step's output `[N, out]` and the state after it.
    fn step(&self, x: &Var<T>, state: &Self::State) -> (Var<T>, Self::State);
}
