//! A product in blocks: a block of B is packed once, by all threads, and stays in the caches that cores share; blocks of A's
//! rows stay in the second level of the core that multiplies them. A is read where it lies if its terms are next to each
//! other: packing it would cost more than it saves.

use super::micro::{Left, Right, Target, Tiles, micro};
use super::pack::{PackLeft, PackRight};
use super::{Gemm, Mat};
use crate::buffer::Buffer;
use crate::element::Float;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::parallel::{self, Parts, items};
use crate::kernels::shared::Shared;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use std::ops::Range;

/// Bytes of a panel of B, two vectors wide, that is read for every tile. The second-level cache feeds the tile's loop as fast
/// as the first; shorter sums at a time were slower, since they read and write C more often.
const TERM_BYTES: usize = 128 << 10;
/// Tiles of A's rows that a task packs at a time.
const BLOCK_TILES: usize = 12;
/// Bytes of A that tasks read which have columns of their own, at most: what stays in a core's second-level cache.
const LEFT_BYTES: usize = 1 << 20;
/// A block is cut into about so many tasks at most.
const TASKS: usize = 16;
/// Columns of B that are packed at a time.
const BLOCK_COLS: usize = 4096;
/// Below this many multiply-adds a task does not pay.
const TASK: usize = 1 << 18;
/// Up to so many bytes from first to last, rows of A that are next to each other are read where they lie.
const IN_PLACE_BYTES: usize = 1 << 18;
/// Up to so many bytes from one row of B to the next, a task reads it where it lies.
const NEAR_BYTES: usize = 1 << 10;
/// Lines that are so many bytes apart share the few places of a set of the first-level cache.
const SET_BYTES: usize = 4096;
/// The places of a set, or more. Up to so many rows, A is read where it lies.
const WAYS: usize = 8;

/// How many of the terms are summed at a time: as even as can be.
fn term_block<T: Float>(k: usize, width: usize) -> usize {
    let most = TERM_BYTES / (width * size_of::<T>());
    k.div_ceil(k.div_ceil(most))
}

/// Bytes of B that are packed at a time: what stays in the second-level cache of a core from one task to the next.
const PACKED_BYTES: usize = 2 << 20;

/// The product, which is not empty, on this thread or all.
pub fn blocked<T: Float>(g: Gemm<'_, T>, threads: bool) {
    g.check();
    let Gemm { m, k, n, a, b, beta, end, c, ldc } = g;
    let (lanes, rows) = widths::<T>();
    let width = 2 * lanes;
    let tiles = Tiles::new(m, rows);
    let (terms, cols) = (term_block::<T>(k, width), BLOCK_COLS.min(n.next_multiple_of(width)));
    let cut = |k: usize, n: usize| Cut::of([m, k, n], tiles, width, threads);
    // Whether A is packed once for all tasks, if several of them read the same rows.
    let is_shared = !in_place(&a, m, terms);
    // Where tasks have columns of their own, each packs what it reads of B, a panel at a time, which stays in its first level;
    // all of them read A, as much of it at a time as stays in the second.
    let apart = threads && cut(k, n.min(cols)).rows == 1;
    let bytes = if apart { LEFT_BYTES / m } else { PACKED_BYTES / cols };
    // As many whole blocks of terms as fit.
    let depth = ((bytes / size_of::<T>() / terms).max(1) * terms).min(k);
    let mut packed = Buffer::stale(if apart { 0 } else { depth * cols });
    let (to, terms_in_all) = (Shared::of(c), k);
    for left in (0..n).step_by(cols) {
        let n = cols.min(n - left);
        for first in (0..k).step_by(depth) {
            let k = depth.min(k - first);
            let (a, b) = (a.from(0, first), b.from(first, left));
            let cut = cut(k, n);
            let right = if apart {
                Side::Given(b)
            } else {
                let packed = &mut packed.as_mut_slice()[..k * n.next_multiple_of(width)];
                pack(b, [k, n], [terms, width], packed, threads);
                Side::Packed(packed)
            };
            let bias = end.bias.filter(|_| first == 0).map(|bias| &bias[left..]);
            let (beta, relu) = (if first == 0 { beta } else { T::one() }, end.relu && first + k == terms_in_all);
            let shared = (cut.cols > 1 && is_shared).then(|| pack_left(a, tiles, k, terms));
            let shared = shared.as_ref().map(Buffer::as_slice);
            let end = Epilogue { bias, relu };
            let block = Block { m, k, n, terms, tiles, a, shared, b: right, beta, end, ldc };
            let task = |i: usize| {
                // The parts of C that the cut names have no element in common, and lie in the slice, as asserted.
                with_vectors(Part { block: &block, cut: &cut, index: i, c: to, left });
            };
            if threads && cut.tasks() > 1 {
                parallel::run(cut.tasks(), &task);
            } else {
                (0..cut.tasks()).for_each(task);
            }
        }
    }
}

/// Packs `[k, n]` of B, `terms` rows after the other, each in panels of `width` columns.
fn pack<T: Float>(b: Mat<'_, T>, [k, n]: [usize; 2], [terms, width]: [usize; 2], out: &mut [T], threads: bool) {
    /// Elements that a task packs, at least.
    const TASK: usize = 1 << 15;
    let line = n.next_multiple_of(width);
    let panels = if threads && k * n >= 2 * TASK { (TASK / (terms * width)).max(1) } else { line / width };
    let mut tasks = Vec::new();
    for (i, out) in out.chunks_mut(terms * line).enumerate() {
        let k = terms.min(k - i * terms);
        for (j, out) in out.chunks_mut(panels * width * k).enumerate() {
            let first = j * panels * width;
            tasks.push(PackRight { b: b.from(i * terms, first), k, n: (panels * width).min(n - first), out });
        }
    }
    if tasks.len() > 1 && threads {
        items(tasks).each(|_, task| with_vectors(task));
    } else {
        tasks.into_iter().for_each(with_vectors);
    }
}

/// Packs all of A's rows, `terms` columns after the other.
fn pack_left<T: Float>(a: Mat<'_, T>, tiles: Tiles, k: usize, terms: usize) -> Buffer<T> {
    let m = tiles.at(tiles.count).0;
    let mut packed = Buffer::stale(m * k);
    let mut tasks = Vec::new();
    for (i, mut out) in packed.as_mut_slice().chunks_mut(m * terms).enumerate() {
        let k = terms.min(k - i * terms);
        for first in (0..tiles.count).step_by(BLOCK_TILES) {
            let range = first..tiles.count.min(first + BLOCK_TILES);
            let rows = tiles.at(range.end).0 - tiles.at(first).0;
            let (here, rest) = out.split_at_mut(rows * k);
            tasks.push(PackLeft { a: a.from(0, i * terms), tiles, range, k, out: here });
            out = rest;
        }
    }
    items(tasks).each(|_, task| with_vectors(task));
    packed
}

/// Whether `rows` rows of A are read where they lie: when the terms of each are next to each other and rows do not push each
/// other out of the first-level cache, when they are few, or when they are next to each other and not far from the first term
/// to the last.
fn in_place<T>(a: &Mat<'_, T>, rows: usize, terms: usize) -> bool {
    let bytes = |step: isize| step.unsigned_abs() * size_of::<T>();
    let near = a.row == 1 && terms * bytes(a.col) <= IN_PLACE_BYTES;
    let apart = a.col == 1 && !bytes(a.row).is_multiple_of(SET_BYTES);
    rows <= WAYS || apart || near
}

/// B of a block: packed, or as it is.
enum Side<'a, T> {
    Packed(&'a [T]),
    Given(Mat<'a, T>),
}

/// A block of terms and columns.
struct Block<'a, T> {
    m: usize,
    k: usize,
    n: usize,
    /// How many terms are summed at a time.
    terms: usize,
    /// How rows are cut.
    tiles: Tiles,
    a: Mat<'a, T>,
    /// All of A, packed, if tasks share it.
    shared: Option<&'a [T]>,
    b: Side<'a, T>,
    beta: T,
    /// The bias, if these are the first terms; whether nothing may be below 0, if they are the last.
    end: Epilogue<'a, T>,
    ldc: usize,
}

/// Into how many tasks a block's tiles and columns are cut, by its sizes alone.
struct Cut {
    rows: usize,
    cols: usize,
    /// Tiles of rows, and columns, of one.
    height: usize,
    width: usize,
}

impl Cut {
    fn of([m, k, n]: [usize; 3], tiles: Tiles, width: usize, threads: bool) -> Self {
        if !threads {
            return Self { rows: 1, cols: 1, height: tiles.count, width: n };
        }
        let wanted = (m * n * k / TASK).clamp(1, TASKS);
        let height = tiles.count.div_ceil(wanted).max(BLOCK_TILES.min(tiles.count));
        let rows = tiles.count.div_ceil(height);
        let width = n.div_ceil(wanted.div_ceil(rows)).next_multiple_of(width);
        Self { rows, cols: n.div_ceil(width), height, width }
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
    /// All of C, and the block's first column.
    c: Shared<T>,
    left: usize,
}

impl<T: Float> VectorKernel<T> for Part<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { block, cut, index, .. } = self;
        let (top, left) = (index % cut.rows * cut.height, index / cut.rows * cut.width);
        let tiles = top..block.tiles.count.min(top + cut.height);
        let columns = left..block.n.min(left + cut.width);
        // SAFETY: as for this function.
        unsafe {
            match block.b {
                Side::Packed(b) => self.packed::<V>(b, tiles, columns),
                Side::Given(b) => self.panel_by_panel::<V>(b, tiles, columns),
            }
        }
    }
}

impl<T: Float> Part<'_, T> {
    /// Block of rows by block of rows, all panels for each.
    ///
    /// # Safety
    /// As for [`VectorKernel::run`].
    #[inline(always)]
    unsafe fn packed<V: Vector<T>>(&self, b: &[T], range: Range<usize>, columns: Range<usize>) {
        let &Block { m, k, n, terms, tiles, a, shared, .. } = self.block;
        let (width, line) = (2 * V::LANES, n.next_multiple_of(2 * V::LANES));
        let rows = tiles.at(range.end).0 - tiles.at(range.start).0;
        let mut own =
            (shared.is_none() && !in_place(&a, rows, terms)).then(|| Buffer::<T>::stale(rows.min(BLOCK_TILES * V::ROWS) * terms));
        let blocks = range.clone().step_by(BLOCK_TILES);
        for (block, term) in blocks.flat_map(|i| (0..k).step_by(terms).map(move |p| (i, p))) {
            let (range, terms) = (block..range.end.min(block + BLOCK_TILES), terms.min(k - term));
            let (first, a) = (tiles.at(block).0, a.from(0, term));
            let packed = match (shared, &mut own) {
                (Some(all), _) => {
                    let all = &all[term * m + first * terms..];
                    debug_assert!(all.len() >= (tiles.at(range.end).0 - first) * terms, "A of {m} rows is packed whole");
                    Some(all.as_ptr())
                }
                (None, Some(own)) => {
                    // SAFETY: as for this function.
                    unsafe { PackLeft { a, tiles, range: range.clone(), k: terms, out: own.as_mut_slice() }.run::<V>() };
                    Some(own.as_slice().as_ptr())
                }
                (None, None) => None,
            };
            for panel in columns.clone().step_by(width) {
                let b = &b[term * line + panel * terms..];
                debug_assert!(b.len() >= terms * width, "a panel of {terms} rows of {width}");
                let at = b.as_ptr();
                let (terms, at) = ((term, terms), Right { at, row: width as isize });
                // SAFETY: as for this function; panels are `terms` rows of `width`, behind those of the terms before.
                unsafe { self.column::<V>(Column { range: range.clone(), terms, packed, right: at, panel, end: columns.end }) }
            }
        }
    }

    /// Panel by panel, each packed here, or read where it lies. A is packed once for all, or read where it lies.
    ///
    /// # Safety
    /// As for [`VectorKernel::run`].
    #[inline(always)]
    unsafe fn panel_by_panel<V: Vector<T>>(&self, b: Mat<'_, T>, range: Range<usize>, columns: Range<usize>) {
        let &Block { m, k, terms, tiles, shared, .. } = self.block;
        let width = 2 * V::LANES;
        let mut right = Buffer::<T>::stale(terms * width);
        for (panel, term) in columns.clone().step_by(width).flat_map(|j| (0..k).step_by(terms).map(move |p| (j, p))) {
            let terms = terms.min(k - term);
            let packed = shared.map(|all| {
                let (first, end) = (tiles.at(range.start).0, tiles.at(range.end).0);
                let all = &all[term * m + first * terms..];
                debug_assert!(all.len() >= (end - first) * terms, "A of {m} rows is packed whole");
                all.as_ptr()
            });
            let (b, n) = (b.from(term, panel), width.min(columns.end - panel));
            // SAFETY: as for this function; the panel has `terms` rows of `width`, in B too where it is read there.
            unsafe {
                let near = b.col == 1 && b.row.unsigned_abs() * size_of::<T>() <= NEAR_BYTES;
                debug_assert!(b.fits(terms, n) && right.as_slice().len() >= terms * width);
                let right = if near && n == width {
                    Right { at: b.pointer_to(0, 0), row: b.row }
                } else {
                    PackRight { b, k: terms, n, out: right.as_mut_slice() }.run::<V>();
                    Right { at: right.as_slice().as_ptr(), row: width as isize }
                };
                let terms = (term, terms);
                self.column::<V>(Column { range: range.clone(), terms, packed, right, panel, end: columns.end });
            }
        }
    }

    /// Some tiles that share a panel of B.
    ///
    /// # Safety
    /// As for [`VectorKernel::run`]; A must have all its rows and columns, packed or not, and C too, as `blocked` asserts.
    #[inline(always)]
    unsafe fn column<V: Vector<T>>(&self, column: Column<T>) {
        let &Block { k, tiles, a, beta, end, ldc, .. } = self.block;
        let Column { range, terms: (term, terms), packed, right, panel, end: right_end } = column;
        let (width, first, a) = (2 * V::LANES, tiles.at(range.start).0, a.from(0, term));
        let beta = if term == 0 { beta } else { T::one() };
        let written = width.min(right_end - panel);
        debug_assert!(packed.is_some() || a.fits(tiles.at(range.end).0, terms), "rows {range:?} and {terms} terms of A");
        debug_assert!(term + terms <= k && end.bias.is_none_or(|bias| panel + written <= bias.len()));
        // SAFETY: the caller's promise.
        unsafe {
            for (i, height) in range.map(|i| tiles.at(i)) {
                let at = match packed {
                    Some(p) => Left { at: p.add((i - first) * terms), row: 1, col: height as isize },
                    None => Left { at: a.pointer_to(i, 0), row: a.row, col: a.col },
                };
                debug_assert!(height <= V::ROWS && height > 0);
                let to = self.c.at(self.left + i * ldc + panel, (height - 1) * ldc + written);
                let plus = match end.bias {
                    Some(bias) if term == 0 => (bias.as_ptr().add(panel), 0, T::one()),
                    _ => (to.cast_const(), ldc, beta),
                };
                let to = Target::side_by_side(to, ldc, V::LANES, written, plus);
                let to = Target { relu: end.relu && term + terms == k, ..to };
                micro::<T, V>(height, terms, at, right, to);
            }
        }
    }
}

/// Tiles of A's rows, terms and a panel of B that meet.
struct Column<T> {
    range: Range<usize>,
    /// The first term, and how many.
    terms: (usize, usize),
    /// The tiles of A from the first one on, if they are packed.
    packed: Option<*const T>,
    right: Right<T>,
    /// The panel's first column, and where the columns end.
    panel: usize,
    end: usize,
}
