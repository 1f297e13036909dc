//! What a cell is, and what it hands from step to step.

use gradus_autograd::{Module, Var};
use gradus_tensor::{Float, Tensor};

/// What an [`RnnCell`] hands to its next step: variables of `[N, ..]`, one row a sequence.
///
/// A state of one's own says how a function is applied to each of its variables; all else (detaching, masking, picking
/// rows) is made of that.
pub trait CellState<T: Float>: Clone + Send + Sync + 'static {
    /// The state with `f` applied to each of its variables, always in the same order.
    fn map(&self, f: &mut dyn FnMut(&Var<T>) -> Var<T>) -> Self;

    /// The same values as constants: derivatives stop here.
    fn detach(&self) -> Self {
        self.map(&mut |v| v.detach())
    }

    /// Its variables, in the order of [`map`](Self::map).
    fn variables(&self) -> Vec<Var<T>> {
        let mut all = Vec::new();
        self.map(&mut |v| {
            all.push(v.clone());
            v.clone()
        });
        all
    }

    /// `f` of each of its variables and the one of `other` in the same place.
    fn zip(&self, other: &Self, mut f: impl FnMut(&Var<T>, &Var<T>) -> Var<T>) -> Self {
        let others = other.variables();
        let mut others = others.iter();
        self.map(&mut |v| f(v, others.next().expect("two states of one type have as many variables")))
    }
}

impl<T: Float> CellState<T> for Var<T> {
    fn map(&self, f: &mut dyn FnMut(&Var<T>) -> Var<T>) -> Self {
        f(self)
    }
}

impl<T: Float, S: CellState<T>> CellState<T> for Vec<S> {
    fn map(&self, f: &mut dyn FnMut(&Var<T>) -> Var<T>) -> Self {
        self.iter().map(|s| s.map(f)).collect()
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
/// use gradus_nn::{RnnCell, Module};
/// use gradus_tensor::Tensor;
/// # extern crate gradus_autograd as gradus;
/// /// A running mean that forgets at a learnt rate: `h <- h + a (x - h)`.
/// #[derive(Module)]
/// struct Leaky {
///     rate: Param,
/// }
/// impl RnnCell for Leaky {
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
///
/// [`step`](Self::step) and the first state are all that a cell must say. The other methods let a driver do more of the work
/// at once; they must compute the same.
#[doc(alias("RNN", "SimpleRNN", "SimpleRNNCell"))]
pub trait RnnCell<T: Float = f32>: Module<T> + Send + Sync + 'static {
    /// What one step hands to the next.
    type State: CellState<T>;

    /// The state before the first step, for `batch` sequences: zeros, for the cells here.
    fn initial_state(&self, batch: usize) -> Self::State;

    /// From the step's input `[N, in]` and the state before it, the step's output `[N, out]` and the state after it.
    fn step(&self, x: &Var<T>, state: &Self::State) -> (Var<T>, Self::State);

    /// That part of a step which needs no state, for all steps of `[.., in]` at once: one large product is faster than many
    /// small ones. The input itself, unless a cell knows better.
    #[track_caller]
    fn project(&self, xs: &Var<T>) -> Var<T> {
        xs.clone()
    }

    /// As [`step`](Self::step), from the step's share of [`project`](Self::project). `seen` is the state as products see it:
    /// with recurrent dropout some of its numbers are 0, which are not so in `state`, whence a gated cell carries them on.
    #[track_caller]
    fn step_projected(&self, p: &Var<T>, state: &Self::State, seen: &Self::State) -> (Var<T>, Self::State) {
        let _ = state;
        self.step(p, seen)
    }

    /// All steps of `[T, N, in]` as one node of the tape, if this cell has that: the outputs `[T, N, out]` and the last state.
    /// Where the mask `[T, N]` is false, the state stays as it was; the output there is not read.
    #[track_caller]
    fn sequence(&self, xs: &Var<T>, state: &Self::State, mask: Option<&Tensor<bool>>) -> Option<(Var<T>, Self::State)> {
        let _ = (xs, state, mask);
        None
    }
}
