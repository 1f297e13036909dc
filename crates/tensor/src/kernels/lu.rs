//! `P A = L U` of a square matrix by elimination with partial pivoting, in blocks of columns, so that most of the work
//! is matrix products (Golub and Van Loan 2013, section 3.2.11); and substitution through the factors.

use super::epilogue::Epilogue;
use super::gemm::{Gemm, Mat};
use crate::kernels::simd::Lanes;

/// Columns that are eliminated together.
const BLOCK: usize = 32;

/// A pivot that holds no digit: its own value, and the size of the terms that it is the sum of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoPivot {
    pub column: usize,
    pub pivot: f64,
    pub terms: f64,
}

/// Overwrites the row-major `n` x `n` matrix `a` with its factors: `U` on the diagonal and above, `L`, whose diagonal is
/// 1, below. Gives `P`: the row of the matrix that each row of the factors came from.
pub fn factor<T: Lanes>(a: &mut [T], n: usize) -> Result<Vec<usize>, NoPivot> {
    let mut from: Vec<usize> = (0..n).collect();
    for k0 in (0..n).step_by(BLOCK) {
        let k1 = (k0 + BLOCK).min(n);
        for k in k0..k1 {
            pivot(a, n, k, &mut from)?;
            eliminate(a, n, k, k1);
        }
        if k1 < n {
            finish_rows(a, n, k0, k1);
            subtract_product(a, n, k0, k1);
        }
    }
    Ok(from)
}

/// Moves the row with the largest element of column `k` up to row `k`.
///
/// `U[k, k]` is what is left of a sum with the terms `L[k, p] U[p, k]`. Within their rounding, which grows as the root of
/// their number, it is zero; scaling rows or columns of the matrix does not change that.
fn pivot<T: Lanes>(a: &mut [T], n: usize, k: usize, from: &mut [usize]) -> Result<(), NoPivot> {
    let size = |i: usize| a[i * n + k].abs();
    // The first NaN is taken as the largest.
    let row = (k + 1..n).fold(k, |best, i| if size(best).is_nan() || size(i) <= size(best) { best } else { i });
    if row != k {
        let (above, below) = a.split_at_mut(row * n);
        above[k * n..][..n].swap_with_slice(&mut below[..n]);
        from.swap(k, row);
    }
    let pivot = a[k * n + k];
    let terms: T = (0..k).map(|p| (a[k * n + p] * a[p * n + k]).abs()).sum();
    if pivot.is_finite() && pivot.abs() > T::EPSILON * T::lit(1.0 + k as f64).sqrt() * terms {
        return Ok(());
    }
    Err(NoPivot { column: k, pivot: pivot.to_f64(), terms: terms.to_f64() })
}

/// Takes row `k` out of those below it, as far as column `end`.
fn eliminate<T: Lanes>(a: &mut [T], n: usize, k: usize, end: usize) {
    let (above, below) = a.split_at_mut((k + 1) * n);
    let top = &above[k * n..];
    for row in below.chunks_exact_mut(n) {
        let factor = row[k] / top[k];
        row[k] = factor;
        subtract(&mut row[k + 1..end], factor, &top[k + 1..end]);
    }
}

/// Does to the columns from `k1` on what was done to columns `k0..k1`, in the rows of the block.
fn finish_rows<T: Lanes>(a: &mut [T], n: usize, k0: usize, k1: usize) {
    for i in k0 + 1..k1 {
        let (above, below) = a.split_at_mut(i * n);
        for p in k0..i {
            let factor = below[p];
            subtract(&mut below[k1..n], factor, &above[p * n + k1..(p + 1) * n]);
        }
    }
}

/// The same for all rows below the block.
fn subtract_product<T: Lanes>(a: &mut [T], n: usize, k0: usize, k1: usize) {
    let (k, rest) = (k1 - k0, n - k1);
    let (block, below) = a.split_at_mut(k1 * n);
    let left: Vec<T> = below.chunks_exact(n).flat_map(|row| row[k0..k1].iter().map(|&l| -l)).collect();
    let b = Mat { data: block, offset: k0 * n + k1, row: n as isize, col: 1 };
    let c = &mut below[k1..];
    Gemm { m: rest, k, n: rest, a: Mat::row_major(&left, k), b, beta: T::one(), end: Epilogue::NONE, c, ldc: n }.run_parallel();
}

/// Overwrites `b`, of `n` rows of `k` elements, with the solution of `A x = b`, by the factors of `A`: `L U x = P b`.
pub fn substitute<T: Lanes>(lu: &[T], from: &[usize], b: &mut [T], k: usize) {
    let lu = Mat::row_major(lu, from.len());
    let permuted: Vec<T> = from.iter().flat_map(|&i| b[i * k..][..k].iter().copied()).collect();
    b.copy_from_slice(&permuted);
    lower(lu, true, b, k);
    upper(lu, false, b, k);
}

/// As [`substitute`], for `Aᵀ x = b`: `Uᵀ Lᵀ P x = b`.
pub fn substitute_transposed<T: Lanes>(lu: &[T], from: &[usize], b: &mut [T], k: usize) {
    let transposed = Mat::row_major(lu, from.len()).t();
    lower(transposed, false, b, k);
    upper(transposed, true, b, k);
    let permuted = b.to_vec();
    from.iter().zip(permuted.chunks_exact(k)).for_each(|(&i, row)| b[i * k..][..k].copy_from_slice(row));
}

/// Solves `T x = b` in place for the lower triangle `T` of a matrix, from the top; `unit`: with 1 on the diagonal.
fn lower<T: Lanes>(t: Mat<T>, unit: bool, b: &mut [T], k: usize) {
    let n = b.len() / k;
    for k0 in (0..n).step_by(BLOCK) {
        let k1 = (k0 + BLOCK).min(n);
        for i in k0..k1 {
            let (above, rest) = b.split_at_mut(i * k);
            let x = &mut rest[..k];
            (k0..i).for_each(|j| subtract(x, t.at(i, j), &above[j * k..][..k]));
            if !unit {
                x.iter_mut().for_each(|x| *x /= t.at(i, i));
            }
        }
        if k1 < n {
            let (block, below) = b[k0 * k..].split_at_mut((k1 - k0) * k);
            subtract_multiples(t.from(k1, k0), block, below, k);
        }
    }
}

/// As [`lower`], for the upper triangle, from the bottom.
fn upper<T: Lanes>(t: Mat<T>, unit: bool, b: &mut [T], k: usize) {
    let n = b.len() / k;
    for k0 in (0..n).step_by(BLOCK).rev() {
        let k1 = (k0 + BLOCK).min(n);
        for i in (k0..k1).rev() {
            let (above, below) = b.split_at_mut((i + 1) * k);
            let x = &mut above[i * k..];
            (i + 1..k1).for_each(|j| subtract(x, t.at(i, j), &below[(j - i - 1) * k..][..k]));
            if !unit {
                x.iter_mut().for_each(|x| *x /= t.at(i, i));
            }
        }
        if k0 > 0 {
            let (above, block) = b[..k1 * k].split_at_mut(k0 * k);
            subtract_multiples(t.from(0, k0), block, above, k);
        }
    }
}

/// `y <- y - T x` for rows of `k` elements.
fn subtract_multiples<T: Lanes>(t: Mat<T>, x: &[T], y: &mut [T], k: usize) {
    let negated: Vec<T> = x.iter().map(|&v| -v).collect();
    let (m, inner) = (y.len() / k, x.len() / k);
    Gemm { m, k: inner, n: k, a: t, b: Mat::row_major(&negated, k), beta: T::one(), end: Epilogue::NONE, c: y, ldc: k }
        .run_parallel();
}

/// `y <- y - factor x`
#[inline]
fn subtract<T: Lanes>(y: &mut [T], factor: T, x: &[T]) {
    y.iter_mut().zip(x).for_each(|(y, &x)| *y -= factor * x);
}
