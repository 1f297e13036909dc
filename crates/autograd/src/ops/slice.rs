//! Parts of a variable, and their adjoints: `slice` and `pad_step`, `diagonal` and `diagonal_embed`.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};
use std::ops::{Bound, RangeBounds};

/// The half-open `start..end` that a range means on an axis of size `n`.
fn bounds(range: &impl RangeBounds<usize>, n: usize) -> (usize, usize) {
    let start = match range.start_bound() {
        Bound::Included(&s) => s,
        Bound::Excluded(&s) => s.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&e) => e.saturating_add(1),
        Bound::Excluded(&e) => e,
        Bound::Unbounded => n,
    };
    (start, end)
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// The part of one axis that lies in `range`.
    ///
    /// # Panics
    /// When the range reaches outside.
    #[doc(alias("narrow", "dynamic_slice"))]
    #[track_caller]
    pub fn slice(&self, axis: impl Axis, range: impl RangeBounds<usize>) -> Var<T> {
        self.slice_step(axis, range, 1)
    }

    /// Every `step`-th index of `range` along one axis; a negative step runs from the range's last index down.
    ///
    /// # Panics
    /// When the range reaches outside, or the step is 0.
    #[track_caller]
    pub fn slice_step(&self, axis: impl Axis, range: impl RangeBounds<usize>, step: isize) -> Var<T> {
        let axis = axis.resolve("slice", self.rank()).or_panic();
        let (start, end) = bounds(&range, self.shape()[axis]);
        apply(Slice { axis, start, end, step }, &[self])
    }

    /// Zeros of size `size` along one axis, with this at `start`, `start + step`, …: the adjoint of
    /// [`slice_step`](Self::slice_step). With a negative step, `start` is the highest index.
    ///
    /// # Panics
    /// When this does not fit.
    #[track_caller]
    pub fn pad_step(&self, axis: impl Axis, size: usize, start: usize, step: isize) -> Var<T> {
        let axis = axis.resolve("pad_step", self.rank()).or_panic();
        apply(PadStep { axis, size, start, step }, &[self])
    }

    /// One index of an axis; the axis goes.
    ///
    /// # Panics
    /// When there is no such index.
    #[track_caller]
    pub fn select(&self, axis: impl Axis, index: usize) -> Var<T> {
        let axis = axis.resolve("select", self.rank()).or_panic();
        if index >= self.shape()[axis] {
            Err(ShapeError::new("select", format!("index {index} of axis {axis} of shape {}", self.shape()))).or_panic()
        }
        self.slice(axis, index..=index).squeeze(axis)
    }

    /// The diagonal of the last two axes, as a last axis in their place; `offset` above 0 counts diagonals to the
    /// right of the main one, below 0 those under it.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[doc(alias = "diag")]
    #[track_caller]
    pub fn diagonal(&self, offset: isize) -> Var<T> {
        apply(Diagonal { offset }, &[self])
    }

    /// Matrices of `rows` x `cols` that are zero but for a diagonal, which is this variable's last axis.
    ///
    /// # Panics
    /// When the last axis has not the diagonal's length.
    #[doc(alias = "diag_embed")]
    #[track_caller]
    pub fn diagonal_embed(&self, offset: isize, rows: usize, cols: usize) -> Var<T> {
        apply(DiagonalEmbed { offset, rows, cols }, &[self])
    }

    /// The lower triangle of each matrix, with `diagonal` diagonals to the right of the main one; 0 elsewhere.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Var<T> {
        self.masked_fill(&triangle(self, "tril", |i, j| j - i > diagonal), 0.0)
    }

    /// The upper triangle of each matrix, from the diagonal `diagonal` to the right of the main one; 0 elsewhere.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Var<T> {
        self.masked_fill(&triangle(self, "triu", |i, j| j - i < diagonal), 0.0)
    }
}

#[track_caller]
fn triangle<T: Float>(x: &Var<T>, op: &'static str, outside: impl Fn(isize, isize) -> bool) -> Tensor<bool> {
    let &[.., rows, cols] = &x.shape()[..] else {
        return Err(ShapeError::new(op, format!("a tensor of shape {}; wanted two axes or more", x.shape()))).or_panic();
    };
    if x.value().numel() == 0 {
        return Tensor::full([rows, cols], false);
    }
    Tensor::from_fn([rows, cols], |i| outside(i[0] as isize, i[1] as isize))
}

pub(crate) struct Slice {
    axis: usize,
    start: usize,
    end: usize,
    step: isize,
}

impl<T: Float> Op<T> for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn attributes(&self) -> Attributes {
        let Self { axis, start, end, step } = *self;
        Attributes::new().with("axis", axis).with("start", start).with("end", end).with("step", step)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).slice_step(self.axis, self.start..self.end, self.step)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let Self { axis, start, end, step } = *self;
        let first = if step > 0 { start } else { end.saturating_sub(1) };
        let grad = match cx.take_sum(0) {
            Some(sum) => sum.into_value().slice_add_into(axis, first, step, cx.gy().value()).into(),
            None => cx.gy().pad_step(axis, cx.shape(0)[axis], first, step),
        };
        grad.into()
    }
}

pub(crate) struct PadStep {
    axis: usize,
    size: usize,
    start: usize,
    step: isize,
}

impl<T: Float> Op<T> for PadStep {
    fn name(&self) -> &'static str {
        "pad_step"
    }

    fn attributes(&self) -> Attributes {
        let Self { axis, size, start, step } = *self;
        Attributes::new().with("axis", axis).with("size", size).with("start", start).with("step", step)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).pad_step(self.axis, self.size, self.start, self.step)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let Self { axis, start, step, .. } = *self;
        let count = cx.shape(0)[axis];
        if count == 0 {
            return cx.gy().slice(axis, ..0).into();
        }
        let last = (start as isize + (count as isize - 1) * step) as usize;
        cx.gy().slice_step(axis, start.min(last)..=start.max(last), step).into()
    }
}

pub(crate) struct Diagonal {
    offset: isize,
}

impl<T: Float> Op<T> for Diagonal {
    fn name(&self) -> &'static str {
        "diagonal"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("offset", self.offset)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).diagonal(self.offset)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let from = cx.shape(0);
        let (rows, cols) = (from[from.rank() - 2], from[from.rank() - 1]);
        cx.gy().diagonal_embed(self.offset, rows, cols).into()
    }
}

pub(crate) struct DiagonalEmbed {
    offset: isize,
    rows: usize,
    cols: usize,
}

impl<T: Float> Op<T> for DiagonalEmbed {
    fn name(&self) -> &'static str {
        "diagonal_embed"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("offset", self.offset).with("rows", self.rows).with("cols", self.cols)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).diagonal_embed(self.offset, self.rows, self.cols)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().diagonal(self.offset).into()
    }
}

impl<T: Float> Sampled<T> for Slice {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("slice", |rng| {
                let x = draw::of_shape(rng, [2, 5, 2]);
                let (start, end) = (rng.below(3), 3 + rng.below(3));
                let step = [1, 2, -1, -2][rng.below(4)];
                Case::new([x], move |v| v[0].slice_step(1, start..end, step))
            }),
            OpSample::new("slice", |rng| {
                let x = draw::of_shape(rng, [3, 2]);
                let i = rng.below(3);
                Case::new([x], move |v| v[0].select(0, i))
            }),
            OpSample::new("slice", |rng| {
                let x = draw::of_shape(rng, [5, 2]);
                Case::new([x], |v| {
                    let halves = v[0].split(3, 0);
                    let parts = v[0].split_sizes(&[1, 4], 0);
                    let thirds = v[0].chunk(3, 0);
                    &halves[1] * parts[1].slice(0, ..2) + &parts[0] * &thirds[2]
                })
            }),
        ]
    }
}

impl<T: Float> Sampled<T> for PadStep {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("pad_step", |rng| {
            let x = draw::of_shape(rng, [2, 3]);
            let (start, step) = [(0, 1), (1, 2), (5, -2), (2, -1)][rng.below(4)];
            Case::new([x], move |v| v[0].pad_step(1, 6, start, step))
        })]
    }
}

impl<T: Float> Sampled<T> for Diagonal {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("diagonal", |rng| {
            let (rows, cols) = (1 + rng.below(4), 1 + rng.below(4));
            let (x, offset) = (draw::of_shape(rng, [2, rows, cols]), rng.below(5) as isize - 2);
            Case::new([x], move |v| v[0].diagonal(offset))
        })]
    }
}

impl<T: Float> Sampled<T> for DiagonalEmbed {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("diagonal_embed", |rng| {
            let x = draw::of_shape(rng, [2, 3]);
            Case::new([x], |v| v[0].diagonal_embed(1, 3, 4))
        })]
    }
}
