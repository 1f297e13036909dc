//! Where the error of minimal filtering could show, and the plain sum in its place.
//!
//! An output of a tile is a sum of larger numbers that cancel: its error is about ε times the largest product of the whole
//! tile, of pixels that the output does not see too. Here the size of a pixel is the sum of its absolute values over channels,
//! and that of a tap its largest absolute weight; an output should be about the largest product of both that it sees. Where that
//! is far below the tile's largest, the tile is computed again as the sum is defined. An output that sees zeros only is 0.
//! Ordinary pictures and activations have no such tiles but at the edges of areas that are 0 in all channels.

use super::filters::{Filters, Order};
use super::points::tiles as tiles_of;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::{Gemm, Mat};
use crate::kernels::parallel::{Parts, chunks};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use std::ops::Range;

/// An output whose largest product is at least so much of the tile's largest is precise enough: in `f32` its error is then below 1e-3
/// of it. Of all random magnitudes that were tried, errors are up to 5e-6 of the tile's largest.
const NEAR: f64 = 1.0 / 64.0;
/// The mark of a tile to be computed again. Other marks have a bit for each output that is 0.
const AGAIN: u32 = 1 << 31;
/// Tiles that are computed again at a time.
const TILES: usize = 8;

/// The sizes of R x R taps as shares of the largest, from those of several parts of the filters.
pub fn shares<T: Lanes>(largest: &[T], taps: usize) -> Vec<T> {
    let larger = |a: T, &b: &T| if b > a { b } else { a };
    let of_tap = |t: usize| largest.iter().skip(t).step_by(taps).fold(T::zero(), larger);
    let sizes: Vec<T> = (0..taps).map(of_tap).collect();
    let top = sizes.iter().fold(T::zero(), larger);
    // Filters of nothing but 0 are all the same.
    sizes.into_iter().map(|size| if top > T::zero() { size / top } else { T::one() }).collect()
}

/// How many numbers [`mark`] needs beside its operands.
pub fn scratch<const M: usize>(width: usize) -> usize {
    (M + 3) * width
}

/// Whether all pixels of a strip, `[P, width]`, are so near to each other in size that every tile is precise. `inside` are the lines and
/// columns of the picture. With at most `R / 2` lines and columns of padding, every output sees a pixel of them by the middle tap.
#[inline(always)]
pub fn is_even<T: Lanes>(pixels: &[T], width: usize, middle: T, inside: [Range<usize>; 2]) -> bool {
    const LANES: usize = 16;
    let [lines, columns] = inside;
    let (mut tops, mut lows, mut sums) = ([T::zero(); LANES], [T::INFINITY; LANES], [T::zero(); LANES]);
    for line in pixels.chunks_exact(width).take(lines.end).skip(lines.start) {
        for part in line[columns.clone()].chunks(LANES) {
            for (((top, low), sum), &v) in tops.iter_mut().zip(&mut lows).zip(&mut sums).zip(part) {
                *top = if v > *top { v } else { *top };
                *low = if v < *low { v } else { *low };
                *sum += v;
            }
        }
    }
    let top = tops.iter().fold(T::zero(), |a, &b| if b > a { b } else { a });
    let low = lows.iter().fold(T::INFINITY, |a, &b| if b < a { b } else { a });
    // What is not finite shows in the sum alone.
    let sum: T = sums.iter().copied().sum();
    sum.is_finite() && middle * low >= top * T::lit(NEAR)
}

/// The marks of a row of tiles, from the sizes of the pixels of its strip, `[P, width]`, of whose outputs `[lines, columns]` exist.
#[inline(always)]
pub fn mark<T: Lanes, const M: usize, const P: usize>(
    pixels: &[T],
    shares: &[T],
    [lines, columns]: [usize; 2],
    scratch: &mut [T],
    marks: &mut [u32],
) {
    let (r, n, width) = (P - M + 1, marks.len() * M, pixels.len() / P);
    assert!(shares.len() == r * r && n + P - M <= width && lines <= M && columns <= n && scratch.len() >= (M + 3) * width);
    let (seen, rest) = scratch.split_at_mut(M * width);
    let (tops, rest) = rest.split_at_mut(width);
    let (sums, lows) = rest.split_at_mut(width);
    tops.fill(T::zero());
    sums.fill(T::zero());
    lows.fill(T::INFINITY);
    for line in pixels.chunks_exact(width) {
        for ((top, sum), &v) in tops.iter_mut().zip(&mut *sums).zip(line) {
            *top = if v > *top { v } else { *top };
            *sum += v;
        }
    }
    for (i, seen) in seen.chunks_exact_mut(width).enumerate().take(lines) {
        let seen = &mut seen[..n];
        seen.fill(T::zero());
        for (t, &share) in shares.iter().enumerate() {
            for (seen, &v) in seen.iter_mut().zip(&pixels[(i + t / r) * width + t % r..][..n]) {
                let v = share * v;
                *seen = if v > *seen { v } else { *seen };
            }
        }
        for (low, &v) in lows[..columns].iter_mut().zip(&*seen) {
            *low = if v < *low { v } else { *low };
        }
    }
    for (t, mark) in marks.iter_mut().enumerate() {
        let at = t * M;
        let top = tops[at..at + P].iter().fold(T::zero(), |a, &b| if b > a { b } else { a });
        let low = lows[at..at + M].iter().fold(T::INFINITY, |a, &b| if b < a { b } else { a });
        let sum: T = sums[at..at + P].iter().copied().sum();
        *mark = if sum.is_finite() && low >= top * T::lit(NEAR) {
            0
        } else if sum.is_finite() {
            let place = [lines, M.min(columns - at)];
            mark_of_tile::<T, M>(pixels, shares, (width, at), place, &*seen, top * T::lit(NEAR))
        } else {
            AGAIN
        };
    }
}

/// The mark of a tile of which some output is far below the largest.
#[cold]
fn mark_of_tile<T: Lanes, const M: usize>(
    pixels: &[T],
    shares: &[T],
    (width, at): (usize, usize),
    [lines, columns]: [usize; 2],
    seen: &[T],
    least: T,
) -> u32 {
    let r = if shares.len() == 9 { 3 } else { 5 };
    let mut mark = 0;
    for (i, j) in (0..lines).flat_map(|i| (0..columns).map(move |j| (i, j))) {
        if seen[i * width + at + j] >= least {
            continue;
        }
        // A product may round to 0 too.
        let is_zero = |t: usize| shares[t] == T::zero() || pixels[(i + t / r) * width + at + j + t % r] == T::zero();
        if !(0..r * r).all(is_zero) {
            return AGAIN;
        }
        mark |= 1 << (i * M + j);
    }
    mark
}

/// Writes the outputs that [`mark`] found: 0, or the sum.
pub fn repair<T: Lanes, const M: usize>(g: &Geometry, r: usize, x: &[T], given: Filters<'_, T>, marks: &[u32], y: &mut [T]) {
    let marked: Vec<(usize, u32)> = marks.iter().copied().enumerate().filter(|&(_, mark)| mark != 0).collect();
    if marked.is_empty() {
        return;
    }
    let filters = if marked.iter().any(|&(_, mark)| mark == AGAIN) { as_rows(given, r * r) } else { Vec::new() };
    let ([height, width], Filters { end, .. }) = (g.output, given);
    let y_at = Shared::of(y);
    // What becomes of a sum of filter `f`.
    let finished = |f: usize, sum: T| {
        let v = sum + end.bias.map_or(T::zero(), |bias| bias[f]);
        if end.relu { v.maximum(T::zero()) } else { v }
    };
    chunks(&marked, TILES).each(|_, tiles| {
        let put = |tile: usize, f: usize, (i, j): (usize, usize), v: T| {
            let (n, [top, left]) = place::<M>(g, tile);
            debug_assert!(top + i < height && left + j < width && f < g.filters && n < g.batch);
            // SAFETY: the output exists, as is asserted, and its tile belongs to this task.
            unsafe { *y_at.at(((n * g.filters + f) * height + top + i) * width + left + j, 1) = finished(f, v) };
        };
        for &(tile, mark) in tiles.iter().filter(|(_, mark)| *mark != AGAIN) {
            let zeros = (0..M * M).filter(|bit| mark >> bit & 1 == 1);
            zeros.for_each(|bit| (0..g.filters).for_each(|f| put(tile, f, (bit / M, bit % M), T::zero())));
        }
        let again: Vec<usize> = tiles.iter().filter(|(_, mark)| *mark == AGAIN).map(|&(tile, _)| tile).collect();
        let (n, k) = (again.len() * M * M, g.channels * r * r);
        let (patches, mut sums) = (patches::<T, M>(g, r, x, &again), vec![T::zero(); g.filters * n]);
        let (a, b) = (Mat::row_major(&filters, k), Mat::row_major(&patches, n));
        if n > 0 {
            Gemm { m: g.filters, k, n, a, b, beta: T::zero(), end: Epilogue::NONE, c: &mut sums, ldc: n }.run();
        }
        for (t, &tile) in again.iter().enumerate() {
            let (_, [top, left]) = place::<M>(g, tile);
            for (i, j) in (0..M.min(height - top)).flat_map(|i| (0..M.min(width - left)).map(move |j| (i, j))) {
                (0..g.filters).for_each(|f| put(tile, f, (i, j), sums[f * n + (t * M + i) * M + j]));
            }
        }
    });
}

/// The picture of a tile, and its first row and column of outputs.
fn place<const M: usize>(g: &Geometry, tile: usize) -> (usize, [usize; 2]) {
    let [down, across] = tiles_of::<M>(g);
    (tile / (down * across), [tile / across % down * M, tile % across * M])
}

/// The filters as rows, `[outputs, inputs · taps]`.
fn as_rows<T: Lanes>(Filters { w, order, .. }: Filters<'_, T>, taps: usize) -> Vec<T> {
    let Order { outputs, inputs, reversed } = order;
    let mut rows = Vec::with_capacity(outputs.0 * inputs.0 * taps);
    for at in (0..outputs.0).flat_map(|f| (0..inputs.0).map(move |c| f * outputs.1 + c * inputs.1)) {
        let filter = &w[at..at + taps];
        if reversed { rows.extend(filter.iter().rev()) } else { rows.extend(filter) }
    }
    rows
}

/// What the outputs of some tiles see, `[inputs · R², tiles · M²]`.
fn patches<T: Lanes, const M: usize>(g: &Geometry, r: usize, x: &[T], tiles: &[usize]) -> Vec<T> {
    let ([height, width], n) = (g.input, tiles.len() * M * M);
    let mut patches = vec![T::zero(); g.channels * r * r * n];
    for (t, &tile) in tiles.iter().enumerate() {
        let (image, [top, left]) = place::<M>(g, tile);
        for (row, out) in patches.chunks_exact_mut(n).enumerate() {
            let (c, a, b) = (row / (r * r), row / r % r, row % r);
            let plane = &x[(image * g.channels + c) * height * width..][..height * width];
            for (k, out) in out[t * M * M..][..M * M].iter_mut().enumerate() {
                let y = (top + k / M + a).wrapping_sub(g.before()[0]);
                let x = (left + k % M + b).wrapping_sub(g.before()[1]);
                if y < height && x < width {
                    *out = plane[y * width + x];
                }
            }
        }
    }
    patches
}

/// For the filters' gradient: whether a sum over rows of tiles is precise enough. Of each row [`weigh`] has written the sum over tiles of
/// the largest product, then for each tap the sum of the products that it is made of.
pub fn is_precise(weights: &[f64], taps: usize) -> bool {
    let mut totals = vec![0.0; taps + 1];
    for row in weights.chunks_exact(taps + 1) {
        totals.iter_mut().zip(row).for_each(|(total, v)| *total += v);
    }
    totals[0].is_finite() && totals[1..].iter().all(|&v| v >= totals[0] * NEAR)
}

/// What [`is_precise`] is to know of a row of tiles, from the sizes of its pixels, `[P, ..]`, and of its gradients, `[M, ..]`.
#[inline(always)]
pub fn weigh<T: Lanes, const M: usize, const P: usize>(pixels: &[T], gradients: &[T], across: usize, weights: &mut [f64]) {
    const LANES: usize = 16;
    let (r, n) = (P - M + 1, across * M);
    let (width, width_g) = (pixels.len() / P, gradients.len() / M);
    assert!(n + P - M <= width && n <= width_g && weights.len() == r * r + 1);
    let total = |v: &[T]| v.iter().copied().sum::<T>();
    let top = |rows: &[T], width: usize, at: usize, size: usize| {
        let larger = |a: T, &b: &T| if b > a { b } else { a };
        rows.chunks_exact(width).fold(T::zero(), |a, row| row[at..at + size].iter().fold(a, larger)).to_f64()
    };
    let tops = (0..across).map(|t| top(pixels, width, t * M, P) * top(gradients, width_g, t * M, M));
    weights[0] = if (total(pixels) + total(gradients)).is_finite() { tops.sum() } else { f64::INFINITY };
    for (t, weight) in weights[1..].iter_mut().enumerate() {
        let mut lanes = [T::zero(); LANES];
        for i in 0..M {
            let (x, g) = (&pixels[(i + t / r) * width + t % r..][..n], &gradients[i * width_g..][..n]);
            for (x, g) in x.chunks(LANES).zip(g.chunks(LANES)) {
                for ((lane, &x), &g) in lanes.iter_mut().zip(x).zip(g) {
                    *lane += x * g;
                }
            }
        }
        *weight = total(&lanes).to_f64();
    }
}
