//! Matrix products.

use crate::element::Float;
use crate::error::{OrPanic, ShapeError};
use crate::kernels::gemm::{Gemm, Mat};
use crate::shape::{Shape, broadcast_shapes};
use crate::tensor::Tensor;
use rayon::prelude::*;

/// The shape of a matrix product, by NumPy's rule: a vector on the left is a row, on the right a column,
/// whose axis goes again; axes before the last two are a batch and broadcast.
pub fn matmul_shape(a: &[usize], b: &[usize]) -> Result<Shape, ShapeError> {
    let error = |why: &str| Err(ShapeError::new("matmul", format!("{why}: {a:?} x {b:?}")));
    if a.is_empty() || b.is_empty() {
        return error("both operands need at least one axis");
    }
    let (inner_a, inner_b) = (a[a.len() - 1], b[b.len().saturating_sub(2)]);
    if inner_a != inner_b {
        return error("inner sizes differ");
    }
    let mut shape = broadcast_shapes("matmul", &a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)])?;
    if a.len() > 1 {
        shape.push(a[a.len() - 2]);
    }
    if b.len() > 1 {
        shape.push(b[b.len() - 1]);
    }
    Ok(shape)
}

impl<T: Float> Tensor<T> {
    /// The matrix product, over any strides without a copy: of matrices; of vectors, which count as a row on
    /// the left and a column on the right; of batches, whose leading axes broadcast.
    ///
    /// # Panics
    /// When the inner sizes differ or the batch axes do not broadcast.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let a = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(a.matmul(&a.t()), Tensor::from([[5.0, 11.0], [11.0, 25.0]]));
    /// assert_eq!(a.matmul(&Tensor::from([1.0, 1.0])).to_vec(), [3.0, 7.0]);
    /// ```
    #[track_caller]
    pub fn matmul(&self, other: &Tensor<T>) -> Tensor<T> {
        let shape = matmul_shape(&self.shape, &other.shape).or_panic();
        let a = if self.rank() == 1 { self.unsqueeze(0) } else { self.clone() };
        let b = if other.rank() == 1 { other.unsqueeze(1) } else { other.clone() };
        let (m, k, n) = (a.shape[a.rank() - 2], a.shape[a.rank() - 1], b.shape[b.rank() - 1]);
        if a.rank() == 2 && b.rank() == 2 {
            return Tensor::build(shape, |c| {
                Gemm { m, k, n, a: a.as_mat(0), b: b.as_mat(0), beta: T::zero(), c, ldc: n }.run_parallel();
            });
        }
        if b.rank() == 2 && a.is_contiguous() {
            // One matrix for the whole batch: a single tall product.
            let rows = a.shape[..a.rank() - 1].iter().product();
            return a.reshape([rows, k]).matmul(&b).reshape(&shape);
        }
        batched(&a, &b, shape, (m, k, n))
    }

    /// The last two axes, `offset` elements further on, as a matrix.
    fn as_mat(&self, offset: isize) -> Mat<'_, T> {
        let rank = self.rank();
        let (row, col) = (self.strides[rank - 2], self.strides[rank - 1]);
        Mat { data: self.raw(), offset: (self.offset as isize + offset) as usize, row, col }
    }

    /// The inner product of two vectors.
    ///
    /// # Panics
    /// When they are no vectors of one length.
    #[track_caller]
    pub fn dot(&self, other: &Tensor<T>) -> Tensor<T> {
        if self.rank() != 1 || self.shape != other.shape {
            let detail = format!("{} and {}: two vectors of one length are wanted", self.shape, other.shape);
            Err(ShapeError::new("dot", detail)).or_panic()
        }
        self.matmul(other)
    }

    /// The outer product of two vectors: `y[i, j] = a[i] b[j]`.
    ///
    /// # Panics
    /// When they are no vectors.
    #[track_caller]
    pub fn outer(&self, other: &Tensor<T>) -> Tensor<T> {
        if self.rank() != 1 || other.rank() != 1 {
            Err(ShapeError::new("outer", format!("{} and {}: two vectors are wanted", self.shape, other.shape))).or_panic()
        }
        &self.unsqueeze(1) * &other.unsqueeze(0)
    }
}

/// One product for each index of the broadcast batch axes.
fn batched<T: Float>(a: &Tensor<T>, b: &Tensor<T>, shape: Shape, (m, k, n): (usize, usize, usize)) -> Tensor<T> {
    let batch = broadcast_shapes("matmul", &a.shape[..a.rank() - 2], &b.shape[..b.rank() - 2]).or_panic();
    let with = |x: usize, y: usize| {
        let mut s = batch.clone();
        s.push(x);
        s.push(y);
        s
    };
    let (a, b) = (a.expand(with(m, k)), b.expand(with(k, n)));
    let place = |t: &Tensor<T>, mut i: usize| {
        let mut at = 0;
        for (&size, &stride) in batch.iter().zip(&t.strides).rev() {
            at += (i % size) as isize * stride;
            i /= size;
        }
        at
    };
    Tensor::build(shape, |out| {
        if out.is_empty() {
            return;
        }
        let count = out.len() / (m * n);
        let one = |(i, c): (usize, &mut [T]), parallel: bool| {
            let g = Gemm { m, k, n, a: a.as_mat(place(&a, i)), b: b.as_mat(place(&b, i)), beta: T::zero(), c, ldc: n };
            if parallel { g.run_parallel() } else { g.run() }
        };
        if count < 4 {
            out.chunks_mut(m * n).enumerate().for_each(|part| one(part, true));
        } else if m * n * k * count < 1 << 17 {
            out.chunks_mut(m * n).enumerate().for_each(|part| one(part, false));
        } else {
            out.par_chunks_mut(m * n).enumerate().for_each(|part| one(part, false));
        }
    })
}
