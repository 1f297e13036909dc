//! The sum as it is defined, with vectors over the pixels of a row: for few input channels, where a matrix of patches would
//! cost more to write than to multiply.
//!
//! A tile of outputs, some filters by two vectors of a row, stays in registers. For each tap the two vectors of inputs are
//! loaded where they lie in the padded picture, shifted by the tap, and the filters' weights are broadcast: the loop of a
//! matrix product whose right side is never written out.

mod pad;
mod weight_grad;

pub use weight_grad::weight_grad;

use super::geometry::Geometry;
use crate::buffer::Buffer;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::micro_kernel::{PanelA, ScatteredB, TileC, Tiles, is_low, micro_kernel_at, tiles};
use crate::kernels::gemm::{Mat, PackA};
use crate::kernels::parallel;
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use pad::pad;

/// Input channels above which patches are packed instead.
const CHANNELS: usize = 4;
/// Tasks of a batch, at least: pictures are cut into rows when there are fewer.
const TASKS: usize = 8;

/// Whether this is the kernel to take for `inputs` channels that are summed over.
pub fn fits(g: &Geometry, inputs: usize, out_width: usize) -> bool {
    let lanes = widths_of_line();
    // Vectors that reach over the end of a row do so in vain.
    let used = out_width as f64 / out_width.next_multiple_of(lanes) as f64;
    inputs <= CHANNELS && g.stride == [1, 1] && g.plane() > 0 && used > 0.6
}

fn widths_of_line() -> usize {
    widths::<f32>().lanes
}

/// `y = x * w`; writes all of `y`.
pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    convolve(g, x, Mat::row_major(w, g.patch()), end, y);
}

/// The gradient with respect to `x`: the [transposed](Geometry::transposed) convolution of `gy`.
pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    let (filters, channels, taps) = (g.group_filters(), g.group_channels(), g.taps());
    let mut reversed = Vec::with_capacity(w.len());
    for w in w.chunks_exact(filters * channels * taps) {
        for (c, f) in (0..channels).flat_map(|c| (0..filters).map(move |f| (c, f))) {
            reversed.extend(w[(f * channels + c) * taps..][..taps].iter().rev());
        }
    }
    convolve(&g.transposed(), gy, Mat::row_major(&reversed, filters * taps), Epilogue::NONE, gx);
}

fn convolve<T: Lanes>(g: &Geometry, x: &[T], w: Mat<'_, T>, end: Epilogue<'_, T>, y: &mut [T]) {
    let height = g.output[0];
    let (terms, m) = (g.patch(), g.group_filters());
    let mut filters = Buffer::stale(g.filters * terms);
    let tiles = Tiles::new(m, widths::<T>().mr);
    for (group, out) in filters.as_mut_slice().chunks_exact_mut((m * terms).max(1)).enumerate() {
        with_vectors(PackA { a: w.from(group * m, 0), tiles, range: 0..tiles.count, kc: terms, out });
    }
    // The channels of a group, and its filters, are an image of their own.
    let one = &Geometry { channels: g.group_channels(), filters: m, groups: 1, ..*g };
    let (images, image, from) = (g.batch * g.groups, one.out_image(), one.image());
    let parts = TASKS.div_ceil(images).min(height);
    let rows = height.div_ceil(parts);
    let (to, padded) = (Shared::of(y), &Padded::new(one, rows, widths::<T>().lanes));
    parallel::run(images * parts, &|task| {
        let (n, top) = (task / parts, task % parts * rows);
        let (group, x) = (n % g.groups, &x[n * from..(n + 1) * from]);
        let rows = top.min(height)..(top + rows).min(height);
        let filters = &filters.as_slice()[group * m * terms..][..m * terms];
        let end = Epilogue { bias: end.bias.map(|bias| &bias[group * m..][..m]), ..end };
        // Tasks write other images, other groups or other rows.
        with_vectors(Rows { g: one, padded, x, filters, rows, end, y: to, image: n * image });
    });
}

/// How what some rows of outputs see of a picture is laid out: `lines` rows for each channel, `line` elements each.
struct Padded {
    /// The width of the two vectors of a tile: they are side by side, or, where a row of outputs has but one, in two rows.
    across: usize,
    lines: usize,
    line: usize,
    /// From an output's first term to each.
    offsets: Vec<usize>,
}

impl Padded {
    fn new(g: &Geometry, rows: usize, lanes: usize) -> Self {
        let (&Geometry { channels, kernel: [kh, kw], dilation, output, .. }, [down, right]) = (g, g.reach());
        let across = if output[1] <= lanes { lanes } else { 2 * lanes };
        let (lines, line) = (rows + down, output[1].next_multiple_of(across) + right);
        let offset = |p: usize| (p / (kh * kw) * lines + p / kw % kh * dilation[0]) * line + p % kw * dilation[1];
        Self { across, lines, line, offsets: (0..channels * kh * kw).map(offset).collect() }
    }
}

/// Some rows of one picture's outputs.
struct Rows<'a, T> {
    g: &'a Geometry,
    padded: &'a Padded,
    x: &'a [T],
    filters: &'a [T],
    rows: std::ops::Range<usize>,
    end: Epilogue<'a, T>,
    y: Shared<T>,
    /// Where the picture starts in `y`.
    image: usize,
}

impl<T: Lanes> VectorKernel<T> for Rows<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, padded, x, filters, rows, end, y, image } = self;
        let (outputs, [height, width], &Padded { across, lines, line, ref offsets }) = (g.filters, g.output, padded);
        if rows.is_empty() {
            return;
        }
        let mut picture = Buffer::stale(g.channels * lines * line + V::LANES);
        // SAFETY: as for this function.
        unsafe { pad::<T, V>(g, x, rows.start, [lines, line], picture.as_mut_slice()) };
        let (terms, two_rows) = (offsets.len(), across == V::LANES);
        debug_assert!(rows.end <= height && rows.len() + g.reach()[0] <= lines && filters.len() >= outputs * terms);
        // How much is written of the second vector of a tile.
        let cols_of_second = |i: usize, left: usize| match two_rows {
            true if i + 1 < rows.end => width,
            true => 0,
            false => (width - left).saturating_sub(V::LANES),
        };
        let tile = |i: usize, left: usize, low: bool| {
            let (at, plane) = (picture.as_slice().as_ptr().wrapping_add((i - rows.start) * line + left), height * width);
            for (first, count) in tiles(outputs, V::MR) {
                // SAFETY: the last tap of the last vector ends at `line` of the last of `lines`; filters are packed in the same
                // tiles; the caller gives `y` these rows.
                unsafe {
                    let a = PanelA { at: filters.as_ptr().add(first * terms), row: 1, col: count as isize };
                    let second = match (two_rows, cols_of_second(i, left)) {
                        (_, 0) => 0,
                        (true, _) => line,
                        (false, _) => V::LANES,
                    };
                    let first_term = (i - rows.start) * line + left + if low { line } else { 0 };
                    let last_term = offsets.last().map_or(0, |offset| first_term + offset + second + V::LANES);
                    debug_assert!(last_term <= picture.as_slice().len() && count > 0);
                    let to = y.at(image + (first * height + i) * width + left, (count - 1) * plane + 1);
                    let (step, to_step, cols) = if two_rows {
                        (line, width, [width, cols_of_second(i, left)])
                    } else {
                        (V::LANES, V::LANES, [V::LANES.min(width - left), cols_of_second(i, left)])
                    };
                    let none = (to.cast_const(), plane, T::zero());
                    let to = TileC { step: to_step, deep: width, cols, ..TileC::side_by_side(to, plane, 0, 0, none) };
                    micro_kernel_at::<T, V>(count, low, a, ScatteredB { at, offsets, step, deep: line }, to);
                }
            }
        };
        let low = !two_rows && is_low::<T, V>(outputs);
        let mut i = rows.start;
        while i < rows.end {
            let low = low && i + 1 < rows.end;
            for left in (0..width).step_by(across) {
                tile(i, left, low && width - left > V::LANES);
                if low && width - left <= V::LANES {
                    tile(i + 1, left, false);
                }
            }
            i += if low || two_rows { 2 } else { 1 };
        }
        for f in 0..outputs {
            // SAFETY: the caller gives `y` these rows, which are written now.
            let y = unsafe { y.part(image + (f * height + rows.start) * width, rows.len() * width) };
            end.finish(f, y.len(), y);
        }
    }
}
