//! Filters of K x K taps and stride 1: the taps' weights stay in registers, as does a vector of outputs while all taps are
//! added; a plane is padded once, so that no tap needs to know about edges.

use super::super::{Geometry, copy_row};
use crate::buffer::Buffer;
use crate::element::Float;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::simd::{Vector, VectorKernel, with_vectors};
use rayon::prelude::*;

/// Rows of outputs at a time.
const ROWS: usize = 4;
/// Pixels above which a plane of gradients is asked for before it is read.
const LARGE: usize = 1 << 12;
/// Planes that make a task have so many pixels between them, at least.
const TASK: usize = 1 << 13;

/// Whether filters have K x K taps and stride 1.
pub fn fits<const K: usize>(g: &Geometry) -> bool {
    g.plane() > 0 && (g.kernel, g.stride, g.dilation) == ([K, K], [1, 1], [1, 1]) && g.padding.iter().all(|&p| p < K)
}

/// From a plane of `from` pixels to one of `to`, with so many zeros before the first row and column.
#[derive(Clone, Copy)]
struct Plane {
    from: [usize; 2],
    to: [usize; 2],
    padding: [usize; 2],
}

impl Plane {
    fn forward(g: &Geometry) -> Self {
        Self { from: [g.height, g.width], to: [g.out_height, g.out_width], padding: g.padding }
    }

    /// The convolution whose output is the input's gradient.
    fn backward<const K: usize>(g: &Geometry) -> Self {
        let Self { from, to, padding } = Self::forward(g);
        Self { from: to, to: from, padding: padding.map(|p| K - 1 - p) }
    }

    /// Rows and columns of the padded plane, whose vectors all end inside it.
    fn padded<const K: usize>(&self, lanes: usize) -> [usize; 2] {
        let [height, width] = self.to;
        [height + K - 1, (width.next_multiple_of(lanes) + K - 1).max(self.padding[1] + self.from[1])]
    }

    /// A padded plane of zeros, with room behind it for a vector that reaches over its end.
    fn zeros<T: Float>(&self, [lines, line]: [usize; 2], lanes: usize) -> Buffer<T> {
        let mut zeros = Buffer::stale(lines * line + lanes);
        zeros.as_mut_slice().fill(T::zero());
        zeros
    }

    /// Writes the plane `x` into a padded one, around which there are zeros already. Rows are written in order and in whole
    /// vectors, so that each overwrites the zeros that the one before it wrote too much.
    ///
    /// # Safety
    /// The processor must have V's instructions.
    #[inline(always)]
    unsafe fn fill<T: Float, V: Vector<T>>(&self, x: &[T], [lines, line]: [usize; 2], out: &mut [T]) {
        let ([height, width], [top, left]) = (self.from, self.padding);
        let rows = height.min(lines - top);
        assert!(x.len() >= rows * width && out.len() >= lines * line + V::LANES && left + width <= line);
        for i in 0..rows {
            // SAFETY: rows lie inside both planes, and vectors reach no further than the room behind them.
            unsafe { copy_row::<T, V>(x.as_ptr().add(i * width), out.as_mut_ptr().add((top + i) * line + left), width) }
        }
    }
}

/// `y = x * w`.
pub fn forward<T: Float, const K: usize>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    convolve::<T, K>(Plane::forward(g), Filters { channels: g.channels, w, turned: false, end }, x, y);
}

/// The gradient with respect to `x`.
pub fn input_grad<T: Float, const K: usize>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    let filters = Filters { channels: g.channels, w, turned: true, end: Epilogue::NONE };
    convolve::<T, K>(Plane::backward::<K>(g), filters, gy, gx);
}

/// The gradient with respect to `w`.
pub fn weight_grad<T: Float, const K: usize>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    gw.par_chunks_mut(K * K).enumerate().for_each(|(channel, gw)| {
        with_vectors(WeightGrad::<T, K> { plane: Plane::forward(g), channels: g.channels, channel, x, gy, gw });
    });
}

/// The filters of all channels, and what becomes of their outputs.
#[derive(Clone, Copy)]
struct Filters<'a, T> {
    channels: usize,
    w: &'a [T],
    /// Whether taps are read from the last to the first.
    turned: bool,
    end: Epilogue<'a, T>,
}

fn convolve<T: Float, const K: usize>(plane: Plane, filters: Filters<'_, T>, x: &[T], y: &mut [T]) {
    let (from, to) = (plane.from[0] * plane.from[1], plane.to[0] * plane.to[1]);
    let planes = (TASK / to).max(1);
    y.par_chunks_mut(planes * to).zip(x.par_chunks(planes * from)).enumerate().for_each(|(i, (y, x))| {
        with_vectors(Planes::<T, K> { plane, filters, first: i * planes, x, y });
    });
}

/// Some planes, the first of which is plane `first` of all.
struct Planes<'a, T, const K: usize> {
    plane: Plane,
    filters: Filters<'a, T>,
    first: usize,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Float, const K: usize> VectorKernel<T> for Planes<'_, T, K> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { plane, filters: Filters { channels, w, turned, end }, first, x, y } = self;
        let (size, [_, width]) = (plane.padded::<K>(V::LANES), plane.to);
        let mut padded = plane.zeros(size, V::LANES);
        let planes = x.chunks_exact(plane.from[0] * plane.from[1]).zip(y.chunks_exact_mut(plane.to[0] * width));
        for (i, (x, y)) in planes.enumerate() {
            let channel = (first + i) % channels;
            let w = &w[channel * K * K..][..K * K];
            // SAFETY: of `K` rows and columns from each output on, the last vector ends inside the padded plane.
            unsafe {
                plane.fill::<T, V>(x, size, padded.as_mut_slice());
                let mut taps = [[V::splat(T::zero()); K]; K];
                for (t, v) in taps.as_flattened_mut().iter_mut().enumerate() {
                    *v = V::splat(w[if turned { K * K - 1 - t } else { t }]);
                }
                let at = padded.as_slice().as_ptr();
                for (i, y) in y.chunks_mut(ROWS * width).enumerate() {
                    let at = at.add(i * ROWS * size[1]);
                    if y.len() == ROWS * width {
                        put_rows::<T, V, K, ROWS>(at, size[1], &taps, y, width);
                    } else {
                        for (i, y) in y.chunks_exact_mut(width).enumerate() {
                            put_rows::<T, V, K, 1>(at.add(i * size[1]), size[1], &taps, y, width);
                        }
                    }
                }
            }
            end.finish(channel, y.len(), y);
        }
    }
}

/// R rows of outputs. A vector of the padded plane is loaded once for all of them: most of these loads lie across two lines,
/// and cost as much as two.
///
/// # Safety
/// The processor must have V's instructions, and there be whole vectors from each output on at K + R - 1 rows, `line` apart,
/// and K columns.
#[inline(always)]
unsafe fn put_rows<T: Float, V: Vector<T>, const K: usize, const R: usize>(
    at: *const T,
    line: usize,
    taps: &[[V; K]; K],
    y: &mut [T],
    width: usize,
) {
    assert!(y.len() == R * width);
    let tap = |a: usize, b: usize| taps[a][b];
    // SAFETY: the caller's promise; outputs are written inside `y`.
    unsafe {
        for left in (0..width).step_by(V::LANES) {
            let mut sums = [V::splat(T::zero()); R];
            for i in 0..K + R - 1 {
                for b in 0..K {
                    let x = V::load(at.add(i * line + left + b));
                    for (r, sum) in sums.iter_mut().enumerate() {
                        if (r..r + K).contains(&i) {
                            *sum = tap(i - r, b).mul_add(x, *sum);
                        }
                    }
                }
            }
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

/// The gradient of one channel's filter, over all pictures.
struct WeightGrad<'a, T, const K: usize> {
    plane: Plane,
    channels: usize,
    channel: usize,
    x: &'a [T],
    gy: &'a [T],
    gw: &'a mut [T],
}

impl<T: Float, const K: usize> VectorKernel<T> for WeightGrad<'_, T, K> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { plane, channels, channel, x, gy, gw } = self;
        let (size, [height, width]) = (plane.padded::<K>(V::LANES), plane.to);
        let (from, to) = (plane.from[0] * plane.from[1], height * width);
        let mut padded = plane.zeros(size, V::LANES);
        // SAFETY: as in `Planes`.
        unsafe {
            let mut sums = [[V::splat(T::zero()); K]; K];
            for n in 0..gy.len() / to / channels {
                let i = n * channels + channel;
                if to > LARGE {
                    // Several rows at a time, it is not read in order, and processors then ask for what is next too late.
                    for line in (0..to).step_by(64 / size_of::<T>()) {
                        V::prefetch(gy.as_ptr().wrapping_add(i * to + line));
                    }
                }
                plane.fill::<T, V>(&x[i * from..(i + 1) * from], size, padded.as_mut_slice());
                let at = padded.as_slice().as_ptr();
                for (i, gy) in gy[i * to..(i + 1) * to].chunks(ROWS * width).enumerate() {
                    let at = at.add(i * ROWS * size[1]);
                    if gy.len() == ROWS * width {
                        add_rows::<T, V, K, ROWS>(at, size[1], gy, width, &mut sums);
                    } else {
                        for (i, gy) in gy.chunks_exact(width).enumerate() {
                            add_rows::<T, V, K, 1>(at.add(i * size[1]), size[1], gy, width, &mut sums);
                        }
                    }
                }
            }
            for (g, sum) in gw.iter_mut().zip(sums.as_flattened()) {
                let mut lanes = [T::zero(); 16];
                sum.store(lanes.as_mut_ptr());
                *g = lanes.into_iter().sum();
            }
        }
    }
}

/// What R rows of the output's gradient add to the sums of all taps, lane by lane.
///
/// # Safety
/// As for [`put_rows`].
#[inline(always)]
unsafe fn add_rows<T: Float, V: Vector<T>, const K: usize, const R: usize>(
    at: *const T,
    line: usize,
    gy: &[T],
    width: usize,
    sums: &mut [[V; K]; K],
) {
    assert!(gy.len() == R * width);
    let gy = gy.as_ptr();
    // SAFETY: the caller's promise; of the last vector of a row, only what the row has is read, of both sides.
    unsafe {
        let mut left = 0;
        while left + V::LANES <= width {
            add_columns::<T, V, K, R>(|r| V::load(gy.add(r * width + left)), |i, b| V::load(at.add(i * line + left + b)), sums);
            left += V::LANES;
        }
        if left < width {
            let load = |p: *const T| V::load_first(p, width - left);
            add_columns::<T, V, K, R>(|r| load(gy.add(r * width + left)), |i, b| load(at.add(i * line + left + b)), sums);
        }
    }
}

/// One vector of columns of R rows. As in [`put_rows`], a vector of the padded plane is loaded once for all of them.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn add_columns<T: Float, V: Vector<T>, const K: usize, const R: usize>(
    g: impl Fn(usize) -> V,
    x: impl Fn(usize, usize) -> V,
    sums: &mut [[V; K]; K],
) {
    let (mut totals, g): (_, [V; R]) = (*sums, std::array::from_fn(g));
    // SAFETY: the caller's promise.
    let add = |total: &mut [V; K], b: usize, g: V, x: V| total[b] = unsafe { g.mul_add(x, total[b]) };
    for i in 0..K + R - 1 {
        for b in 0..K {
            let x = x(i, b);
            for (r, &g) in g.iter().enumerate() {
                if (r..r + K).contains(&i) {
                    add(&mut totals[i - r], b, g, x);
                }
            }
        }
    }
    *sums = totals;
}
