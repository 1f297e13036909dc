//! Matrix products: C <- A B + beta C, by the `matrixmultiply` crate, split over threads here.

use crate::element::Float;
use rayon::prelude::*;

/// `C <- alpha A B + beta C` on raw pointers with row and column strides, as `matrixmultiply` takes it.
pub type RawGemm<T> = unsafe fn(usize, usize, usize, T, *const T, isize, isize, *const T, isize, isize, T, *mut T, isize, isize);

/// A strided matrix inside a slice: element `(i, j)` is `data[offset + i * row + j * col]`.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    pub data: &'a [T],
    pub offset: usize,
    pub row: isize,
    pub col: isize,
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

    fn moved(self, rows: usize, cols: usize) -> Self {
        Self { offset: (self.offset as isize + rows as isize * self.row + cols as isize * self.col) as usize, ..self }
    }

    /// Whether every element of a `rows` x `cols` matrix lies inside the slice.
    fn fits(&self, rows: usize, cols: usize) -> bool {
        if rows == 0 || cols == 0 {
            return true;
        }
        let (r, c) = ((rows - 1) as isize * self.row, (cols - 1) as isize * self.col);
        let low = self.offset as isize + r.min(0) + c.min(0);
        let high = self.offset as isize + r.max(0) + c.max(0);
        low >= 0 && (high as usize) < self.data.len()
    }
}

/// `C <- A B + beta C` with A `[m, k]`, B `[k, n]`, and C `[m, n]` row-major with `ldc` elements a row.
pub struct Gemm<'a, T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub a: Mat<'a, T>,
    pub b: Mat<'a, T>,
    pub beta: T,
    pub c: &'a mut [T],
    pub ldc: usize,
}

impl<T: Float> Gemm<'_, T> {
    fn check(&self) {
        let Self { m, k, n, ldc, .. } = *self;
        assert!(self.a.fits(m, k) && self.b.fits(k, n) && n <= ldc && (m - 1) * ldc + n <= self.c.len());
    }

    /// The product, on this thread.
    pub fn run(self) {
        if self.m == 0 || self.n == 0 {
            return;
        }
        self.check();
        // SAFETY: `check` has shown that A, B and C lie inside their slices; C is a mutable slice of its own.
        unsafe { strip(self.m, self.k, self.n, self.a, self.b, self.beta, self.c.as_mut_ptr(), self.ldc) }
    }

    /// The product, C cut into strips of rows or of columns that threads compute. The strips depend on the
    /// shape alone, and each element is summed in the same order however many threads there are.
    pub fn run_parallel(self) {
        let Self { m, k, n, a, b, beta, ldc, .. } = self;
        if m * n * k < SERIAL || m == 0 || n == 0 {
            return self.run();
        }
        self.check();
        let c = Shared(self.c.as_mut_ptr());
        let by_rows = m >= n;
        let width = if by_rows { m.div_ceil(TASKS).next_multiple_of(16) } else { n.div_ceil(TASKS).next_multiple_of(32) };
        (0..if by_rows { m } else { n }.div_ceil(width)).into_par_iter().for_each(|i| {
            let first = i * width;
            let c = &c;
            // SAFETY: `check` has shown that all of C lies inside its slice, which this call borrows; each task
            // writes a strip of rows, or of columns, that is no other task's.
            unsafe {
                if by_rows {
                    strip(width.min(m - first), k, n, a.moved(first, 0), b, beta, c.0.add(first * ldc), ldc);
                } else {
                    strip(m, k, width.min(n - first), a, b.moved(0, first), beta, c.0.add(first), ldc);
                }
            }
        });
    }
}

/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 17;
/// Strips that a large product is cut into.
const TASKS: usize = 8;

/// A pointer to C that tasks share, each writing its own strip.
struct Shared<T>(*mut T);
// SAFETY: `run_parallel` gives each task a window of C that no other task touches.
unsafe impl<T> Sync for Shared<T> {}

/// # Safety
/// A, B and C must lie inside what their pointers may reach, and nothing else may touch C meanwhile.
#[allow(clippy::too_many_arguments)] // a matrix product has that many
unsafe fn strip<T: Float>(m: usize, k: usize, n: usize, a: Mat<'_, T>, b: Mat<'_, T>, beta: T, c: *mut T, ldc: usize) {
    if k == 0 {
        // No product to add; and A and B may be empty slices, into which no pointer can be formed.
        for i in 0..m {
            for j in 0..n {
                // SAFETY: inside C, as the caller promises.
                unsafe {
                    let at = c.add(i * ldc + j);
                    *at = if beta == T::zero() { beta } else { beta * *at };
                }
            }
        }
        return;
    }
    // SAFETY: the caller promises that all three lie inside their slices.
    unsafe {
        let (pa, pb) = (a.data.as_ptr().add(a.offset), b.data.as_ptr().add(b.offset));
        T::GEMM(m, k, n, T::one(), pa, a.row, a.col, pb, b.row, b.col, beta, c, ldc as isize, 1);
    }
}
