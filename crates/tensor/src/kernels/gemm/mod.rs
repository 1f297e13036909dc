//! Matrix products: `C <- A B + beta C`, in BLIS' terms.
//!
//! This file decides by shape: a product with a vector (`gemv`), a sum cut into parts, the transposed product, or the plain one.
//! `five_loops.rs` is the plain one: loops 5 and 4. `macro_kernel.rs` has loops 3 to 1, `micro_kernel.rs` the loop over `kc`,
//! `blocking.rs` the sizes `mc kc nc`, `pack.rs` the packing. `packed.rs` multiplies by a B that is packed once for many products.
//! `external.rs` is the product on targets that have no kernel here.
//!
//! How a product is split depends on its sizes alone, so that every element of C is summed in the same
//! order on any number of threads.

#[cfg(any(target_arch = "x86_64", test))]
mod blocking;
#[cfg(any(not(target_arch = "x86_64"), test))]
mod external;
#[cfg(any(target_arch = "x86_64", test))]
mod five_loops;
#[cfg(any(target_arch = "x86_64", test))]
mod macro_kernel;
pub(crate) mod micro_kernel;
pub(crate) mod operands;
pub(crate) mod pack;
mod packed;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use external::product;
/// The product, which is not empty, on this thread or all: by the kernel here where it was written for the target's vectors, and by
/// the `matrixmultiply` crate on all other targets.
#[cfg(target_arch = "x86_64")]
pub(crate) use five_loops::product;
pub use operands::{Gemm, Mat};
pub(crate) use pack::PackA;
pub(crate) use packed::Packed;

use super::epilogue::Epilogue;
use super::gemv;
use super::parallel::{Parts, chunks_mut};
use super::strided::{Dims, place};
use crate::buffer::Buffer;
use crate::kernels::simd::Lanes;

/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 18;
/// A product is cut into at most this many tasks, when `k` is cut.
const TASKS: usize = 32;
/// Rows and columns below which a cut costs more in packing than it brings.
const NARROW: usize = 64;
/// Up to so many rows, a product is cheaper row by row than with B packed.
const FEW: usize = 4;
/// `k` by rows, at least, for that to hold where each element is a sum along memory.
const LONG: usize = 256;
/// What one task takes of `k`, at least, when `k` is cut.
const K_PART: usize = 2048;
/// How many times `n` goes into `k`, at least, where the product is transposed.
const TRANSPOSE: usize = 8;

impl<T: Lanes> Gemm<'_, T> {
    /// The product, on this thread.
    pub fn run(mut self) {
        if self.empty() { self.finish() } else { product(self, false) }
    }

    /// The product, spread over threads where that pays: in tiles of C, or, when C is small and the sums are long,
    /// in parts of `k` that are added in order.
    pub fn run_parallel(mut self) {
        if self.empty() || self.vector() || self.cut_k() || self.transposed() {
            return self.finish();
        }
        let threads = self.is_large();
        product(self, threads)
    }

    /// Does what the epilogue says, after a product by a way that does not.
    fn finish(self) {
        if self.n > 0 && !self.end.is_none() {
            self.c.chunks_mut(self.ldc).take(self.m).for_each(|row| self.end.finish_row(&mut row[..self.n]));
        }
    }

    /// Whether a second thread pays.
    fn is_large(&self) -> bool {
        self.work() >= SERIAL
    }

    fn work(&self) -> usize {
        self.m.saturating_mul(self.n).saturating_mul(self.k)
    }

    /// Does all that there is to do when a size is 0; says whether that was the case.
    fn empty(&mut self) -> bool {
        if self.k == 0 && self.m > 0 && self.n > 0 {
            for row in self.c.chunks_mut(self.ldc).take(self.m) {
                let row = &mut row[..self.n];
                if self.beta == T::zero() {
                    row.fill(T::zero());
                } else {
                    row.iter_mut().for_each(|c| *c *= self.beta);
                }
            }
        }
        self.m == 0 || self.n == 0 || self.k == 0
    }

    /// A product with a vector, or a few of them, if this is one that the vector kernel knows.
    fn vector(&mut self) -> bool {
        let Self { m, k, n, a, b, beta, ldc, .. } = *self;
        if n == 1 && ldc == 1 {
            gemv::gemv(m, k, a, b.data, (b.offset, b.row), beta, &mut self.c[..m])
        } else if m == 1 || (m <= FEW && (b.col == 1 || k >= LONG * m)) {
            let row =
                |(i, c): (usize, &mut [T])| gemv::gemv(n, k, b.t(), a.data, (a.from(i, 0).offset, a.col), beta, &mut c[..n]);
            self.c.chunks_mut(ldc).take(m).enumerate().all(row)
        } else {
            false
        }
    }

    /// The product with `k` cut into parts of at least [`K_PART`], if C is small and the sums are long.
    fn cut_k(&mut self) -> bool {
        let Self { m, k, n, a, b, .. } = *self;
        if m.max(n) >= 2 * NARROW || k < 2 * K_PART || !self.is_large() {
            return false;
        }
        let part = k.div_ceil(TASKS).next_multiple_of(256).max(K_PART);
        let mut parts = vec![T::zero(); k.div_ceil(part) * m * n];
        chunks_mut(&mut parts, m * n).each(|i, c| {
            let first = i * part;
            let k = part.min(k - first);
            let (a, b) = (a.from(0, first), b.from(first, 0));
            Gemm { m, k, n, a, b, beta: T::zero(), end: Epilogue::NONE, c, ldc: n }.run();
        });
        self.take(|i, j| parts.chunks_exact(m * n).fold(T::zero(), |s, p| s + p[i * n + j]));
        true
    }

    /// The product as the transpose of `Bᵀ Aᵀ`, for an A whose rows are next to each other and that is much larger than C: it
    /// is then B, and is packed in whole lines.
    fn transposed(&mut self) -> bool {
        let Self { m, k, n, a, b, .. } = *self;
        if a.row != 1 || n >= m || k < TRANSPOSE * n || !self.is_large() {
            return false;
        }
        let mut transposed = Buffer::stale(n * m);
        let c = transposed.as_mut_slice();
        let whole = Gemm { m: n, k, n: m, a: b.t(), b: a.t(), beta: T::zero(), end: Epilogue::NONE, c, ldc: m };
        product(whole, true);
        let transposed = transposed.as_slice();
        self.take(|i, j| transposed[j * m + i]);
        true
    }

    /// `C <- sums + beta C`.
    fn take(&mut self, sum: impl Fn(usize, usize) -> T) {
        let (n, beta) = (self.n, self.beta);
        for (i, row) in self.c.chunks_mut(self.ldc).take(self.m).enumerate() {
            for (j, c) in row[..n].iter_mut().enumerate() {
                *c = if beta == T::zero() { sum(i, j) } else { sum(i, j) + beta * *c };
            }
        }
    }
}

/// A product for each index of the `batch` axes, with the steps of A and B along each (0 where broadcast), into a
/// packed C of `[batch.., m, n]`. Of `g`, A and B are those of the first index, and `ldc` is `n`.
pub fn batched<T: Lanes>(mut batch: Dims<2>, mut g: Gemm<'_, T>) {
    // Axes along which B stays the same, and A's rows go on in step, are more rows of one product.
    while let Some(&(size, [sa, 0])) = batch.last() {
        if g.m == 1 {
            g.a.row = sa;
        } else if sa != g.m as isize * g.a.row {
            break;
        }
        g.m *= size;
        batch.pop();
    }
    let count: usize = batch.iter().map(|b| b.0).product();
    if count == 1 {
        return g.run_parallel();
    }
    if count == 0 || g.m == 0 || g.n == 0 {
        return;
    }
    let Gemm { m, k, n, a, b, beta, end, .. } = g;
    let one = |i: usize, c: &mut [T]| {
        let [da, db] = place(&batch, i);
        let (a, b) = (a.moved(da), b.moved(db));
        Gemm { m, k, n, a, b, beta, end, c, ldc: n }.run_parallel();
    };
    let work = (m * n).saturating_mul(k.max(1));
    if work.saturating_mul(count) < SERIAL {
        g.c.chunks_exact_mut(m * n).enumerate().for_each(|(i, c)| one(i, c));
    } else {
        chunks_mut(g.c, m * n).each_at_least(SERIAL / 4 / work, one);
    }
}
