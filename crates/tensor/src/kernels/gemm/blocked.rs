//! A product in blocks: a block of B is packed once, by all threads, and stays in the caches that cores share; blocks of A's
//! rows are packed by the task that multiplies them, and stay in its core's second level; a panel of B stays in the first.

use super::micro::{Left, Right, Target, micro, tiles};
use super::pack::{PackLeft, PackRight};
use super::{Gemm, Mat};
use crate::buffer::Buffer;
use crate::element::Float;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use rayon::prelude::*;

/// Bytes of a panel of B, two vectors wide, that is read for every tile: no more than the first-level cache has. Longer sums
/// at a time were slower, shorter ones too, which read and write C more often.
const TERM_BYTES: usize = 48 << 10;
/// Rows of A that a task packs at a time.
const BLOCK_ROWS: usize = 168;
/// Columns of B that are packed at a time.
const BLOCK_COLS: usize = 4096;
/// Below this many multiply-adds a task does not pay.
const TASK: usize = 1 << 19;
/// Up to so many bytes from first to last, rows of A that are next to each other are read where they lie.
const IN_PLACE_BYTES: usize = 1 << 20;
/// Up to so many rows, A is read where it lies.
const FEW_ROWS: usize = 16;

/// A pointer that tasks share. What each of them writes is its own.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);
// SAFETY: tasks write parts of C that have no element in common, and `blocked` waits for all of them.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}
impl<T> Shared<T> {
    fn get(self) -> *mut T {
        self.0
    }
}

/// How many of the terms are summed at a time: as even as can be.
fn term_block<T: Float>(k: usize, width: usize) -> usize {
    let most = TERM_BYTES / (width * size_of::<T>());
    k.div_ceil(k.div_ceil(most))
}

/// The product, which is not empty, on this thread or all.
pub fn blocked<T: Float>(g: Gemm<'_, T>, threads: bool) {
    let Gemm { m, k, n, a, b, beta, c, ldc } = g;
    assert!(a.fits(m, k) && b.fits(k, n) && n <= ldc && (m - 1) * ldc + n <= c.len());
    let (lanes, rows) = widths::<T>();
    let width = 2 * lanes;
    let (terms, cols) = (term_block::<T>(k, width), BLOCK_COLS.min(n.next_multiple_of(width)));
    let mut packed = Buffer::stale(terms * cols.min(n.next_multiple_of(width)));
    let to = Shared(c.as_mut_ptr());
    for left in (0..n).step_by(cols) {
        let n = cols.min(n - left);
        for first in (0..k).step_by(terms) {
            let k = terms.min(k - first);
            let packed = &mut packed.as_mut_slice()[..k * n.next_multiple_of(width)];
            pack(b.from(first, left), k, n, width, packed, threads);
            let block = Block { m, k, n, a: a.from(0, first), b: packed, beta: if first == 0 { beta } else { T::one() }, ldc };
            let cut = Cut::of(&block, rows, width, threads);
            let task = |i: usize| {
                let to = to;
                // SAFETY: the parts of C that the cut names have no element in common, and lie in the slice, as asserted.
                with_vectors(Part { block: &block, cut: &cut, index: i, c: unsafe { to.get().add(left) } });
            };
            if threads && cut.tasks() > 1 {
                (0..cut.tasks()).into_par_iter().with_max_len(1).for_each(task);
            } else {
                (0..cut.tasks()).for_each(task);
            }
        }
    }
}

fn pack<T: Float>(b: Mat<'_, T>, k: usize, n: usize, width: usize, out: &mut [T], threads: bool) {
    /// Elements that a task packs, at least.
    const TASK: usize = 1 << 15;
    if !threads || k * n < 2 * TASK {
        return with_vectors(PackRight { b, k, n, out });
    }
    let panels = (TASK / (k * width)).max(1);
    out.par_chunks_mut(panels * width * k).enumerate().for_each(|(i, out)| {
        let first = i * panels * width;
        with_vectors(PackRight { b: b.from(0, first), k, n: (panels * width).min(n - first), out });
    });
}

/// A block of terms and columns, with its B packed.
struct Block<'a, T> {
    m: usize,
    k: usize,
    n: usize,
    a: Mat<'a, T>,
    b: &'a [T],
    beta: T,
    ldc: usize,
}

/// Into how many tasks a block's rows and columns are cut, by its sizes alone.
struct Cut {
    rows: usize,
    cols: usize,
    /// Rows and columns of one.
    height: usize,
    width: usize,
}

impl Cut {
    fn of<T>(block: &Block<'_, T>, rows: usize, width: usize, threads: bool) -> Self {
        let Block { m, k, n, .. } = *block;
        let whole = |size: usize, parts: usize, unit: usize| size.div_ceil(parts).next_multiple_of(unit).min(size.max(1));
        if !threads {
            return Self { rows: 1, cols: 1, height: m, width: n };
        }
        let wanted = (m * n * k / TASK).clamp(1, 16);
        let by_rows = m.div_ceil(BLOCK_ROWS).max(wanted.min(m / (2 * rows)).max(1));
        let height = whole(m, by_rows, rows);
        let by_cols = wanted.div_ceil(m.div_ceil(height)).clamp(1, n.div_ceil(width));
        let width = whole(n, by_cols, width);
        Self { rows: m.div_ceil(height), cols: n.div_ceil(width), height, width }
    }

    fn tasks(&self) -> usize {
        self.rows * self.cols
    }
}

/// One task's part of a block.
struct Part<'a, T> {
    block: &'a Block<'a, T>,
    cut: &'a Cut,
    index: usize,
    c: *mut T,
}

impl<T: Float> VectorKernel<T> for Part<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { block: &Block { m, k, n, a, b, beta, ldc }, cut, index, c } = self;
        let (top, left) = (index % cut.rows * cut.height, index / cut.rows * cut.width);
        let (bottom, right) = (m.min(top + cut.height), n.min(left + cut.width));
        let width = 2 * V::LANES;
        let mut packed = None;
        for first in (top..bottom).step_by(BLOCK_ROWS) {
            let rows = BLOCK_ROWS.min(bottom - first);
            let near = a.row == 1 && k * a.col.unsigned_abs() * size_of::<T>() <= IN_PLACE_BYTES;
            let in_place = near || bottom - top <= FEW_ROWS;
            if !in_place {
                let out = packed.get_or_insert_with(|| Buffer::stale(BLOCK_ROWS.min(bottom - top) * k)).as_mut_slice();
                // SAFETY: as for this function.
                unsafe { PackLeft { a: a.from(first, 0), rows, k, out }.run::<V>() };
            }
            let packed = packed.as_ref().map(|p: &Buffer<T>| p.as_slice().as_ptr());
            for panel in (left..right).step_by(width) {
                let cols = width.min(right - panel);
                // SAFETY: panels are k rows of `width`, and lie in `b`; A has all its rows and columns, packed or not, and C
                // has them all, as `blocked` asserts.
                unsafe {
                    let right = Right { at: b.as_ptr().add(panel * k), row: width as isize };
                    for (i, height) in tiles(rows, V::ROWS) {
                        let at = match packed {
                            Some(p) => Left { at: p.add(i * k), row: 1, col: height as isize },
                            None => Left { at: a.from_pointer(first + i, 0), row: a.row, col: a.col },
                        };
                        let to = Target { at: c.add((first + i) * ldc + panel), row: ldc, cols, beta };
                        micro::<T, V>(height, k, at, right, to);
                    }
                }
            }
        }
    }
}
