//! Filters of K x K taps and stride 1: the taps' weights stay in registers, as does a vector of outputs while all taps are
//! added.

use super::plane::{Kind, ROWS, View};
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::parallel::{Parts, chunks, chunks_mut};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, prefetch_run, with_vectors};

/// Planes that make a task have so many pixels between them, at least.
const TASK: usize = 1 << 13;
/// Channels whose gradients are a task, at most: their planes lie behind each other.
const CHANNELS: usize = 8;
/// Tasks that channels are enough for, if there are as many.
const TASKS: usize = 8;

/// Whether filters have K x K taps and stride 1.
pub fn fits<const K: usize>(g: &Geometry) -> bool {
    g.plane() > 0 && g.is_dense(K)
}

/// `y = x * w`.
pub fn forward<T: Lanes, const K: usize>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    convolve::<T, K>(g, Filters { channels: g.channels, w, reversed: false, end }, x, y);
}

/// The gradient with respect to `x`.
pub fn input_grad<T: Lanes, const K: usize>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    let filters = Filters { channels: g.channels, w, reversed: true, end: Epilogue::NONE };
    convolve::<T, K>(&g.transposed(), filters, gy, gx);
}

/// The gradient with respect to `w`.
pub fn weight_grad<T: Lanes, const K: usize>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    backward::<T, K>(g, x, gy, None, gw);
}

/// The gradients with respect to `x` and `w`: each plane of `gy` is read once for both.
pub fn grads<T: Lanes, const K: usize>(g: &Geometry, [x, gy, w]: [&[T]; 3], gx: &mut [T], gw: &mut [T]) {
    assert!(gx.len() == x.len());
    backward::<T, K>(g, x, gy, Some((w, Shared::of(gx))), gw);
}

fn backward<T: Lanes, const K: usize>(g: &Geometry, x: &[T], gy: &[T], input: Option<(&[T], Shared<T>)>, gw: &mut [T]) {
    assert!(gw.len() == g.channels * K * K && x.len() == g.batch * g.image() && gy.len() == g.batch * g.out_image());
    let channels = (g.channels / TASKS).clamp(1, CHANNELS);
    chunks_mut(gw, channels * K * K).each(|i, gw| {
        with_vectors(Backward::<T, K> { g, first: i * channels, x, gy, input, gw });
    });
}

/// The filters of all channels, and what becomes of their outputs.
#[derive(Clone, Copy)]
struct Filters<'a, T> {
    channels: usize,
    w: &'a [T],
    /// Whether taps are read from the last to the first.
    reversed: bool,
    end: Epilogue<'a, T>,
}

/// The taps of a channel's filter, each in all lanes.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn taps<T: Lanes, V: Vector<T>, const K: usize>(w: &[T], channel: usize, reversed: bool) -> [[V; K]; K] {
    let w = &w[channel * K * K..][..K * K];
    // SAFETY: the caller's promise.
    let mut taps = unsafe { [[V::splat(T::zero()); K]; K] };
    for (t, v) in taps.as_flattened_mut().iter_mut().enumerate() {
        // SAFETY: the caller's promise.
        *v = unsafe { V::splat(w[if reversed { K * K - 1 - t } else { t }]) };
    }
    taps
}

fn convolve<T: Lanes, const K: usize>(g: &Geometry, filters: Filters<'_, T>, x: &[T], y: &mut [T]) {
    let (from, to) = (g.plane(), g.out_plane());
    let planes = (TASK / to).max(1);
    (chunks_mut(y, planes * to), chunks(x, planes * from)).each(|i, (y, x)| {
        with_vectors(Planes::<T, K> { g, filters, first: i * planes, x, y });
    });
}

/// Some planes, the first of which is plane `first` of all.
struct Planes<'a, T, const K: usize> {
    g: &'a Geometry,
    filters: Filters<'a, T>,
    first: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Lanes, const K: usize> VectorKernel<T> for Planes<'_, T, K> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, filters: Filters { channels, w, reversed, end }, first, x, y } = self;
        let (from, to) = (g.plane(), g.out_plane());
        // SAFETY: the caller's promise.
        let kind = &unsafe { Kind::new::<V>(g) };
        for (i, (x, y)) in x.chunks_exact(from).zip(y.chunks_exact_mut(to)).enumerate() {
            let channel = (first + i) % channels;
            // SAFETY: the caller's promise.
            unsafe { put_plane::<T, V, K>(View { kind, x, next: from }, to, &taps::<T, V, K>(w, channel, reversed), y) };
            end.finish(channel, y.len(), y);
        }
    }
}

/// A plane of outputs; the next one lies `next` behind it.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn put_plane<T: Lanes, V: Vector<T>, const K: usize>(
    view: View<'_, V::Mask, T, K>,
    next: usize,
    taps: &[[V; K]; K],
    y: &mut [T],
) {
    let width = view.kind.output[1];
    for (i, y) in y.chunks_mut(ROWS * width).enumerate() {
        let rows = view.rows(i * ROWS);
        view.prefetch_next(i * ROWS);
        prefetch_run(y.as_ptr().wrapping_add(next), y.len());
        // SAFETY: the caller's promise.
        unsafe {
            if y.len() == ROWS * width {
                put_rows::<T, V, K, ROWS>(view, &rows, taps, y);
            } else {
                for (r, y) in y.chunks_exact_mut(width).enumerate() {
                    put_rows::<T, V, K, 1>(view, &rows[r..], taps, y);
                }
            }
        }
    }
}

/// R rows of outputs, from the rows of inputs that they see. A vector of inputs is loaded once for all of them: most of these
/// loads lie across two lines, and cost as much as two.
///
/// # Safety
/// The processor must have V's instructions, and the rows be of this plane, or zeros.
#[inline(always)]
unsafe fn put_rows<T: Lanes, V: Vector<T>, const K: usize, const R: usize>(
    view: View<'_, V::Mask, T, K>,
    rows: &[*const T],
    taps: &[[V; K]; K],
    y: &mut [T],
) {
    let (width, rows) = (view.kind.output[1], &rows[..K + R - 1]);
    assert!(y.len() == R * width);
    debug_assert!(view.kind.masks.len() == width.div_ceil(V::LANES));
    let tap = |a: usize, b: usize| taps[a][b];
    for vector in 0..view.kind.masks.len() {
        let left = vector * V::LANES;
        // SAFETY: the caller's promise; outputs are written inside `y`.
        unsafe {
            let mut sums = [V::splat(T::zero()); R];
            view.look::<V>(rows, vector, |i, b, x| {
                for (r, sum) in sums.iter_mut().enumerate() {
                    if (r..r + K).contains(&i) {
                        *sum = tap(i - r, b).mul_add(x, *sum);
                    }
                }
            });
            for (r, sum) in sums.into_iter().enumerate() {
                let to = y.as_mut_ptr().add(r * width + left);
                if width - left >= V::LANES {
                    sum.store(to);
                } else {
                    sum.store_first(to, width - left);
                }
            }
        }
    }
}

/// The gradients of some channels' filters, over all pictures, and of their inputs, for which `input` has the filters.
struct Backward<'a, T, const K: usize> {
    g: &'a Geometry,
    first: usize,
    x: &'a [T],
    gy: &'a [T],
    input: Option<(&'a [T], Shared<T>)>,
    gw: &'a mut [T],
}

impl<T: Lanes, const K: usize> VectorKernel<T> for Backward<'_, T, K> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, first, x, gy, input, gw } = self;
        let (from, to) = (g.plane(), g.out_plane());
        let channels = gw.len() / (K * K);
        // SAFETY: the caller's promise. A channel is one task's, so that no other writes to its planes of `gx`, which has as many as `x`.
        unsafe {
            let (forth, back) = (&Kind::new::<V>(g), &Kind::new::<V>(&g.transposed()));
            let mut sums = [[[V::splat(T::zero()); K]; K]; CHANNELS];
            for (n, c) in (0..g.batch).flat_map(|n| (0..channels).map(move |c| (n, c))) {
                let i = n * g.channels + first + c;
                let next = if c + 1 < channels { 1 } else { g.channels + 1 - channels };
                let (x, gy) = (&x[i * from..(i + 1) * from], &gy[i * to..(i + 1) * to]);
                if let Some((w, gx)) = input {
                    let gx = gx.part(i * from, from);
                    let view = View { kind: back, x: gy, next: next * to };
                    put_plane::<T, V, K>(view, next * from, &taps::<T, V, K>(w, first + c, true), gx);
                }
                let ahead = if input.is_none() { next * to } else { 0 };
                add_plane::<T, V, K>(View { kind: forth, x, next: next * from }, ahead, gy, &mut sums[c]);
            }
            for (g, sum) in gw.iter_mut().zip(sums.as_flattened().as_flattened()) {
                let mut lanes = [T::zero(); 16];
                sum.store(lanes.as_mut_ptr());
                *g = lanes.into_iter().sum();
            }
        }
    }
}

/// What a plane of the output's gradient adds to the sums of all taps, lane by lane. The next one lies `next` behind it, if it is
/// not here already.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn add_plane<T: Lanes, V: Vector<T>, const K: usize>(
    view: View<'_, V::Mask, T, K>,
    next: usize,
    gy: &[T],
    sums: &mut [[V; K]; K],
) {
    let width = view.kind.output[1];
    let mut totals = *sums;
    for (i, gy) in gy.chunks(ROWS * width).enumerate() {
        let rows = view.rows(i * ROWS);
        view.prefetch_next(i * ROWS);
        if next > 0 {
            prefetch_run(gy.as_ptr().wrapping_add(next), gy.len());
        }
        // SAFETY: the caller's promise.
        unsafe {
            if gy.len() == ROWS * width {
                add_rows::<T, V, K, ROWS>(view, &rows, gy, &mut totals);
            } else {
                for (r, gy) in gy.chunks_exact(width).enumerate() {
                    add_rows::<T, V, K, 1>(view, &rows[r..], gy, &mut totals);
                }
            }
        }
    }
    *sums = totals;
}

/// What R rows add. As in [`put_rows`], a vector of inputs is loaded once for all of them.
///
/// # Safety
/// As for [`put_rows`].
#[inline(always)]
unsafe fn add_rows<T: Lanes, V: Vector<T>, const K: usize, const R: usize>(
    view: View<'_, V::Mask, T, K>,
    rows: &[*const T],
    gy: &[T],
    sums: &mut [[V; K]; K],
) {
    let (width, rows) = (view.kind.output[1], &rows[..K + R - 1]);
    assert!(gy.len() == R * width);
    debug_assert!(view.kind.masks.len() == width.div_ceil(V::LANES) && V::LANES <= 16);
    for vector in 0..view.kind.masks.len() {
        let left = vector * V::LANES;
        // SAFETY: the caller's promise; of the last vector of a row, only what the row has is read.
        unsafe {
            let g: [V; R] = std::array::from_fn(|r| {
                let at = gy.as_ptr().add(r * width + left);
                if width - left >= V::LANES { V::load(at) } else { V::load_first(at, width - left) }
            });
            view.look::<V>(rows, vector, |i, b, x| {
                for (r, &g) in g.iter().enumerate() {
                    if (r..r + K).contains(&i) {
                        sums[i - r][b] = g.mul_add(x, sums[i - r][b]);
                    }
                }
            });
        }
    }
}
