//! The filters' gradient by minimal filtering: at each point, `[C, tiles]` by `[tiles, F]`.

use super::filters::Gradient;
use super::guard;
use super::pictures::{Picture, Strip};
use super::points::{Points, tiles as tiles_of};
use super::product::map_rows;
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::gemm::micro_kernel::{PanelA, PanelB, TileC, micro_kernel, tiles};
use crate::kernels::parallel::{self, Parts, chunks_mut};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use std::ops::Range;

/// Planes of the gradient with more bytes than this do not stay in a core's cache beside those of a block of tiles.
const LARGE: usize = 3 << 18;
/// Bytes of a block's planes, of both sides.
const BLOCK_BYTES: usize = 3 << 18;
/// The same, for a block that threads share.
const SHARED_BYTES: usize = 16 << 20;
/// Channels and filters up to which tiles cost more to write, point by point, than products to read, tile by tile.
const NARROW: usize = 96;
/// Parts that pictures are cut into when each thread sums planes of its own; fixed, so that the sum does not depend on
/// the threads.
const PARTS: usize = 4;

/// All that tasks need to know.
struct Work<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    gy: &'a [T],
    /// Channels and filters, in whole vectors.
    channels: usize,
    filters: usize,
    /// Rows of tiles in a block.
    rows: usize,
    /// Of each row of tiles, what [`guard`] is to know; tasks write those of other rows.
    weights: Shared<f64>,
}

/// `gw`, with tiles of M x M outputs, filters of R x R, and P = M + R - 1 points along each axis. Says whether it is precise.
#[must_use]
pub fn weight_grad<T: Lanes, const M: usize, const R: usize, const P: usize>(
    g: &Geometry,
    x: &[T],
    gy: &[T],
    gw: &mut [T],
) -> bool {
    let ([down, across], lanes) = (tiles_of::<M>(g), widths::<T>().lanes);
    assert!(x.len() == g.batch * g.channels * g.input[0] * g.input[1]);
    assert!(gy.len() == g.batch * g.filters * g.output[0] * g.output[1]);
    assert!(gw.len() == g.filters * g.channels * R * R);
    let (channels, filters) = (g.channels.next_multiple_of(lanes), g.filters.next_multiple_of(lanes));
    let (all, size) = (g.batch * down, Points::<T>::size(P * P, g.channels, filters));
    let large = size * size_of::<T>() > LARGE;
    let bytes = if large { SHARED_BYTES } else { BLOCK_BYTES };
    let rows = (bytes / (P * P * (channels + filters) * size_of::<T>()) / across).clamp(1, all);
    let mut weights = vec![0.0; all * (R * R + 1)];
    let work = Work { g, x, gy, channels, filters, rows, weights: Shared::of(&mut weights) };
    let parts = if large { 1 } else { PARTS.min(all.div_ceil(rows)) };
    let mut sums = Buffer::stale(parts * size);
    let planes = |data: &mut [T]| Points::by_point(Shared::of(data), g.channels, filters);
    if parts == 1 {
        sum_of_rows::<T, M, P>(&work, 0..all, planes(sums.as_mut_slice()), true);
    } else {
        let length = all.div_ceil(parts);
        chunks_mut(sums.as_mut_slice(), size).each(|i, sum| {
            sum_of_rows::<T, M, P>(&work, (i * length).min(all)..((i + 1) * length).min(all), planes(sum), false);
        });
        add_parts(sums.as_mut_slice(), size);
    }
    let (planes, out) = (planes(sums.as_mut_slice()), Shared::of(gw));
    (0..g.channels).each_at_least(8, |_, channel| {
        with_vectors(Gradient::<T, R, P> { planes, filters: g.filters, channels: g.channels, channel, out });
    });
    guard::is_precise(&weights, R * R)
}

/// Adds all parts to the first, in their order.
fn add_parts<T: Lanes>(sums: &mut [T], size: usize) {
    let (first, rest) = sums.split_at_mut(size);
    chunks_mut(first, 1 << 12).each(|i, sum| {
        for part in rest.chunks_exact(size) {
            sum.iter_mut().zip(&part[i << 12..]).for_each(|(s, &v)| *s += v);
        }
    });
}

/// The planes' gradients, summed over some rows of tiles; by all threads, or this one.
fn sum_of_rows<T: Lanes, const M: usize, const P: usize>(work: &Work<'_, T>, rows: Range<usize>, sums: Points<T>, threads: bool) {
    let across = tiles_of::<M>(work.g)[1];
    let tiles = work.rows * across;
    let [mut inputs, mut gradients] =
        [work.channels, work.filters].map(|channels| Buffer::stale(Points::<T>::size(P * P, tiles, channels)));
    let of = |data: &mut Buffer<T>, channels| {
        let at = Shared::of(data.as_mut_slice());
        let narrow = work.channels + work.filters <= NARROW;
        if narrow { Points::by_tile(at, P * P, channels) } else { Points::by_point(at, tiles, channels) }
    };
    let (inputs, gradients) = (of(&mut inputs, work.channels), of(&mut gradients, work.filters));
    if rows.is_empty() {
        // A part without rows, where they do not divide evenly: its sums are 0.
        let multiply = |point| with_vectors(Multiply { work, point, tiles: 0, inputs, gradients, sums, fresh: true });
        return (0..P * P).for_each(multiply);
    }
    for first in rows.clone().step_by(work.rows) {
        let block = first..(first + work.rows).min(rows.end);
        let map = |rows: Range<usize>| with_vectors(Map::<T, M, P> { work, rows, first, inputs, gradients });
        let fresh = first == rows.start;
        let tiles = block.len() * across;
        let multiply = |point| with_vectors(Multiply { work, point, tiles, inputs, gradients, sums, fresh });
        if threads {
            block.each(|_, row| map(row..row + 1));
            parallel::run(P * P, &multiply);
        } else {
            map(block);
            (0..P * P).for_each(multiply);
        }
    }
}

/// Maps inputs and gradients of some rows of tiles; `first` is the block's first row.
struct Map<'a, T, const M: usize, const P: usize> {
    work: &'a Work<'a, T>,
    rows: Range<usize>,
    first: usize,
    inputs: Points<T>,
    gradients: Points<T>,
}

impl<T: Lanes, const M: usize, const P: usize> VectorKernel<T> for Map<'_, T, M, P> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { work, rows, first, inputs, gradients } = self;
        let (outputs, [height, width]) = (work.g.filters, work.g.output);
        let [down, across] = tiles_of::<M>(work.g);
        let width_of_strip = Strip::<T>::width_for(0, width, across * M, V::LANES);
        let mut data = Buffer::stale(M * width_of_strip * work.filters);
        let mut strip = Strip { data: data.as_mut_slice(), lines: M, width: width_of_strip, channels: work.filters };
        // SAFETY: as for this function; rows of tiles belong to one task.
        unsafe {
            let mut pixels = Vec::new();
            let see = |_, row: &[T]| pixels.extend_from_slice(row);
            map_rows::<T, V, M, P>(work.g, work.x, work.channels, rows.clone(), (first, inputs), see);
            let (each, mut sizes) = (pixels.len() / rows.len(), vec![T::zero(); M * width_of_strip]);
            for (row, pixels) in rows.zip(pixels.chunks_exact(each)) {
                debug_assert!(first <= row && row < work.g.batch * down);
                let image = outputs * height * width;
                let at = work.gy[row / down * image..][..image].as_ptr().cast_mut();
                strip.load::<V>(Picture { at, channels: outputs, height, width }, (row % down * M) as isize, 0, M, &mut sizes);
                strip.gradients::<V, M, P>(across, gradients, (row - first) * across);
                let length = (P - M + 1) * (P - M + 1) + 1;
                let weights = work.weights.part(row * length, length);
                guard::weigh::<T, M, P>(pixels, &sizes, across, weights);
            }
        }
    }
}

/// Adds, or with `fresh` writes, the product of a block at one point.
struct Multiply<'a, T> {
    work: &'a Work<'a, T>,
    point: usize,
    tiles: usize,
    inputs: Points<T>,
    gradients: Points<T>,
    sums: Points<T>,
    fresh: bool,
}

impl<T: Lanes> VectorKernel<T> for Multiply<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { work, point, tiles: count, inputs, gradients, sums, fresh } = self;
        let beta = if fresh { T::zero() } else { T::one() };
        // SAFETY: planes have `count` rows, and sums as many as there are channels; this point belongs to this task.
        unsafe {
            let last = count.max(1) - 1;
            let x = inputs.at.at(point * inputs.point, last * inputs.tile + work.channels).cast_const();
            let gy = gradients.at.at(point * gradients.point, last * gradients.tile + work.filters).cast_const();
            let to = sums.at.at(point * sums.point, work.g.channels * work.filters);
            for f in (0..work.filters).step_by(V::NR) {
                let cols = V::NR.min(work.filters - f);
                let b = PanelB { at: gy.add(f), row: gradients.tile as isize };
                for (c, height) in tiles(work.g.channels, V::MR) {
                    let a = PanelA { at: x.add(c), row: 1, col: inputs.tile as isize };
                    let to = to.add(c * work.filters + f);
                    let c = TileC::side_by_side(to, work.filters, V::LANES, cols, (to.cast_const(), work.filters, beta));
                    micro_kernel::<T, V>(height, count, a, b, c);
                }
            }
        }
    }
}
