//! The patches of a batch as a matrix that is never written out whole: row `(c, a, b)` holds channel `c` under tap `(a, b)`, and columns
//! are the outputs' places in all images, one image behind the other.
//!
//! Columns are cut into runs, pieces of rows of outputs no longer than a vector. What a tap sees of a run is a run of a row of the input,
//! at the stride: for each channel one load, or two whose even lanes are taken.

use crate::kernels::conv::geometry::Geometry;
use crate::kernels::simd::{Vector, prefetch};
use crate::scalar::Scalar;
use std::ops::Range;

/// Up to `LANES` places of a row of outputs.
#[derive(Clone, Copy)]
pub struct Run {
    image: usize,
    row: usize,
    col: usize,
    /// Where they go in row 0 of the patches, and how much room there is up to the end of the row.
    pub to: usize,
    room: usize,
    pub len: usize,
}

impl Run {
    /// The index of the run's first place in the outputs of filter 0.
    pub fn place(&self, g: &Geometry) -> usize {
        self.image * g.out_image() + self.row * g.output[1] + self.col
    }
}

/// The runs of some columns, which go to panels of `nr` columns that lie `panel` elements apart.
pub fn runs(g: &Geometry, columns: Range<usize>, lanes: usize, (nr, panel): (usize, usize), runs: &mut Vec<Run>) {
    runs.clear();
    let (plane, width) = (g.out_plane(), g.output[1]);
    let (mut image, mut row, mut col) = (columns.start / plane, columns.start % plane / width, columns.start % plane % width);
    let (mut left, mut first, mut at) = (columns.len(), 0, 0);
    while left > 0 {
        let len = lanes.min(width - col).min(left).min(nr - at);
        runs.push(Run { image, row, col, to: first + at, room: nr - at, len });
        (left, at, col) = (left - len, at + len, col + len);
        if at == nr {
            (first, at) = (first + panel, 0);
        }
        if col == width {
            (row, col) = (row + 1, 0);
        }
        if row == g.output[0] {
            (image, row) = (image + 1, 0);
        }
    }
}

/// What a tap sees of a run: its places `low..high` are inside the input; place 0 would be at `from` in channel 0.
#[derive(Clone, Copy)]
struct Sight {
    from: isize,
    low: usize,
    high: usize,
}

/// What tap `t` sees of runs.
fn sights<'a>(g: &'a Geometry, t: usize, runs: &'a [Run]) -> impl Iterator<Item = (Sight, &'a Run)> {
    let [a, b] = [t / g.kernel[1], t % g.kernel[1]];
    let (rows, cols) = (g.inside(0, a), g.inside(1, b));
    let (down, right) = ((a * g.dilation[0]) as isize - g.padding[0], (b * g.dilation[1]) as isize - g.padding[1]);
    runs.iter().map(move |run| {
        let y = (run.row * g.stride[0]) as isize + down;
        let x = (run.col * g.stride[1]) as isize + right;
        let from = (run.image * g.image()) as isize + y * g.input[1] as isize + x;
        let clip = |col: usize| col.saturating_sub(run.col).min(run.len);
        let inside = (rows.0..rows.1).contains(&run.row);
        let (low, high) = if inside { (clip(cols.0), clip(cols.1)) } else { (0, 0) };
        (Sight { from, low: low.min(high), high }, run)
    })
}

/// Channels that [`pack`] prefetches ahead: a row of each lies in a page of its own, which the hardware prefetcher misses.
const AHEAD: usize = 8;

/// Writes the patches of some channels, `width` elements from one row to the next. What is behind a run may be written too, up to
/// the end of its row, so runs are in order.
///
/// # Safety
/// The processor must have V's instructions; `out` must have room for all rows of all runs.
#[inline(always)]
pub unsafe fn pack<T: Scalar, V: Vector<T>>(
    g: &Geometry,
    x: &[T],
    channels: Range<usize>,
    runs: &[Run],
    (out, width): (*mut T, usize),
) {
    /// A run as it is copied; of the two masks the second is that of a second vector, for a stride of 2.
    struct Copied<M> {
        from: isize,
        to: usize,
        masks: [M; 2],
        whole: bool,
    }
    let (taps, plane, step) = (g.taps(), g.plane(), g.stride[1]);
    assert!(x.len() == g.batch * g.image());
    let mut copied: Vec<Copied<V::Mask>> = Vec::with_capacity(runs.len());
    for t in 0..taps {
        copied.clear();
        copied.extend(sights(g, t, runs).map(|(sight, run)| {
            // In elements of the input, for loads without gaps.
            let end = if sight.low < sight.high { (sight.high - 1) * step + 1 } else { 0 };
            let lane = |i: usize, vector: usize| i.min(end).saturating_sub(vector * V::LANES).min(V::LANES);
            // SAFETY: the caller's promise, and no lane is above their number.
            let masks = [0, 1].map(|i| unsafe { V::mask(lane(sight.low * step, i), lane(end, i)) });
            Copied { from: sight.from, to: run.to, masks, whole: run.room >= V::LANES }
        }));
        for c in channels.clone() {
            let row = out.wrapping_add(((c - channels.start) * taps + t) * width);
            let x = x.as_ptr().wrapping_add(c * plane);
            if t % g.kernel[1] == 0 {
                for run in &copied {
                    prefetch(x.wrapping_offset(run.from).wrapping_add(AHEAD * plane));
                }
            }
            // SAFETY: the caller's promise; only what is inside the input is read, and no more than a row is written.
            unsafe {
                match step {
                    1 => {
                        for (run, from) in copied.iter().zip(runs) {
                            let v = V::load_masked(x.wrapping_offset(run.from), run.masks[0]);
                            let to = row.wrapping_add(run.to);
                            if run.whole { v.store(to) } else { v.store_first(to, from.len) }
                        }
                    }
                    2 => {
                        for (run, from) in copied.iter().zip(runs) {
                            let at = x.wrapping_offset(run.from);
                            let a = V::load_masked(at, run.masks[0]);
                            let short = 2 * from.len <= V::LANES;
                            let b = if short { a } else { V::load_masked(at.wrapping_add(V::LANES), run.masks[1]) };
                            let (v, to) = (a.even_odd(b)[0], row.wrapping_add(run.to));
                            if run.whole { v.store(to) } else { v.store_first(to, from.len) }
                        }
                    }
                    _ => {
                        for (sight, run) in sights(g, t, runs) {
                            let (from, to) = (x.wrapping_offset(sight.from), row.wrapping_add(run.to));
                            for i in 0..run.len {
                                let inside = (sight.low..sight.high).contains(&i);
                                *to.add(i) = if inside { *from.wrapping_add(i * step) } else { T::zero() };
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The adjoint of [`pack`]: adds each element to the pixel that it would come from. Rows must have a vector behind them that can be read.
///
/// # Safety
/// As for [`pack`]; nobody else may have these channels of these images.
#[inline(always)]
pub unsafe fn add<T: Scalar, V: Vector<T>>(
    g: &Geometry,
    (cols, width): (*const T, usize),
    channels: Range<usize>,
    runs: &[Run],
    gx: *mut T,
) {
    let (taps, plane, step) = (g.taps(), g.plane(), g.stride[1]);
    let mut seen: Vec<(Sight, usize)> = Vec::with_capacity(runs.len());
    for t in 0..taps {
        seen.clear();
        seen.extend(sights(g, t, runs).map(|(sight, run)| (sight, run.to)).filter(|(sight, _)| sight.low < sight.high));
        for c in channels.clone() {
            let row = cols.wrapping_add(((c - channels.start) * taps + t) * width);
            let gx = gx.wrapping_add(c * plane);
            for &(sight, from) in &seen {
                let n = sight.high - sight.low;
                let from = row.wrapping_add(from + sight.low);
                let to = gx.wrapping_offset(sight.from).wrapping_add(sight.low * step);
                // SAFETY: the caller's promise; only what is inside the input is read and written.
                unsafe {
                    match step {
                        1 => add_first::<T, V>(V::load(from), to, n),
                        2 => {
                            let [a, b] = V::load(from).interleave(V::splat(T::zero()));
                            let n = 2 * n - 1;
                            add_first::<T, V>(a, to, n.min(V::LANES));
                            if n > V::LANES {
                                add_first::<T, V>(b, to.add(V::LANES), n - V::LANES);
                            }
                        }
                        _ => (0..n).for_each(|i| *to.add(i * step) += *from.add(i)),
                    }
                }
            }
        }
    }
}

/// Adds the first `n` lanes to what is there.
///
/// # Safety
/// The processor must have V's instructions, and the elements exist.
#[inline(always)]
unsafe fn add_first<T: Scalar, V: Vector<T>>(v: V, to: *mut T, n: usize) {
    // SAFETY: the caller's promise.
    unsafe { if n == V::LANES { V::load(to).add(v).store(to) } else { V::load_first(to, n).add(v).store_first(to, n) } }
}
