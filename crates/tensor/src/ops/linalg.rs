//! Linear systems.

use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::lu::{self, NoPivot};
use crate::kernels::parallel::{Parts, chunks, chunks_mut};
use crate::shape::{Shape, broadcast_shapes};
use crate::tensor::Tensor;
use std::fmt;

/// Batches of less work than this are not worth a second thread.
const SERIAL: usize = 1 << 14;

/// A matrix has no inverse in the numbers that it is given in.
#[derive(Clone, Debug, PartialEq)]
pub struct LinalgError {
    shape: Shape,
    matrix: usize,
    at: NoPivot,
}

impl fmt::Display for LinalgError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.shape[self.shape.len() - 1];
        let NoPivot { column, pivot, terms } = self.at;
        write!(f, "the {n} x {n} matrix")?;
        if self.shape.len() > 2 {
            write!(f, " {} of a batch {}", self.matrix, self.shape)?;
        }
        if !(pivot.is_finite() && terms.is_finite()) {
            return write!(f, " holds numbers that are not finite, or grow beyond all bounds in elimination");
        }
        write!(f, " is singular to working precision: column {column} is a combination of those before it")?;
        if terms > 0.0 {
            write!(f, ", but for {:.1e} of terms of {terms:.1e}", pivot.abs())?;
        }
        Ok(())
    }
}

impl std::error::Error for LinalgError {}

/// The factors `P A = L U` of each matrix of the last two axes, through which systems with `A` and with `Aᵀ` are solved
/// in `n²` steps a right-hand side.
///
/// ```
/// use gradus_tensor::Tensor;
/// let a = Tensor::from([[4.0f64, 3.0], [6.0, 3.0]]);
/// let lu = a.lu()?;
/// assert_eq!(lu.solve(&Tensor::from([10.0, 12.0])).to_vec(), [1.0, 2.0]);
/// assert_eq!(lu.solve_transposed(&Tensor::from([10.0, 6.0])).to_vec(), [1.0, 1.0]);
/// # Ok::<(), gradus_tensor::LinalgError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lu<T: Float> {
    factors: Tensor<T>,
    /// The row that each row of the factors came from, for each matrix.
    from: Vec<Vec<usize>>,
}

/// The shape of the solution `x` of `a x = b`, by the rule of [`matmul`](Tensor::matmul): a vector `b` is a column, whose
/// axis goes again; axes before the last two are a batch and broadcast.
///
/// # Errors
/// When `a` is not square, `b` has other rows, the batches do not broadcast, or the solution is too large for a tensor.
pub fn solve_shape(a: &[usize], b: &[usize]) -> Result<Shape, ShapeError> {
    let n = order("solve", a)?;
    let batch = &a[..a.len() - 2];
    let rows = b.len().saturating_sub(2);
    if b.get(rows) != Some(&n) {
        let hint = if b.len() > 1 && b.last() == Some(&n) { "; unsqueeze(-1) makes a batch of vectors columns" } else { "" };
        let detail = format!("a right-hand side of shape {b:?} for matrices {n} x {n}: wanted [{n}] or [.., {n}, columns]{hint}");
        return Err(ShapeError::new("solve", detail));
    }
    let batch = broadcast_shapes("solve", batch, &b[..rows])?;
    batch.iter().copied().chain(b[rows..].iter().copied()).collect::<Shape>().checked("solve")
}

/// The rows of square matrices.
fn order(op: &'static str, shape: &[usize]) -> Result<usize, ShapeError> {
    match *shape {
        [.., m, n] if m == n => Ok(n),
        _ => Err(ShapeError::new(op, format!("shape {shape:?}: square matrices [.., n, n] are wanted"))),
    }
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The factors `P A = L U` of each matrix of the last two axes, by elimination with partial pivoting.
    ///
    /// # Errors
    /// When a matrix is singular: a pivot is zero, within the rounding of the terms that it is the sum of.
    ///
    /// # Panics
    /// When the matrices are not square.
    #[doc(alias = "lu_factor")]
    #[track_caller]
    pub fn lu(&self) -> Result<Lu<T>, LinalgError> {
        let n = order("lu", &self.shape).or_panic();
        let mut factors = self.copy_for("lu");
        let matrices = factors.as_mut_slice();
        let factor = |matrix: &mut [T]| lu::factor(matrix, n);
        let size = (n * n).max(1);
        let found: Vec<_> = if matrices.len() * n < SERIAL {
            matrices.chunks_exact_mut(size).map(factor).collect()
        } else {
            chunks_mut(matrices, size).map_at_least(1, |_, matrix| factor(matrix))
        };
        let named =
            |(matrix, found): (usize, Result<_, _>)| found.map_err(|at| LinalgError { shape: self.shape.clone(), matrix, at });
        let from = found.into_iter().enumerate().map(named).collect::<Result<_, _>>()?;
        Ok(Lu { factors, from })
    }

    /// The solution `x` of `self x = b`, as `torch.linalg.solve`: of one system, for a vector `b` of `[n]`; of one a
    /// column, for `b` of `[.., n, columns]`. Axes before the matrices' are a batch and broadcast. A vector has one
    /// axis, as in NumPy 2; what PyTorch takes for vectors of `[batch, n]` is `b.unsqueeze(-1)` here. The inverse is
    /// the solution for `Tensor::eye(n)`, and rarely wanted.
    ///
    /// # Errors
    /// When a matrix is singular: a pivot is zero, within the rounding of the terms that it is the sum of.
    ///
    /// # Panics
    /// When the matrices are not square, or `b` does not fit.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let a = Tensor::from([[2.0f32, 1.0], [1.0, 3.0]]);
    /// assert_eq!(a.solve(&Tensor::from([3.0, 4.0]))?.to_vec(), [1.0, 1.0]);
    /// let twice = Tensor::from([[1.0f32, 2.0], [2.0, 4.0]]);
    /// assert!(twice.solve(&Tensor::from([3.0, 4.0])).unwrap_err().to_string().contains("singular"));
    /// # Ok::<(), gradus_tensor::LinalgError>(())
    /// ```
    #[doc(alias("linalg.solve", "linalg.inv", "inverse"))]
    #[track_caller]
    pub fn solve(&self, b: &Tensor<T>) -> Result<Tensor<T>, LinalgError> {
        solve_shape(&self.shape, &b.shape).or_panic();
        Ok(self.lu()?.solve(b))
    }
}

#[compiled_once]
impl<T: Float> Lu<T> {
    /// The solution `x` of `A x = b`; shapes as for [`Tensor::solve`].
    ///
    /// # Panics
    /// When `b` does not fit.
    #[track_caller]
    pub fn solve(&self, b: &Tensor<T>) -> Tensor<T> {
        self.through(b, lu::substitute)
    }

    /// The solution `x` of `Aᵀ x = b`; shapes as for [`Tensor::solve`].
    ///
    /// # Panics
    /// When `b` does not fit.
    #[track_caller]
    pub fn solve_transposed(&self, b: &Tensor<T>) -> Tensor<T> {
        self.through(b, lu::substitute_transposed)
    }

    #[track_caller]
    fn through(&self, b: &Tensor<T>, substitute: impl Fn(&[T], &[usize], &mut [T], usize) + Sync) -> Tensor<T> {
        let a = &self.factors.shape;
        let shape = solve_shape(a, &b.shape).or_panic();
        let (n, batch) = (a[a.len() - 1], &shape[..shape.len() - b.rank().min(2)]);
        let columns = if b.rank() == 1 { 1 } else { b.shape[b.rank() - 1] };
        // A vector of `b` is the same for the whole batch; its axis is the last.
        let mut x = b.expand_for("solve", shape.clone()).copy_for("solve");
        let batch_of_a = Shape::from(&a[..a.len() - 2]);
        let which = Tensor::arange(0, batch_of_a.numel() as i64, 1).reshape(&batch_of_a).expand(batch).to_vec();
        let factors = self.factors.as_slice().expect("a copy is contiguous");
        let solve = |(b, &i): (&mut [T], &i64)| {
            let i = i as usize;
            substitute(&factors[i * n * n..][..n * n], &self.from[i], b, columns);
        };
        if n > 0 && columns > 0 {
            let systems = x.as_mut_slice();
            if systems.len() * n < SERIAL {
                systems.chunks_exact_mut(n * columns).zip(&which).for_each(solve);
            } else {
                (chunks_mut(systems, n * columns), chunks(&which, 1)).each(|_, (b, i)| solve((b, &i[0])));
            }
        }
        x
    }
}
