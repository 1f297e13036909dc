//! Picking elements and rows by index, and adding to them.
//!
//! What is added to one element is added in the order of the indices, whichever task does it, so the bits are those of the plain loop.
//! Tasks take either lines that no index leads out of, or a range of what is added to.

use super::parallel::{self, Parts, chunks, chunks_mut};
use super::shared::Shared;
use super::simd::{Kernel, dispatch, prefetch, prefetch_run};
use crate::element::{Element, Num};
use std::ops::Range;

/// Fewer elements are not worth a second thread.
const SERIAL: usize = 1 << 15;
/// What one task takes at least.
const TASK: usize = 1 << 14;
/// Bytes of a cache line.
const LINE: usize = 64;
/// Columns of a task, in bytes: whole cache lines, which no other task writes to.
const BLOCK: usize = 2 * LINE;
/// How many rows ahead of the sum those that are read are prefetched, and those that are added to.
const AHEAD: usize = 8;
const TO_AHEAD: usize = 2;
/// A line that fits into the second-level cache is added to faster than its parts can be told apart.
const CACHE: usize = 1 << 21;

/// Where the first index lies that is not in `0..n`.
pub fn first_outside(index: &[i64], n: usize) -> Option<usize> {
    let outside = |at: usize, index: &[i64]| {
        dispatch(AnyOutside { index, n: n as u64 }).then(|| at + index.iter().position(|&i| i as u64 >= n as u64).unwrap_or(0))
    };
    if index.len() < SERIAL {
        return outside(0, index);
    }
    chunks(index, SERIAL).map_at_least(1, |i, part| outside(i * SERIAL, part)).into_iter().flatten().next()
}

struct AnyOutside<'a> {
    index: &'a [i64],
    n: u64,
}

impl Kernel for AnyOutside<'_> {
    type Out = bool;
    #[inline(always)]
    fn run(self) -> bool {
        // Negative indices are large without the sign.
        self.index.iter().fold(false, |any, &i| any | (i as u64 >= self.n))
    }
}

/// The places in a row-major tensor that `torch.gather` picks from along one axis.
pub struct Places<'a> {
    /// Checked, in row-major order.
    pub index: &'a [i64],
    pub index_shape: &'a [usize],
    pub axis: usize,
    /// Steps between neighbours along each axis of the tensor that is picked from.
    pub strides: &'a [isize],
}

impl Places<'_> {
    /// Elements of a row of the indices, of which there is one.
    fn width(&self) -> usize {
        *self.index_shape.last().expect("an axis")
    }

    /// From one index along the axis to the next, and from one element of a row to the next beside that.
    fn steps(&self) -> (usize, usize) {
        (self.strides[self.axis] as usize, usize::from(self.axis + 1 != self.index_shape.len()))
    }

    /// The place of index 0 of a row, counted over all axes but the last.
    fn base(&self, row: usize) -> usize {
        let (mut rest, mut base) = (row, 0);
        for a in (0..self.index_shape.len() - 1).rev() {
            let along = rest % self.index_shape[a];
            rest /= self.index_shape[a];
            base += if a == self.axis { 0 } else { along * self.strides[a] as usize };
        }
        base
    }

    /// The places of one row, from a column on.
    fn of_row(&self, row: usize, column: usize) -> impl Iterator<Item = usize> + '_ {
        let (base, (step, beside)) = (self.base(row), self.steps());
        let picked = &self.index[row * self.width()..][column..self.width()];
        (column..).zip(picked).map(move |(j, &i)| base + i as usize * step + j * beside)
    }
}

/// `out[i] = x[place i]`.
pub fn gather<T: Element>(places: &Places<'_>, x: &[T], out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let width = places.width();
    let row = |row: usize, out: &mut [T]| places.of_row(row, 0).zip(out).for_each(|(from, y)| *y = x[from]);
    let least = if out.len() < SERIAL { usize::MAX } else { TASK / width };
    chunks_mut(out, width).each_at_least(least, row);
}

/// `y[place i] += src[i]`.
pub fn scatter_add<T: Num>(places: &Places<'_>, src: &[T], y: &mut [T]) {
    if src.is_empty() {
        return;
    }
    let width = places.width();
    let plain = |places: &Places<'_>, src: &[T], y: &mut [T]| {
        for (row, src) in src.chunks_exact(width).enumerate() {
            places.of_row(row, 0).zip(src).for_each(|(at, &v)| y[at] = y[at].add_wrapping(v));
        }
    };
    if is_serial(src.len(), y.len()) {
        return plain(places, src, y);
    }
    let lines = Lines::new(places, BLOCK / size_of::<T>());
    if lines.tasks() > 1 {
        return lines.add(places, src, y);
    }
    if size_of_val(y) <= CACHE {
        return plain(places, src, y);
    }
    let to = |first: usize, mut to: &mut [u32]| {
        let (mut row, mut column) = (first / width, first % width);
        while !to.is_empty() {
            let (now, later) = to.split_at_mut(to.len().min(width - column));
            now.iter_mut().zip(places.of_row(row, column)).for_each(|(to, place)| *to = place as u32);
            (row, column, to) = (row + 1, 0, later);
        }
    };
    add_by_ranges(&to, src, 1, y);
}

/// Adds row `i` of each plane of `src` to row `index[i]` of the same plane of `y`. Planes of `y` have `n` rows of `inner` elements.
pub fn index_add<T: Num>(index: &[i64], n: usize, inner: usize, src: &[T], y: &mut [T]) {
    if src.is_empty() {
        return;
    }
    if is_serial(src.len(), y.len()) {
        for (src, y) in src.chunks_exact(index.len() * inner).zip(y.chunks_exact_mut(n * inner)) {
            for (&i, row) in index.iter().zip(src.chunks_exact(inner)) {
                y[i as usize * inner..][..inner].iter_mut().zip(row).for_each(|(y, &v)| *y = y.add_wrapping(v));
            }
        }
        return;
    }
    let to = |first: usize, to: &mut [u32]| {
        let (mut plane, mut i) = (first / index.len(), first % index.len());
        for to in to {
            *to = (plane * n + index[i] as usize) as u32;
            i += 1;
            if i == index.len() {
                (plane, i) = (plane + 1, 0);
            }
        }
    };
    add_by_ranges(&to, src, inner, y);
}

/// Whether so many elements are added by the plain loop.
fn is_serial(added: usize, to: usize) -> bool {
    added < SERIAL || parallel::threads() == 1 || to > u32::MAX as usize
}

/// The lines of a tensor along one axis: no index leads from one to another, so each is a task's own, and rows of them are cut into
/// blocks of columns.
struct Lines {
    /// Indices along the axis.
    count: usize,
    /// Lines between one index and the next, rows of them.
    mid: usize,
    /// Lines side by side in a row, and how many of them one task takes.
    width: usize,
    block: usize,
    rows: usize,
}

impl Lines {
    fn new(places: &Places<'_>, block: usize) -> Self {
        let (axis, last) = (places.axis, places.index_shape.len() - 1);
        let count = places.index_shape[axis];
        if axis == last {
            return Self { count: 1, mid: 1, width: count, block: count, rows: places.index.len() / count };
        }
        let mid: usize = places.index_shape[axis + 1..last].iter().product();
        let outer: usize = places.index_shape[..axis].iter().product();
        Self { count, mid, width: places.width(), block: block.min(places.width()), rows: outer * mid }
    }

    fn tasks(&self) -> usize {
        self.rows * self.width.div_ceil(self.block)
    }

    /// Has the next rows of a block brought into the cache, which the hardware prefetcher misses. `to` says where a place is.
    #[inline(always)]
    fn prefetch<T>(&self, places: &Places<'_>, src: &[T], columns: Range<usize>, row: usize, to: impl Fn(usize) -> *mut T) {
        // The lines of the last axis lie in one piece.
        if self.count == 1 {
            return;
        }
        let row_ahead = |rows: usize| row + rows * self.mid * self.width + columns.start;
        let (read, added) = (row_ahead(AHEAD), row_ahead(TO_AHEAD));
        if read < src.len() {
            prefetch_run(places.index[read..].as_ptr(), columns.len());
            prefetch_run(src[read..].as_ptr(), columns.len());
        }
        if added < src.len() {
            let (step, beside) = places.steps();
            for (j, &i) in columns.zip(&places.index[added..]) {
                prefetch(to(i as usize * step + j * beside));
            }
        }
    }

    fn add<T: Num>(&self, places: &Places<'_>, src: &[T], y: &mut [T]) {
        let y = Shared::of(y);
        let ((step, beside), blocks) = (places.steps(), self.width.div_ceil(self.block));
        let task = |_: usize, task: usize| {
            let (line, column) = (task / blocks, task % blocks * self.block);
            let columns = column..self.width.min(column + self.block);
            let first = line / self.mid * self.count * self.mid + line % self.mid;
            let base = places.base(first);
            for row in (first..).step_by(self.mid).take(self.count) {
                let row = row * self.width;
                self.prefetch(places, src, columns.clone(), row, |place| y.at(0, 1).wrapping_add(base + place));
                let picked = &places.index[row + columns.start..row + columns.end];
                for (j, (&i, &v)) in columns.clone().zip(picked.iter().zip(&src[row + columns.start..])) {
                    let at = y.at(base + i as usize * step + j * beside, 1);
                    // SAFETY: the index is checked, so the place lies in `y`; it belongs to this line and column, which no other
                    // task has.
                    unsafe { *at = (*at).add_wrapping(v) };
                }
            }
        };
        let each = self.count * self.block;
        (0..self.tasks()).each_at_least(TASK / each.max(1), task);
    }
}

/// Ranges that what is added to is cut into.
const RANGES: usize = 16;
/// Rows whose order is found in one go, which bounds the memory for it.
const WAVE: usize = 1 << 19;

/// Adds row `i` of `src` to a row of `y`, whose numbers `to(first, ..)` writes for the rows from `first` on. The rows of `src` are
/// sorted by ranges of `y` first, so that each range is a task's own; within one, they keep their order.
fn add_by_ranges<T: Num>(to: &(dyn Fn(usize, &mut [u32]) + Sync), src: &[T], inner: usize, y: &mut [T]) {
    let line = (LINE / size_of::<T>() / inner).max(1);
    let range = (y.len() / inner).div_ceil(RANGES).max(line).next_power_of_two();
    let shift = range.trailing_zeros();
    for (wave, src) in src.chunks(WAVE * inner).enumerate() {
        let mut sorted = vec![[0; 2]; src.len() / inner];
        let starts = chunks_mut(&mut sorted, TASK).map_at_least(1, |i, sorted| {
            let mut rows = vec![0; sorted.len()];
            to(wave * WAVE + i * TASK, &mut rows);
            sort_by_range(&rows, (i * TASK) as u32, shift, sorted)
        });
        let sorted = &sorted;
        chunks_mut(y, range * inner).each(|r, y| {
            for (starts, sorted) in starts.iter().zip(sorted.chunks(TASK)) {
                let rows = &sorted[starts[r] as usize..starts[r + 1] as usize];
                dispatch(AddRows { rows, src, first: r << shift, inner, y });
            }
        });
    }
}

/// Writes `(row, number from `first` on)` by ranges of `1 << shift` rows, and gives where each range starts.
fn sort_by_range(rows: &[u32], first: u32, shift: u32, sorted: &mut [[u32; 2]]) -> [u32; RANGES + 1] {
    let mut starts = [0; RANGES + 1];
    rows.iter().for_each(|row| starts[(row >> shift) as usize + 1] += 1);
    for r in 0..RANGES {
        starts[r + 1] += starts[r];
    }
    let mut next = starts;
    for (&row, number) in rows.iter().zip(first..) {
        let at = &mut next[(row >> shift) as usize];
        sorted[*at as usize] = [row, number];
        *at += 1;
    }
    starts
}

/// Adds rows of `src` to rows of `y`, which is what comes from row `first` on.
struct AddRows<'a, T> {
    /// To which, and which.
    rows: &'a [[u32; 2]],
    src: &'a [T],
    first: usize,
    inner: usize,
    y: &'a mut [T],
}

impl<T: Num> Kernel for AddRows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { rows, src, first, inner, y } = self;
        if inner == 1 {
            for &[row, number] in rows {
                let y = &mut y[row as usize - first];
                *y = y.add_wrapping(src[number as usize]);
            }
            return;
        }
        for (k, &[row, number]) in rows.iter().enumerate() {
            if let Some(&[row, number]) = rows.get(k + AHEAD) {
                prefetch_run(y[(row as usize - first) * inner..].as_ptr(), inner);
                prefetch_run(src[number as usize * inner..].as_ptr(), inner);
            }
            let y = &mut y[(row as usize - first) * inner..][..inner];
            for (y, &v) in y.iter_mut().zip(&src[number as usize * inner..][..inner]) {
                *y = y.add_wrapping(v);
            }
        }
    }
}
