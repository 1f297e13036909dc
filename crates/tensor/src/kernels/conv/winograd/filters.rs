//! Filters between `[F, C, R, R]` and planes of points.

use super::lines::{Combine, Evaluate, plane, scale};
use super::points::Points;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel};

/// The most lanes that a vector has.
const MOST: usize = 16;
/// The most taps of a filter, in whole vectors of two and more lanes.
const TAPS: usize = 32;

/// How a filter lies in memory: the steps from one output channel to the next and from one input channel to the next, and
/// whether its taps are read from the last to the first.
#[derive(Clone, Copy)]
pub struct Order {
    pub outputs: (usize, usize),
    pub inputs: (usize, usize),
    pub reversed: bool,
}

/// The filters, and what becomes of their outputs.
#[derive(Clone, Copy)]
pub struct Filters<'a, T> {
    pub w: &'a [T],
    pub order: Order,
    pub end: Epilogue<'a, T>,
}

/// The planes of the filters of output channels `first..first + 2 LANES`, `[P², inputs, 2 LANES]`, for R x R taps; and in
/// `largest` the largest absolute weight of each tap, `[R²]`.
pub struct Planes<'a, T, const R: usize, const P: usize> {
    pub w: &'a [T],
    pub order: Order,
    pub first: usize,
    pub out: &'a mut [T],
    pub largest: &'a mut [T],
}

impl<T: Lanes, const R: usize, const P: usize> VectorKernel<T> for Planes<'_, T, R, P> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { w, order: Order { outputs, inputs, reversed }, first, out, largest } = self;
        let (lanes, width) = (V::LANES, 2 * V::LANES);
        assert!(out.len() >= P * P * inputs.0 * width);
        assert!((outputs.0 - 1) * outputs.1 + (inputs.0 - 1) * inputs.1 + R * R <= w.len());
        // SAFETY: filters and planes have all elements that are named, as asserted.
        unsafe {
            let zero = V::splat(T::zero());
            let (mut rows, mut taps) = ([zero; MOST], [zero; TAPS]);
            let mut sizes = [[zero; R]; R];
            for (c, half) in (0..inputs.0).flat_map(|c| [(c, 0), (c, lanes)]) {
                for tap in (0..R * R).step_by(lanes) {
                    for (l, row) in rows[..lanes].iter_mut().enumerate() {
                        let f = first + half + l;
                        let from = w.as_ptr().wrapping_add(f * outputs.1 + c * inputs.1 + tap);
                        *row = if f < outputs.0 { V::load_first(from, lanes.min(R * R - tap)) } else { zero };
                    }
                    V::store_transposed(&rows[..lanes], taps[tap..].as_mut_ptr().cast(), lanes);
                }
                let mut filter = [[zero; R]; R];
                for (i, v) in filter.as_flattened_mut().iter_mut().enumerate() {
                    *v = taps[if reversed { R * R - 1 - i } else { i }];
                }
                for (size, v) in sizes.as_flattened_mut().iter_mut().zip(filter.as_flattened()) {
                    *size = v.max(zero.sub(*v)).max(*size);
                }
                let u = plane::<T, V, Evaluate, R, P>(&filter);
                for (i, row) in u.iter().enumerate() {
                    for (j, &v) in row.iter().enumerate() {
                        let scaled = v.mul(V::splat(T::lit(scale(P)[i] * scale(P)[j])));
                        scaled.store(out.as_mut_ptr().add(((i * P + j) * inputs.0 + c) * width + half));
                    }
                }
            }
            for (largest, size) in largest.iter_mut().zip(sizes.as_flattened()) {
                let mut lanes = [T::zero(); MOST];
                size.store(lanes.as_mut_ptr());
                *largest = lanes.into_iter().fold(T::zero(), |a, b| if b > a { b } else { a });
            }
        }
    }
}

/// The adjoint of [`Planes`]: the gradients of the filters `[F, C, R, R]` of input channel `channel`, from those of their
/// planes, `[P², C, F in whole vectors]`.
pub struct Gradient<T, const R: usize, const P: usize> {
    pub planes: Points<T>,
    pub filters: usize,
    pub channels: usize,
    pub channel: usize,
    pub out: Shared<T>,
}

impl<T: Lanes, const R: usize, const P: usize> VectorKernel<T> for Gradient<T, R, P> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { planes, filters, channels, channel, out } = self;
        let lanes = V::LANES;
        debug_assert!(channel < channels && lanes <= MOST && R * R <= TAPS);
        // SAFETY: the caller gives planes of all channels and filters; only this channel's filters are written.
        unsafe {
            let zero = V::splat(T::zero());
            let (mut taps, mut block) = ([zero; TAPS], [zero; MOST]);
            for f in (0..filters).step_by(lanes) {
                let mut x = [[zero; P]; P];
                for (i, row) in x.iter_mut().enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        let at = planes.at.at((i * P + j) * planes.point + channel * planes.tile + f, lanes);
                        *v = V::load(at).mul(V::splat(T::lit(scale(P)[i] * scale(P)[j])));
                    }
                }
                taps[..R * R].copy_from_slice(plane::<T, V, Combine, P, R>(&x).as_flattened());
                for tap in (0..R * R).step_by(lanes) {
                    V::store_transposed(&taps[tap..tap + lanes], block.as_mut_ptr().cast(), lanes);
                    for (l, v) in block[..lanes.min(filters - f)].iter().enumerate() {
                        let n = lanes.min(R * R - tap);
                        v.store_first(out.at(((f + l) * channels + channel) * R * R + tap, n), n);
                    }
                }
            }
        }
    }
}
