//! Recurrent layers made of recurrent layers: both directions, stacks, and states that live on.

use super::cell::{CellState, RnnCell};
use super::driver::{Recurrent, RecurrentLayer};
use super::sequence::{Sequence, sequence_of};
use crate::layer::{Layer, Mode};
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_tensor::Float;
use gradus_tensor::scope::{Part, Parts, Scope};
use std::sync::{Arc, Mutex, MutexGuard};

/// The parts of a [`Bidirectional`], for messages.
const DIRECTIONS: Parts = Parts::Fixed(&[("forward", ""), ("backward", "")]);

/// How the two directions of a [`Bidirectional`] layer become one output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// One after the other along the last axis, the forward direction first.
    #[default]
    Concat,
    /// `a + b`.
    Sum,
    /// `a b`.
    Mul,
    /// `(a + b) / 2`.
    Average,
}

/// One network from the first step to the last and one from the last to the first, each row within its own length (Schuster
/// and Paliwal 1997): what a step's output says may depend on what follows. The state is that of both.
///
/// ```
/// use gradus_nn::{Bidirectional, Gru, Layer, Mode};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let both: Bidirectional<Gru> = Bidirectional::new(Gru::new(3, 5, rng), Gru::new(3, 5, rng));
/// let y = both.forward(&Tensor::ones([2, 7, 3]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [2, 7, 10]);
/// ```
pub struct Bidirectional<C> {
    forward: Recurrent<C>,
    backward: Recurrent<C>,
    merge: Merge,
}

impl<C> Bidirectional<C> {
    /// Of a cell for each direction.
    pub fn new(forward: C, backward: C) -> Self {
        Self { forward: Recurrent::new(forward), backward: Recurrent::new(backward).reversed(), merge: Merge::Concat }
    }

    /// With another merging.
    #[must_use]
    pub fn merge(self, merge: Merge) -> Self {
        Self { merge, ..self }
    }

    /// With options for the driver of both directions.
    ///
    /// ```
    /// # use gradus_nn::{Bidirectional, Gru};
    /// # let rng = &mut gradus_tensor::Rng::seed(0);
    /// let both: Bidirectional<Gru> = Bidirectional::new(Gru::new(3, 5, rng), Gru::new(3, 5, rng))
    ///     .each(|direction| direction.recurrent_dropout(0.2));
    /// ```
    #[must_use]
    pub fn each(self, with: impl Fn(Recurrent<C>) -> Recurrent<C>) -> Self {
        Self { forward: with(self.forward), backward: with(self.backward), ..self }
    }
}

impl<C> Bidirectional<C> {
    fn merged<T: Float>(&self, a: &Var<T>, b: &Var<T>) -> Var<T> {
        match self.merge {
            Merge::Concat => Var::concat(&[a, b], -1),
            Merge::Sum => a + b,
            Merge::Mul => a * b,
            Merge::Average => (a + b) * 0.5,
        }
    }
}

impl<T: Float, C: RnnCell<T>> Module<T> for Bidirectional<C> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        path.at("forward", |path| self.forward.visit(path, v));
        path.at("backward", |path| self.backward.visit(path, v));
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        path.at("forward", |path| self.forward.visit_mut(path, f));
        path.at("backward", |path| self.backward.visit_mut(path, f));
    }
}

impl<T: Float, C: RnnCell<T>> RecurrentLayer<T> for Bidirectional<C> {
    type State = (C::State, C::State);

    fn initial_state(&self, batch: usize) -> Self::State {
        (self.forward.initial_state(batch), self.backward.initial_state(batch))
    }

    #[track_caller]
    fn run_from(&self, x: &Sequence<T>, state: &Self::State, mode: &mut Mode) -> (Sequence<T>, Self::State) {
        let scope = Scope::enter(DIRECTIONS);
        scope.part(0);
        let (a, first) = self.forward.run_from(x, &state.0, mode);
        scope.part(1);
        let (b, second) = self.backward.run_from(x, &state.1, mode);
        drop(scope);
        let merged = self.merged(a.steps(), b.steps());
        (x.with_steps(merged), (first, second))
    }

    #[track_caller]
    fn last_output(&self, x: &Sequence<T>, mode: &mut Mode) -> Var<T> {
        let scope = Scope::enter(DIRECTIONS);
        scope.part(0);
        let a = self.forward.last_output(x, mode);
        scope.part(1);
        let b = self.backward.last_output(x, mode);
        drop(scope);
        self.merged(&a, &b)
    }
}

impl<T: Float, C: RnnCell<T>> Layer<T> for Bidirectional<C> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.run(&sequence_of("Bidirectional", x), mode).0.data()
    }
}

/// Recurrent layers on top of each other: each reads the outputs of the one before at the same step. The state is a list of
/// the layers' states.
///
/// ```
/// use gradus_nn::{Layer, Lstm, Mode, Recurrent, Stacked};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let layers = [3, 5, 5].map(|inputs| Recurrent::new(Lstm::new(inputs, 5, rng)));
/// let stack: Stacked<Recurrent<Lstm>> = Stacked::new(layers).dropout(0.5).residual();
/// let y = stack.forward(&Tensor::ones([2, 7, 3]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [2, 7, 5]);
/// ```
#[doc(alias("num_layers", "StackedRNNCells"))]
pub struct Stacked<U> {
    layers: Vec<U>,
    /// The layers' names.
    parts: Arc<Vec<Part>>,
    dropout: f64,
    residual: bool,
}

impl<U> Stacked<U> {
    /// Of these layers, the lowest first.
    pub fn new(layers: impl IntoIterator<Item = U>) -> Self {
        let layers: Vec<U> = layers.into_iter().collect();
        let part = |i: usize| Part { name: i.to_string(), kind: String::new() };
        let parts = Arc::new((0..layers.len()).map(part).collect());
        Self { layers, parts, dropout: 0.0, residual: false }
    }

    /// With dropout between layers, but not after the last (`dropout` of `torch.nn.LSTM`).
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        assert!((0.0..1.0).contains(&p), "stacked: dropout with probability {p}; wanted 0 or more and less than 1");
        Self { dropout: p, ..self }
    }

    /// Each layer but the first adds its input to its output (Wu et al. 2016); they must be as wide as each other.
    #[must_use]
    pub fn residual(self) -> Self {
        Self { residual: true, ..self }
    }

    /// The layers.
    pub fn layers(&self) -> &[U] {
        &self.layers
    }
}

impl<U> Stacked<U> {
    /// What layer `i` reads: in training, after dropout, but for the first.
    fn dropped<T: Float>(&self, x: Sequence<T>, i: usize, mode: &mut Mode) -> Sequence<T> {
        match mode {
            Mode::Train(rng) if i > 0 => x.with_steps(x.steps().dropout(self.dropout, rng)),
            _ => x,
        }
    }
}

impl<T: Float, U: RecurrentLayer<T>> Module<T> for Stacked<U> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        for (part, layer) in self.parts.iter().zip(&self.layers) {
            path.at(&part.name, |path| layer.visit(path, v));
        }
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        for (part, layer) in self.parts.iter().zip(&mut self.layers) {
            path.at(&part.name, |path| layer.visit_mut(path, f));
        }
    }
}

impl<T: Float, U: RecurrentLayer<T>> RecurrentLayer<T> for Stacked<U> {
    type State = Vec<U::State>;

    fn initial_state(&self, batch: usize) -> Self::State {
        self.layers.iter().map(|l| l.initial_state(batch)).collect()
    }

    #[track_caller]
    fn run_from(&self, x: &Sequence<T>, state: &Self::State, mode: &mut Mode) -> (Sequence<T>, Self::State) {
        let (layers, states) = (self.layers.len(), state.len());
        assert!(layers == states, "stacked: states of {states} layers for {layers} layers");
        let mut x = x.clone();
        let mut last = Vec::with_capacity(layers);
        let scope = Scope::enter(Parts::Listed(self.parts.clone()));
        for (i, (layer, first)) in self.layers.iter().zip(state).enumerate() {
            scope.part(i);
            x = self.dropped(x, i, mode);
            let (y, after) = layer.run_from(&x, first, mode);
            x = if self.residual && i > 0 { y.with_steps(y.steps() + x.steps()) } else { y };
            last.push(after);
        }
        (x, last)
    }

    /// The last layer reads what those below it say of every step; with residual layers, the outputs at the last step.
    #[track_caller]
    fn last_output(&self, x: &Sequence<T>, mode: &mut Mode) -> Var<T> {
        let mut x = x.clone();
        let scope = Scope::enter(Parts::Listed(self.parts.clone()));
        for (i, layer) in self.layers.iter().enumerate() {
            scope.part(i);
            x = self.dropped(x, i, mode);
            if i + 1 == self.layers.len() && !(self.residual && i > 0) {
                return layer.last_output(&x, mode);
            }
            let y = layer.run(&x, mode).0;
            x = if self.residual && i > 0 { y.with_steps(y.steps() + x.steps()) } else { y };
        }
        x.last()
    }
}

impl<T: Float, U: RecurrentLayer<T>> Layer<T> for Stacked<U> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.run(&sequence_of("Stacked", x), mode).0.data()
    }
}

/// A recurrent layer whose next batch goes on where the last one ended (Keras' `stateful=True`): row `n` of a batch is the
/// continuation of row `n` of the one before. Gradients stop between batches.
///
/// ```
/// use gradus_nn::{Gru, Layer, Mode, Recurrent, Stateful};
/// use gradus_tensor::{Rng, Tensor};
/// let gru: Stateful<Recurrent<Gru>> = Stateful::new(Recurrent::new(Gru::new(1, 4, &mut Rng::seed(0))));
/// let whole = gru.forward(&Tensor::ones([1, 6, 1]).into(), &mut Mode::Eval);
/// gru.reset_state();
/// gru.forward(&Tensor::ones([1, 4, 1]).into(), &mut Mode::Eval);
/// let rest = gru.forward(&Tensor::ones([1, 2, 1]).into(), &mut Mode::Eval);
/// assert_eq!(*rest.value(), whole.value().slice(1, 4..));
/// ```
pub struct Stateful<U: RecurrentLayer<T>, T: Float = f32> {
    layer: U,
    state: Mutex<Option<U::State>>,
}

impl<T: Float, U: RecurrentLayer<T>> Stateful<U, T> {
    /// Begins with the layer's initial state.
    pub fn new(layer: U) -> Self {
        Self { layer, state: Mutex::new(None) }
    }

    /// Begins anew with the next batch.
    pub fn reset_state(&self) {
        *self.kept() = None;
    }

    /// The state after the last batch.
    pub fn state(&self) -> Option<U::State> {
        self.kept().clone()
    }

    /// Goes on over `x`.
    ///
    /// # Panics
    /// When the batch is not as large as the one before, and the state was not reset.
    #[track_caller]
    pub fn run(&self, x: &Sequence<T>, mode: &mut Mode) -> Sequence<T> {
        let state = self.state().unwrap_or_else(|| self.layer.initial_state(x.batch()));
        let (y, last) = self.layer.run_from(x, &state, mode);
        *self.kept() = Some(last.detach());
        y
    }

    fn kept(&self) -> MutexGuard<'_, Option<U::State>> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl<T: Float, U: RecurrentLayer<T>> Module<T> for Stateful<U, T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        self.layer.visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        self.layer.visit_mut(path, f);
    }
}

impl<T: Float, U: RecurrentLayer<T>> Layer<T> for Stateful<U, T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        self.run(&sequence_of("Stateful", x), mode).data()
    }
}
