//! Putting tensors together and taking them apart.

use crate::compiled_once::compiled_once;
use crate::element::{Element, Num};
use crate::error::{OrPanic, ShapeError};
use crate::number::Number;
use crate::shape::{Axis, Shape};
use crate::tensor::Tensor;

/// The shape of a concatenation along `axis`.
fn concat_shape<T: Element>(op: &'static str, tensors: &[&Tensor<T>], axis: impl Axis) -> Result<(usize, Shape), ShapeError> {
    let Some(first) = tensors.first() else {
        return Err(ShapeError::new(op, "no tensors; at least one is wanted"));
    };
    let axis = axis.resolve(op, first.rank())?;
    let mut shape = first.shape.clone();
    for (i, t) in tensors.iter().enumerate().skip(1) {
        let fits = t.rank() == first.rank() && (0..first.rank()).all(|a| a == axis || t.shape[a] == first.shape[a]);
        if !fits {
            let detail = format!("tensor {i} is {} beside {}; all axes but {axis} must agree", t.shape, first.shape);
            return Err(ShapeError::new(op, detail));
        }
        // A sum that saturates is no tensor's size either.
        shape[axis] = shape[axis].saturating_add(t.shape[axis]);
    }
    Ok((axis, shape.checked(op)?))
}

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// The tensors one after the other along an axis that they all have.
    ///
    /// # Panics
    /// When there are none, or other axes differ.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (a, b) = (Tensor::from([[1, 2]]), Tensor::from([[3, 4]]));
    /// assert_eq!(Tensor::concat(&[&a, &b], 1).to_vec(), [1, 2, 3, 4]);
    /// assert_eq!(*Tensor::concat(&[&a, &b], 0).shape(), [2, 2]);
    /// ```
    #[doc(alias("cat", "concatenate", "vstack", "hstack", "dstack", "column_stack", "row_stack"))]
    #[track_caller]
    pub fn concat(tensors: &[&Tensor<T>], axis: impl Axis) -> Self {
        Self::concat_for("concat", tensors, axis)
    }

    /// [`concat`](Self::concat) on behalf of the operation `op`.
    #[track_caller]
    fn concat_for(op: &'static str, tensors: &[&Tensor<T>], axis: impl Axis) -> Self {
        let (axis, shape) = concat_shape(op, tensors, axis).or_panic();
        let inner: usize = shape[axis + 1..].iter().product();
        let row = shape[axis] * inner;
        Self::build_for(op, shape, |out| {
            let mut start = 0;
            for t in tensors {
                let (t, width) = (t.contiguous(), t.shape[axis] * inner);
                if width == 0 || out.is_empty() {
                    continue;
                }
                for (out, x) in out.chunks_exact_mut(row).zip(t.as_slice().expect("contiguous").chunks_exact(width)) {
                    out[start..start + width].copy_from_slice(x);
                }
                start += width;
            }
        })
    }

    /// The tensors, all of one shape, along a new axis.
    ///
    /// # Panics
    /// When there are none, or the shapes differ.
    #[track_caller]
    pub fn stack(tensors: &[&Tensor<T>], axis: impl Axis) -> Self {
        let Some(first) = tensors.first() else {
            return Err(ShapeError::new("stack", "no tensors; at least one is wanted")).or_panic();
        };
        let axis = axis.resolve("stack", first.rank() + 1).or_panic();
        if let Some((i, t)) = tensors.iter().enumerate().find(|(_, t)| t.shape != first.shape) {
            let detail = format!("tensor {i} is {} beside {}; all shapes must agree", t.shape, first.shape);
            Err(ShapeError::new("stack", detail)).or_panic()
        }
        let raised: Vec<_> = tensors.iter().map(|t| t.unsqueeze(axis)).collect();
        Self::concat_for("stack", &raised.iter().collect::<Vec<_>>(), axis)
    }

    /// Views of `size` indices each along one axis; the last may be smaller.
    ///
    /// # Panics
    /// When `size` is 0.
    #[track_caller]
    pub fn split(&self, size: usize, axis: impl Axis) -> Vec<Self> {
        let axis = axis.resolve("split", self.rank()).or_panic();
        if size == 0 {
            Err(ShapeError::new("split", "parts of size 0; 1 or more is wanted")).or_panic()
        }
        self.parts("split", axis, size)
    }

    /// `n` views of equal size along one axis, but for the last ones: fewer, or a smaller last one, when the axis cannot
    /// be divided so (as `torch.chunk`).
    ///
    /// # Panics
    /// When `n` is 0.
    #[doc(alias = "array_split")]
    #[track_caller]
    pub fn chunk(&self, n: usize, axis: impl Axis) -> Vec<Self> {
        let axis = axis.resolve("chunk", self.rank()).or_panic();
        if n == 0 {
            Err(ShapeError::new("chunk", "0 parts; 1 or more is wanted")).or_panic()
        }
        self.parts("chunk", axis, self.shape[axis].div_ceil(n).max(1))
    }

    /// Views of `size` indices each along one axis.
    #[track_caller]
    fn parts(&self, op: &'static str, axis: usize, size: usize) -> Vec<Self> {
        let n = self.shape[axis];
        let mut parts = vec![];
        if parts.try_reserve_exact(n.div_ceil(size)).is_err() {
            let detail = format!("no memory for {} parts of axis {axis} of shape {}", n.div_ceil(size), self.shape);
            Err(ShapeError::new(op, detail)).or_panic()
        }
        parts.extend((0..n).step_by(size).map(|start| self.slice(axis, start..start.saturating_add(size).min(n))));
        parts
    }

    /// Views of the given sizes along one axis.
    ///
    /// # Panics
    /// When the sizes do not add up to the axis.
    #[doc(alias = "split_with_sizes")]
    #[track_caller]
    pub fn split_sizes(&self, sizes: &[usize], axis: impl Axis) -> Vec<Self> {
        let axis = axis.resolve("split_sizes", self.rank()).or_panic();
        if sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) != Some(self.shape[axis]) {
            let detail = format!("sizes {sizes:?} of axis {axis}, which has {} (shape {})", self.shape[axis], self.shape);
            Err(ShapeError::new("split_sizes", detail)).or_panic()
        }
        let mut start = 0;
        let part = |&n: &usize| {
            start += n;
            self.slice(axis, start - n..start)
        };
        sizes.iter().map(part).collect()
    }

    /// The whole repeated `reps[i]` times along axis `i`: `torch.repeat`.
    ///
    /// # Panics
    /// When there is not one count an axis.
    #[doc(alias = "tile")]
    #[track_caller]
    pub fn repeat(&self, reps: &[usize]) -> Self {
        if reps.len() != self.rank() {
            let detail = format!("{} counts for a tensor of shape {}; one an axis is wanted", reps.len(), self.shape);
            Err(ShapeError::new("repeat", detail)).or_panic()
        }
        // Each axis becomes (count, size), the count broadcast.
        let (mut split, mut wide) = (Shape::default(), Shape::default());
        for (&n, &r) in self.shape.iter().zip(reps) {
            split.push(1);
            split.push(n);
            wide.push(r);
            wide.push(n);
        }
        // It spans as much as the result does, or more where a size is 0.
        let wide = wide.checked("repeat").or_panic();
        let shape: Shape = self.shape.iter().zip(reps).map(|(n, r)| n * r).collect();
        self.reshape(&split).expand_for("repeat", wide).reshaped("repeat", shape)
    }

    /// Elements moved on by `shift` along one axis, those pushed out coming in at the other end.
    #[track_caller]
    pub fn roll(&self, shift: isize, axis: impl Axis) -> Self {
        let axis = axis.resolve("roll", self.rank()).or_panic();
        let n = self.shape[axis];
        if n == 0 {
            return self.clone();
        }
        let cut = (n - shift.rem_euclid(n as isize) as usize) % n;
        Self::concat_for("roll", &[&self.slice(axis, cut..), &self.slice(axis, ..cut)], axis)
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    /// This inside a border of `value`: `pads` gives `[before, after]` for each axis.
    ///
    /// # Panics
    /// When there is not one pair an axis, or an integer type does not hold the number.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([1, 2]).pad(&[[1, 2]], 0).to_vec(), [0, 1, 2, 0, 0]);
    /// ```
    #[track_caller]
    pub fn pad(&self, pads: &[[usize; 2]], value: impl Number) -> Self {
        self.padded(pads, value.element("pad").or_panic())
    }

    #[track_caller]
    fn padded(&self, pads: &[[usize; 2]], value: T) -> Self {
        if pads.len() != self.rank() {
            let detail = format!("{} pairs for a tensor of shape {}; one pair an axis is wanted", pads.len(), self.shape);
            Err(ShapeError::new("pad", detail)).or_panic()
        }
        // Sums that saturate are no tensor's sizes either.
        let shape = self.shape.iter().zip(pads).map(|(&n, [a, b])| n.saturating_add(*a).saturating_add(*b));
        let shape = shape.collect::<Shape>().checked("pad").or_panic();
        let strides = shape.row_major();
        let corner: usize = pads.iter().zip(&strides).map(|([a, _], &s)| a * s as usize).sum();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        let width = if self.rank() == 0 { 1 } else { self.shape[self.rank() - 1] };
        Self::build_for("pad", shape, |out| {
            out.fill(value);
            if x.is_empty() {
                return;
            }
            for (row, x) in x.chunks_exact(width).enumerate() {
                let (mut rest, mut at) = (row, corner);
                for a in (0..self.rank().saturating_sub(1)).rev() {
                    at += rest % self.shape[a] * strides[a] as usize;
                    rest /= self.shape[a];
                }
                out[at..at + width].copy_from_slice(x);
            }
        })
    }
}
