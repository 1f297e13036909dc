//! The driver: a cell run over a sequence.

use super::backprop::{Backprop, Pass};
use super::cell::{CellState, RnnCell};
use super::sequence::{Sequence, sequence_of};
use crate::layer::{Layer, Mode};
use crate::layers::checkpoint::changeable;
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_tensor::{Float, Tensor};
use std::sync::Arc;

/// What turns a sequence into a sequence, step after step, from a state: a cell's driver, a stack of them, one in each
/// direction.
#[doc(alias("lax.scan", "scan"))]
pub trait RecurrentLayer<T: Float = f32>: Module<T> + Send + Sync {
    /// What is left when the sequence is over, and what another one may begin from.
    type State: CellState<T>;

    /// The state that [`run`](Self::run) begins with, for `batch` sequences.
    fn initial_state(&self, batch: usize) -> Self::State;

    /// From `state` on: the outputs of all steps, 0 where the sequence has padding, and the state after each sequence's own
    /// last step.
    ///
    /// # Panics
    /// When the state is not one of as many sequences, or the input is not as wide as the network wants it.
    fn run_from(&self, x: &Sequence<T>, state: &Self::State, mode: &mut Mode) -> (Sequence<T>, Self::State);

    /// From the initial state on.
    ///
    /// # Panics
    /// As [`run_from`](Self::run_from).
    #[track_caller]
    fn run(&self, x: &Sequence<T>, mode: &mut Mode) -> (Sequence<T>, Self::State) {
        self.run_from(x, &self.initial_state(x.batch()), mode)
    }

    /// The output of each sequence when all of it has been read, `[N, out]`.
    ///
    /// # Panics
    /// As [`run_from`](Self::run_from).
    #[track_caller]
    fn last_output(&self, x: &Sequence<T>, mode: &mut Mode) -> Var<T> {
        self.run(x, mode).0.last()
    }
}

/// An [`RnnCell`] unrolled over the steps of a sequence, with the same parameters at every step.
///
/// As a [`Layer`], it takes `[N, T, in]` to the outputs `[N, T, out]`; [`run`](RecurrentLayer::run) takes masks and states too.
///
/// ```
/// use gradus_nn::{Layer, Lstm, Mode, Recurrent, Sequence, RecurrentLayer};
/// use gradus_tensor::{Rng, Tensor};
/// let lstm: Recurrent<Lstm> = Recurrent::new(Lstm::new(3, 5, &mut Rng::seed(0)));
/// let x = Tensor::ones([2, 7, 3]);
/// assert_eq!(*lstm.forward(&(&x).into(), &mut Mode::Eval).shape(), [2, 7, 5]);
///
/// let (y, (h, _)) = lstm.run(&Sequence::new(&x).with_lengths(&[7, 4]), &mut Mode::Eval);
/// assert_eq!(y.last().value(), h.value());
/// ```
pub struct Recurrent<C> {
    cell: Arc<C>,
    reversed: bool,
    unrolled: bool,
    dropout: f64,
    recurrent_dropout: f64,
    backprop: Backprop,
}

impl<C> Recurrent<C> {
    /// Of this cell.
    pub fn new(cell: C) -> Self {
        let cell = Arc::new(cell);
        Self { cell, reversed: false, unrolled: false, dropout: 0.0, recurrent_dropout: 0.0, backprop: Backprop::Full }
    }

    /// From each sequence's last step to its first (`go_backwards`). Outputs stand at the steps that they belong to.
    #[must_use]
    pub fn reversed(self) -> Self {
        Self { reversed: true, ..self }
    }

    /// Step by step on the tape, even if the cell has a fused sequence: to look at, and to hold the other against.
    #[must_use]
    pub fn unrolled(self) -> Self {
        Self { unrolled: true, ..self }
    }

    /// In training, each number of the input is dropped with this probability, the same at all steps of a sequence (Gal and
    /// Ghahramani 2016, "variational" dropout; Keras' `dropout`).
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: probability(p), ..self }
    }

    /// As [`dropout`](Self::dropout), of the state as the products of a step see it (Keras' `recurrent_dropout`).
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[must_use]
    #[track_caller]
    pub fn recurrent_dropout(self, p: f64) -> Self {
        Self { recurrent_dropout: probability(p), ..self }
    }

    /// Truncated back-propagation through time, BPTT(k1, k2) (Williams and Peng 1990): the outputs of each `k1` steps send
    /// their gradients at most `k2` steps back, counted from the last of them. Outputs stay the same. Steps are computed
    /// `k2 / k1` times, and with `k2 = k1` once. When `k2` covers the sequence, gradients are the full ones, bit for bit.
    ///
    /// # Panics
    /// When `k1` is 0 or above `k2`.
    #[must_use]
    #[track_caller]
    pub fn truncated(self, k1: usize, k2: usize) -> Self {
        assert!((1..=k2).contains(&k1), "truncated: BPTT({k1}, {k2}); wanted 1 <= k1 <= k2");
        Self { backprop: Backprop::Truncated { k1, k2 }, ..self }
    }

    /// Saves memory in training: of `T` steps, `√T` segments of as many keep their inputs and states, and run again in the
    /// backward pass (Chen et al. 2016). Results and gradients are the same to rounding; parameters must not change while a
    /// result is alive.
    #[must_use]
    pub fn checkpointed(self) -> Self {
        Self { backprop: Backprop::Checkpointed, ..self }
    }

    /// The cell.
    pub fn cell(&self) -> &C {
        &self.cell
    }
}

#[track_caller]
fn probability(p: f64) -> f64 {
    assert!((0.0..1.0).contains(&p), "recurrent: dropout with probability {p}; wanted 0 or more and less than 1");
    p
}

impl<T: Float, C: RnnCell<T>> Module<T> for Recurrent<C> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        self.cell.visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        changeable(&mut self.cell, path).visit_mut(path, f);
    }
}

impl<T: Float, C: RnnCell<T>> RecurrentLayer<T> for Recurrent<C> {
    type State = C::State;

    fn initial_state(&self, batch: usize) -> C::State {
        self.cell.initial_state(batch)
    }

    #[track_caller]
    fn run_from(&self, x: &Sequence<T>, state: &C::State, mode: &mut Mode) -> (Sequence<T>, C::State) {
        let turn = |x: &Sequence<T>| if self.reversed { x.flip() } else { x.clone() };
        let mut given = turn(&x.zero_padding());
        let mut seen = Vec::new();
        if let Mode::Train(rng) = mode {
            if self.dropout > 0.0 {
                let one: Vec<usize> = [1].into_iter().chain(given.steps().shape()[1..].iter().copied()).collect();
                given = given.with_steps(given.steps().mul_no_nan(&kept(&one, self.dropout, rng)));
            }
            if self.recurrent_dropout > 0.0 {
                seen = state.variables().iter().map(|v| kept(v.shape(), self.recurrent_dropout, rng)).collect();
            }
        }
        let pass = Pass { cell: self.cell.clone(), x: given, seen, unrolled: self.unrolled };
        let (y, state) = pass.run(self.backprop, state);
        (turn(&turn(x).with_steps(y)).zero_padding(), state)
    }

    #[track_caller]
    fn last_output(&self, x: &Sequence<T>, mode: &mut Mode) -> Var<T> {
        let y = self.run(x, mode).0;
        if self.reversed { y.first() } else { y.last() }
    }
}

/// Factors of dropout: 0 with probability `p`, else `1 / (1 - p)`.
fn kept<T: Float>(shape: &[usize], p: f64, rng: &mut gradus_tensor::Rng) -> Var<T> {
    Var::constant(Tensor::ones(shape)).dropout(p, rng)
}

impl<T: Float, C: RnnCell<T>> Layer<T> for Recurrent<C> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.run(&sequence_of("Recurrent", x), mode).0.data()
    }
}
