//! The filters' gradient: for each filter and each tap a sum over pixels, with vectors over the pixels of a row. Some filters by
//! some taps are summed at once, so that each vector that is loaded is used several times; lanes are added last.

use super::pad::pad;
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::parallel::{Parts, chunks_mut};
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, with_vectors};
use std::ops::Range;

/// Parts that pictures are cut into; fixed, so that the sum does not depend on the threads.
const PARTS: usize = 8;

/// The gradient with respect to `w`; writes all of `gw`.
pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    let images = g.batch.div_ceil(PARTS);
    let mut parts = Buffer::stale(g.batch.div_ceil(images) * gw.len());
    chunks_mut(parts.as_mut_slice(), gw.len()).each(|i, gw| {
        let images = i * images..((i + 1) * images).min(g.batch);
        // The channels of a group, and its filters, are an image of their own.
        let one = &Geometry { channels: g.group_channels(), filters: g.group_filters(), groups: 1, ..*g };
        for (group, gw) in gw.chunks_exact_mut(one.filters * one.patch()).enumerate() {
            let (x, gy) = (&x[group * one.image()..], &gy[group * one.out_image()..]);
            with_vectors(Pictures { g: one, groups: g.groups, images: images.clone(), x, gy, gw });
        }
    });
    let mut parts = parts.as_slice().chunks_exact(gw.len());
    gw.copy_from_slice(parts.next().expect("a batch has a first part"));
    for part in parts {
        gw.iter_mut().zip(part).for_each(|(w, &v)| *w += v);
    }
}

/// The gradient of some pictures.
struct Pictures<'a, T> {
    g: &'a Geometry,
    /// Of all images, as many lie behind each other as there are groups.
    groups: usize,
    images: Range<usize>,
    x: &'a [T],
    gy: &'a [T],
    gw: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for Pictures<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, groups, images, x, gy, gw } = self;
        let (Geometry { channels, filters, output: [height, width], kernel: [kh, kw], dilation, .. }, lanes) = (*g, V::LANES);
        let [down, right] = g.reach();
        let (lines, line) = (height + down, width.next_multiple_of(lanes) + right);
        let mut padded = Buffer::stale(channels * lines * line + lanes);
        let terms = channels * kh * kw;
        let offset = |p: usize| (p / (kh * kw) * lines + p / kw % kh * dilation[0]) * line + p % kw * dilation[1];
        let offsets: Vec<usize> = (0..terms).map(offset).collect();
        gw.fill(T::zero());
        for n in images {
            let x = &x[n * groups * g.image()..];
            let gy = &gy[n * groups * g.out_image()..][..g.out_image()];
            debug_assert!(terms == 0 || offsets[terms - 1] + (height - 1) * line + width <= padded.as_slice().len());
            // SAFETY: as for this function; the last tap of the last vector ends at `line` of the last of `lines`.
            unsafe {
                pad::<T, V>(g, x, 0, [lines, line], padded.as_mut_slice());
                let plane = Plane { x: padded.as_slice().as_ptr(), line, gy: gy.as_ptr(), height, width };
                if V::MR > 6 {
                    all_tiles::<T, V, 4, 6>(&plane, &offsets, filters, gw);
                } else {
                    all_tiles::<T, V, 2, 4>(&plane, &offsets, filters, gw);
                }
            }
        }
    }
}

/// One picture: padded inputs, and gradients of the outputs.
struct Plane<T> {
    x: *const T,
    line: usize,
    gy: *const T,
    height: usize,
    width: usize,
}

/// Adds a picture's share, F filters by K taps at a time. Where there are fewer, the last is summed again, and not used.
///
/// # Safety
/// The processor must have V's instructions, and the picture all its elements.
#[inline(always)]
unsafe fn all_tiles<T: Lanes, V: Vector<T>, const F: usize, const K: usize>(
    plane: &Plane<T>,
    offsets: &[usize],
    filters: usize,
    gw: &mut [T],
) {
    let (terms, size) = (offsets.len(), plane.height * plane.width);
    debug_assert!(gw.len() == filters * terms && V::LANES <= 16);
    for f in (0..filters).step_by(F) {
        for t in (0..terms).step_by(K) {
            let (mut gys, mut xs) = ([plane.gy; F], [plane.x; K]);
            for (i, gy) in gys.iter_mut().enumerate() {
                *gy = plane.gy.wrapping_add((f + i).min(filters - 1) * size);
            }
            for (i, x) in xs.iter_mut().enumerate() {
                *x = plane.x.wrapping_add(offsets[(t + i).min(terms - 1)]);
            }
            // SAFETY: the caller's promise.
            let sums = unsafe { tile::<T, V, F, K>(plane, gys, xs) };
            for (i, row) in sums.iter().enumerate().take(filters - f) {
                for (j, sum) in row.iter().enumerate().take(terms - t) {
                    let mut lanes = [T::zero(); 16];
                    // SAFETY: no vector has more than 16 lanes.
                    unsafe { sum.store(lanes.as_mut_ptr()) };
                    gw[(f + i) * terms + t + j] += lanes.into_iter().sum();
                }
            }
        }
    }
}

/// The sums over one picture, lane by lane.
///
/// # Safety
/// As for [`all_tiles`].
#[inline(always)]
unsafe fn tile<T: Lanes, V: Vector<T>, const F: usize, const K: usize>(
    plane: &Plane<T>,
    gys: [*const T; F],
    xs: [*const T; K],
) -> [[V; K]; F] {
    // SAFETY: the caller's promise; of the last vector of a row, only what the row has is read, of both sides.
    unsafe {
        let zero = V::splat(T::zero());
        let mut sums = [[zero; K]; F];
        for i in 0..plane.height {
            let (gy_row, x_row) = (i * plane.width, i * plane.line);
            let mut left = 0;
            while left + V::LANES <= plane.width {
                let mut gy = [zero; F];
                for (v, from) in gy.iter_mut().zip(gys) {
                    *v = V::load(from.add(gy_row + left));
                }
                for (j, from) in xs.into_iter().enumerate() {
                    let x = V::load(from.add(x_row + left));
                    for (sums, gy) in sums.iter_mut().zip(gy) {
                        sums[j] = gy.mul_add(x, sums[j]);
                    }
                }
                left += V::LANES;
            }
            if left < plane.width {
                let rest = plane.width - left;
                for (j, from) in xs.into_iter().enumerate() {
                    let x = V::load_first(from.add(x_row + left), rest);
                    for (sums, gy) in sums.iter_mut().zip(gys) {
                        sums[j] = V::load_first(gy.add(gy_row + left), rest).mul_add(x, sums[j]);
                    }
                }
            }
        }
        sums
    }
}
