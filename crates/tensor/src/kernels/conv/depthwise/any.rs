//! Filters of any size, stride and dilation.
//!
//! A strip of padded rows at a time stays in the first-level cache. Some vectors of outputs, of one row or several, are summed over all
//! taps at once, each of which is loaded once for all of them. The input's gradient is such a sum for every phase of its rows and
//! columns, with the taps that meet it.

use super::strip::{Strip, merge};
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::parallel::{self, Parts, chunks_mut};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, with_vectors};
use std::ops::Range;

/// Elements of a strip, about.
const STRIP: usize = 1 << 13;
/// Vectors of outputs that are summed at a time.
const SUMS: usize = 8;
/// Taps whose gradients are summed at a time.
const TAPS: usize = 5;
/// Elements of the planes of a task, at least.
const TASK: usize = 1 << 13;
/// Tasks that a sum over images is cut into, at least, where there are as many channels and images.
const TASKS: usize = 16;
/// Channels of a task, at most: their planes lie behind each other.
const CHANNELS: usize = 8;

/// `y = x * w`.
pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    let planes = (TASK / g.out_plane().max(g.plane())).max(1);
    chunks_mut(y, planes * g.out_plane()).each(|i, y| with_vectors(Forward { g, first: i * planes, x, w, end, y }));
}

/// The gradient with respect to `x`.
pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    let (planes, to) = ((TASK / g.out_plane().max(g.plane())).max(1), Shared::of(gx));
    let all = g.batch * g.channels;
    parallel::run(all.div_ceil(planes), &|i| {
        let planes = i * planes..all.min((i + 1) * planes);
        with_vectors(Backward { g, gy, images: 0..1, planes, input: Some((w, to)), filters: None });
    });
}

/// The gradient with respect to `w`.
pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    backward(g, x, gy, None, gw);
}

/// The gradients with respect to `x` and `w`: each plane of `gy` is read once for both.
pub fn grads<T: Lanes>(g: &Geometry, [x, gy, w]: [&[T]; 3], gx: &mut [T], gw: &mut [T]) {
    assert!(gx.len() == x.len());
    backward(g, x, gy, Some((w, Shared::of(gx))), gw);
}

fn backward<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], input: Option<(&[T], Shared<T>)>, gw: &mut [T]) {
    let channels = (g.channels / TASKS).clamp(1, CHANNELS);
    // Images are cut into parts where channels are few.
    let images = g.batch.div_ceil(TASKS.div_ceil(g.channels.div_ceil(channels)).min(g.batch));
    let (parts, count) = (g.batch.div_ceil(images), g.channels.div_ceil(channels));
    let mut sums = Buffer::stale(parts * gw.len());
    let to = Shared::of(sums.as_mut_slice());
    parallel::run(parts * count, &|i| {
        let (images, first) = (i / count * images..g.batch.min((i / count + 1) * images), i % count * channels);
        let planes = first..g.channels.min(first + channels);
        // SAFETY: a part's sums for these channels belong to this task.
        let gw = unsafe { to.part((i / count * g.channels + first) * g.taps(), planes.len() * g.taps()) };
        with_vectors(Backward { g, gy, images, planes, input, filters: Some((x, gw)) });
    });
    let (first, rest) = sums.as_slice().split_at(gw.len());
    gw.copy_from_slice(first);
    for part in rest.chunks_exact(gw.len()) {
        gw.iter_mut().zip(part).for_each(|(w, &v)| *w += v);
    }
}

/// What rows of outputs see of a plane: how strips of it are laid out, how many rows of outputs see one, and where each tap's run begins.
struct Forth {
    strip: Strip,
    rows: usize,
    lines: usize,
    offsets: Vec<usize>,
}

impl Forth {
    fn new(g: &Geometry, lanes: usize) -> Self {
        let ([_, kw], [down, right], [_, left], [step, phases]) = (g.kernel, g.reach(), g.before(), g.stride);
        let used = right / phases + g.output[1].next_multiple_of(lanes);
        let phase = Strip::phase_for(left, g.input[1], phases, used, lanes);
        let strip = Strip { plane: g.input, left, phases, phase };
        let rows = ((STRIP / strip.line()).saturating_sub(down) / step).max(down / step).clamp(1, g.output[0]);
        let offset = |t: usize| {
            let (a, b) = (t / kw * g.dilation[0], t % kw * g.dilation[1]);
            a * strip.line() + b % phases * phase + b / phases
        };
        Self { strip, rows, lines: (rows - 1) * step + down + 1, offsets: (0..g.taps()).map(offset).collect() }
    }
}

/// What rows of the input's gradient see of a plane of the output's. Places of one phase, `(y + padding) mod stride`, see the same taps.
struct Back {
    strip: Strip,
    /// Rows of outputs from that of a phase's first row to the first of the strip.
    top: isize,
    /// Rows of each phase of rows for which there is a strip.
    rows: usize,
    lines: usize,
    /// For each phase of rows and of columns: taps, and where their runs begin.
    taps: Vec<Vec<(usize, usize)>>,
}

impl Back {
    fn new(g: &Geometry, lanes: usize) -> Self {
        // How far the output's place lies from the phase's, if the tap meets it.
        let meets = |axis: usize, phase: usize, tap: usize| {
            let (at, step) = ((phase as isize + g.padding[axis]) - (tap * g.dilation[axis]) as isize, g.stride[axis] as isize);
            (at.rem_euclid(step) == 0).then_some(at.div_euclid(step))
        };
        let range = |axis: usize| {
            let all = (0..g.stride[axis]).flat_map(|q| (0..g.kernel[axis]).filter_map(move |t| meets(axis, q, t)));
            all.fold((isize::MAX, isize::MIN), |(low, high), at| (low.min(at), high.max(at)))
        };
        let ((top, bottom), (first, last)) = (range(0), range(1));
        let (left, across) = ((-first).max(0), g.input[1].div_ceil(g.stride[1]).next_multiple_of(lanes));
        let strip = Strip { plane: g.output, left: left as usize, phases: 1, phase: (left + last.max(0)) as usize + across };
        let (line, more) = (strip.line(), (bottom - top) as usize);
        let rows = (STRIP / line).saturating_sub(more).max(more).clamp(1, g.input[0].div_ceil(g.stride[0]));
        let taps_of = |q: usize| {
            let (v, u) = (q / g.stride[1], q % g.stride[1]);
            let taps = (0..g.taps()).filter_map(|t| {
                let (down, right) = (meets(0, v, t / g.kernel[1])?, meets(1, u, t % g.kernel[1])?);
                Some((t, (down - top) as usize * line + (right + left) as usize))
            });
            taps.collect()
        };
        let taps = (0..g.stride[0] * g.stride[1]).map(taps_of).collect();
        Self { strip, top, rows, lines: rows + more, taps }
    }
}

/// Some planes, the first of which is plane `first` of all.
struct Forward<'a, T> {
    g: &'a Geometry,
    first: usize,
    x: &'a [T],
    w: &'a [T],
    end: Epilogue<'a, T>,
    y: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for Forward<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, first, x, w, end, y } = self;
        let (forth, [height, width], count) = (Forth::new(g, V::LANES), g.output, g.taps());
        let mut data = Buffer::stale(forth.strip.size(forth.lines, V::LANES));
        let mut taps: Vec<(usize, T)> = forth.offsets.iter().map(|&offset| (offset, T::zero())).collect();
        for (i, y) in y.chunks_exact_mut(g.out_plane()).enumerate() {
            let channel = (first + i) % g.channels;
            taps.iter_mut().zip(&w[channel * count..][..count]).for_each(|(tap, &w)| tap.1 = w);
            let x = &x[(first + i) * g.plane()..][..g.plane()];
            for (i, y) in y.chunks_mut(forth.rows * width).enumerate() {
                let top = (i * forth.rows * g.stride[0]) as isize - g.padding[0];
                let rows = forth.rows.min(height - i * forth.rows);
                // SAFETY: the caller's promise; the last tap of the last row of outputs ends inside the strip.
                unsafe {
                    forth.strip.load::<T, V>(x, top, forth.lines, g.plane(), data.as_mut_slice());
                    let step = g.stride[0] * forth.strip.line();
                    sum_rows::<T, V>(&taps, (data.as_slice(), step), [rows, width], (y, width));
                }
            }
            end.finish(channel, g.out_plane(), y);
        }
    }
}

/// For some planes of some images: the gradient of the input, for which `input` has the filters and where it goes, and of the planes'
/// filters, summed over the images, for which `filters` has the input.
struct Backward<'a, T> {
    g: &'a Geometry,
    gy: &'a [T],
    images: Range<usize>,
    planes: Range<usize>,
    input: Option<(&'a [T], Shared<T>)>,
    filters: Option<(&'a [T], &'a mut [T])>,
}

impl<T: Lanes> VectorKernel<T> for Backward<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, gy, images, planes, input, filters } = self;
        let (forth, back) = (Forth::new(g, V::LANES), Back::new(g, V::LANES));
        let (size, count) = (forth.strip.size(forth.lines, V::LANES).max(back.strip.size(back.lines, V::LANES)), g.taps());
        let (mut data, mut parts) = (Buffer::stale(size), Buffer::stale(back.parts(g, V::LANES)));
        let mut taps = Vec::with_capacity(count);
        let mut sums = Buffer::stale(if filters.is_some() { planes.len() * count * V::LANES } else { 0 });
        sums.as_mut_slice().fill(T::zero());
        for (n, c) in images.flat_map(|n| planes.clone().map(move |c| (n, c))) {
            let plane = n * g.channels + c;
            let gy = &gy[plane * g.out_plane()..][..g.out_plane()];
            if let Some((w, to)) = input {
                let w = &w[c % g.channels * count..][..count];
                // SAFETY: the caller's promise; a plane belongs to one task.
                unsafe {
                    let gx = to.part(plane * g.plane(), g.plane());
                    back.plane::<T, V>(g, gy, w, &mut taps, [data.as_mut_slice(), parts.as_mut_slice()], gx);
                }
            }
            if let Some((x, _)) = filters {
                let x = &x[plane * g.plane()..][..g.plane()];
                let sums = &mut sums.as_mut_slice()[(c - planes.start) * count * V::LANES..][..count * V::LANES];
                // SAFETY: the caller's promise.
                unsafe { forth.add_plane::<T, V>(g, x, gy, data.as_mut_slice(), sums) }
            }
        }
        if let Some((_, gw)) = filters {
            for (gw, sum) in gw.iter_mut().zip(sums.as_slice().chunks_exact(V::LANES)) {
                *gw = sum.iter().copied().sum();
            }
        }
    }
}

impl Back {
    /// Elements that [`plane`](Self::plane) needs for the phases of rows.
    fn parts(&self, g: &Geometry, lanes: usize) -> usize {
        let across = g.input[1].div_ceil(g.stride[1]).next_multiple_of(lanes);
        if g.stride[1] == 1 { 0 } else { self.rows * g.stride[1] * across }
    }

    /// The gradient of a plane of inputs.
    ///
    /// # Safety
    /// The processor must have V's instructions.
    #[inline(always)]
    unsafe fn plane<T: Lanes, V: Vector<T>>(
        &self,
        g: &Geometry,
        gy: &[T],
        w: &[T],
        taps: &mut Vec<(usize, T)>,
        [data, parts]: [&mut [T]; 2],
        gx: &mut [T],
    ) {
        let ([height, width], [down, phases]) = (g.input, g.stride);
        let across = width.div_ceil(phases).next_multiple_of(V::LANES);
        for first in (0..height.div_ceil(down)).step_by(self.rows) {
            // SAFETY: the caller's promise; the last tap of the last row of a phase ends inside the strip.
            unsafe {
                self.strip.load::<T, V>(gy, first as isize + self.top, self.lines, g.out_plane(), data);
                for (v, of_rows) in self.taps.chunks_exact(phases).enumerate() {
                    // Rows of this phase that are in the plane.
                    let rows = height.saturating_sub(v).div_ceil(down).saturating_sub(first).min(self.rows);
                    for (u, of_columns) in of_rows.iter().enumerate().take(if rows > 0 { phases } else { 0 }) {
                        taps.clear();
                        taps.extend(of_columns.iter().map(|&(t, offset)| (offset, w[t])));
                        let (to, step, width) = match phases {
                            1 => (&mut gx[(first * down + v) * width..], down * width, width),
                            _ => (&mut parts[u * across..], phases * across, across),
                        };
                        sum_rows::<T, V>(taps, (data, self.strip.line()), [rows, width], (to, step));
                    }
                    for i in 0..if phases > 1 { rows } else { 0 } {
                        let row = &mut gx[((first + i) * down + v) * width..][..width];
                        merge::<T, V>(&parts[i * phases * across..], across, phases, row);
                    }
                }
            }
        }
    }
}

impl Forth {
    /// Adds what a plane adds to the sums of all taps, lane by lane.
    ///
    /// # Safety
    /// The processor must have V's instructions.
    #[inline(always)]
    unsafe fn add_plane<T: Lanes, V: Vector<T>>(&self, g: &Geometry, x: &[T], gy: &[T], data: &mut [T], sums: &mut [T]) {
        let width = g.output[1];
        for (i, gy) in gy.chunks(self.rows * width).enumerate() {
            let top = (i * self.rows * g.stride[0]) as isize - g.padding[0];
            // SAFETY: the caller's promise; the last tap of the last row of outputs ends inside the strip.
            unsafe {
                self.strip.load::<T, V>(x, top, self.lines, g.plane(), data);
                let step = g.stride[0] * self.strip.line();
                add_products::<T, V>(&self.offsets, (data, step), (gy, width), sums);
            }
        }
    }
}

/// Rows of sums over taps: element `j` of row `i` is `Σ weight · from[offset + i · step + j]`, written to `to[i · to_step + j]`.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn sum_rows<T: Lanes, V: Vector<T>>(
    taps: &[(usize, T)],
    (from, step): (&[T], usize),
    [rows, width]: [usize; 2],
    (to, to_step): (&mut [T], usize),
) {
    let count = rows * width.div_ceil(V::LANES);
    let last = taps.iter().map(|tap| tap.0).max().unwrap_or(0);
    assert!(last + (rows - 1) * step + width.next_multiple_of(V::LANES) <= from.len());
    assert!((rows - 1) * to_step + width <= to.len());
    let (mut row, mut left) = (0, 0);
    for first in (0..count).step_by(SUMS) {
        // Where there are fewer vectors, the last one is summed again.
        let (mut places, mut at) = ([(row, left); SUMS], [from.as_ptr(); SUMS]);
        for (k, (place, at)) in places.iter_mut().zip(&mut at).enumerate() {
            *place = (row, left);
            *at = at.wrapping_add(row * step + left);
            if first + k + 1 < count {
                left += V::LANES;
                if left >= width {
                    (row, left) = (row + 1, 0);
                }
            }
        }
        // SAFETY: the caller's promise; all that is read and written exists, as asserted.
        unsafe {
            let mut sums = [V::splat(T::zero()); SUMS];
            for &(offset, weight) in taps {
                let weight = V::splat(weight);
                for (sum, at) in sums.iter_mut().zip(&at) {
                    *sum = weight.mul_add(V::load(at.add(offset)), *sum);
                }
            }
            for (sum, (row, left)) in sums.into_iter().zip(places).take(count - first) {
                let to = to.as_mut_ptr().add(row * to_step + left);
                if width - left >= V::LANES {
                    sum.store(to);
                } else {
                    sum.store_first(to, width - left);
                }
            }
        }
    }
}

/// Adds `Σ gy[i, j] · x[offset + i · step + j]` to the sums of all taps, lane by lane.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn add_products<T: Lanes, V: Vector<T>>(
    offsets: &[usize],
    (x, step): (&[T], usize),
    (gy, width): (&[T], usize),
    sums: &mut [T],
) {
    let rows = gy.len() / width;
    let last = offsets.iter().copied().max().unwrap_or(0);
    assert!(last + (rows - 1) * step + width <= x.len() && sums.len() >= offsets.len() * V::LANES);
    for (offsets, sums) in offsets.chunks(TAPS).zip(sums.chunks_mut(TAPS * V::LANES)) {
        // SAFETY: the caller's promise; all that is read exists, as asserted; of a row's last vector only what it has is read.
        unsafe {
            // Where there are fewer taps, the last one is summed again, and not used.
            let (mut totals, mut at) = ([V::splat(T::zero()); TAPS], [x.as_ptr(); TAPS]);
            for (k, at) in at.iter_mut().enumerate() {
                *at = at.add(offsets[k.min(offsets.len() - 1)]);
            }
            for (i, gy) in gy.chunks_exact(width).enumerate() {
                let mut left = 0;
                while left + V::LANES <= width {
                    let g = V::load(gy.as_ptr().add(left));
                    for (total, at) in totals.iter_mut().zip(&at) {
                        *total = g.mul_add(V::load(at.add(i * step + left)), *total);
                    }
                    left += V::LANES;
                }
                if left < width {
                    let mask = V::mask(0, width - left);
                    let g = V::load_masked(gy.as_ptr().add(left), mask);
                    for (total, at) in totals.iter_mut().zip(&at) {
                        *total = g.mul_add(V::load_masked(at.add(i * step + left), mask), *total);
                    }
                }
            }
            for (total, sum) in totals.into_iter().zip(sums.chunks_exact_mut(V::LANES)) {
                V::load(sum.as_ptr()).add(total).store(sum.as_mut_ptr());
            }
        }
    }
}
