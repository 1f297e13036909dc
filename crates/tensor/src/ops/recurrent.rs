//! Whole sequences of a recurrent cell at once, forward and backward.

use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::recurrent::{self, Given, LstmKept, Sizes};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// A sequence to be run through a cell whose input's share in its gates is known for all steps: what the three cells have
/// in common. The first of what each forward pass gives are the states `[T + 1, N, H]`, from the first one, which is given,
/// to the last.
///
/// ```
/// use gradus_tensor::{FusedSequence, Tensor};
/// // Two steps of one row and one unit: h = tanh(p + 0.5 h).
/// let (p, w) = (Tensor::from([[[0.3f64]], [[-0.2]]]), Tensor::from([[0.5]]));
/// let states = FusedSequence::new("rnn", &p, &w, None, 1)?.rnn(&Tensor::from([[0.0]]), false)?;
/// let h = 0.3f64.tanh();
/// assert_eq!(states.to_vec(), [0.0, h, (-0.2 + 0.5 * h).tanh()]);
/// # Ok::<(), gradus_tensor::ShapeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FusedSequence<T: Float> {
    cell: &'static str,
    share: Tensor<T>,
    weight: Tensor<T>,
    mask: Option<Tensor<bool>>,
    sizes: Sizes,
    gates: usize,
}

#[compiled_once]
impl<T: Float> FusedSequence<T> {
    /// Of a cell with so many gates: the input's share `[T, N, gates · H]`, the recurrent weights `[gates · H, H]`, and
    /// which steps are there, `[T, N]`; where one is not, the state stays.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn new(
        cell: &'static str,
        share: &Tensor<T>,
        weight: &Tensor<T>,
        mask: Option<&Tensor<bool>>,
        gates: usize,
    ) -> Result<Self, ShapeError> {
        let error = |detail| Err(ShapeError::new(cell, detail));
        let hidden = weight.shape().last().copied().unwrap_or(0);
        let width = gates.checked_mul(hidden);
        if weight.rank() != 2 || Some(weight.shape()[0]) != width {
            return error(format!("recurrent weights {}; wanted [{gates} * H, H]", weight.shape()));
        }
        if share.rank() != 3 || share.shape()[2] != weight.shape()[0] {
            return error(format!("the input's share {}; wanted [T, N, {}]", share.shape(), weight.shape()[0]));
        }
        let (steps, batch) = (share.shape()[0], share.shape()[1]);
        if let Some(mask) = mask.filter(|mask| *mask.shape() != [steps, batch]) {
            return error(format!("mask {}; wanted [{steps}, {batch}]", mask.shape()));
        }
        let (share, weight, mask) = (share.contiguous(), weight.contiguous(), mask.map(|m| m.contiguous()));
        Ok(Self { cell, share, weight, mask, sizes: Sizes { steps, batch, hidden }, gates })
    }

    fn given(&self) -> Given<'_, T> {
        let mask = self.mask.as_ref().map(slice);
        Given { sizes: self.sizes, gates: self.gates, share: slice(&self.share), weight: slice(&self.weight), mask }
    }

    /// An array of `[steps, N, width · H]`, all of which is to be written.
    #[track_caller]
    fn room(&self, steps: usize, width: usize) -> Tensor<T> {
        Tensor::build_for(self.cell, [steps, self.sizes.batch, width * self.sizes.hidden], |_| ())
    }

    /// An error unless the sequence is of a cell with so many gates.
    fn check_gates(&self, wanted: usize) -> Result<(), ShapeError> {
        if self.gates == wanted {
            return Ok(());
        }
        Err(ShapeError::new(self.cell, format!("a sequence of {} gates for a cell with {wanted}", self.gates)))
    }

    /// What a backward pass is handed, in order, after a check of its shape.
    #[track_caller]
    fn kept(&self, what: &str, x: &Tensor<T>, wanted: impl Into<Shape>) -> Tensor<T> {
        if *x.shape() != wanted {
            Err(ShapeError::new(self.cell, format!("{what} of shape {}; wanted {wanted}", x.shape()))).or_panic()
        }
        x.contiguous()
    }

    /// States or memories, of which the first is given, with room for `more` than there are steps.
    #[track_caller]
    fn begin_with(&self, what: &str, first: &Tensor<T>, more: usize) -> Result<Tensor<T>, ShapeError> {
        let Sizes { steps, batch, hidden } = self.sizes;
        if *first.shape() != [batch, hidden] {
            let detail = format!("{what} {} for a batch of {batch}; wanted [{batch}, {hidden}]", first.shape());
            return Err(ShapeError::new(self.cell, detail));
        }
        let mut all = self.room(steps + more, 1);
        all.as_mut_slice()[..batch * hidden].copy_from_slice(slice(&first.contiguous()));
        Ok(all)
    }

    #[track_caller]
    fn state_gradient(&self) -> Tensor<T> {
        Tensor::build_for(self.cell, [self.sizes.batch, self.sizes.hidden], |out| out.fill(T::zero()))
    }

    /// `h = f(p + h W_hhᵀ)` with `f` the hyperbolic tangent, or the ramp.
    ///
    /// # Errors
    /// When the first state is not `[N, H]`.
    #[track_caller]
    pub fn rnn(&self, h0: &Tensor<T>, relu: bool) -> Result<Tensor<T>, ShapeError> {
        self.check_gates(1)?;
        let mut states = self.begin_with("state", h0, 1)?;
        recurrent::rnn_forward(self.given(), relu, states.as_mut_slice());
        Ok(states)
    }

    /// From the gradient of the states after each step, `[T, N, H]`: that of the input's share, of the weights and of the
    /// first state.
    ///
    /// # Panics
    /// When the shapes do not belong to this sequence.
    #[track_caller]
    pub fn rnn_grad(&self, states: &Tensor<T>, gy: &Tensor<T>, relu: bool) -> [Tensor<T>; 3] {
        self.check_gates(1).or_panic();
        let Sizes { steps, batch, hidden } = self.sizes;
        let states = self.kept("states", states, [steps + 1, batch, hidden]);
        let gy = self.kept("a gradient", gy, [steps, batch, hidden]);
        let (mut dp, mut dw, mut dh) = (self.room(self.sizes.steps, 1), zeros_like(&self.weight), self.state_gradient());
        let out = [dp.as_mut_slice(), dw.as_mut_slice(), dh.as_mut_slice()];
        recurrent::rnn_backward(self.given(), relu, slice(&states), slice(&gy), out);
        [dp, dw, dh]
    }

    /// Long short-term memory, with the gates `i`, `f`, `g`, `o` in this order: the states and, behind them, the last memory, so
    /// `[T + 2, N, H]`; the memories `[T + 1, N, H]`; the gates' values.
    ///
    /// # Errors
    /// When the first state or memory is not `[N, H]`.
    #[track_caller]
    pub fn lstm(&self, h0: &Tensor<T>, c0: &Tensor<T>) -> Result<[Tensor<T>; 3], ShapeError> {
        self.check_gates(4)?;
        let (mut states, mut memories) = (self.begin_with("state", h0, 2)?, self.begin_with("memory", c0, 1)?);
        let mut gates = self.room(self.sizes.steps, 4);
        let (kept, last) = states.as_mut_slice().split_at_mut(memories.numel());
        recurrent::lstm_forward(self.given(), kept, memories.as_mut_slice(), gates.as_mut_slice());
        last.copy_from_slice(&slice(&memories)[memories.numel() - last.len()..]);
        Ok([states, memories, gates])
    }

    /// From the gradients of the states after each step and of the last memory: that of the input's share, of the weights,
    /// of the first state and of the first memory. `kept` is what [`lstm`](Self::lstm) gave.
    ///
    /// # Panics
    /// When the shapes do not belong to this sequence.
    #[track_caller]
    pub fn lstm_grad(&self, kept: &[Tensor<T>; 3], gy: &Tensor<T>, gc: &Tensor<T>) -> [Tensor<T>; 4] {
        self.check_gates(4).or_panic();
        let Sizes { steps, batch, hidden } = self.sizes;
        let states = self.kept("states", &kept[0], [steps + 2, batch, hidden]);
        let memories = self.kept("memories", &kept[1], [steps + 1, batch, hidden]);
        let gates = self.kept("gates", &kept[2], [steps, batch, 4 * hidden]);
        let gy = self.kept("a gradient", gy, [steps, batch, hidden]);
        let gc = self.kept("the memory's gradient", gc, [batch, hidden]);
        let (mut dp, mut dw, mut dh) = (self.room(self.sizes.steps, 4), zeros_like(&self.weight), self.state_gradient());
        let mut dc = gc.copy();
        let [states, memories, gates] = [&states, &memories, &gates].map(slice);
        let states = &states[..memories.len()];
        let out = [dp.as_mut_slice(), dw.as_mut_slice(), dh.as_mut_slice(), dc.as_mut_slice()];
        recurrent::lstm_backward(self.given(), LstmKept { states, memories, gates }, slice(&gy), out);
        [dp, dw, dh, dc]
    }

    /// Gated recurrent units, reset after the product, with the gates `r`, `z`, `n` in this order and the bias `[3 H]` of the
    /// state's share: the states, and what the backward pass reads.
    ///
    /// # Errors
    /// When the first state is not `[N, H]`, or the bias not `[3 H]`.
    #[track_caller]
    pub fn gru(&self, bias: &Tensor<T>, h0: &Tensor<T>) -> Result<[Tensor<T>; 2], ShapeError> {
        self.check_gates(3)?;
        if *bias.shape() != [3 * self.sizes.hidden] {
            let detail = format!("bias {}; wanted [{}]", bias.shape(), 3 * self.sizes.hidden);
            return Err(ShapeError::new(self.cell, detail));
        }
        let (mut states, mut gates) = (self.begin_with("state", h0, 1)?, self.room(self.sizes.steps, 4));
        recurrent::gru_forward(self.given(), slice(&bias.contiguous()), states.as_mut_slice(), gates.as_mut_slice());
        Ok([states, gates])
    }

    /// From the gradient of the states after each step: that of the input's share, of the weights, of the bias and of the
    /// first state. `kept` is what [`gru`](Self::gru) gave.
    ///
    /// # Panics
    /// When the shapes do not belong to this sequence.
    #[track_caller]
    pub fn gru_grad(&self, kept: &[Tensor<T>; 2], gy: &Tensor<T>) -> [Tensor<T>; 4] {
        self.check_gates(3).or_panic();
        let Sizes { steps, batch, hidden } = self.sizes;
        let states = self.kept("states", &kept[0], [steps + 1, batch, hidden]);
        let gates = self.kept("gates", &kept[1], [steps, batch, 4 * hidden]);
        let gy = self.kept("a gradient", gy, [steps, batch, hidden]);
        let (mut dp, mut dw, mut dh) = (self.room(self.sizes.steps, 3), zeros_like(&self.weight), self.state_gradient());
        let mut recurrent = self.room(self.sizes.steps, 3);
        let out = [dp.as_mut_slice(), recurrent.as_mut_slice(), dw.as_mut_slice(), dh.as_mut_slice()];
        recurrent::gru_backward(self.given(), [&states, &gates].map(slice), slice(&gy), out);
        [dp, dw, recurrent.sum([0, 1]), dh]
    }
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The state after a step of gated recurrent units, reset after the product, `[N, H]`: with the input's share (this) and the state's
    /// share with its bias, `[N, 3 H]` each in three parts, `r = σ(p₁ + b₁)`, `z = σ(p₂ + b₂)`, `n = tanh(p₃ + r b₃)` and
    /// `h = n + z (h' - n)`, where `h'` is the state before.
    ///
    /// # Panics
    /// When the shapes do not fit.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (p, b, before) = (Tensor::from([[0.0f64, 0.0, 1.0]]), Tensor::zeros([1, 3]), Tensor::from([[3.0]]));
    /// assert_eq!(p.gru_gates(&b, &before).to_vec(), [1f64.tanh() + 0.5 * (3.0 - 1f64.tanh())]);
    /// ```
    #[track_caller]
    pub fn gru_gates(&self, recurrent: &Tensor<T>, before: &Tensor<T>) -> Tensor<T> {
        let hidden = check_gru_gates([self, recurrent, before]).or_panic();
        let given = [self.contiguous(), recurrent.contiguous(), before.contiguous()];
        Tensor::build_for("gru_gates", before.shape().clone(), |h| recurrent::gru_gates(hidden, given.each_ref().map(slice), h))
    }

    /// From the gradient of the state after [`gru_gates`](Self::gru_gates), `[N, H]`: those of both shares and of the state before.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn gru_gates_grad(&self, recurrent: &Tensor<T>, before: &Tensor<T>, gy: &Tensor<T>) -> [Tensor<T>; 3] {
        let hidden = check_gru_gates([self, recurrent, before]).or_panic();
        if gy.shape() != before.shape() {
            let detail = format!("a gradient {} of a state {}", gy.shape(), before.shape());
            Err(ShapeError::new("gru_gates", detail)).or_panic()
        }
        let given = [self.contiguous(), recurrent.contiguous(), before.contiguous()];
        let room = || Tensor::build_for("gru_gates", self.shape().clone(), |_| ());
        let (mut dp, mut db, mut dh) = (room(), room(), gy.copy());
        let out = [dp.as_mut_slice(), db.as_mut_slice(), dh.as_mut_slice()];
        recurrent::gru_gates_backward(hidden, given.each_ref().map(slice), out);
        [dp, db, dh]
    }
}

/// How many units there are.
fn check_gru_gates<T: Float>([share, recurrent, before]: [&Tensor<T>; 3]) -> Result<usize, ShapeError> {
    let hidden = before.shape().last().copied().unwrap_or(0);
    let fits = before.rank() == 2 && *share.shape() == [before.shape()[0], 3 * hidden] && recurrent.shape() == share.shape();
    if fits {
        return Ok(hidden);
    }
    let given = format!("shares {} and {}, state {}", share.shape(), recurrent.shape(), before.shape());
    Err(ShapeError::new("gru_gates", format!("{given}; wanted [N, 3 H] twice and [N, H]")))
}

fn zeros_like<T: Float>(x: &Tensor<T>) -> Tensor<T> {
    Tensor::zeros(x.shape().clone())
}

/// The elements of a tensor that is contiguous.
fn slice<T: crate::element::Element>(x: &Tensor<T>) -> &[T] {
    x.as_slice().expect("made contiguous before")
}
