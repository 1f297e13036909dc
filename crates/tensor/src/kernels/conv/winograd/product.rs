//! The convolution of minimal filtering, which is also that of the input's gradient.

use super::filters::{Filters, Planes};
use super::guard;
use super::pictures::{MOST, Picture, Strip};
use super::points::{Points, tiles as tiles_of};
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::micro_kernel::{PanelA, PanelB, TileC, micro_kernel, tiles};
use crate::kernels::parallel::{self, Parts, chunks_mut};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use std::ops::Range;

/// Filters' planes of more bytes than this do not stay in a core's cache from one block of tiles to the next.
const LARGE_FILTERS: usize = 3 << 19;
/// Bytes of a block's planes of inputs.
const BLOCK_BYTES: usize = 3 << 18;
/// Tiles of a block that threads share.
const SHARED_TILES: usize = 256;

/// All that tasks need to know.
struct Work<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    /// Tasks write other rows of tiles, or other filters.
    y: Shared<T>,
    /// Of the filters, `[panels, P², inputs, 2 LANES]`.
    filters: &'a [T],
    end: Epilogue<'a, T>,
    /// How large each tap is, as a share of the largest.
    shares: &'a [T],
    /// Of all tiles, what [`guard`] says.
    marks: Shared<u32>,
    /// Channels of the input, in whole vectors.
    channels: usize,
    /// Tiles of a block, at most.
    tiles: usize,
}

/// `y = x * w` with tiles of M x M outputs, filters of R x R, and P = M + R - 1 points along each axis.
pub fn convolve<T: Lanes, const M: usize, const R: usize, const P: usize>(
    g: &Geometry,
    x: &[T],
    given: Filters<'_, T>,
    y: &mut [T],
) {
    let Filters { w, order, end } = given;
    let ([rows, cols], lanes) = (tiles_of::<M>(g), widths::<T>().lanes);
    assert!(x.len() == g.batch * g.channels * g.input[0] * g.input[1]);
    assert!(y.len() == g.batch * g.filters * g.output[0] * g.output[1]);
    let panel = P * P * g.channels * 2 * lanes;
    let panels = g.filters.div_ceil(2 * lanes);
    let mut filters = Buffer::stale(panel * panels);
    let mut largest = vec![T::zero(); panels * R * R];
    (chunks_mut(filters.as_mut_slice(), panel), chunks_mut(&mut largest, R * R)).each(|i, (out, largest)| {
        with_vectors(Planes::<T, R, P> { w, order, first: i * 2 * lanes, out, largest });
    });
    let (shares, mut marks) = (guard::shares(&largest, R * R), vec![0; g.batch * rows * cols]);
    let channels = g.channels.next_multiple_of(lanes);
    let large = size_of_val(filters.as_slice()) > LARGE_FILTERS;
    let most = if large { SHARED_TILES } else { BLOCK_BYTES / (P * P * channels * size_of::<T>()) };
    // Rows of tiles in a block; as even as can be, and for blocks of a thread's own so many that there is one for each.
    let (all, most) = (g.batch * rows, (most / cols).max(1));
    let count = all.div_ceil(most).max(if large { 1 } else { 8.min(all) });
    let block = all.div_ceil(count);
    let work = Work {
        g,
        x,
        y: Shared::of(y),
        filters: filters.as_slice(),
        end,
        shares: &shares,
        marks: Shared::of(&mut marks),
        channels,
        tiles: block * cols,
    };
    let (blocks, rows) = (all.div_ceil(block), |i: usize| i * block..((i + 1) * block).min(all));
    if large {
        (0..blocks).for_each(|i| shared_block::<T, M, R, P>(&work, rows(i)));
    } else {
        parallel::run(blocks, &|i| {
            let rows = rows(i);
            let mut planes = Buffer::stale(Points::<T>::size(P * P, work.tiles, channels));
            let inputs = Points::by_tile(Shared::of(planes.as_mut_slice()), P * P, channels);
            with_vectors(MapInputs::<T, M, P> { work: &work, rows: rows.clone(), first: rows.start, to: inputs });
            with_vectors(Multiply::<T, M, P> { work: &work, rows, panels: 0..panels, inputs });
        });
    }
    guard::repair::<T, M>(g, R, x, given, &marks, y);
}

/// A block that threads share: first rows of tiles are divided among them, then filters.
fn shared_block<T: Lanes, const M: usize, const R: usize, const P: usize>(work: &Work<'_, T>, rows: Range<usize>) {
    let mut planes = Buffer::stale(Points::<T>::size(P * P, work.tiles, work.channels));
    let inputs = Points::by_tile(Shared::of(planes.as_mut_slice()), P * P, work.channels);
    rows.clone().each(|_, row| {
        with_vectors(MapInputs::<T, M, P> { work, rows: row..row + 1, first: rows.start, to: inputs });
    });
    let panels = work.g.filters.div_ceil(widths::<T>().nr);
    parallel::run(panels, &|panel| {
        with_vectors(Multiply::<T, M, P> { work, rows: rows.clone(), panels: panel..panel + 1, inputs });
    });
}

/// Maps the inputs of some rows of tiles; `first` is the block's first row.
struct MapInputs<'a, T, const M: usize, const P: usize> {
    work: &'a Work<'a, T>,
    rows: Range<usize>,
    first: usize,
    to: Points<T>,
}

impl<T: Lanes, const M: usize, const P: usize> VectorKernel<T> for MapInputs<'_, T, M, P> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { work, rows, first, to } = self;
        let (g, [down, across]) = (work.g, tiles_of::<M>(work.g));
        let mut scratch = Vec::new();
        let see = |row: usize, pixels: &[T]| {
            debug_assert!(row < g.batch * down);
            // SAFETY: there are marks for all rows of tiles, each of which belongs to one task.
            let marks = unsafe { work.marks.part(row * across, across) };
            let ([height, columns], [above, left], width) = (g.input, g.before(), pixels.len() / P);
            let (taps, top) = (P - M + 1, row % down * M);
            if above.max(left) <= taps / 2 {
                let lines = above.saturating_sub(top)..(height + above - top).min(P);
                if guard::is_even(pixels, width, work.shares[work.shares.len() / 2], [lines, left..left + columns]) {
                    return;
                }
            }
            scratch.resize(guard::scratch::<M>(width), T::zero());
            let outputs = [M.min(g.output[0] - top), g.output[1]];
            guard::mark::<T, M, P>(pixels, work.shares, outputs, &mut scratch, marks);
        };
        // SAFETY: as for this function; rows of tiles belong to one task.
        unsafe { map_rows::<T, V, M, P>(g, work.x, work.channels, rows, (first, to), see) }
    }
}

/// The planes of inputs of some rows of tiles of pictures at `x`, into those of a block whose first row is `to.0`. Calls `see` with
/// each row and the sizes of its pixels, `[P, ..]`.
///
/// # Safety
/// The processor must have V's instructions, and nobody else these tiles.
#[inline(always)]
pub unsafe fn map_rows<T: Lanes, V: Vector<T>, const M: usize, const P: usize>(
    g: &Geometry,
    x: &[T],
    channels: usize,
    rows: Range<usize>,
    (first, to): (usize, Points<T>),
    mut see: impl FnMut(usize, &[T]),
) {
    let ([down, across], [height, width], [top, left]) = (tiles_of::<M>(g), g.input, g.before());
    let width_of_strip = Strip::<T>::width_for(left, width, across * M + P - M, V::LANES);
    let mut data = Buffer::stale(P * width_of_strip * channels);
    let mut pixels = Buffer::stale(P * width_of_strip);
    let pixels = pixels.as_mut_slice();
    let mut strip = Strip { data: data.as_mut_slice(), lines: P, width: width_of_strip, channels };
    for row in rows {
        debug_assert!(first <= row && row < g.batch * down);
        let (n, i) = (row / down, row % down);
        // SAFETY: the caller's promise.
        unsafe {
            let at = x[n * g.channels * height * width..][..g.channels * height * width].as_ptr().cast_mut();
            let picture = Picture { at, channels: g.channels, height, width };
            strip.load::<V>(picture, (i * M) as isize - top as isize, left, M, pixels);
            see(row, pixels);
            strip.inputs::<V, P>(M, across, to, (row - first) * across);
        }
    }
}

/// The outputs of some rows of tiles and some panels of filters, from the planes of all inputs of the block.
struct Multiply<'a, T, const M: usize, const P: usize> {
    work: &'a Work<'a, T>,
    rows: Range<usize>,
    panels: Range<usize>,
    inputs: Points<T>,
}

impl<T: Lanes, const M: usize, const P: usize> VectorKernel<T> for Multiply<'_, T, M, P> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { work, rows, panels, inputs } = self;
        let Geometry { channels: k, filters: outputs, output: [height, width], .. } = *work.g;
        let ([down, across], lanes) = (tiles_of::<M>(work.g), V::LANES);
        let count = rows.len() * across;
        let mut products = Buffer::<T>::stale(Points::<T>::size(P * P, count, 2 * lanes));
        let products = Shared::of(products.as_mut_slice());
        debug_assert!(work.filters.len() >= panels.end * P * P * k * 2 * lanes && inputs.channels >= k);
        let mut data = Buffer::stale(M * across.next_multiple_of(lanes) * M * 2 * lanes);
        for panel in panels {
            let first = panel * 2 * lanes;
            let channels = if outputs - first > lanes { 2 * lanes } else { lanes };
            // Of the panel's filters, and 0 for those that there are not.
            let mut bias = [T::zero(); 2 * MOST];
            if let Some(all) = work.end.bias {
                let has = (2 * lanes).min(outputs - first);
                bias[..has].copy_from_slice(&all[first..first + has]);
            }
            let bias = &bias[..channels];
            let products = Points::by_point(products, count, channels);
            // SAFETY: a plane of filters has `k` rows of two vectors, inputs and products `count` rows; rows of tiles and
            // filters of `y` belong to this task.
            unsafe {
                for point in 0..P * P {
                    let at = work.filters.as_ptr().add((panel * P * P + point) * k * 2 * lanes);
                    let b = PanelB { at, row: 2 * lanes as isize };
                    let from = inputs.at.at(point * inputs.point, (count - 1) * inputs.tile + k);
                    let to = products.at.at(point * products.point, (count - 1) * products.tile + channels);
                    for (i, height) in tiles(count, V::MR) {
                        let a = PanelA { at: from.add(i * inputs.tile).cast_const(), row: inputs.tile as isize, col: 1 };
                        let (to, row) = (to.add(i * products.tile), products.tile);
                        let c = TileC::side_by_side(to, row, lanes, channels, (to.cast_const(), row, T::zero()));
                        micro_kernel::<T, V>(height, k, a, b, c);
                    }
                }
                let mut strip = Strip { data: data.as_mut_slice(), lines: M, width: across * M, channels };
                for row in rows.clone() {
                    let at = work.y.at(row / down * outputs * height * width, outputs * height * width);
                    let picture = Picture { at, channels: outputs, height, width };
                    strip.outputs::<V, M, P>(across, products, (row - rows.start) * across, bias, work.end.relu);
                    strip.store::<V>(picture, row % down * M, first);
                }
            }
        }
    }
}
