//! Convolution as matrix products (Chellapilla, Puri and Simard 2006): the patches of one picture become the
//! columns of a matrix, which the filters multiply. One picture at a time, so that the matrix of patches stays
//! in the second-level cache; pictures spread over threads.

use super::Geometry;
use crate::buffer::Buffer;
use crate::element::Float;
use crate::kernels::gemm::{Gemm, Mat};
use rayon::prelude::*;

/// Most parts that a sum over pictures is cut into; fixed, so that the sum does not depend on the threads.
const PARTS: usize = 8;

/// The patches of group `group` of one picture, `[patch, out_plane]`: row `(c, a, b)` is channel `c` shifted by tap
/// `(a, b)`.
fn patches<T: Float>(g: &Geometry, x: &[T], group: usize, cols: &mut [T]) {
    let [kh, kw] = g.kernel;
    let channels = &x[group * g.group_channels * g.plane()..(group + 1) * g.group_channels * g.plane()];
    for (row, cols) in cols.chunks_exact_mut(g.out_plane()).enumerate() {
        let (c, a, b) = (row / (kh * kw), row / kw % kh, row % kw);
        let plane = &channels[c * g.plane()..(c + 1) * g.plane()];
        let (top, bottom) = g.inside(0, a, g.height, g.out_height);
        let (left, right) = g.inside(1, b, g.width, g.out_width);
        cols[..top * g.out_width].fill(T::zero());
        cols[bottom * g.out_width..].fill(T::zero());
        for i in top..bottom {
            let y = i * g.stride[0] + a * g.dilation[0] - g.padding[0];
            let from = &plane[y * g.width..(y + 1) * g.width];
            let to = &mut cols[i * g.out_width..(i + 1) * g.out_width];
            to[..left].fill(T::zero());
            to[right..].fill(T::zero());
            if left == right {
                continue;
            }
            let first = left * g.stride[1] + b * g.dilation[1] - g.padding[1];
            if g.stride[1] == 1 {
                to[left..right].copy_from_slice(&from[first..first + right - left]);
            } else {
                for (v, &x) in to[left..right].iter_mut().zip(from[first..].iter().step_by(g.stride[1])) {
                    *v = x;
                }
            }
        }
    }
}

/// The adjoint of [`patches`]: adds each patch's elements to the pixels that they came from.
fn add_patches<T: Float>(g: &Geometry, cols: &[T], group: usize, gx: &mut [T]) {
    let [kh, kw] = g.kernel;
    let channels = &mut gx[group * g.group_channels * g.plane()..(group + 1) * g.group_channels * g.plane()];
    for (row, cols) in cols.chunks_exact(g.out_plane()).enumerate() {
        let (c, a, b) = (row / (kh * kw), row / kw % kh, row % kw);
        let plane = &mut channels[c * g.plane()..(c + 1) * g.plane()];
        let (top, bottom) = g.inside(0, a, g.height, g.out_height);
        let (left, right) = g.inside(1, b, g.width, g.out_width);
        if left == right {
            continue;
        }
        for i in top..bottom {
            let y = i * g.stride[0] + a * g.dilation[0] - g.padding[0];
            let to = &mut plane[y * g.width..(y + 1) * g.width];
            let from = &cols[i * g.out_width + left..i * g.out_width + right];
            let first = left * g.stride[1] + b * g.dilation[1] - g.padding[1];
            if g.stride[1] == 1 {
                to[first..first + from.len()].iter_mut().zip(from).for_each(|(x, &v)| *x += v);
            } else {
                to[first..].iter_mut().step_by(g.stride[1]).zip(from).for_each(|(x, &v)| *x += v);
            }
        }
    }
}

/// The filters of one group as `[group_filters, patch]`.
fn filters<'a, T>(g: &Geometry, w: &'a [T], group: usize) -> Mat<'a, T> {
    let size = g.group_filters * g.patch();
    Mat::row_major(&w[group * size..(group + 1) * size], g.patch())
}

/// What a pointwise convolution multiplies in place of patches: the picture's own channels.
fn channels<'a, T>(g: &Geometry, x: &'a [T], group: usize) -> &'a [T] {
    let size = g.group_channels * g.plane();
    &x[group * size..(group + 1) * size]
}

/// Runs `f` for every picture: over threads when there are several, and told whether to use threads itself
/// when there is but one.
fn each_image<T: Float>(out: &mut [T], size: usize, f: impl Fn(usize, &mut [T], bool) + Sync) {
    if out.len() == size {
        return f(0, out, true);
    }
    out.par_chunks_mut(size).enumerate().for_each(|(n, out)| f(n, out, false));
}

pub fn forward<T: Float>(g: &Geometry, x: &[T], w: &[T], y: &mut [T]) {
    each_image(y, g.out_image(), |n, y, threads| {
        let x = &x[n * g.image()..(n + 1) * g.image()];
        let mut scratch = (!g.is_pointwise()).then(|| Buffer::stale(g.patch() * g.out_plane()));
        for (group, y) in y.chunks_exact_mut(g.group_filters * g.out_plane()).enumerate() {
            let cols: &[T] = match &mut scratch {
                Some(scratch) => {
                    patches(g, x, group, scratch.as_mut_slice());
                    scratch.as_slice()
                }
                None => channels(g, x, group),
            };
            let b = Mat::row_major(cols, g.out_plane());
            let product = Gemm {
                m: g.group_filters,
                k: g.patch(),
                n: g.out_plane(),
                a: filters(g, w, group),
                b,
                beta: T::zero(),
                c: y,
                ldc: g.out_plane(),
            };
            if threads { product.run_parallel() } else { product.run() }
        }
    });
}

pub fn input_grad<T: Float>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    each_image(gx, g.image(), |n, gx, threads| {
        let gy = &gy[n * g.out_image()..(n + 1) * g.out_image()];
        let product = |group: usize, cols: &mut [T]| {
            let size = g.group_filters * g.out_plane();
            let product = Gemm {
                m: g.patch(),
                k: g.group_filters,
                n: g.out_plane(),
                a: filters(g, w, group).t(),
                b: Mat::row_major(&gy[group * size..(group + 1) * size], g.out_plane()),
                beta: T::zero(),
                c: cols,
                ldc: g.out_plane(),
            };
            if threads { product.run_parallel() } else { product.run() }
        };
        if g.is_pointwise() {
            gx.chunks_exact_mut(g.group_channels * g.plane()).enumerate().for_each(|(group, gx)| product(group, gx));
            return;
        }
        let mut scratch = Buffer::stale(g.patch() * g.out_plane());
        gx.fill(T::zero());
        for group in 0..g.groups {
            product(group, scratch.as_mut_slice());
            add_patches(g, scratch.as_slice(), group, gx);
        }
    });
}

pub fn weight_grad<T: Float>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    let images = g.batch.div_ceil(PARTS);
    let parts = g.batch.div_ceil(images);
    let mut partial = Buffer::stale(parts * gw.len());
    partial.as_mut_slice().par_chunks_mut(gw.len()).enumerate().for_each(|(part, gw)| {
        let mut scratch = (!g.is_pointwise()).then(|| Buffer::stale(g.patch() * g.out_plane()));
        for n in part * images..((part + 1) * images).min(g.batch) {
            let (x, gy) = (&x[n * g.image()..(n + 1) * g.image()], &gy[n * g.out_image()..(n + 1) * g.out_image()]);
            for (group, gw) in gw.chunks_exact_mut(g.group_filters * g.patch()).enumerate() {
                let cols: &[T] = match &mut scratch {
                    Some(scratch) => {
                        patches(g, x, group, scratch.as_mut_slice());
                        scratch.as_slice()
                    }
                    None => channels(g, x, group),
                };
                let size = g.group_filters * g.out_plane();
                Gemm {
                    m: g.group_filters,
                    k: g.out_plane(),
                    n: g.patch(),
                    a: Mat::row_major(&gy[group * size..(group + 1) * size], g.out_plane()),
                    b: Mat::row_major(cols, g.out_plane()).t(),
                    beta: if n == part * images { T::zero() } else { T::one() },
                    c: gw,
                    ldc: g.patch(),
                }
                .run();
            }
        }
    });
    // The parts, joined in their order.
    let mut parts = partial.as_slice().chunks_exact(gw.len());
    gw.copy_from_slice(parts.next().expect("a batch has a first part"));
    for part in parts {
        gw.iter_mut().zip(part).for_each(|(w, &v)| *w += v);
    }
}
