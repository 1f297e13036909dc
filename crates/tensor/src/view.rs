//! Views: other shapes and strides over the same buffer, at no cost.

use crate::compiled_once::compiled_once;
use crate::element::Element;
use crate::error::{OrPanic, ShapeError};
use crate::shape::{Axes, Axis, Dims, Shape, Strides, broadcast_shapes, flattened};
use crate::tensor::Tensor;
use std::ops::{Bound, RangeBounds};

#[compiled_once]
impl<T: Element> Tensor<T> {
    fn view(&self, shape: Shape, strides: Strides, offset: usize) -> Self {
        Self { buffer: self.buffer.clone(), shape, strides, offset }
    }

    /// The same elements, in row-major order, under another shape; one size may be `-1`. Copies only
    /// when the strides do not allow a view.
    ///
    /// # Panics
    /// When the number of elements would change.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::<i64>::arange(0, 6, 1);
    /// assert_eq!(*x.reshape([2, -1]).shape(), [2, 3]);
    /// ```
    #[doc(alias("view", "view_as", "reshape_as", "unflatten"))]
    #[track_caller]
    pub fn reshape(&self, dims: impl Dims) -> Self {
        self.reshaped("reshape", dims.resolve_dims(&self.shape).or_panic())
    }

    /// The same elements under another shape with as many, on behalf of the operation `op`.
    #[track_caller]
    pub(crate) fn reshaped(&self, op: &'static str, shape: Shape) -> Self {
        match reshaped_strides(&self.shape, &self.strides, &shape) {
            Some(strides) => self.view(shape, strides, self.offset),
            None => {
                let copy = self.copy_for(op);
                let strides = shape.row_major();
                Self { buffer: copy.buffer, shape, strides, offset: 0 }
            }
        }
    }

    /// Axes `start` and onward become one: `flatten(0)` gives a vector, `flatten(1)` turns `[N, C, H, W]` into `[N, C·H·W]`.
    ///
    /// # Panics
    /// When there is no such axis; `flatten(0)` always does, and gives a scalar its only axis.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::<f32>::zeros([2, 3, 4]);
    /// assert_eq!(*x.flatten(0).shape(), [24]);
    /// assert_eq!(*x.flatten(1).shape(), [2, 12]);
    /// ```
    #[doc(alias = "ravel")]
    #[track_caller]
    pub fn flatten(&self, start: impl Axis) -> Self {
        self.reshaped("flatten", flattened("flatten", &self.shape, start).or_panic())
    }

    /// The axes in another order: axis `i` of the result is axis `axes[i]` of this.
    ///
    /// # Panics
    /// When `axes` does not name every axis exactly once.
    #[doc(alias("movedim", "moveaxis"))]
    #[track_caller]
    pub fn permute<A: Axis>(&self, axes: impl AsRef<[A]>) -> Self {
        let axes = axes.as_ref();
        let mut order = crate::shape::AxisList::new();
        for a in axes {
            order.push(a.resolve("permute", self.rank()).or_panic());
        }
        let mut sorted = order.clone();
        sorted.sort_unstable();
        if sorted.len() != self.rank() || sorted.iter().enumerate().any(|(i, &a)| i != a) {
            let given: Vec<String> = axes.iter().map(|a| a.to_string()).collect();
            let detail = format!("[{}] does not name each of the {} axes of {} once", given.join(", "), self.rank(), self.shape);
            Err(ShapeError::new("permute", detail)).or_panic()
        }
        let shape = order.iter().map(|&a| self.shape[a]).collect();
        let strides = order.iter().map(|&a| self.strides[a]).collect();
        self.view(shape, strides, self.offset)
    }

    /// Two axes exchanged.
    ///
    /// # Panics
    /// When there is no such axis.
    #[doc(alias("swapdims", "swapaxes"))]
    #[track_caller]
    pub fn transpose(&self, a: impl Axis, b: impl Axis) -> Self {
        let a = a.resolve("transpose", self.rank()).or_panic();
        let b = b.resolve("transpose", self.rank()).or_panic();
        let mut new = self.clone();
        new.shape.swap(a, b);
        new.strides.swap(a, b);
        new
    }

    /// The last two axes exchanged: the transpose of a matrix, or of each of a batch.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[doc(alias = "mT")]
    #[track_caller]
    pub fn t(&self) -> Self {
        self.transpose(-2, -1)
    }

    /// The part of one axis that lies in `range`.
    ///
    /// # Panics
    /// When the range reaches outside.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.slice(1, 1..).to_vec(), [2, 3, 5, 6]);
    /// ```
    #[doc(alias("narrow", "dynamic_slice"))]
    #[track_caller]
    pub fn slice(&self, axis: impl Axis, range: impl RangeBounds<usize>) -> Self {
        self.slice_step(axis, range, 1)
    }

    /// Every `step`-th index of `range` along one axis; a negative step runs from the range's last
    /// index down.
    ///
    /// # Panics
    /// When the range reaches outside, or the step is 0.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::<i64>::arange(0, 7, 1);
    /// assert_eq!(x.slice_step(0, 1.., 2).to_vec(), [1, 3, 5]);
    /// assert_eq!(x.slice_step(0, 1.., -2).to_vec(), [6, 4, 2]);
    /// ```
    #[track_caller]
    pub fn slice_step(&self, axis: impl Axis, range: impl RangeBounds<usize>, step: isize) -> Self {
        let axis = axis.resolve("slice", self.rank()).or_panic();
        let n = self.shape[axis];
        let (start, end) = resolve_range(&range, n);
        if start > end || end > n || step == 0 {
            let detail = format!("{start}..{end} by {step} of axis {axis}, which has {n} (shape {})", self.shape);
            Err(ShapeError::new("slice", detail)).or_panic()
        }
        let mut new = self.clone();
        let count = (end - start).div_ceil(step.unsigned_abs());
        let first = if step > 0 { start } else { end.saturating_sub(1) };
        new.shape[axis] = count;
        // From a single index no step leads on, however large.
        if count > 1 {
            new.strides[axis] *= step;
        }
        // A window on nothing stays where it is: there may be no memory to move over.
        if new.numel() > 0 {
            new.offset = (new.offset as isize + first as isize * self.strides[axis]) as usize;
        }
        new
    }

    /// One index of an axis; the axis goes.
    ///
    /// # Panics
    /// When there is no such index.
    #[track_caller]
    pub fn select(&self, axis: impl Axis, index: usize) -> Self {
        let axis = axis.resolve("select", self.rank()).or_panic();
        if index >= self.shape[axis] {
            Err(ShapeError::new("select", format!("index {index} of axis {axis} of shape {}", self.shape))).or_panic()
        }
        let mut new = self.slice(axis, index..=index);
        new.shape.remove(axis);
        new.strides.remove(axis);
        new
    }

    /// Repeats axes of size 1, and new ones in front, without copying: their stride becomes 0.
    ///
    /// # Panics
    /// When an axis would change that is not of size 1.
    #[doc(alias("expand_as", "broadcast_to"))]
    #[track_caller]
    pub fn expand(&self, shape: impl Into<Shape>) -> Self {
        self.expand_for("expand", shape)
    }

    /// [`expand`](Self::expand) on behalf of the operation `op`.
    #[track_caller]
    pub(crate) fn expand_for(&self, op: &'static str, shape: Shape) -> Self {
        let shape = shape.checked(op).or_panic();
        let fits = broadcast_shapes(op, &self.shape, &shape).is_ok_and(|s| s == shape);
        if !fits {
            let detail = format!("{} to {shape}: only axes of size 1 can grow, and new axes come in front", self.shape);
            Err(ShapeError::new(op, detail)).or_panic()
        }
        let new = shape.rank() - self.rank();
        let strides = (0..shape.rank())
            .map(|i| if i < new || self.shape[i - new] != shape[i] { 0 } else { self.strides[i - new] })
            .collect();
        self.view(shape, strides, self.offset)
    }

    /// Drops axes of size 1; `..` drops all of them.
    ///
    /// # Panics
    /// When a named axis is of another size.
    #[track_caller]
    pub fn squeeze(&self, axes: impl Axes) -> Self {
        let all = axes.is_all();
        let mut axes = axes.resolve_all("squeeze", self.rank()).or_panic();
        if all {
            axes.retain(|a| self.shape[*a] == 1);
        }
        if let Some(&a) = axes.iter().find(|&&a| self.shape[a] != 1) {
            Err(ShapeError::new("squeeze", format!("axis {a} of shape {} is not of size 1", self.shape))).or_panic()
        }
        let mut new = self.clone();
        for &a in axes.iter().rev() {
            new.shape.remove(a);
            new.strides.remove(a);
        }
        new
    }

    /// A new axis of size 1 before `axis`; `-1` puts it last.
    ///
    /// # Panics
    /// When there is no such place.
    #[doc(alias("expand_dims", "newaxis"))]
    #[track_caller]
    pub fn unsqueeze(&self, axis: impl Axis) -> Self {
        let axis = axis.resolve("unsqueeze", self.rank() + 1).or_panic();
        let mut new = self.clone();
        new.shape.insert(axis, 1);
        new.strides.insert(axis, 0);
        new
    }

    /// The named axes run backwards.
    ///
    /// # Panics
    /// When there is no such axis.
    #[doc(alias("fliplr", "flipud"))]
    #[track_caller]
    pub fn flip(&self, axes: impl Axes) -> Self {
        let axes = axes.resolve_all("flip", self.rank()).or_panic();
        axes.iter().fold(self.clone(), |t, &a| t.slice_step(a, .., -1))
    }

    /// The diagonal of the last two axes, as a last axis in their place; `offset` above 0 counts
    /// diagonals to the right of the main one, below 0 those under it.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[1, 2, 3], [4, 5, 6]]);
    /// assert_eq!(x.diagonal(0).to_vec(), [1, 5]);
    /// assert_eq!(x.diagonal(1).to_vec(), [2, 6]);
    /// ```
    #[doc(alias = "diag")]
    #[track_caller]
    pub fn diagonal(&self, offset: isize) -> Self {
        let rank = self.rank();
        if rank < 2 {
            Err(ShapeError::new("diagonal", format!("a tensor of shape {}; wanted two axes or more", self.shape))).or_panic()
        }
        let (rows, cols) = (self.shape[rank - 2], self.shape[rank - 1]);
        let (down, right) = (offset.min(0).unsigned_abs(), offset.max(0) as usize);
        let n = rows.saturating_sub(down).min(cols.saturating_sub(right));
        let mut new = self.slice(-2, down.min(rows)..).slice(-1, right.min(cols)..);
        let step = if n > 1 { new.strides[rank - 2] + new.strides[rank - 1] } else { 1 };
        new.shape.remove(rank - 1);
        new.strides.pop();
        new.shape[rank - 2] = n;
        new.strides[rank - 2] = step;
        new
    }
}

/// The half-open `start..end` that a range means on an axis of size `n`.
pub(crate) fn resolve_range(range: &impl RangeBounds<usize>, n: usize) -> (usize, usize) {
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

/// The strides under which `to` shows the same elements in the same order, if there are any.
fn reshaped_strides(from: &[usize], strides: &[isize], to: &[usize]) -> Option<Strides> {
    if from.contains(&0) {
        return Some(Shape::from(to).row_major());
    }
    // Runs of old axes that one stride describes, as (elements, stride of the innermost).
    let mut runs: Vec<(usize, isize)> = Vec::with_capacity(from.len());
    for (&n, &s) in from.iter().zip(strides).filter(|(n, _)| **n != 1) {
        match runs.last_mut() {
            Some((size, stride)) if *stride == s * n as isize => {
                *size *= n;
                *stride = s;
            }
            _ => runs.push((n, s)),
        }
    }
    let mut out: Strides = smallvec::SmallVec::from_elem(0, to.len());
    let (mut left, mut step) = runs.pop().unwrap_or((1, 1));
    for (i, &n) in to.iter().enumerate().rev() {
        if left == 1 && n != 1 {
            (left, step) = runs.pop()?;
        }
        if left % n != 0 {
            return None;
        }
        out[i] = step;
        step *= n as isize;
        left /= n;
    }
    Some(out)
}
