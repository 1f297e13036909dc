//! One task's part of a block of C: loops 3, 2 and 1 around the micro-kernel.

use super::blocking::{Grid, MC_TILES, in_place};
use super::micro_kernel::{PanelA, PanelB, TileC, Tiles, micro_kernel};
use super::operands::Mat;
use super::pack::{PackA, PackB};
use crate::buffer::Buffer;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel};
use std::ops::Range;

/// Up to so many bytes from one row of B to the next, a task reads it where it lies.
const NEAR_BYTES: usize = 1 << 10;

/// B of a block: packed, or where it lies.
pub enum SideB<'a, T> {
    Packed(&'a [T]),
    Given(Mat<'a, T>),
}

/// A block of `k` and of columns of C.
pub struct Block<'a, T> {
    pub m: usize,
    pub k: usize,
    pub n: usize,
    pub kc: usize,
    pub tiles: Tiles,
    pub a: Mat<'a, T>,
    /// All of A, packed, if tasks share it.
    pub packed_a: Option<&'a [T]>,
    pub b: SideB<'a, T>,
    pub beta: T,
    /// The bias, if this is the first of `k`; whether nothing may be below 0, if it is the last.
    pub end: Epilogue<'a, T>,
    pub ldc: usize,
}

/// One task's part of a block.
pub struct Task<'a, T> {
    pub block: &'a Block<'a, T>,
    pub grid: &'a Grid,
    pub index: usize,
    /// All of C, and the block's first column.
    pub c: Shared<T>,
    pub jc: usize,
}

impl<T: Lanes> VectorKernel<T> for Task<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { block, grid, index, .. } = self;
        let (top, left) = (index % grid.rows * grid.height, index / grid.rows * grid.width);
        let tiles = top..block.tiles.count.min(top + grid.height);
        let columns = left..block.n.min(left + grid.width);
        // SAFETY: as for this function.
        unsafe {
            match block.b {
                SideB::Packed(b) => self.row_blocks::<V>(b, tiles, columns),
                SideB::Given(b) => self.column_panels::<V>(b, tiles, columns),
            }
        }
    }
}

impl<T: Lanes> Task<'_, T> {
    /// BLIS' order: blocks of `mc` rows, whose micro-panels of A meet all micro-panels of B~.
    ///
    /// # Safety
    /// As for [`VectorKernel::run`].
    #[inline(always)]
    unsafe fn row_blocks<V: Vector<T>>(&self, b: &[T], range: Range<usize>, columns: Range<usize>) {
        let &Block { m, k, n, kc, tiles, a, packed_a, .. } = self.block;
        let (nr, line) = (V::NR, n.next_multiple_of(V::NR));
        let rows = tiles.at(range.end).0 - tiles.at(range.start).0;
        let mut own =
            (packed_a.is_none() && !in_place(&a, rows, kc)).then(|| Buffer::<T>::stale(rows.min(MC_TILES * V::MR) * kc));
        // Loop 3, and within it the blocks of `kc` that loop 4 packed at once.
        let blocks = range.clone().step_by(MC_TILES);
        for (ic, pc) in blocks.flat_map(|i| (0..k).step_by(kc).map(move |p| (i, p))) {
            let (range, kc) = (ic..range.end.min(ic + MC_TILES), kc.min(k - pc));
            let (first, a) = (tiles.at(ic).0, a.from(0, pc));
            let packed = match (packed_a, &mut own) {
                (Some(all), _) => {
                    let all = &all[pc * m + first * kc..];
                    debug_assert!(all.len() >= (tiles.at(range.end).0 - first) * kc, "A of {m} rows is packed whole");
                    Some(all.as_ptr())
                }
                (None, Some(own)) => {
                    // SAFETY: as for this function.
                    unsafe { PackA { a, tiles, range: range.clone(), kc, out: own.as_mut_slice() }.run::<V>() };
                    Some(own.as_slice().as_ptr())
                }
                (None, None) => None,
            };
            // Loop 2.
            for jr in columns.clone().step_by(nr) {
                let b = &b[pc * line + jr * kc..];
                debug_assert!(b.len() >= kc * nr, "a micro-panel of {kc} rows of {nr}");
                let at = b.as_ptr();
                let (k, at) = ((pc, kc), PanelB { at, row: nr as isize });
                // SAFETY: as for this function; micro-panels are `kc` rows of `nr`, behind those of the blocks before.
                unsafe { self.column::<V>(Column { range: range.clone(), k, packed, b: at, jr, end: columns.end }) }
            }
        }
    }

    /// Loop 2 outermost: each micro-panel of B is packed here, or read where it lies. A is packed once for all, or read where it
    /// lies.
    ///
    /// # Safety
    /// As for [`VectorKernel::run`].
    #[inline(always)]
    unsafe fn column_panels<V: Vector<T>>(&self, b: Mat<'_, T>, range: Range<usize>, columns: Range<usize>) {
        let &Block { m, k, kc, tiles, packed_a, .. } = self.block;
        let nr = V::NR;
        let mut packed_b = Buffer::<T>::stale(kc * nr);
        for (jr, pc) in columns.clone().step_by(nr).flat_map(|j| (0..k).step_by(kc).map(move |p| (j, p))) {
            let kc = kc.min(k - pc);
            let packed = packed_a.map(|all| {
                let (first, end) = (tiles.at(range.start).0, tiles.at(range.end).0);
                let all = &all[pc * m + first * kc..];
                debug_assert!(all.len() >= (end - first) * kc, "A of {m} rows is packed whole");
                all.as_ptr()
            });
            let (b, n) = (b.from(pc, jr), nr.min(columns.end - jr));
            // SAFETY: as for this function; the micro-panel has `kc` rows of `nr`, in B too where it is read there.
            unsafe {
                let near = b.col == 1 && b.row.unsigned_abs() * size_of::<T>() <= NEAR_BYTES;
                debug_assert!(b.fits(kc, n) && packed_b.as_slice().len() >= kc * nr);
                let b = if near && n == nr {
                    PanelB { at: b.pointer_to(0, 0), row: b.row }
                } else {
                    PackB { b, kc, n, out: packed_b.as_mut_slice() }.run::<V>();
                    PanelB { at: packed_b.as_slice().as_ptr(), row: nr as isize }
                };
                self.column::<V>(Column { range: range.clone(), k: (pc, kc), packed, b, jr, end: columns.end });
            }
        }
    }

    /// Loop 1: the micro-tiles that share a micro-panel of B.
    ///
    /// # Safety
    /// As for [`VectorKernel::run`]; A must have all its rows and columns, packed or not, and C too, as `Gemm::check` asserts.
    #[inline(always)]
    unsafe fn column<V: Vector<T>>(&self, column: Column<T>) {
        let &Block { k, tiles, a, beta, end, ldc, .. } = self.block;
        let Column { range, k: (pc, kc), packed, b, jr, end: right_end } = column;
        let (nr, first, a) = (V::NR, tiles.at(range.start).0, a.from(0, pc));
        let beta = if pc == 0 { beta } else { T::one() };
        let written = nr.min(right_end - jr);
        debug_assert!(packed.is_some() || a.fits(tiles.at(range.end).0, kc), "rows {range:?} and {kc} columns of A");
        debug_assert!(pc + kc <= k && end.bias.is_none_or(|bias| jr + written <= bias.len()));
        // SAFETY: the caller's promise.
        unsafe {
            for (ir, mr) in range.map(|i| tiles.at(i)) {
                let at = match packed {
                    Some(p) => PanelA { at: p.add((ir - first) * kc), row: 1, col: mr as isize },
                    None => PanelA { at: a.pointer_to(ir, 0), row: a.row, col: a.col },
                };
                debug_assert!(mr <= V::MR && mr > 0);
                let to = self.c.at(self.jc + ir * ldc + jr, (mr - 1) * ldc + written);
                let plus = match end.bias {
                    Some(bias) if pc == 0 => (bias.as_ptr().add(jr), 0, T::one()),
                    _ => (to.cast_const(), ldc, beta),
                };
                let to = TileC::side_by_side(to, ldc, V::LANES, written, plus);
                let to = TileC { relu: end.relu && pc + kc == k, ..to };
                micro_kernel::<T, V>(mr, kc, at, b, to);
            }
        }
    }
}

/// Micro-tiles of rows and a micro-panel of B that meet.
struct Column<T> {
    range: Range<usize>,
    /// The first of `k`, and how many: `(pc, kc)`.
    k: (usize, usize),
    /// The micro-panels of A from the first one on, if they are packed.
    packed: Option<*const T>,
    b: PanelB<T>,
    /// The micro-panel's first column, and where the columns end.
    jr: usize,
    end: usize,
}
