//! Picking elements by index, and adding to picked elements: each the other's adjoint.

use crate::compiled_once::compiled_once;
use crate::element::{Element, Num};
use crate::error::{OrPanic, ShapeError};
use crate::kernels::index::{self, first_outside};
use crate::number::Number;
use crate::parallel::{Parts, chunks_mut};
use crate::shape::{Axis, Shape, Strides};
use crate::tensor::Tensor;

/// Rows of fewer elements in all are not worth a second thread.
const SERIAL: usize = 1 << 16;

/// The indices in row-major order, all of them in `0..n`; the error names the first that is not, and its place.
/// `what` is what they are called.
#[track_caller]
fn checked(op: &'static str, what: &str, index: &Tensor<i64>, n: usize) -> Result<Tensor<i64>, ShapeError> {
    let flat = index.contiguous();
    let slice = flat.as_slice().expect("contiguous");
    let Some(at) = first_outside(slice, n) else {
        return Ok(flat);
    };
    let mut place: Shape = index.shape.clone();
    let mut rest = at;
    for size in place.iter_mut().rev() {
        (*size, rest) = (rest % *size, rest / *size);
    }
    Err(ShapeError::new(op, format!("{what} {} at {place} is outside 0..{n}", slice[at])))
}

#[compiled_once]
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
    #[doc(alias("take_along_dim", "take_along_axis"))]
    #[track_caller]
    pub fn gather(&self, axis: impl Axis, index: &Tensor<i64>) -> Self {
        let axis = axis.resolve("gather", self.rank()).or_panic();
        let places = Places::new("gather", &self.shape, axis, index).or_panic();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        Self::build_for("gather", index.shape.clone(), |out| index::gather(&places.rows(), x, out))
    }

    /// The sub-tensors at the indices of one axis, in their order: `torch.index_select`.
    ///
    /// # Panics
    /// When `index` is no vector, or an index is out of range.
    #[doc(alias = "take")]
    #[track_caller]
    pub fn index_select(&self, axis: impl Axis, index: &Tensor<i64>) -> Self {
        let axis = axis.resolve("index_select", self.rank()).or_panic();
        let index = vector_of_indices("index_select", index, self.shape[axis]).or_panic();
        let index = index.as_slice().expect("contiguous");
        let mut shape = self.shape.clone();
        shape[axis] = index.len();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        let (n, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        Self::build_for("index_select", shape, |out| {
            if out.is_empty() {
                return;
            }
            let row = |row: usize, out: &mut [T]| {
                let (plane, i) = (row / index.len(), index[row % index.len()] as usize);
                out.copy_from_slice(&x[(plane * n + i) * inner..][..inner]);
            };
            if out.len() < SERIAL {
                out.chunks_exact_mut(inner).enumerate().for_each(|(i, out)| row(i, out));
            } else {
                chunks_mut(out, inner).each_at_least(SERIAL / 4 / inner, row);
            }
        })
    }
}

#[track_caller]
fn vector_of_indices(op: &'static str, index: &Tensor<i64>, n: usize) -> Result<Tensor<i64>, ShapeError> {
    if index.rank() != 1 {
        return Err(ShapeError::new(op, format!("indices of shape {}; a vector is wanted", index.shape)));
    }
    checked(op, "index", index, n)
}

/// Where in a row-major tensor the elements lie that `torch.gather` picks.
struct Places {
    index: Tensor<i64>,
    axis: usize,
    /// Steps between neighbours along each axis of the tensor that is picked from.
    strides: Strides,
}

impl Places {
    #[track_caller]
    fn new(op: &'static str, shape: &Shape, axis: usize, index: &Tensor<i64>) -> Result<Self, ShapeError> {
        let fits = index.rank() == shape.rank() && (0..shape.rank()).all(|a| a == axis || index.shape[a] <= shape[a]);
        if !fits {
            let detail = format!(
                "indices of shape {} into {shape} along axis {axis}: as many axes are wanted, and none but {axis} larger",
                index.shape
            );
            return Err(ShapeError::new(op, detail));
        }
        let index = checked(op, "index", index, shape[axis])?;
        Ok(Self { index, axis, strides: shape.strides() })
    }

    fn rows(&self) -> index::Places<'_> {
        let index = self.index.as_slice().expect("contiguous");
        index::Places { index, index_shape: &self.index.shape, axis: self.axis, strides: &self.strides }
    }
}

/// Where the indices of one axis of a tensor lie in a larger one: at `start`, `start + step`, … of an axis of `size`.
struct Rows {
    axis: usize,
    size: usize,
    count: usize,
    inner: usize,
    start: isize,
    step: isize,
}

impl Rows {
    fn new<T: Element>(
        op: &'static str,
        x: &Tensor<T>,
        axis: usize,
        size: usize,
        start: usize,
        step: isize,
    ) -> Result<Self, ShapeError> {
        let count = x.shape[axis];
        let last = start as i128 + (count as i128 - 1) * step as i128;
        if count > 0 && (step == 0 || start >= size || !(0..size as i128).contains(&last)) {
            return Err(ShapeError::new(op, format!("{count} indices from {start} by {step} do not fit an axis of {size}")));
        }
        Ok(Self { axis, size, count, inner: x.shape[axis + 1..].iter().product(), start: start as isize, step })
    }

    /// The shape of the larger tensor.
    fn whole<T: Element>(&self, x: &Tensor<T>) -> Shape {
        let mut shape = x.shape.clone();
        shape[self.axis] = self.size;
        shape
    }

    /// Hands each row of `x` to `f`, with its place in `y`.
    fn each<T>(&self, y: &mut [T], x: &[T], f: impl Fn(&mut [T], &[T])) {
        if x.is_empty() {
            return;
        }
        for (y, x) in y.chunks_exact_mut(self.size * self.inner).zip(x.chunks_exact(self.count * self.inner)) {
            for (i, row) in x.chunks_exact(self.inner).enumerate() {
                let at = (self.start + i as isize * self.step) as usize * self.inner;
                f(&mut y[at..at + self.inner], row);
            }
        }
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    /// `value` where `mask` is true, which broadcasts to this shape; a number that an integer tensor takes is one that its type holds.
    ///
    /// # Panics
    /// When the mask does not broadcast to this shape, or an integer type does not hold the number.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([1.0f32, 2.0]);
    /// assert_eq!(x.masked_fill(&x.gt(1.0), f64::NEG_INFINITY).to_vec(), [1.0, f32::NEG_INFINITY]);
    /// ```
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor<bool>, value: impl Number) -> Self {
        let value = Tensor::scalar(value.element("masked_fill").or_panic());
        value.where_(&mask.expand(&self.shape), self)
    }

    /// This plus `src` at the places that [`gather`](Self::gather) with the same `index` reads: `torch.scatter_add`.
    /// Repeated indices add up.
    ///
    /// # Panics
    /// As `gather`; and when `src` has another shape than `index`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::<f32>::zeros([3]);
    /// let y = x.scatter_add(0, &Tensor::from([2i64, 0, 2]), &Tensor::from([1.0, 2.0, 3.0]));
    /// assert_eq!(y.to_vec(), [2.0, 0.0, 4.0]);
    /// ```
    #[track_caller]
    pub fn scatter_add(&self, axis: impl Axis, index: &Tensor<i64>, src: &Tensor<T>) -> Self {
        self.clone().scatter_add_into(axis, index, src)
    }

    /// As [`scatter_add`](Self::scatter_add), reusing the buffer when nobody else holds it.
    ///
    /// # Panics
    /// As [`scatter_add`](Self::scatter_add).
    #[track_caller]
    pub fn scatter_add_into(mut self, axis: impl Axis, index: &Tensor<i64>, src: &Tensor<T>) -> Self {
        let axis = axis.resolve("scatter_add", self.rank()).or_panic();
        let places = Places::new("scatter_add", &self.shape, axis, index).or_panic();
        if src.shape != index.shape {
            let detail = format!("values of shape {} for indices of shape {}", src.shape, index.shape);
            Err(ShapeError::new("scatter_add", detail)).or_panic()
        }
        let src = src.contiguous();
        index::scatter_add(&places.rows(), src.as_slice().expect("contiguous"), self.as_mut_slice());
        self
    }

    /// This plus the sub-tensors of `src` at the indices of one axis: `torch.index_add`. Repeated indices add up.
    ///
    /// # Panics
    /// When `index` is no vector, an index is out of range, or `src` does not fit.
    #[doc(alias = "segment_sum")]
    #[track_caller]
    pub fn index_add(&self, axis: impl Axis, index: &Tensor<i64>, src: &Tensor<T>) -> Self {
        self.clone().index_add_into(axis, index, src)
    }

    /// As [`index_add`](Self::index_add), reusing the buffer when nobody else holds it.
    ///
    /// # Panics
    /// As [`index_add`](Self::index_add).
    #[track_caller]
    pub fn index_add_into(mut self, axis: impl Axis, index: &Tensor<i64>, src: &Tensor<T>) -> Self {
        let axis = axis.resolve("index_add", self.rank()).or_panic();
        let index = vector_of_indices("index_add", index, self.shape[axis]).or_panic();
        let index = index.as_slice().expect("contiguous");
        let mut wanted = self.shape.clone();
        wanted[axis] = index.len();
        if src.shape != wanted {
            Err(ShapeError::new("index_add", format!("values of shape {}; wanted {wanted}", src.shape))).or_panic()
        }
        let (n, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let src = src.contiguous();
        if src.numel() > 0 {
            index::index_add(index, n, inner, src.as_slice().expect("contiguous"), self.as_mut_slice());
        }
        self
    }

    /// This plus `src` at `start`, `start + step`, … of one axis: what [`slice_step`](Self::slice_step) reads. With a
    /// negative step, `start` is the highest index. It reuses the buffer when nobody else holds it, and then reads and writes
    /// no more than the slice.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let y = Tensor::<f32>::ones([5]).slice_add_into(0, 3, -2, &Tensor::from([10.0, 20.0]));
    /// assert_eq!(y.to_vec(), [1.0, 21.0, 1.0, 11.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// When `src` does not fit.
    #[track_caller]
    pub fn slice_add_into(mut self, axis: impl Axis, start: usize, step: isize, src: &Tensor<T>) -> Self {
        let axis = axis.resolve("slice_add", self.rank()).or_panic();
        let fits = src.rank() == self.rank() && (0..self.rank()).all(|a| a == axis || src.shape[a] == self.shape[a]);
        if !fits {
            let detail = format!("values of shape {} along axis {axis} of shape {}", src.shape, self.shape);
            Err(ShapeError::new("slice_add", detail)).or_panic()
        }
        let rows = Rows::new("slice_add", src, axis, self.shape[axis], start, step).or_panic();
        let src = src.contiguous();
        rows.each(self.as_mut_slice(), src.as_slice().expect("contiguous"), |y, x| {
            y.iter_mut().zip(x).for_each(|(y, &x)| *y = y.add_wrapping(x));
        });
        self
    }

    /// Zeros of size `size` along one axis, with this at `start`, `start + step`, …: the adjoint of
    /// [`slice_step`](Self::slice_step). With a negative step, `start` is the highest index.
    ///
    /// # Panics
    /// When this does not fit.
    #[track_caller]
    pub fn pad_step(&self, axis: impl Axis, size: usize, start: usize, step: isize) -> Self {
        let axis = axis.resolve("pad_step", self.rank()).or_panic();
        let rows = Rows::new("pad_step", self, axis, size, start, step).or_panic();
        let x = self.contiguous();
        Self::build_for("pad_step", rows.whole(self), |out| {
            out.fill(T::zero());
            rows.each(out, x.as_slice().expect("contiguous"), <[T]>::copy_from_slice);
        })
    }

    /// Matrices of `rows` x `cols` that are zero but for a diagonal, which is this tensor's last axis: the
    /// adjoint of [`diagonal`](Self::diagonal).
    ///
    /// # Panics
    /// When the last axis has not the diagonal's length.
    #[doc(alias = "diag_embed")]
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
        Self::build_for("diagonal_embed", shape, |out| {
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
    #[doc(alias = "to_categorical")]
    #[track_caller]
    pub fn one_hot<T: Num>(&self, classes: usize) -> Tensor<T> {
        Tensor::one_hot_of(self, classes)
    }

    /// How often each of `0..classes` occurs.
    ///
    /// # Panics
    /// When a label is outside `0..classes`.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([2i64, 0, 2]).bincount(4).to_vec(), [1, 0, 2, 0]);
    /// ```
    #[track_caller]
    pub fn bincount(&self, classes: usize) -> Tensor<i64> {
        let labels = checked("bincount", "label", self, classes).or_panic();
        Tensor::build_for("bincount", [classes], |counts| {
            counts.fill(0);
            for &label in labels.as_slice().expect("contiguous") {
                counts[label as usize] += 1;
            }
        })
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    #[track_caller]
    fn one_hot_of(labels: &Tensor<i64>, classes: usize) -> Tensor<T> {
        let mut shape = labels.shape.clone();
        let labels = checked("one_hot", "label", labels, classes).or_panic();
        shape.push(classes);
        Tensor::build_for("one_hot", shape, |out| {
            out.fill(T::zero());
            for (i, &label) in labels.as_slice().expect("contiguous").iter().enumerate() {
                out[i * classes + label as usize] = T::one();
            }
        })
    }
}
