//! Matrix products.

use crate::buffer::{has_room, no_memory};
use crate::compiled_once::compiled_once;
use crate::element::Num;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::{self, Gemm, Mat};
use crate::kernels::strided::coalesce;
use crate::shape::{Shape, broadcast_shapes};
use crate::tensor::Tensor;

/// The shape of a matrix product, by NumPy's rule: a vector on the left is a row, on the right a column,
/// whose axis goes again; axes before the last two are a batch and broadcast.
///
/// # Errors
/// When the inner sizes differ, the batches do not broadcast, or the product is too large for a tensor.
pub fn matmul_shape(a: &[usize], b: &[usize]) -> Result<Shape, ShapeError> {
    product_shape("matmul", a, b)
}

fn product_shape(op: &'static str, a: &[usize], b: &[usize]) -> Result<Shape, ShapeError> {
    let error = |why: &str| Err(ShapeError::new(op, format!("{why}: {a:?} x {b:?}")));
    if a.is_empty() || b.is_empty() {
        return error("both operands need at least one axis");
    }
    let (inner_a, inner_b) = (a[a.len() - 1], b[b.len().saturating_sub(2)]);
    if inner_a != inner_b {
        return error("inner sizes differ");
    }
    let mut shape = broadcast_shapes(op, &a[..a.len().saturating_sub(2)], &b[..b.len().saturating_sub(2)])?;
    if a.len() > 1 {
        shape.push(a[a.len() - 2]);
    }
    if b.len() > 1 {
        shape.push(b[b.len() - 1]);
    }
    shape.checked(op)
}

/// The shape of a dense layer's outputs `x wᵀ + b`, for `x` of `[.., in]`, `w` of `[out, in]` and `b` of `[out]`.
///
/// # Errors
/// When the shapes do not fit; the error is one of the operation `op`.
pub fn dense_shape(op: &'static str, x: &[usize], w: &[usize], b: Option<&[usize]>) -> Result<Shape, ShapeError> {
    let fits = !x.is_empty() && w.len() == 2 && x.last() == Some(&w[1]) && b.is_none_or(|b| *b == w[..1]);
    if !fits {
        let bias = b.map_or_else(String::new, |b| format!(", b {b:?}"));
        return Err(ShapeError::new(op, format!("x {x:?}, w {w:?}{bias}; wanted [.., in], [out, in], [out]")));
    }
    x[..x.len() - 1].iter().copied().chain([w[0]]).collect::<Shape>().checked(op)
}

/// An error unless memory could hold each factor, which a broadcast one does not take: a product over more is not done in
/// a lifetime.
fn check_factors<T: Float>(op: &'static str, factors: [&Tensor<T>; 2]) -> Result<(), ShapeError> {
    match factors.into_iter().find(|x| !has_room::<T>(x.numel())) {
        Some(x) => Err(ShapeError::new(op, format!("a factor of shape {}: {}", x.shape, no_memory::<T>(x.numel())))),
        None => Ok(()),
    }
}

#[compiled_once]
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
    #[doc(alias("mm", "bmm", "mv"))]
    #[track_caller]
    pub fn matmul(&self, other: &Tensor<T>) -> Tensor<T> {
        self.product("matmul", other)
    }

    /// [`matmul`](Self::matmul) on behalf of the operation `op`.
    #[track_caller]
    pub(crate) fn product(&self, op: &'static str, other: &Tensor<T>) -> Tensor<T> {
        let shape = product_shape(op, &self.shape, &other.shape).or_panic();
        check_factors(op, [self, other]).or_panic();
        let a = if self.rank() == 1 { self.unsqueeze(0) } else { self.clone() };
        let b = if other.rank() == 1 { other.unsqueeze(1) } else { other.clone() };
        let (m, k, n) = (a.shape[a.rank() - 2], a.shape[a.rank() - 1], b.shape[b.rank() - 1]);
        let batch = broadcast_shapes(op, &a.shape[..a.rank() - 2], &b.shape[..b.rank() - 2]).or_panic();
        let with = |rows, cols| batch.iter().copied().chain([rows, cols]).collect::<Shape>();
        let (a, b) = (a.expand_for(op, with(m, k)), b.expand_for(op, with(k, n)));
        let axes = coalesce(&batch, [&a.strides[..batch.rank()], &b.strides[..batch.rank()]]);
        Tensor::build_for(op, shape, |c| {
            gemm::batched(axes, Gemm { m, k, n, a: a.as_mat(), b: b.as_mat(), beta: T::zero(), end: Epilogue::NONE, c, ldc: n });
        })
    }

    /// `self + a b` for matrices, reusing this one's buffer when nobody else holds it: `torch.addmm`.
    ///
    /// # Panics
    /// When the shapes do not fit.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (a, b) = (Tensor::from([[1.0f32], [2.0]]), Tensor::from([[3.0, 4.0]]));
    /// assert_eq!(Tensor::ones([2, 2]).addmm_into(&a, &b), Tensor::from([[4.0, 5.0], [7.0, 9.0]]));
    /// ```
    #[track_caller]
    pub fn addmm_into(mut self, a: &Tensor<T>, b: &Tensor<T>) -> Tensor<T> {
        let fits = a.rank() == 2 && b.rank() == 2 && a.shape[1] == b.shape[0] && *self.shape == [a.shape[0], b.shape[1]];
        if !fits {
            let detail = format!("{} + {} x {}; wanted [M, N] + [M, K] x [K, N]", self.shape, a.shape, b.shape);
            Err(ShapeError::new("addmm", detail)).or_panic()
        }
        check_factors("addmm", [a, b]).or_panic();
        let (m, k, n) = (a.shape[0], a.shape[1], b.shape[1]);
        let (a, b, c) = (a.as_mat(), b.as_mat(), self.as_mut_slice());
        Gemm { m, k, n, a, b, beta: T::one(), end: Epilogue::NONE, c, ldc: n }.run_parallel();
        self
    }

    /// `x wᵀ + b` for `x` of `[.., in]`, `w` of `[out, in]` and `b` of `[out]`, if there is one: a dense layer, in one pass over its
    /// outputs.
    ///
    /// # Panics
    /// When the shapes do not fit.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (x, w) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([[3.0, 4.0], [-5.0, -6.0]]));
    /// assert_eq!(x.linear(&w, Some(&Tensor::from([0.5, 0.5]))), Tensor::from([[11.5, -16.5]]));
    /// ```
    #[doc(alias = "addmm")]
    #[track_caller]
    pub fn linear(&self, w: &Tensor<T>, b: Option<&Tensor<T>>) -> Tensor<T> {
        self.dense("linear", w, b, false)
    }

    /// `max(x wᵀ + b, 0)`: [`linear`](Self::linear) with its ramp, in the same pass.
    ///
    /// # Panics
    /// When the shapes do not fit.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (x, w) = (Tensor::from([[1.0f32, 2.0]]), Tensor::from([[3.0, 4.0], [-5.0, -6.0]]));
    /// assert_eq!(x.linear_relu(&w, None), Tensor::from([[11.0, 0.0]]));
    /// ```
    #[track_caller]
    pub fn linear_relu(&self, w: &Tensor<T>, b: Option<&Tensor<T>>) -> Tensor<T> {
        self.dense("linear_relu", w, b, true)
    }

    #[track_caller]
    fn dense(&self, op: &'static str, w: &Tensor<T>, b: Option<&Tensor<T>>, relu: bool) -> Tensor<T> {
        let shape = dense_shape(op, &self.shape, &w.shape, b.map(|b| &b.shape[..])).or_panic();
        check_factors(op, [self, w]).or_panic();
        let (n, k) = (w.shape[0], w.shape[1]);
        let rows = shape[..shape.rank() - 1].iter().product::<usize>();
        let (x, b) = (self.reshaped(op, [rows, k].into()), b.map(Self::contiguous));
        Tensor::build_for(op, shape, |c| {
            let end = Epilogue { bias: b.as_ref().and_then(Self::as_slice), relu };
            let (a, b) = (x.as_mat(), w.as_mat().t());
            Gemm { m: rows, k, n, a, b, beta: T::zero(), end, c, ldc: n }.run_parallel();
        })
    }

    /// The matrix of the last two axes at the first index of all others.
    fn as_mat(&self) -> Mat<'_, T> {
        let rank = self.rank();
        Mat { data: self.raw(), offset: self.offset, row: self.strides[rank - 2], col: self.strides[rank - 1] }
    }

    /// The inner product of two vectors.
    ///
    /// # Panics
    /// When they are no vectors of one length.
    #[doc(alias = "vdot")]
    #[track_caller]
    pub fn dot(&self, other: &Tensor<T>) -> Tensor<T> {
        if self.rank() != 1 || self.shape != other.shape {
            let detail = format!("{} and {}: two vectors of one length are wanted", self.shape, other.shape);
            Err(ShapeError::new("dot", detail)).or_panic()
        }
        self.product("dot", other)
    }

    /// The outer product of two vectors: `y[i, j] = a[i] b[j]`.
    ///
    /// # Panics
    /// When they are no vectors.
    #[doc(alias = "ger")]
    #[track_caller]
    pub fn outer(&self, other: &Tensor<T>) -> Tensor<T> {
        if self.rank() != 1 || other.rank() != 1 {
            Err(ShapeError::new("outer", format!("{} and {}: two vectors are wanted", self.shape, other.shape))).or_panic()
        }
        self.unsqueeze(1).zip_map("outer", &other.unsqueeze(0), |a, b| a * b)
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    /// The lower triangle of each matrix of the last two axes, zero above: what lies on `diagonal` or below, counted
    /// to the right of the main one.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[1, 2], [3, 4]]);
    /// assert_eq!(x.tril(0).to_vec(), [1, 0, 3, 4]);
    /// ```
    #[track_caller]
    pub fn tril(&self, diagonal: isize) -> Self {
        self.triangle("tril", |i, j| j - i <= diagonal)
    }

    /// The upper triangle of each matrix of the last two axes, zero below: what lies on `diagonal` or above, counted
    /// to the right of the main one.
    ///
    /// # Panics
    /// When there are fewer than two axes.
    #[track_caller]
    pub fn triu(&self, diagonal: isize) -> Self {
        self.triangle("triu", |i, j| j - i >= diagonal)
    }

    #[track_caller]
    fn triangle(&self, op: &'static str, keep: impl Fn(isize, isize) -> bool) -> Self {
        let rank = self.rank();
        if rank < 2 {
            Err(ShapeError::new(op, format!("a tensor of shape {}; two axes or more are wanted", self.shape))).or_panic()
        }
        let (rows, cols) = (self.shape[rank - 2].max(1), self.shape[rank - 1].max(1));
        let mut out = self.copy_for(op);
        for (row, values) in out.as_mut_slice().chunks_exact_mut(cols).enumerate() {
            let i = (row % rows) as isize;
            values.iter_mut().enumerate().filter(|(j, _)| !keep(i, *j as isize)).for_each(|(_, v)| *v = T::zero());
        }
        out
    }
}
