//! Sequences: steps of a batch, and which of them are there.

use crate::refuse::refuse_input;
use gradus_autograd::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, Shape, ShapeError, Tensor};

/// A batch of sequences: one variable for all steps, and, when the sequences are not equally long, a mask of the steps that
/// are there. What lies outside the mask is padding; it never changes a result or a gradient, whatever it is.
///
/// ```
/// use gradus_nn::Sequence;
/// use gradus_tensor::Tensor;
/// // Two sequences of one number a step: 1, 2, 3 and 4, 5.
/// let x = Tensor::from([[1.0f32, 2.0, 3.0], [4.0, 5.0, 0.0]]).unsqueeze(2);
/// let x = Sequence::new(x).with_lengths(&[3, 2]);
/// assert_eq!(x.last().value().to_vec(), [3.0, 5.0]);
/// ```
#[derive(Clone, Debug)]
pub struct Sequence<T: Float = f32> {
    /// `[T, N, ..]`.
    steps: Var<T>,
    /// `[T, N]`, true for what is there.
    mask: Option<Tensor<bool>>,
    time_major: bool,
}

impl<T: Float> From<&Var<T>> for Sequence<T> {
    fn from(x: &Var<T>) -> Self {
        Self::new(x)
    }
}

#[compiled_once]
impl<T: Float> Sequence<T> {
    /// Of `[N, T, ..]`: the rows of a batch, each a sequence (`batch_first=True` of PyTorch).
    ///
    /// # Panics
    /// When there is no axis of time, or no step.
    #[track_caller]
    pub fn new(x: impl Into<Var<T>>) -> Self {
        check_axes(&x, "[N, T, ..]", 1).or_panic();
        Self { steps: x.transpose(0, 1), mask: None, time_major: false }
    }

    /// Of `[T, N, ..]`: the steps, each of a batch.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[doc(alias = "batch_first")]
    #[track_caller]
    pub fn time_major(x: impl Into<Var<T>>) -> Self {
        check_axes(&x, "[T, N, ..]", 0).or_panic();
        Self { steps: x, mask: None, time_major: true }
    }

    /// Sequences of these lengths, each from the first step on (`pack_padded_sequence`).
    ///
    /// # Panics
    /// When there is not one length for each sequence, or one is 0 or above the number of steps.
    #[doc(alias("pack_padded_sequence", "pad_sequence", "PackedSequence"))]
    #[must_use]
    #[track_caller]
    pub fn with_lengths(self, lengths: &[usize]) -> Self {
        self.check_lengths(lengths).or_panic();
        let mask = Tensor::from_fn([self.len(), self.batch()], |at| at[0] < lengths[at[1]]);
        Self { mask: Some(mask), ..self }
    }

    /// With a mask that is true for the steps that are there, of `[N, T]`, or `[T, N]` where time is first.
    ///
    /// # Panics
    /// When its shape is another, or a sequence has no step.
    #[doc(alias("Masking", "mask_zero"))]
    #[must_use]
    #[track_caller]
    pub fn with_mask(self, mask: &Tensor<bool>) -> Self {
        let wanted = if self.time_major { [self.len(), self.batch()] } else { [self.batch(), self.len()] };
        if *mask.shape() != wanted {
            Err(ShapeError::new("with_mask", format!("mask {}; wanted {wanted:?}", mask.shape()))).or_panic()
        }
        let mask = if self.time_major { mask.clone() } else { mask.t() };
        let with = Self { mask: Some(mask), ..self };
        let empty = with.ends(false).iter().position(Option::is_none);
        if let Some(row) = empty {
            Err(ShapeError::new("with_mask", format!("sequence {row} is empty; wanted a step of each"))).or_panic()
        }
        with
    }

    fn check_lengths(&self, lengths: &[usize]) -> Result<(), ShapeError> {
        let refuse = |detail| Err(ShapeError::new("with_lengths", detail));
        let (steps, batch) = (self.len(), self.batch());
        if lengths.len() != batch {
            return refuse(format!("{} lengths for {batch} sequences", lengths.len()));
        }
        match lengths.iter().position(|l| *l == 0 || *l > steps) {
            Some(row) => refuse(format!("length {} of sequence {row}; wanted 1 to {steps}", lengths[row])),
            None => Ok(()),
        }
    }

    /// How many steps there are, padding included.
    #[allow(clippy::len_without_is_empty)] // there is no empty one
    pub fn len(&self) -> usize {
        self.steps.shape()[0]
    }

    /// How many sequences there are.
    pub fn batch(&self) -> usize {
        self.steps.shape()[1]
    }

    /// Whether [`data`](Self::data) is `[T, N, ..]`.
    pub fn is_time_major(&self) -> bool {
        self.time_major
    }

    /// All steps, in the order of axes that the sequence was made with.
    pub fn data(&self) -> Var<T> {
        if self.time_major { self.steps.clone() } else { self.steps.transpose(0, 1) }
    }

    /// All steps, `[T, N, ..]`.
    pub fn steps(&self) -> &Var<T> {
        &self.steps
    }

    /// Which steps are there, `[T, N]`; `None` when all are.
    pub fn mask(&self) -> Option<&Tensor<bool>> {
        self.mask.as_ref()
    }

    /// The same sequences, of other steps.
    ///
    /// # Panics
    /// When the steps are not as many, or of another batch.
    #[must_use]
    #[track_caller]
    pub fn with_steps(&self, steps: Var<T>) -> Self {
        let wanted = &self.steps.shape()[..2];
        if steps.rank() < 2 || steps.shape()[..2] != *wanted {
            let detail = format!("steps {}; wanted [{}, {}, ..]", steps.shape(), wanted[0], wanted[1]);
            Err(ShapeError::new("with_steps", detail)).or_panic()
        }
        Self { steps, ..self.clone() }
    }

    /// The last step of each sequence, `[N, ..]`.
    pub fn last(&self) -> Var<T> {
        self.end(true)
    }

    /// The first step of each sequence, `[N, ..]`.
    pub fn first(&self) -> Var<T> {
        self.end(false)
    }

    fn end(&self, last: bool) -> Var<T> {
        if self.mask.is_none() {
            return self.steps.select(0, if last { self.len() - 1 } else { 0 });
        }
        let batch = self.batch();
        let row_of = |(n, t): (usize, Option<usize>)| (t.expect("no sequence is empty") * batch + n) as i64;
        let rows: Vec<i64> = self.ends(last).into_iter().enumerate().map(row_of).collect();
        let mut shape = self.steps.shape().clone();
        shape[1] *= shape[0];
        shape.remove(0);
        self.steps.reshape(&shape).index_select(0, &Tensor::from_vec(rows, [batch]))
    }

    /// The last or first step that is there, of each sequence.
    fn ends(&self, last: bool) -> Vec<Option<usize>> {
        let there = |t: usize, n: usize| self.mask.as_ref().is_none_or(|m| m.at([t, n]));
        let end = |n: usize| {
            let mut steps = 0..self.len();
            if last { steps.rfind(|&t| there(t, n)) } else { steps.find(|&t| there(t, n)) }
        };
        (0..self.batch()).map(end).collect()
    }

    /// With padding set to 0, through which no gradient passes.
    #[must_use]
    pub fn zero_padding(&self) -> Self {
        let Some(mask) = &self.mask else { return self.clone() };
        let padding = broadcast_to_rank(&mask.not(), self.steps.rank());
        Self { steps: self.steps.masked_fill(&padding, 0.0), ..self.clone() }
    }

    /// The sequences of these indices `[M]`.
    #[must_use]
    pub(super) fn rows(&self, indices: &Tensor<i64>) -> Self {
        let mask = self.mask.as_ref().map(|m| m.index_select(1, indices));
        Self { steps: self.steps.index_select(1, indices), mask, ..*self }
    }

    /// The steps in reverse, padding first.
    #[must_use]
    pub(super) fn flip(&self) -> Self {
        Self { steps: self.steps.flip(0), mask: self.mask.as_ref().map(|m| m.flip(0)), ..*self }
    }

    /// The steps `range`.
    #[must_use]
    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Self {
        let mask = self.mask.as_ref().map(|m| m.slice(0, range.clone()));
        Self { steps: self.steps.slice(0, range), mask, ..*self }
    }
}

/// A mask with axes of size 1 behind its own, `rank` in all.
pub(super) fn broadcast_to_rank(mask: &Tensor<bool>, rank: usize) -> Tensor<bool> {
    let more = std::iter::repeat_n(1, rank - mask.rank());
    mask.reshape(mask.shape().iter().copied().chain(more).collect::<Shape>())
}

/// The input `[N, T, ..]` of a layer over sequences.
#[track_caller]
pub(crate) fn sequence_of<T: Float>(layer: &'static str, x: &Var<T>) -> Sequence<T> {
    if x.rank() < 2 || x.shape()[1] == 0 {
        refuse_input(layer, "[N, T, ..] with 1 step or more", x)
    }
    Sequence::new(x)
}

fn check_axes<T: Float>(x: &Var<T>, wanted: &str, time: usize) -> Result<(), ShapeError> {
    if x.rank() < 2 {
        return Err(ShapeError::new("sequence", format!("shape {}; wanted {wanted}", x.shape())));
    }
    if x.shape()[time] == 0 {
        return Err(ShapeError::new("sequence", format!("{wanted} of shape {} has no step", x.shape())));
    }
    Ok(())
}
