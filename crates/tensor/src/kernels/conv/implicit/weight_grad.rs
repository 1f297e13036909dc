//! The gradient with respect to the filters: the patches times the transposed gradient of the outputs, summed over blocks of columns.

use super::patches::{Run, pack, runs};
use super::{TASKS, flat};
use crate::buffer::Buffer;
use crate::kernels::conv::geometry::Geometry;
use crate::kernels::gemm::micro_kernel::{PanelA, PanelB, TileC, micro_kernel, tiles};
use crate::kernels::gemm::operands::Mat;
use crate::kernels::gemm::pack::PackB;
use crate::kernels::parallel;
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, with_vectors};
use std::ops::Range;

/// Columns of a block, at most.
const COLUMNS: usize = 256;
/// Elements of the patches of a block, at most, where these have fewer rows.
const BLOCK: usize = 1 << 17;
/// What keeps rows apart that would else share the same few lines of a cache.
const GAP: usize = 16;
/// Rows of patches of a task, at least, where there are as many: each packs the outputs' gradient.
const ROWS: usize = 144;
/// The most lanes that a vector has.
const MOST: usize = 16;

/// The gradient with respect to `w`; writes all of `gw`.
pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    let (g, taps, m) = (&flat(g), g.taps(), g.group_filters());
    let channels = ROWS.div_ceil(taps).min(g.group_channels());
    let chunks = g.group_channels().div_ceil(channels);
    let channels = g.group_channels().div_ceil(chunks);
    let all = g.batch * g.out_plane();
    let block = (BLOCK / (channels * taps)).clamp(MOST, COLUMNS).min(all);
    let blocks = all.div_ceil(block);
    // Columns are cut into parts where channels are few.
    let parts = TASKS.div_ceil(g.groups * chunks).min(blocks.div_ceil(2));
    let mut sums = Buffer::stale(parts * gw.len());
    let to = Shared::of(sums.as_mut_slice());
    parallel::run(parts * g.groups * chunks, &|i| {
        let (part, group, chunk) = (i / (g.groups * chunks), i / chunks % g.groups, i % chunks);
        let channels = chunk * channels..g.group_channels().min((chunk + 1) * channels);
        let blocks = blocks * part / parts..blocks * (part + 1) / parts;
        let sums = to.at(part * gw.len() + (group * g.patch() + channels.start * taps) * m, channels.len() * taps * m);
        with_vectors(Task { g, x, gy, group, channels, blocks, block, sums: Sums(sums) });
    });
    let to = Shared::of(gw);
    // Filters that are joined at a time: whole vectors.
    parallel::run(g.groups * m.div_ceil(MOST), &|i| {
        let (group, first) = (i / m.div_ceil(MOST), i % m.div_ceil(MOST) * MOST);
        with_vectors(Join { g, sums: sums.as_slice(), parts, group, filters: first..m.min(first + MOST), gw: to });
    });
}

/// Where a task's sums go, `[rows, filters of the group]`; nobody else has them.
struct Sums<T>(*mut T);

/// The sums for some channels of a group over some blocks of columns.
struct Task<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    gy: &'a [T],
    group: usize,
    channels: Range<usize>,
    blocks: Range<usize>,
    block: usize,
    sums: Sums<T>,
}

impl<T: Lanes> VectorKernel<T> for Task<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, x, gy, group, channels, blocks, block, sums: Sums(sums) } = self;
        let (m, plane, nr, first) = (g.group_filters(), g.out_plane(), V::NR, blocks.start);
        let (rows, width, all) = (channels.len() * g.taps(), block + GAP, g.batch * plane);
        let mut patches = Buffer::<T>::stale(rows * width);
        let mut gradients = Buffer::<T>::stale(m.next_multiple_of(nr) * block);
        let (patches, mut pieces) = (patches.as_mut_slice().as_mut_ptr(), Vec::<Run>::new());
        for i in blocks {
            let columns = i * block..all.min((i + 1) * block);
            let kc = columns.len();
            // SAFETY: the caller's promise; both sides have room for all of a block, and sums for all rows and filters.
            unsafe {
                runs(g, columns.clone(), V::LANES, (width, 0), &mut pieces);
                let from = group * g.group_channels();
                pack::<T, V>(g, x, from + channels.start..from + channels.end, &pieces, (patches, width));
                pack_gradients::<T, V>(g, gy, group, columns, gradients.as_mut_slice());
                for f in (0..m).step_by(nr) {
                    let b = PanelB { at: gradients.as_slice().as_ptr().add(f * kc), row: nr as isize };
                    for (r, mr) in tiles(rows, V::MR) {
                        let a = PanelA { at: patches.add(r * width).cast_const(), row: width as isize, col: 1 };
                        let to = sums.add(r * m + f);
                        let beta = if i == first { T::zero() } else { T::one() };
                        let c = TileC::side_by_side(to, m, V::LANES, nr.min(m - f), (to.cast_const(), m, beta));
                        micro_kernel::<T, V>(mr, kc, a, b, c);
                    }
                }
            }
        }
    }
}

/// The transposed gradient of a group's outputs at some columns, in micro-panels of filters.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn pack_gradients<T: Lanes, V: Vector<T>>(g: &Geometry, gy: &[T], group: usize, columns: Range<usize>, out: &mut [T]) {
    let (m, plane, nr, kc) = (g.group_filters(), g.out_plane(), V::NR, columns.len());
    let mut at = columns.start;
    while at < columns.end {
        let len = (plane - at % plane).min(columns.end - at);
        let place = at / plane * g.out_image() + group * m * plane + at % plane;
        for f in (0..m).step_by(nr) {
            let b = Mat { data: gy, offset: place + f * plane, row: 1, col: plane as isize };
            let out = &mut out[f * kc + (at - columns.start) * nr..][..len * nr];
            // SAFETY: the caller's promise.
            unsafe { PackB { b, kc: len, n: nr.min(m - f), out }.run::<V>() }
        }
        at += len;
    }
}

/// The sums of all parts, in their order, transposed to some filters of a group.
struct Join<'a, T> {
    g: &'a Geometry,
    sums: &'a [T],
    parts: usize,
    group: usize,
    filters: Range<usize>,
    gw: Shared<T>,
}

impl<T: Lanes> VectorKernel<T> for Join<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { g, sums, parts, group, filters, gw } = self;
        let (k, m, lanes) = (g.patch(), g.group_filters(), V::LANES);
        let size = sums.len() / parts;
        for (f, r) in filters.clone().step_by(lanes).flat_map(|f| (0..k).step_by(lanes).map(move |r| (f, r))) {
            let (has, across) = (lanes.min(filters.end - f), lanes.min(k - r));
            // SAFETY: the caller's promise; these filters belong to this task, and only rows and filters that there are are read.
            unsafe {
                let mut rows = [V::splat(T::zero()); MOST];
                for (i, row) in rows[..across].iter_mut().enumerate() {
                    let from = sums.as_ptr().add(((group * k + r + i) * m) + f);
                    *row = V::load_first(from, has);
                    for part in 1..parts {
                        *row = row.add(V::load_first(from.add(part * size), has));
                    }
                }
                let mut block = [V::splat(T::zero()); MOST];
                V::store_transposed(&rows[..lanes], block.as_mut_ptr().cast(), lanes);
                for (i, v) in block[..has].iter().enumerate() {
                    v.store_first(gw.at((group * m + f + i) * k + r, across), across);
                }
            }
        }
    }
}
