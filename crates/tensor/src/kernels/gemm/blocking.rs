//! The sizes of blocks, `mc kc nc`, and how a block of C is cut into tasks: by the product's sizes alone.

use super::micro_kernel::Tiles;
use super::operands::Mat;
use crate::kernels::simd::Lanes;

/// Columns of B that are packed at a time.
const NC: usize = 4096;
/// Micro-tiles in `mc` rows.
pub const MC_TILES: usize = 12;
/// Bytes of a micro-panel of B, `kc` x `nr`, that is read for every tile. The second-level cache feeds the micro-kernel as fast as
/// the first; a smaller `kc` was slower, since C is read and written more often.
const PANEL_BYTES: usize = 128 << 10;
/// Bytes of B that are packed at a time: what stays in a core's second-level cache from one task to the next.
const B_BYTES: usize = 2 << 20;
/// Bytes of A that tasks read at a time which have columns of their own: what stays in a core's second-level cache.
const A_BYTES: usize = 1 << 20;
/// Tasks that a block is cut into, at most.
const TASKS: usize = 16;
/// Below this many multiply-adds a task does not pay.
const TASK: usize = 1 << 18;
/// Rows of A that are next to each other are read where they lie if `kc` of their columns span no more bytes than this.
const IN_PLACE_BYTES: usize = 1 << 18;
/// Cache lines that are so many bytes apart share a set of the first-level cache.
const SET_BYTES: usize = 4096;
/// Up to so many rows, A is read where it lies: a set has as many ways, or more.
const WAYS: usize = 8;

/// The sizes of a product's blocks.
#[derive(Clone, Copy)]
pub struct Blocking {
    /// Steps of a sum that the micro-kernel takes at a time.
    pub kc: usize,
    /// Columns of B in a block.
    pub nc: usize,
    /// Columns of a micro-tile.
    pub nr: usize,
    /// Rows of B that are packed at a time: as many whole blocks of `kc` as the cache has room for.
    pub depth: usize,
    /// Whether each task has columns of its own, and packs the micro-panels of B that it reads itself.
    pub own_columns: bool,
}

impl Blocking {
    pub fn of<T: Lanes>([m, k, n]: [usize; 3], tiles: Tiles, nr: usize, threads: bool) -> Self {
        let most = PANEL_BYTES / (nr * size_of::<T>());
        // As even as can be.
        let kc = k.div_ceil(k.div_ceil(most));
        let nc = NC.min(n.next_multiple_of(nr));
        let own_columns = threads && Grid::of([m, k, n.min(nc)], tiles, nr, threads).rows == 1;
        let bytes = if own_columns { A_BYTES / m } else { B_BYTES / nc };
        let depth = ((bytes / size_of::<T>() / kc).max(1) * kc).min(k);
        Self { kc, nc, nr, depth, own_columns }
    }
}

/// Whether `rows` rows of A are read where they lie, for packing would cost more than it saves: when each row's elements are next to
/// each other and rows do not evict each other from the first-level cache, when they are few, or when rows are next to each other
/// and `kc` columns not far apart.
pub fn in_place<T>(a: &Mat<'_, T>, rows: usize, kc: usize) -> bool {
    let bytes = |step: isize| step.unsigned_abs() * size_of::<T>();
    let near = a.row == 1 && kc * bytes(a.col) <= IN_PLACE_BYTES;
    let apart = a.col == 1 && !bytes(a.row).is_multiple_of(SET_BYTES);
    rows <= WAYS || apart || near
}

/// The tasks that a block of C is cut into.
pub struct Grid {
    pub rows: usize,
    pub cols: usize,
    /// Micro-tiles of rows, and columns, of a task.
    pub height: usize,
    pub width: usize,
}

impl Grid {
    pub fn of([m, k, n]: [usize; 3], tiles: Tiles, nr: usize, threads: bool) -> Self {
        if !threads {
            return Self { rows: 1, cols: 1, height: tiles.count, width: n };
        }
        let wanted = (m * n * k / TASK).clamp(1, TASKS);
        let height = tiles.count.div_ceil(wanted).max(MC_TILES.min(tiles.count));
        let rows = tiles.count.div_ceil(height);
        let width = n.div_ceil(wanted.div_ceil(rows)).next_multiple_of(nr);
        Self { rows, cols: n.div_ceil(width), height, width }
    }

    pub fn tasks(&self) -> usize {
        self.rows * self.cols
    }
}
