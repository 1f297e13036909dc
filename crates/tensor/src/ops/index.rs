//! Picking elements by index, and adding to picked elements: each the other's adjoint.

use crate::element::{Element, Num};
use crate::error::{OrPanic, ShapeError};
use crate::shape::{Axis, Shape};
use crate::tensor::Tensor;

/// Checks that every index lies in `0..n`; the error names the first that does not, and its place.
fn check_indices(op: &'static str, index: &Tensor<i64>, n: usize) -> Result<Vec<usize>, ShapeError> {
    let flat = index.to_vec();
    match flat.iter().position(|&i| i < 0 || i as usize >= n) {
        None => Ok(flat.into_iter().map(|i| i as usize).collect()),
        Some(at) => Err(ShapeError::new(op, format!("index {} at position {at} is outside 0..{n}", flat[at]))),
    }
}

impl<T: Element> Tensor<T> {
    /// `y[i, j, k] = x[index[i, j, k], j, k]` for axis 0, and likewise for the others: `torch.gather`.
    ///
    /// # Panics
    /// When the ranks differ, `index` is larger than this along another axis, or an index is out of range.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.gather(1, &Tensor::from([[1i64], [0]])).to_vec(), [2, 3]);
    /// ```
    #[track_caller]
    pub fn gather(&self, axis: impl Axis, index: &Tensor<i64>) -> Self {
        let axis = axis.resolve("gather", self.rank()).or_panic();
        let (from, to) = gather_places("gather", &self.shape, axis, index).or_panic();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        debug_assert_eq!(from.len(), to);
        Self::from_vec(from.into_iter().map(|i| x[i]).collect(), index.shape.clone())
    }

    /// The sub-tensors at the indices of one axis, in their order: `torch.index_select`.
    ///
    /// # Panics
    /// When `index` is no vector, or an index is out of range.
    #[track_caller]
    pub fn index_select(&self, axis: impl Axis, index: &Tensor<i64>) -> Self {
        let axis = axis.resolve("index_select", self.rank()).or_panic();
        let index = vector_of_indices("index_select", index, self.shape[axis]).or_panic();
        let mut shape = self.shape.clone();
        shape[axis] = index.len();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        let (n, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        Self::build(shape, |out| {
            if out.is_empty() {
                return;
            }
            for (plane, out) in out.chunks_exact_mut(index.len() * inner).enumerate() {
                for (&i, row) in index.iter().zip(out.chunks_exact_mut(inner)) {
                    let at = (plane * n + i) * inner;
                    row.copy_from_slice(&x[at..at + inner]);
                }
            }
        })
    }

    /// `value` where `mask` is true; the mask broadcasts to this shape.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, value: T) -> Self {
        mask.expand(&self.shape).select_where(&Tensor::scalar(value), self)
    }
}

fn vector_of_indices(op: &'static str, index: &Tensor<i64>, n: usize) -> Result<Vec<usize>, ShapeError> {
    if index.rank() != 1 {
        return Err(ShapeError::new(op, format!("indices of shape {}; a vector is wanted", index.shape)));
    }
    check_indices(op, index, n)
}

/// Where in a contiguous tensor of `shape` each element that `index` picks lies.
fn gather_places(op: &'static str, shape: &Shape, axis: usize, index: &Tensor<i64>) -> Result<(Vec<usize>, usize), ShapeError> {
    let fits = index.rank() == shape.rank() && (0..shape.rank()).all(|a| a == axis || index.shape[a] <= shape[a]);
    if !fits {
        let detail = format!("indices of shape {} into {shape} along axis {axis}: other axes may not be larger", index.shape);
        return Err(ShapeError::new(op, detail));
    }
    let picked = check_indices(op, index, shape[axis])?;
    let strides = shape.strides();
    let places = picked
        .iter()
        .enumerate()
        .map(|(flat, &i)| {
            let (mut rest, mut at) = (flat, 0);
            for a in (0..shape.rank()).rev() {
                let along = rest % index.shape[a];
                rest /= index.shape[a];
                at += if a == axis { i } else { along } * strides[a] as usize;
            }
            at
        })
        .collect();
    Ok((places, picked.len()))
}

impl<T: Num> Tensor<T> {
    /// This plus `src` at the places that [`gather`](Self::gather) with the same `index` reads:
    /// `torch.scatter_add`. Repeated indices add up.
    ///
    /// # Panics
    /// As `gather`; and when `src` has another shape than `index`.
    #[track_caller]
    pub fn scatter_add(&self, axis: impl Axis, index: &Tensor<i64>, src: &Tensor<T>) -> Self {
        let axis = axis.resolve("scatter_add", self.rank()).or_panic();
        let (places, _) = gather_places("scatter_add", &self.shape, axis, index).or_panic();
        if src.shape != index.shape {
            let detail = format!("values of shape {} for indices of shape {}", src.shape, index.shape);
            Err(ShapeError::new("scatter_add", detail)).or_panic()
        }
        let mut out = self.copy();
        let y = out.as_mut_slice();
        for (at, v) in places.into_iter().zip(src.to_vec()) {
            y[at] += v;
        }
        out
    }

    /// This plus the sub-tensors of `src` at the indices of one axis: `torch.index_add`. Repeated indices
    /// add up.
    ///
    /// # Panics
    /// When `index` is no vector, an index is out of range, or `src` does not fit.
    #[track_caller]
    pub fn index_add(&self, axis: impl Axis, index: &Tensor<i64>, src: &Tensor<T>) -> Self {
        let axis = axis.resolve("index_add", self.rank()).or_panic();
        let index = vector_of_indices("index_add", index, self.shape[axis]).or_panic();
        let mut wanted = self.shape.clone();
        wanted[axis] = index.len();
        if src.shape != wanted {
            Err(ShapeError::new("index_add", format!("values of shape {}; wanted {wanted}", src.shape))).or_panic()
        }
        let (n, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let mut out = self.copy();
        let src = src.contiguous();
        let src = src.as_slice().expect("contiguous");
        if !src.is_empty() {
            let y = out.as_mut_slice();
            for (plane, src) in src.chunks_exact(index.len() * inner).enumerate() {
                for (&i, row) in index.iter().zip(src.chunks_exact(inner)) {
                    let at = (plane * n + i) * inner;
                    y[at..at + inner].iter_mut().zip(row).for_each(|(y, &v)| *y += v);
                }
            }
        }
        out
    }

    /// Zeros of size `size` along one axis, with this at `start`, `start + step`, …: the adjoint of
    /// [`slice_step`](Self::slice_step). With a negative step, `start` is the highest index.
    ///
    /// # Panics
    /// When this does not fit.
    #[track_caller]
    pub fn pad_step(&self, axis: impl Axis, size: usize, start: usize, step: isize) -> Self {
        let axis = axis.resolve("pad_step", self.rank()).or_panic();
        let count = self.shape[axis];
        let last = start as isize + (count as isize - 1) * step;
        if count > 0 && (step == 0 || start >= size || last < 0 || last >= size as isize) {
            let detail = format!("{count} indices from {start} by {step} do not fit an axis of {size}");
            Err(ShapeError::new("pad_step", detail)).or_panic()
        }
        let mut shape = self.shape.clone();
        shape[axis] = size;
        let inner: usize = self.shape[axis + 1..].iter().product();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        Self::build(shape, |out| {
            out.fill(T::zero());
            if x.is_empty() {
                return;
            }
            for (out, x) in out.chunks_exact_mut(size * inner).zip(x.chunks_exact(count * inner)) {
                for (i, row) in x.chunks_exact(inner).enumerate() {
                    let at = (start as isize + i as isize * step) as usize * inner;
                    out[at..at + inner].copy_from_slice(row);
                }
            }
        })
    }

    /// Matrices of `rows` x `cols` that are zero but for a diagonal, which is this tensor's last axis: the
    /// adjoint of [`diagonal`](Self::diagonal).
    ///
    /// # Panics
    /// When the last axis has not the diagonal's length.
    #[track_caller]
    pub fn diagonal_embed(&self, offset: isize, rows: usize, cols: usize) -> Self {
        let (down, right) = (offset.min(0).unsigned_abs(), offset.max(0) as usize);
        let n = rows.saturating_sub(down).min(cols.saturating_sub(right));
        if self.rank() == 0 || self.shape[self.rank() - 1] != n {
            let detail = format!("{} as diagonal {offset} of {rows} x {cols}: the last axis must be {n}", self.shape);
            Err(ShapeError::new("diagonal_embed", detail)).or_panic()
        }
        let mut shape: Shape = self.shape[..self.rank() - 1].into();
        shape.push(rows);
        shape.push(cols);
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        Self::build(shape, |out| {
            out.fill(T::zero());
            if n == 0 {
                return;
            }
            for (out, x) in out.chunks_exact_mut(rows * cols).zip(x.chunks_exact(n)) {
                for (i, &v) in x.iter().enumerate() {
                    out[(down + i) * cols + right + i] = v;
                }
            }
        })
    }
}

impl Tensor<i64> {
    /// A last axis of `classes`, 1 at the label and 0 elsewhere.
    ///
    /// # Panics
    /// When a label is outside `0..classes`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([2i64, 0]).one_hot::<f32>(3), Tensor::from([[0., 0., 1.], [1., 0., 0.]]));
    /// ```
    #[track_caller]
    pub fn one_hot<T: Num>(&self, classes: usize) -> Tensor<T> {
        let labels = check_indices("one_hot", self, classes).or_panic();
        let mut shape = self.shape.clone();
        shape.push(classes);
        Tensor::build(shape, |out| {
            out.fill(T::zero());
            for (i, label) in labels.into_iter().enumerate() {
                out[i * classes + label] = T::one();
            }
        })
    }
}
