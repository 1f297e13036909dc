//! The gradient with respect to the input: products with the transposed filters, added to the pixels that patches come from.

use super::forward::product;
use super::patches::{add, pack, runs};
use super::{KC, TASKS, flat, of_outputs};
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::micro_kernel::{PanelA, PanelB, TileC, Tiles, micro_kernel};
use crate::kernels::gemm::{Mat, PackA};
use crate::kernels::parallel;
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use std::ops::Range;

/// Columns of a task's images, at least, where a batch has as many: panels are full but for the last.
const COLUMNS: usize = 256;
/// Bytes of the filters of a task, about: what stays in a core's second-level cache.
const FILTER_BYTES: usize = 1 << 19;
/// Elements of patches that are added at a time, about, and panels of columns, at most: pixels that were added to last are not ready yet.
const PATCHES: usize = 1 << 16;
const PANELS: usize = 8;
/// Rows of patches of a task, at least, where there are as many: each packs the outputs' gradient.
const ROWS: usize = 96;

/// The gradient with respect to `x`; writes all of `gx`.
pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    if g.is_pointwise() {
        return product(&flat(g).transposed(), gy, Mat::row_major(w, g.patch()).t(), Epilogue::NONE, gx);
    }
    let (k, m, taps, nr) = (g.patch(), g.group_filters(), g.taps(), widths::<T>().nr);
    let images = COLUMNS.div_ceil(g.out_plane()).min(g.batch);
    let blocks = g.batch.div_ceil(images);
    // Channels are cut into parts for there to be enough tasks, and for their filters to stay in a cache.
    let large = (k * m * size_of::<T>()).div_ceil(FILTER_BYTES);
    let parts = TASKS.div_ceil(g.groups * blocks).min(k.div_ceil(ROWS)).max(large).min(g.group_channels());
    let channels = g.group_channels().div_ceil(parts);
    let parts = g.group_channels().div_ceil(channels);
    let mut filters = Buffer::stale(w.len());
    let packed = Shared::of(filters.as_mut_slice());
    parallel::run(g.groups * parts, &|i| {
        let rows = i % parts * channels * taps..k.min((i % parts + 1) * channels * taps);
        let a = Mat { offset: i / parts * m * k, ..Mat::row_major(w, k) }.t().from(rows.start, 0);
        let tiles = Tiles::new(rows.len(), widths::<T>().mr);
        for pc in (0..m).step_by(KC) {
            let kc = KC.min(m - pc);
            // SAFETY: these rows of the packed filters belong to this task.
            let out = unsafe { packed.part(i / parts * m * k + rows.start * m + pc * rows.len(), kc * rows.len()) };
            with_vectors(PackA { a: a.from(0, pc), tiles, range: 0..tiles.count, kc, out });
        }
    });
    let work = Work { g, gy, filters: filters.as_slice(), gx: Shared::of(gx), nr };
    parallel::run(g.groups * blocks * parts, &|i| {
        let (group, i) = (i / (blocks * parts), i % (blocks * parts));
        let (block, part) = (i / parts, i % parts);
        let images = block * images..g.batch.min((block + 1) * images);
        let channels = part * channels..g.group_channels().min((part + 1) * channels);
        with_vectors(Task { work: &work, group, images, channels });
    });
}

/// All that tasks need to know.
struct Work<'a, T> {
    g: &'a Geometry,
    gy: &'a [T],
    /// The transposed filters, packed: for each group, the rows of each part of its channels.
    filters: &'a [T],
    /// Tasks write other images, or other channels.
    gx: Shared<T>,
    nr: usize,
}

/// Some channels of a group in some images.
struct Task<'a, T> {
    work: &'a Work<'a, T>,
    group: usize,
    images: Range<usize>,
    channels: Range<usize>,
}

impl<T: Lanes> VectorKernel<T> for Task<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { work: &Work { g, gy, filters, gx, nr }, group, images, channels } = self;
        let (m, taps, plane, outputs) = (g.group_filters(), g.taps(), g.out_plane(), of_outputs(g));
        let (rows, first) = (channels.len() * taps, (group * g.patch() + channels.start * taps) * m);
        let tiles = Tiles::new(rows, V::MR);
        debug_assert!(nr == V::NR && first + rows * m <= filters.len());
        for n in images.clone() {
            let at = (n * g.channels + group * g.group_channels() + channels.start) * g.plane();
            // SAFETY: these channels of these images belong to this task.
            unsafe { gx.part(at, channels.len() * g.plane()) }.fill(T::zero());
        }
        let (most, end) = ((PATCHES / (rows * nr)).clamp(1, PANELS), images.end * plane);
        let width = most * nr;
        let (mut gradients, mut patches) = (Buffer::<T>::stale(m * width), Buffer::<T>::stale(rows * width + V::LANES));
        let (gradients, patches) = (gradients.as_mut_slice().as_mut_ptr(), patches.as_mut_slice().as_mut_ptr());
        let (mut pieces, from) = (Vec::new(), group * g.group_channels());
        for start in (images.start * plane..end).step_by(width) {
            let columns = start..end.min(start + width);
            let panels = |q: usize| columns.start + q * nr..columns.end.min(columns.start + (q + 1) * nr);
            // SAFETY: the caller's promise; both sides have room for all their rows.
            unsafe {
                runs(&outputs, columns.clone(), V::LANES, (nr, m * nr), &mut pieces);
                pack::<T, V>(&outputs, gy, group * m..(group + 1) * m, &pieces, (gradients, nr));
                for (pc, (i, mr)) in (0..m).step_by(KC).flat_map(|pc| (0..tiles.count).map(move |i| (pc, tiles.at(i)))) {
                    let kc = KC.min(m - pc);
                    let a = PanelA { at: filters.as_ptr().add(first + pc * rows + i * kc), row: 1, col: mr as isize };
                    let beta = if pc == 0 { T::zero() } else { T::one() };
                    for q in 0..columns.len().div_ceil(nr) {
                        let b = PanelB { at: gradients.add((q * m + pc) * nr).cast_const(), row: nr as isize };
                        let to = patches.add(i * width + q * nr);
                        let c = TileC::side_by_side(to, width, V::LANES, panels(q).len(), (to.cast_const(), width, beta));
                        micro_kernel::<T, V>(mr, kc, a, b, c);
                    }
                }
                runs(g, columns, V::LANES, (width, 0), &mut pieces);
                let channels = from + channels.start..from + channels.end;
                add::<T, V>(g, (patches.cast_const(), width), channels, &pieces, gx.at(0, 0));
            }
        }
    }
}
