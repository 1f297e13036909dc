//! The product as BLIS orders it: five loops around a micro-kernel (Van Zee and van de Geijn, "BLIS: A Framework for Rapidly
//! Instantiating BLAS Functionality", 2015).
//!
//! ```text
//! loop 5   jc over n  by nc    a block of columns of B and C                                      here
//! loop 4   pc over k  by kc    pack B~, kc x nc: all threads, for the caches that cores share     here
//! loop 3   ic over m  by mc    pack A~, mc x kc: each task, for its core's second-level cache     macro_kernel.rs
//! loop 2   jr over nc by nr    a micro-panel of B~, kc x nr                                       macro_kernel.rs
//! loop 1   ir over mc by mr    a micro-panel of A~, mr x kc                                       macro_kernel.rs
//! loop 0   p  over kc          the micro-kernel: an mr x nr tile of C in registers                micro_kernel.rs
//! ```
//!
//! What differs from BLIS:
//! - Loop 4 steps by `depth`, several blocks of `kc`, all of them packed at once, so that threads meet less often. Each task goes
//!   over the blocks of `kc` within its loop 3.
//! - Loops 3 and 2 are cut into a grid of tasks. Where it has one row, because A has few, no B~ is shared: each task goes over its
//!   micro-panels of B in the outermost loop, and packs them one by one, or reads them where they lie.
//! - A is read where it lies if that is not slower (`in_place`), and packed once for all tasks if several read the same rows.

use super::blocking::{Blocking, Grid, MC_TILES, in_place};
use super::macro_kernel::{Block, SideB, Task};
use super::micro_kernel::Tiles;
use super::operands::{Gemm, Mat};
use super::pack::{PackA, PackB};
use crate::buffer::Buffer;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::parallel::{self, Parts, items};
use crate::kernels::shared::Shared;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{widths, with_vectors};

/// The product, which is not empty, on this thread or all.
pub fn product<T: Lanes>(g: Gemm<'_, T>, threads: bool) {
    g.check();
    let Gemm { m, k, n, a, b, beta, end, c, ldc } = g;
    let widths = widths::<T>();
    let tiles = Tiles::new(m, widths.mr);
    let Blocking { kc, nc, nr, depth, own_columns } = Blocking::of::<T>([m, k, n], tiles, widths.nr, threads);
    // Whether A is packed once for all tasks, if several of them read the same rows.
    let is_shared = !in_place(&a, m, kc);
    let mut packed_b = Buffer::stale(if own_columns { 0 } else { depth * nc });
    let (to, all_k) = (Shared::of(c), k);
    // Loop 5.
    for jc in (0..n).step_by(nc) {
        let n = nc.min(n - jc);
        // Loop 4.
        for pc in (0..k).step_by(depth) {
            let k = depth.min(k - pc);
            let (a, b) = (a.from(0, pc), b.from(pc, jc));
            let grid = Grid::of([m, k, n], tiles, nr, threads);
            let b = if own_columns {
                SideB::Given(b)
            } else {
                let packed = &mut packed_b.as_mut_slice()[..k * n.next_multiple_of(nr)];
                pack_b(b, [k, n], [kc, nr], packed, threads);
                SideB::Packed(packed)
            };
            let bias = end.bias.filter(|_| pc == 0).map(|bias| &bias[jc..]);
            let (beta, relu) = (if pc == 0 { beta } else { T::one() }, end.relu && pc + k == all_k);
            let packed_a = (grid.cols > 1 && is_shared).then(|| pack_a(a, tiles, k, kc));
            let packed_a = packed_a.as_ref().map(Buffer::as_slice);
            let end = Epilogue { bias, relu };
            let block = Block { m, k, n, kc, tiles, a, packed_a, b, beta, end, ldc };
            let task = |index: usize| {
                // The parts of C that the grid names have no element in common, and lie in the slice, as asserted.
                with_vectors(Task { block: &block, grid: &grid, index, c: to, jc });
            };
            if threads && grid.tasks() > 1 {
                parallel::run(grid.tasks(), &task);
            } else {
                (0..grid.tasks()).for_each(task);
            }
        }
    }
}

/// Packs `[k, n]` of B, one block of `kc` rows after the other, each in micro-panels of `nr` columns.
fn pack_b<T: Lanes>(b: Mat<'_, T>, [k, n]: [usize; 2], [kc, nr]: [usize; 2], out: &mut [T], threads: bool) {
    /// Elements that a task packs, at least.
    const TASK: usize = 1 << 15;
    let line = n.next_multiple_of(nr);
    let panels = if threads && k * n >= 2 * TASK { (TASK / (kc * nr)).max(1) } else { line / nr };
    let mut tasks = Vec::new();
    for (i, out) in out.chunks_mut(kc * line).enumerate() {
        let (pc, kc) = (i * kc, kc.min(k - i * kc));
        for (j, out) in out.chunks_mut(panels * nr * kc).enumerate() {
            let jr = j * panels * nr;
            tasks.push(PackB { b: b.from(pc, jr), kc, n: (panels * nr).min(n - jr), out });
        }
    }
    if tasks.len() > 1 && threads {
        items(tasks).each(|_, task| with_vectors(task));
    } else {
        tasks.into_iter().for_each(with_vectors);
    }
}

/// Packs all of A's rows, one block of `kc` columns after the other.
fn pack_a<T: Lanes>(a: Mat<'_, T>, tiles: Tiles, k: usize, kc: usize) -> Buffer<T> {
    let m = tiles.at(tiles.count).0;
    let mut packed = Buffer::stale(m * k);
    let mut tasks = Vec::new();
    for (i, mut out) in packed.as_mut_slice().chunks_mut(m * kc).enumerate() {
        let (pc, kc) = (i * kc, kc.min(k - i * kc));
        for ic in (0..tiles.count).step_by(MC_TILES) {
            let range = ic..tiles.count.min(ic + MC_TILES);
            let rows = tiles.at(range.end).0 - tiles.at(ic).0;
            let (here, rest) = out.split_at_mut(rows * kc);
            tasks.push(PackA { a: a.from(0, pc), tiles, range, kc, out: here });
            out = rest;
        }
    }
    items(tasks).each(|_, task| with_vectors(task));
    packed
}
