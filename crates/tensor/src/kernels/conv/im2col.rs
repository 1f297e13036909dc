//! Convolution as matrix products (Chellapilla, Puri and Simard 2006): the patches of one picture become the
//! columns of a matrix, which the filters multiply. One picture at a time, so that the matrix of patches stays
//! in the second-level cache; pictures spread over threads.

use super::geometry::Geometry;
use crate::buffer::Buffer;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::{Gemm, Mat};
use crate::kernels::parallel::{Parts, chunks_mut};
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Kernel, dispatch};
use std::ops::Range;

/// Most parts that a sum over pictures is cut into; fixed, so that the sum does not depend on the threads.
const PARTS: usize = 8;

/// A picture with its padding, `[channels, padded height, padded width]`, so that every tap of every patch is inside.
fn pad<T: Lanes>(g: &Geometry, x: &[T], out: &mut [T]) {
    let ([height, width], [top, left]) = (g.padded(), g.before());
    let (rows, cols) = (g.input[0].min(height.saturating_sub(top)), g.input[1].min(width.saturating_sub(left)));
    out.fill(T::zero());
    if rows * cols == 0 {
        return;
    }
    for (x, out) in x.chunks_exact(g.plane()).zip(out.chunks_exact_mut(height * width)) {
        for (x, out) in x.chunks_exact(g.input[1]).zip(out[top * width..].chunks_mut(width)).take(rows) {
            out[left..left + cols].copy_from_slice(&x[..cols]);
        }
    }
}

/// Copies `n` elements, and whatever follows them up to whole vectors where both slices go on: for short rows, a call
/// that copies exactly so many costs more than the copy.
#[inline(always)]
fn copy_over<T: Lanes>(from: &[T], to: &mut [T], n: usize) {
    fn whole<T: Lanes, const N: usize>(from: &[T], to: &mut [T]) -> Option<()> {
        *to.first_chunk_mut::<N>()? = *from.first_chunk::<N>()?;
        Some(())
    }
    let copied = match n {
        0..=8 => whole::<T, 8>(from, to),
        9..=16 => whole::<T, 16>(from, to),
        17..=32 => whole::<T, 32>(from, to),
        _ => None,
    };
    if copied.is_none() {
        to[..n].copy_from_slice(&from[..n]);
    }
}

/// The patches of the padded channels `x` as columns, `[patch, out_plane]`: row `(c, a, b)` is channel `c` shifted by tap
/// `(a, b)`.
struct Columns<'a, T>(&'a Geometry, &'a [T], &'a mut [T]);

impl<T: Lanes> Kernel for Columns<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(g, x, cols) = self;
        let ([kh, kw], [height, width]) = (g.kernel, g.padded());
        let mut at = 0;
        for row in 0..g.patch() {
            let (c, a, b) = (row / (kh * kw), row / kw % kh, row % kw);
            let shift = (c * height + a * g.dilation[0]) * width + b * g.dilation[1];
            for i in 0..g.output[0] {
                let from = &x[shift + i * g.stride[0] * width..];
                // Rows are written in order, so each overwrites what the one before it copied too much.
                match g.stride[1] {
                    1 => copy_over(from, &mut cols[at..], g.output[1]),
                    step => cols[at..at + g.output[1]].iter_mut().zip(from.iter().step_by(step)).for_each(|(v, &x)| *v = x),
                }
                at += g.output[1];
            }
        }
    }
}

/// The patches of the padded channels `x` as rows, `[out_plane, patch]`, for kernels `KW` wide, 0 meaning any width and
/// dilation.
struct Rows<'a, T, const KW: usize>(&'a Geometry, &'a [T], &'a mut [T]);

impl<T: Lanes, const KW: usize> Kernel for Rows<'_, T, KW> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(g, x, rows) = self;
        let ([kh, kw], [height, width]) = (g.kernel, g.padded());
        let starts: Vec<usize> =
            (0..g.group_channels() * kh).map(|t| (t / kh * height + t % kh * g.dilation[0]) * width).collect();
        for (p, row) in rows.chunks_exact_mut(g.patch()).enumerate() {
            let x = &x[(p / g.output[1] * g.stride[0]) * width + p % g.output[1] * g.stride[1]..];
            if KW > 0 {
                for (to, &start) in row.as_chunks_mut::<KW>().0.iter_mut().zip(&starts) {
                    *to = *x[start..].first_chunk::<KW>().expect("a patch lies inside the padded picture");
                }
            } else {
                for (to, &start) in row.chunks_exact_mut(kw).zip(&starts) {
                    to.iter_mut().zip(x[start..].iter().step_by(g.dilation[1])).for_each(|(v, &x)| *v = x);
                }
            }
        }
    }
}

fn rows<T: Lanes>(g: &Geometry, x: &[T], out: &mut [T]) {
    match (g.kernel[1], g.dilation[1]) {
        (2, 1) => dispatch(Rows::<T, 2>(g, x, out)),
        (3, 1) => dispatch(Rows::<T, 3>(g, x, out)),
        (5, 1) => dispatch(Rows::<T, 5>(g, x, out)),
        (7, 1) => dispatch(Rows::<T, 7>(g, x, out)),
        _ => dispatch(Rows::<T, 0>(g, x, out)),
    }
}

/// Memory for one picture with its padding, where it needs any, and for the patches of one of its groups.
struct Scratch<T: Lanes> {
    padded: Option<Buffer<T>>,
    patches: Buffer<T>,
}

impl<T: Lanes> Scratch<T> {
    /// None where the picture itself is the matrix of patches.
    fn new(g: &Geometry) -> Option<Self> {
        let [height, width] = g.padded();
        let as_it_is = g.padding == [0, 0] && [height, width] == g.input;
        let padded = (!as_it_is).then(|| Buffer::stale(g.channels * height * width));
        (!g.is_pointwise()).then(|| Self { padded, patches: Buffer::stale(g.patch() * g.out_plane()) })
    }

    fn load(&mut self, g: &Geometry, x: &[T]) {
        if let Some(padded) = &mut self.padded {
            pad(g, x, padded.as_mut_slice());
        }
    }

    /// The patches of a group of the picture `x`, which is loaded, as `write` lays them out.
    fn patches(&mut self, g: &Geometry, x: &[T], group: usize, write: impl Fn(&[T], &mut [T])) -> &[T] {
        let [height, width] = g.padded();
        let size = g.group_channels() * height * width;
        let x = self.padded.as_ref().map_or(x, |p| p.as_slice());
        write(&x[group * size..(group + 1) * size], self.patches.as_mut_slice());
        self.patches.as_slice()
    }
}

/// The adjoint of [`Columns`] and [`pad`]: adds each patch's elements to the pixels that they came from.
fn add_patches<T: Lanes>(g: &Geometry, cols: &[T], group: usize, gx: &mut [T]) {
    let [kh, kw] = g.kernel;
    let channels = &mut gx[group * g.group_channels() * g.plane()..(group + 1) * g.group_channels() * g.plane()];
    for (row, cols) in cols.chunks_exact(g.out_plane()).enumerate() {
        let (c, a, b) = (row / (kh * kw), row / kw % kh, row % kw);
        let plane = &mut channels[c * g.plane()..(c + 1) * g.plane()];
        let (top, bottom) = g.inside(0, a);
        let (left, right) = g.inside(1, b);
        if left == right {
            continue;
        }
        for i in top..bottom {
            let y = i * g.stride[0] + a * g.dilation[0] - g.before()[0];
            let to = &mut plane[y * g.input[1]..(y + 1) * g.input[1]];
            let from = &cols[i * g.output[1] + left..i * g.output[1] + right];
            let first = left * g.stride[1] + b * g.dilation[1] - g.before()[1];
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
    let size = g.group_filters() * g.patch();
    Mat::row_major(&w[group * size..(group + 1) * size], g.patch())
}

/// What a pointwise convolution multiplies in place of patches: the picture's own channels.
fn channels<'a, T>(g: &Geometry, x: &'a [T], group: usize) -> &'a [T] {
    let size = g.group_channels() * g.plane();
    &x[group * size..(group + 1) * size]
}

/// Runs `f` for every picture: over threads when there are several, and told whether to use threads itself
/// when there is but one.
fn each_image<T: Lanes>(out: &mut [T], size: usize, f: impl Fn(usize, &mut [T], bool) + Sync) {
    if out.len() == size {
        return f(0, out, true);
    }
    chunks_mut(out, size).each(|n, out| f(n, out, false));
}

pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    each_image(y, g.out_image(), |n, y, threads| {
        let x = &x[n * g.image()..(n + 1) * g.image()];
        let mut scratch = Scratch::new(g);
        if let Some(s) = &mut scratch {
            s.load(g, x);
        }
        for (group, y) in y.chunks_exact_mut(g.group_filters() * g.out_plane()).enumerate() {
            let cols = match &mut scratch {
                Some(s) => s.patches(g, x, group, |x, cols| dispatch(Columns(g, x, cols))),
                None => channels(g, x, group),
            };
            let product = Gemm {
                m: g.group_filters(),
                k: g.patch(),
                n: g.out_plane(),
                a: filters(g, w, group),
                b: Mat::row_major(cols, g.out_plane()),
                beta: T::zero(),
                end: Epilogue::NONE,
                c: y,
                ldc: g.out_plane(),
            };
            if threads { product.run_parallel() } else { product.run() }
        }
        end.finish(0, g.out_plane(), y);
    });
}

pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    each_image(gx, g.image(), |n, gx, threads| {
        let gy = &gy[n * g.out_image()..(n + 1) * g.out_image()];
        let product = |group: usize, cols: &mut [T]| {
            let size = g.group_filters() * g.out_plane();
            let product = Gemm {
                m: g.patch(),
                k: g.group_filters(),
                n: g.out_plane(),
                a: filters(g, w, group).t(),
                b: Mat::row_major(&gy[group * size..(group + 1) * size], g.out_plane()),
                beta: T::zero(),
                end: Epilogue::NONE,
                c: cols,
                ldc: g.out_plane(),
            };
            if threads { product.run_parallel() } else { product.run() }
        };
        if g.is_pointwise() {
            gx.chunks_exact_mut(g.group_channels() * g.plane()).enumerate().for_each(|(group, gx)| product(group, gx));
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

pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    let images = g.batch.div_ceil(PARTS);
    let parts = g.batch.div_ceil(images);
    if parts == 1 {
        return weight_grad_of(g, 0..g.batch, x, gy, gw, true);
    }
    let mut partial = Buffer::stale(parts * gw.len());
    chunks_mut(partial.as_mut_slice(), gw.len()).each(|part, gw| {
        weight_grad_of(g, part * images..((part + 1) * images).min(g.batch), x, gy, gw, false);
    });
    // The parts, joined in their order.
    let mut parts = partial.as_slice().chunks_exact(gw.len());
    gw.copy_from_slice(parts.next().expect("a batch has a first part"));
    for part in parts {
        gw.iter_mut().zip(part).for_each(|(w, &v)| *w += v);
    }
}

/// The sum of the gradients of some pictures.
fn weight_grad_of<T: Lanes>(g: &Geometry, images: Range<usize>, x: &[T], gy: &[T], gw: &mut [T], threads: bool) {
    let mut scratch = Scratch::new(g);
    for n in images.clone() {
        let (x, gy) = (&x[n * g.image()..(n + 1) * g.image()], &gy[n * g.out_image()..(n + 1) * g.out_image()]);
        if let Some(s) = &mut scratch {
            s.load(g, x);
        }
        for (group, gw) in gw.chunks_exact_mut(g.group_filters() * g.patch()).enumerate() {
            let b = match &mut scratch {
                Some(s) => Mat::row_major(s.patches(g, x, group, |x, out| rows(g, x, out)), g.patch()),
                None => Mat::row_major(channels(g, x, group), g.out_plane()).t(),
            };
            let size = g.group_filters() * g.out_plane();
            let product = Gemm {
                m: g.group_filters(),
                k: g.out_plane(),
                n: g.patch(),
                a: Mat::row_major(&gy[group * size..(group + 1) * size], g.out_plane()),
                b,
                beta: if n == images.start { T::zero() } else { T::one() },
                end: Epilogue::NONE,
                c: gw,
                ldc: g.patch(),
            };
            if threads { product.run_parallel() } else { product.run() }
        }
    }
}
