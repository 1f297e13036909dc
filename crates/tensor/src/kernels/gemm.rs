//! Matrix products: C <- alpha A B + beta C, by the `matrixmultiply` crate, split over threads here.

use crate::element::Float;
use rayon::prelude::*;

/// A strided matrix inside a slice: `data[offset + i * row + j * col]`.
#[derive(Clone, Copy)]
pub struct Mat<'a, T> {
    pub data: &'a [T],
    pub offset: usize,
    pub row: isize,
    pub col: isize,
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

impl<T> Mat<'_, T> {
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

macro_rules! gemm_of {
    ($name:ident, $t:ty, $f:path) => {
        pub(crate) fn $name(g: Gemm<'_, $t>) {
            if g.m == 0 || g.n == 0 {
                return;
            }
            assert!(g.a.fits(g.m, g.k) && g.b.fits(g.k, g.n) && g.n <= g.ldc && (g.m - 1) * g.ldc + g.n <= g.c.len());
            // SAFETY: `fits` has shown that A and B lie inside their slices, the line above that C does.
            // C is a mutable slice, so it overlaps neither.
            unsafe {
                let a = g.a.data.as_ptr().add(g.a.offset);
                let b = g.b.data.as_ptr().add(g.b.offset);
                let (rsc, csc) = (g.ldc as isize, 1);
                $f(g.m, g.k, g.n, 1.0, a, g.a.row, g.a.col, b, g.b.row, g.b.col, g.beta, g.c.as_mut_ptr(), rsc, csc)
            }
        }
    };
}
gemm_of!(sgemm, f32, matrixmultiply::sgemm);
gemm_of!(dgemm, f64, matrixmultiply::dgemm);

/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 18;
/// Rows of C that one task computes; a multiple of every micro-kernel's height.
const ROWS: usize = 96;

/// The same product, its rows of C spread over threads. Each element is summed in the same order
/// however many there are.
pub(crate) fn parallel<T: Float>(g: Gemm<'_, T>) {
    if g.m * g.n * g.k < SERIAL || g.m == 0 || g.n == 0 {
        return T::gemm(g);
    }
    // A tall task packs little of A and all of B, so few tasks are best: rows in at most eight blocks.
    let rows = g.m.div_ceil(8).next_multiple_of(16).min(ROWS.max(g.m.div_ceil(8))).max(16);
    let (a, b, k, n, ldc, beta) = (g.a, g.b, g.k, g.n, g.ldc, g.beta);
    let m = g.m;
    g.c[..(m - 1) * ldc + n].par_chunks_mut(rows * ldc).enumerate().for_each(|(i, c)| {
        let first = i * rows;
        let a = Mat { offset: (a.offset as isize + first as isize * a.row) as usize, ..a };
        T::gemm(Gemm { m: rows.min(m - first), k, n, a, b, beta, c, ldc });
    });
}
