//! Walking buffers by shape and strides.

use super::parallel::{Parts, chunks_mut, items};
use crate::element::Element;
use smallvec::SmallVec;

/// Elements that one task takes: a few microseconds of work, and within the second-level cache.
pub(super) const CHUNK: usize = 1 << 14;

/// Axes as (size, stride in each of `N` operands), outermost first.
pub type Dims<const N: usize> = SmallVec<[(usize, [isize; N]); 6]>;

/// Merges neighbouring axes that one stride describes, for every operand at once, and drops axes of
/// size 1: the fewer axes, the longer the inner loop.
pub fn coalesce<const N: usize>(shape: &[usize], strides: [&[isize]; N]) -> Dims<N> {
    let mut out: Dims<N> = SmallVec::new();
    for (i, &n) in shape.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let s: [isize; N] = std::array::from_fn(|k| strides[k][i]);
        match out.last_mut() {
            Some((size, last)) if (0..N).all(|k| last[k] == s[k] * n as isize) => {
                *size *= n;
                *last = s;
            }
            _ => out.push((n, s)),
        }
    }
    if out.is_empty() {
        out.push((1, [1; N]));
    }
    out
}

/// Where element number `i` of the row-major order over `dims` lies in each operand.
#[inline]
pub fn place<const N: usize>(dims: &[(usize, [isize; N])], mut i: usize) -> [isize; N] {
    let mut at = [0; N];
    for &(n, strides) in dims.iter().rev() {
        let k = (i % n) as isize;
        i /= n;
        for (a, s) in at.iter_mut().zip(strides) {
            *a += k * s;
        }
    }
    at
}

/// One operand of a strided loop: a buffer, and where its first element is.
#[derive(Clone, Copy)]
pub struct Operand<'a, T> {
    pub data: &'a [T],
    pub offset: usize,
}

/// Rows at least this long are a block of their own; shorter ones share a block.
const LONG: usize = 64;
/// About how many elements a block of short rows has.
const BLOCK: usize = 1 << 10;

/// A loop over strided operands, cut into blocks that are runs of the row-major order. Within a block
/// an operand is a slice, one value, or a copy of at most a few kilobytes.
///
/// The axes fall in three parts: those outside of blocks, one of which blocks take a piece, and those
/// that lie wholly within a block.
pub struct Blocks<const N: usize> {
    outer: Dims<N>,
    cut: (usize, [isize; N]),
    piece: usize,
    inner: Dims<N>,
    inner_size: usize,
    layout: [Layout; N],
}

/// What one block of an operand looks like in memory.
#[derive(Clone, Copy, PartialEq)]
enum Layout {
    Slice,
    OneValue,
    Gather,
}

impl<const N: usize> Blocks<N> {
    pub fn new(shape: &[usize], strides: [&[isize]; N]) -> Self {
        let mut outer = coalesce(shape, strides);
        let mut inner: Dims<N> = SmallVec::new();
        let mut inner_size = 1;
        let mut most = 4 * BLOCK;
        if outer[outer.len() - 1].0 < LONG {
            most = BLOCK;
            while outer.len() > 1 && inner_size * outer[outer.len() - 1].0 <= BLOCK {
                let dim = outer.pop().expect("longer than 1");
                inner_size *= dim.0;
                inner.insert(0, dim);
            }
        }
        let cut = outer.pop().expect("coalesce gives one axis or more");
        let piece = (most / inner_size.max(1)).clamp(1, cut.0.max(1));
        let layout = std::array::from_fn(|k| {
            let mut step = 1;
            let (mut slice, mut one) = (true, true);
            for (n, s) in inner.iter().rev().chain([&cut]) {
                slice &= s[k] == step;
                one &= s[k] == 0;
                step *= *n as isize;
            }
            match (slice, one) {
                (true, _) => Layout::Slice,
                (_, true) => Layout::OneValue,
                _ => Layout::Gather,
            }
        });
        Self { outer, cut, piece, inner, inner_size, layout }
    }

    /// How many blocks make up one index of the axes outside.
    fn per_outer(&self) -> usize {
        self.cut.0.div_ceil(self.piece)
    }

    /// Where block number `i` starts in each operand, and how many elements it has.
    #[inline]
    pub fn place(&self, i: usize) -> ([isize; N], usize) {
        let per_outer = self.per_outer();
        let (row, first) = if per_outer == 1 { (i, 0) } else { (i / per_outer, i % per_outer * self.piece) };
        let mut at = place(&self.outer, row);
        for (a, s) in at.iter_mut().zip(self.cut.1) {
            *a += first as isize * s;
        }
        (at, self.piece.min(self.cut.0 - first) * self.inner_size)
    }

    /// Cuts a row-major `out` into tasks: the number of the first block of each, and its part.
    pub fn split<'a, T>(&self, out: &'a mut [T]) -> Vec<(usize, &'a mut [T])> {
        let per_outer = self.per_outer();
        let row = self.cut.0 * self.inner_size;
        let chunk = CHUNK;
        if row >= 2 * chunk {
            let blocks = (chunk / (self.piece * self.inner_size)).max(1);
            let size = blocks * self.piece * self.inner_size;
            let rows = out.chunks_mut(row).enumerate();
            rows.flat_map(|(r, out)| out.chunks_mut(size).enumerate().map(move |(i, out)| (r * per_outer + i * blocks, out)))
                .collect()
        } else {
            let rows = (chunk / row.max(1)).max(1);
            out.chunks_mut((rows * row).max(1)).enumerate().map(|(i, out)| (i * rows * per_outer, out)).collect()
        }
    }
}

/// Room for the blocks of one operand that have to be gathered; the last is kept, as a broadcast
/// operand's blocks are often the same.
pub struct Scratch<T> {
    values: Vec<T>,
    at: isize,
}

impl<T: Element> Scratch<T> {
    pub fn new() -> Self {
        Self { values: Vec::new(), at: -1 }
    }

    /// The block of operand `k` that starts at `at` and has `n` elements: as a slice of `n`, or of one
    /// element when all are the same.
    #[inline]
    pub fn read<'a, const N: usize>(
        &'a mut self,
        x: Operand<'a, T>,
        at: isize,
        blocks: &Blocks<N>,
        k: usize,
        n: usize,
    ) -> &'a [T] {
        let at = at + x.offset as isize;
        match blocks.layout[k] {
            Layout::Slice => &x.data[at as usize..at as usize + n],
            Layout::OneValue => &x.data[at as usize..at as usize + 1],
            Layout::Gather => {
                if self.at != at || self.values.len() < n {
                    self.values.resize(n, T::default());
                    fill(x.data, at, blocks, k, &mut self.values);
                    self.at = at;
                }
                &self.values[..n]
            }
        }
    }
}

/// Copies the block of operand `k` that starts at `at` to `out`.
fn fill<T: Element, const N: usize>(data: &[T], at: isize, blocks: &Blocks<N>, k: usize, out: &mut [T]) {
    let mut dims: Dims<1> = blocks.inner.iter().map(|&(n, s)| (n, [s[k]])).collect();
    dims.insert(0, (out.len() / blocks.inner_size, [blocks.cut.1[k]]));
    let (n, [step]) = dims.pop().expect("one axis or more");
    let mut from = at;
    let mut index: SmallVec<[usize; 6]> = SmallVec::from_elem(0, dims.len());
    for row in out.chunks_exact_mut(n) {
        strided_row(data, from, step, row);
        for (i, &(n, [s])) in index.iter_mut().zip(&dims).rev() {
            *i += 1;
            from += s;
            if *i < n {
                break;
            }
            from -= n as isize * s;
            *i = 0;
        }
    }
}

/// `out[i] = data[at + i * step]`.
#[inline]
fn strided_row<T: Element>(data: &[T], at: isize, step: isize, out: &mut [T]) {
    match step {
        1 => {
            for (y, &x) in out.iter_mut().zip(&data[at as usize..]) {
                *y = x;
            }
        }
        0 => out.fill(data[at as usize]),
        2.. => {
            for (y, &x) in out.iter_mut().zip(data[at as usize..].iter().step_by(step as usize)) {
                *y = x;
            }
        }
        _ => {
            for (y, &x) in out.iter_mut().zip(data[..=at as usize].iter().rev().step_by(step.unsigned_abs())) {
                *y = x;
            }
        }
    }
}

/// Copies a strided window to `out` in row-major order.
pub fn gather<T: Element>(data: &[T], shape: &[usize], strides: &[isize], offset: usize, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let mut dims = coalesce(shape, [strides]);
    let (_, [step]) = dims[dims.len() - 1];
    // With the inner axis strided and another one consecutive, blocks of the two read whole lines.
    let consecutive = dims.iter().rposition(|&(_, [s])| s == 1);
    if let Some(axis) = consecutive.filter(|&a| a + 1 < dims.len() && step != 0) {
        let below: usize = dims[axis + 1..].iter().map(|d| d.0).product();
        let cols = dims.pop().expect("two axes or more");
        let rows = dims.remove(axis);
        return transposed(data, offset as isize, &dims, axis, (rows.0, below), (cols.0, step), out);
    }
    let blocks = Blocks::new(shape, [strides]);
    let from = Operand { data, offset };
    let task = |(first, out): (usize, &mut [T])| {
        let mut rest = out;
        for block in first.. {
            if rest.is_empty() {
                break;
            }
            let ([at], n) = blocks.place(block);
            let (out, later) = rest.split_at_mut(n);
            match blocks.layout[0] {
                Layout::Gather => fill(from.data, at + offset as isize, &blocks, 0, out),
                _ => strided_row(from.data, at + offset as isize, isize::from(blocks.layout[0] == Layout::Slice), out),
            }
            rest = later;
        }
    };
    if out.len() < 1 << 16 {
        task((0, out));
    } else {
        items(blocks.split(out)).each(|_, part| task(part));
    }
}

/// [`gather`] where axis number `axis` of the row-major `out`, of `rows` indices with `below` elements
/// each, has stride 1, and the innermost, of `cols` indices, stride `step`. `dims` are the other axes.
fn transposed<'o, T: Element>(
    data: &[T],
    offset: isize,
    dims: &[(usize, [isize; 1])],
    axis: usize,
    (rows, below): (usize, usize),
    (cols, step): (usize, isize),
    out: &'o mut [T],
) {
    const ROWS: usize = 64;
    let (outer, between) = dims.split_at(axis);
    let part = |plane: usize, first: usize, out: &mut [T]| {
        let [at] = place(outer, plane);
        for m in 0..below / cols {
            let [shift] = place(between, m);
            transpose(data, offset + at + shift + first as isize, step, cols, below, &mut out[m * cols..]);
        }
    };
    let plane = rows * below;
    if out.len() < 1 << 16 {
        out.chunks_mut(plane).enumerate().for_each(|(p, out)| part(p, 0, out));
    } else if plane <= CHUNK {
        let planes = CHUNK / plane;
        chunks_mut(out, planes * plane).each(|i, out| {
            out.chunks_mut(plane).enumerate().for_each(|(p, out)| part(i * planes + p, 0, out));
        });
    } else {
        let rows =
            |(p, out): (usize, &'o mut [T])| out.chunks_mut(ROWS * below).enumerate().map(move |(i, out)| (p, i * ROWS, out));
        items(out.chunks_mut(plane).enumerate().flat_map(rows)).each(|_, (p, first, out)| part(p, first, out));
    }
}

/// `out[r * width + c] = data[at + r + c * step]` for as many rows as `out` has. A tile is read whole
/// before it is written, so that each line of memory is touched once, whatever the strides; tiles go down
/// the rows first, along consecutive memory.
fn transpose<T: Element>(data: &[T], at: isize, step: isize, cols: usize, width: usize, out: &mut [T]) {
    const B: usize = 16;
    let rows = (out.len() - cols) / width + 1;
    let mut tile = [[T::default(); B]; B];
    for c0 in (0..cols).step_by(B) {
        let nc = B.min(cols - c0);
        for r0 in (0..rows).step_by(B) {
            let nr = B.min(rows - r0);
            let from = |c: usize| (at + (c0 + c) as isize * step) as usize + r0;
            let to = |r: usize| (r0 + r) * width + c0;
            // Whole tiles have loops of fixed lengths.
            if nr == B && nc == B {
                for (c, line) in tile.iter_mut().enumerate() {
                    line.copy_from_slice(&data[from(c)..from(c) + B]);
                }
                for r in 0..B {
                    let row: [T; B] = std::array::from_fn(|c| tile[c][r]);
                    out[to(r)..to(r) + B].copy_from_slice(&row);
                }
            } else {
                for (c, line) in tile[..nc].iter_mut().enumerate() {
                    line[..nr].copy_from_slice(&data[from(c)..from(c) + nr]);
                }
                for r in 0..nr {
                    out[to(r)..to(r) + nc].iter_mut().zip(&tile).for_each(|(y, line)| *y = line[r]);
                }
            }
        }
    }
}
