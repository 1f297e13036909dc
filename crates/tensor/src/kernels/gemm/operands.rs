//! What a product is given: strided matrices.

use crate::kernels::epilogue::Epilogue;
use crate::scalar::Scalar;

/// A strided matrix inside a slice: `data[offset + i * row + j * col]`.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    pub data: &'a [T],
    pub offset: usize,
    pub row: isize,
    pub col: isize,
}

/// `C <- A B + beta C` with A `[m, k]`, B `[k, n]`, and C `[m, n]` row-major with `ldc` elements a row.
/// With `beta` 0, C is not read, and there may be an epilogue.
pub struct Gemm<'a, T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: Mat<'a, T>,
    pub b: Mat<'a, T>,
    pub beta: T,
    pub end: Epilogue<'a, T>,
    pub c: &'a mut [T],
    pub ldc: usize,
}

impl<'a, T> Mat<'a, T> {
    /// A row-major matrix that fills its slice from the start, `cols` elements a row.
    pub fn row_major(data: &'a [T], cols: usize) -> Self {
        Self { data, offset: 0, row: cols as isize, col: 1 }
    }

    /// The transpose.
    pub fn t(self) -> Self {
        Self { row: self.col, col: self.row, ..self }
    }

    /// The matrix `by` elements further on.
    pub(super) fn moved(self, by: isize) -> Self {
        Self { offset: (self.offset as isize + by) as usize, ..self }
    }

    /// The element in row `i` and column `j`, which must exist.
    pub fn at(self, i: usize, j: usize) -> T
    where
        T: Copy,
    {
        self.data[(self.offset as isize + i as isize * self.row + j as isize * self.col) as usize]
    }

    /// The same matrix from row `i` and column `j` on, which must exist.
    pub fn from(self, i: usize, j: usize) -> Self {
        let by = i as isize * self.row + j as isize * self.col;
        self.moved(by)
    }

    /// The index of an element in the slice.
    fn place(&self, i: usize, j: usize) -> usize {
        (self.offset as isize + i as isize * self.row + j as isize * self.col) as usize
    }

    /// A pointer to an element, which must exist for it to be read.
    pub(super) fn pointer_to(&self, i: usize, j: usize) -> *const T {
        self.data.as_ptr().wrapping_add(self.place(i, j))
    }

    /// Whether every element of a `rows` x `cols` matrix lies inside the slice.
    pub(super) fn fits(&self, rows: usize, cols: usize) -> bool {
        if rows == 0 || cols == 0 {
            return true;
        }
        let (r, c) = ((rows - 1) as isize * self.row, (cols - 1) as isize * self.col);
        let low = self.offset as isize + r.min(0) + c.min(0);
        let high = self.offset as isize + r.max(0) + c.max(0);
        low >= 0 && (high as usize) < self.data.len()
    }
}

impl<T: Scalar> Gemm<'_, T> {
    /// Panics unless all elements of the matrices exist, and there is a number of the bias for each column of a C that is not read.
    pub(super) fn check(&self) {
        let Self { m, k, n, a, b, beta, end, c, ldc } = self;
        assert!(a.fits(*m, *k) && b.fits(*k, *n) && n <= ldc && (m - 1) * ldc + n <= c.len());
        assert!(end.bias.is_none_or(|bias| bias.len() == *n && *beta == T::zero()));
    }
}
