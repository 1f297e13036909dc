//! `y = x * w`.

use super::patches::{Run, pack, runs};
use super::{KC, TASKS, flat};
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::gemm::micro_kernel::{PanelA, PanelB, TileC, Tiles, micro_kernel};
use crate::kernels::gemm::{Mat, PackA};
use crate::kernels::parallel::{self, Parts, items};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};
use std::ops::Range;

/// Bytes of patches that are packed at a time: what stays in a core's second-level cache beside a tile's filters.
const PATCH_BYTES: usize = 1 << 19;
/// Panels of columns of a task, at most.
const PANELS: usize = 16;
/// Up to so many panels in all, filters are read where they lie.
const FEW_PANELS: usize = 4;
/// Filters' rows that are so many bytes apart share a set of the first-level cache, and are packed.
const SET_BYTES: usize = 4096;

/// `y = x * w`; writes all of `y`.
pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    product(&flat(g), x, Mat::row_major(w, g.patch()), end, y);
}

/// The convolution by filters that are the rows of a matrix: those of one group, which the next group's follow.
pub fn product<T: Lanes>(g: &Geometry, x: &[T], w: Mat<'_, T>, end: Epilogue<'_, T>, y: &mut [T]) {
    let (k, m, taps) = (g.patch(), g.group_filters(), g.taps());
    if k == 0 {
        y.fill(T::zero());
        return y.chunks_exact_mut(g.out_image()).for_each(|y| end.finish(0, g.out_plane(), y));
    }
    let (nr, tiles) = (widths::<T>().nr, Tiles::new(m, widths::<T>().mr));
    // Blocks of whole channels, as even as can be.
    let blocks = g.group_channels().div_ceil((KC / taps).max(1));
    let kc = g.group_channels().div_ceil(blocks) * taps;
    let panels = (g.batch * g.out_plane()).div_ceil(nr);
    let most = (PATCH_BYTES / (kc * nr * size_of::<T>())).min((panels * g.groups).div_ceil(TASKS)).clamp(1, PANELS);
    let (columns, rows) = (panels.div_ceil(most), TASKS.div_ceil(g.groups * panels).min(tiles.count.div_ceil(2)));
    let apart = w.col == 1 && !(k * size_of::<T>()).is_multiple_of(SET_BYTES);
    let filters = (panels > FEW_PANELS || !apart).then(|| pack_filters(g, w, tiles, kc));
    let bias: Vec<T> = end.bias.iter().flat_map(|b| b.iter().flat_map(|&b| std::iter::repeat_n(b, nr))).collect();
    let filters = filters.as_ref().map(Buffer::as_slice);
    let mut work = Work { g, x, w, filters, tiles, kc, bias: &bias, relu: end.relu, y: Shared::of(y), patches: None };
    // Where tasks share columns, these are packed once.
    let mut packed = Buffer::stale(if rows > 1 { g.groups * panels * k * nr } else { 0 });
    if rows > 1 {
        let to = Shared::of(packed.as_mut_slice());
        let blocks = k.div_ceil(kc);
        parallel::run(g.groups * panels * blocks, &|i| {
            let (panel, first) = (i / blocks, i % blocks * kc);
            let (group, panel, at) = (panel / panels, panel % panels, (panel * k + first) * nr);
            with_vectors(PackPatches { g, x, group, panels: panel..panel + 1, k: first..k.min(first + kc), to, at, step: 0 });
        });
        work.patches = Some(packed.as_slice());
    }
    parallel::run(g.groups * columns * rows, &|i| {
        let (group, i) = (i / (columns * rows), i % (columns * rows));
        let (column, row) = (i / rows * most, i % rows);
        let range = |i: usize| tiles.count * i / rows;
        with_vectors(Task { work: &work, group, panels: column..panels.min(column + most), tiles: range(row)..range(row + 1) });
    });
}

/// All filters in the micro-kernel's layout: for each group and each block of `kc` the micro-panels, one behind the other.
fn pack_filters<T: Lanes>(g: &Geometry, w: Mat<'_, T>, tiles: Tiles, kc: usize) -> Buffer<T> {
    /// Micro-panels of a task.
    const PANELS: usize = 8;
    let (m, k) = (g.group_filters(), g.patch());
    let mut packed = Buffer::stale(g.groups * m * k);
    let mut tasks = Vec::new();
    for (group, out) in packed.as_mut_slice().chunks_exact_mut(m * k).enumerate() {
        for (mut out, pc) in out.chunks_mut(m * kc).zip((0..k).step_by(kc)) {
            let kc = kc.min(k - pc);
            let a = Mat { offset: w.offset + group * m * k, ..w }.from(0, pc);
            for first in (0..tiles.count).step_by(PANELS) {
                let range = first..tiles.count.min(first + PANELS);
                let (here, rest) = out.split_at_mut((tiles.at(range.end).0 - tiles.at(first).0) * kc);
                tasks.push(PackA { a, tiles, range, kc, out: here });
                out = rest;
            }
        }
    }
    items(tasks).each(|_, task| with_vectors(task));
    packed
}

/// All that tasks need to know.
struct Work<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    /// The filters of the first group where they lie, and those of all groups if they are packed.
    w: Mat<'a, T>,
    filters: Option<&'a [T]>,
    tiles: Tiles,
    kc: usize,
    /// Each filter's bias, as often as a panel has columns, if there is one.
    bias: &'a [T],
    relu: bool,
    /// Tasks write other filters, or other columns.
    y: Shared<T>,
    /// All patches of each group, panel by panel, if tasks share them.
    patches: Option<&'a [T]>,
}

/// Packs steps `k`, whole channels, of some panels of patches, which lie `step` elements apart.
struct PackPatches<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    group: usize,
    panels: Range<usize>,
    k: Range<usize>,
    to: Shared<T>,
    /// Where these steps of the first panel go.
    at: usize,
    step: usize,
}

impl<T: Lanes> VectorKernel<T> for PackPatches<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, x, group, panels, k, to, at, step } = self;
        let (mut pieces, first) = (Vec::new(), group * g.group_channels());
        let channels = first + k.start / g.taps()..first + k.end / g.taps();
        let columns = panels.start * V::NR..(panels.end * V::NR).min(g.batch * g.out_plane());
        runs(g, columns, V::LANES, (V::NR, step), &mut pieces);
        let out = to.at(at, (panels.len() - 1) * step + k.len() * V::NR);
        // SAFETY: the caller's promise; these parts of the panels belong to this task.
        unsafe { pack::<T, V>(g, x, channels, &pieces, (out, V::NR)) }
    }
}

/// The columns of a panel.
fn columns(g: &Geometry, panel: usize, nr: usize) -> Range<usize> {
    panel * nr..((panel + 1) * nr).min(g.batch * g.out_plane())
}

/// Some filters of a group at some panels of columns.
struct Task<'a, T> {
    work: &'a Work<'a, T>,
    group: usize,
    panels: Range<usize>,
    tiles: Range<usize>,
}

impl<T: Lanes> VectorKernel<T> for Task<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { work, group, panels, tiles } = self;
        let &Work { g, x, w, filters, tiles: all, kc: most, bias, relu, y, patches } = work;
        let (k, m, nr, plane) = (g.patch(), g.group_filters(), V::NR, g.out_plane());
        let (first, rows) = (all.at(tiles.start).0, all.at(tiles.end).0 - all.at(tiles.start).0);
        let mut own = Buffer::<T>::stale(if patches.is_none() { panels.len() * most * nr } else { 0 });
        // Sums of panels whose columns are not next to each other in `y`.
        let mut aside = Buffer::<T>::stale(panels.len() * rows * nr);
        let (own, aside) = (Shared::of(own.as_mut_slice()), Shared::of(aside.as_mut_slice()));
        let is_apart = |c: &Range<usize>| c.start / plane != (c.end - 1) / plane;
        for pc in (0..k).step_by(most) {
            let (kc, last) = (most.min(k - pc), pc + most >= k);
            if patches.is_none() {
                let (panels, k) = (panels.clone(), pc..pc + kc);
                // SAFETY: as for this function.
                unsafe { PackPatches { g, x, group, panels, k, to: own, at: 0, step: most * nr }.run::<V>() }
            }
            for (ir, mr) in tiles.clone().map(|i| all.at(i)) {
                let a = match filters {
                    Some(all) => {
                        let at = group * m * k + pc * m + ir * kc;
                        debug_assert!(at + mr * kc <= all.len());
                        PanelA { at: all.as_ptr().wrapping_add(at), row: 1, col: mr as isize }
                    }
                    None => {
                        let w = Mat { offset: w.offset + group * m * k, ..w };
                        debug_assert!(w.from(ir, pc).offset < w.data.len());
                        PanelA { at: w.data.as_ptr().wrapping_add(w.from(ir, pc).offset), row: w.row, col: w.col }
                    }
                };
                for (q, panel) in panels.clone().enumerate() {
                    let columns = columns(g, panel, nr);
                    let (to, row) = if is_apart(&columns) {
                        (aside.at((q * rows + ir - first) * nr, mr * nr), nr)
                    } else {
                        let place = columns.start / plane * g.out_image() + columns.start % plane;
                        (y.at(place + (group * m + ir) * plane, (mr - 1) * plane + columns.len()), plane)
                    };
                    let plus = match (pc, bias.is_empty()) {
                        (0, true) => (to.cast_const(), row, T::zero()),
                        (0, false) => (bias[(group * m + ir) * nr..][..mr * nr].as_ptr(), nr, T::one()),
                        _ => (to.cast_const(), row, T::one()),
                    };
                    let b = match patches {
                        Some(all) => all[((group * (g.batch * plane).div_ceil(nr) + panel) * k + pc) * nr..][..kc * nr].as_ptr(),
                        None => own.at(q * most * nr, kc * nr).cast_const(),
                    };
                    // SAFETY: the caller's promise; the panels have `kc` steps, and the tile belongs to this task.
                    unsafe {
                        let c = TileC::side_by_side(to, row, V::LANES, columns.len(), plus);
                        let c = TileC { relu: relu && last, ..c };
                        micro_kernel::<T, V>(mr, kc, a, PanelB { at: b, row: nr as isize }, c);
                    }
                }
            }
        }
        let mut pieces = Vec::new();
        for (q, panel) in panels.enumerate().filter(|(_, panel)| is_apart(&columns(g, *panel, nr))) {
            runs(g, columns(g, panel, nr), V::LANES, (nr, 0), &mut pieces);
            for (i, run) in (0..rows).flat_map(|i| pieces.iter().map(move |run| (i, run))) {
                let &Run { to, len, .. } = run;
                // SAFETY: the caller's promise; runs end inside the panel, and in `y` they belong to this task.
                unsafe {
                    let from = aside.at((q * rows + i) * nr + to, len);
                    let to = y.at(run.place(g) + (group * m + first + i) * plane, len);
                    let v = V::load_first(from, len);
                    if len == V::LANES { v.store(to) } else { v.store_first(to, len) }
                }
            }
        }
    }
}
