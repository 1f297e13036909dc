//! The micro-kernel: the `mr` x `nr` tile of C that a matrix product keeps in registers, after Goto and van de Geijn, "Anatomy of
//! High-Performance Matrix Multiplication" (2008), and its loop over `kc`. Each step adds the product of a column of A, whose `mr`
//! elements are broadcast one by one, and of a row of B, `nr` elements in two vectors. With AVX-512 these are 28 accumulators of
//! 32 registers; each step has 28 fused multiply-adds for 16 loads, so that loads keep up.

use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, prefetch};
use std::mem::MaybeUninit;

/// The largest `mr`.
const MOST_MR: usize = 14;
/// The most rows of a tile of four vectors.
const LOW: usize = 3;

/// A micro-panel of A, `mr` x `kc`, packed or where it lies: element `(i, p)` is at `i · row + p · col`.
#[derive(Clone, Copy)]
pub struct PanelA<T> {
    pub at: *const T,
    pub row: isize,
    pub col: isize,
}

/// A micro-panel of B, `kc` x `nr`: row `p` starts at `p · row`, and has two whole vectors that may be read.
#[derive(Clone, Copy)]
pub struct PanelB<T> {
    pub at: *const T,
    pub row: isize,
}

/// A micro-panel of B whose rows lie anywhere: row `p` starts at `offsets[p]`.
#[derive(Clone, Copy)]
pub struct ScatteredB<'a, T> {
    pub at: *const T,
    pub offsets: &'a [usize],
    /// From the first vector of a row to the second, and from these two to two more.
    pub step: usize,
    pub deep: usize,
}

/// Where the rows of a micro-panel of B are.
trait Rows<T>: Copy {
    /// From the first vector of a row to vector `j`, where vectors have `lanes`.
    fn place(&self, j: usize, lanes: usize) -> usize;
    fn row(&self, p: usize) -> *const T;
}
impl<T: Copy> Rows<T> for PanelB<T> {
    #[inline(always)]
    fn place(&self, j: usize, lanes: usize) -> usize {
        j * lanes
    }
    #[inline(always)]
    fn row(&self, p: usize) -> *const T {
        self.at.wrapping_offset(p as isize * self.row)
    }
}
impl<T: Copy> Rows<T> for ScatteredB<'_, T> {
    #[inline(always)]
    fn place(&self, j: usize, _: usize) -> usize {
        j % 2 * self.step + j / 2 * self.deep
    }
    #[inline(always)]
    fn row(&self, p: usize) -> *const T {
        self.at.wrapping_add(self.offsets[p])
    }
}

/// Where a micro-tile goes: `c <- tile + beta plus`, or no less than 0.
#[derive(Clone, Copy)]
pub struct TileC<T> {
    pub at: *mut T,
    pub row: usize,
    /// From the first vector of a row to the second, and from these two to two more, also of what is added.
    pub step: usize,
    pub deep: usize,
    /// How much of each of two vectors is written; nothing of the second if the tile is one vector wide.
    pub cols: [usize; 2],
    /// What is added, which is as wide as the tile, and may be what is there. With `beta` 0, it is not read.
    pub plus: *const T,
    /// From one row of it to the next; 0 for the same at all rows.
    pub plus_row: usize,
    pub beta: T,
    /// Whether what is below 0 becomes 0.
    pub relu: bool,
}

impl<T: Lanes> TileC<T> {
    /// Two vectors of `lanes` side by side, of which `cols` columns are written. What is added is given as where it is, how far it is
    /// from one row to the next, and how often it counts.
    #[inline(always)]
    pub fn side_by_side(at: *mut T, row: usize, lanes: usize, cols: usize, (plus, plus_row, beta): (*const T, usize, T)) -> Self {
        debug_assert!(cols <= 2 * lanes, "{cols} columns of two vectors of {lanes}");
        let cols = [cols.min(lanes), cols - cols.min(lanes)];
        Self { at, row, step: lanes, deep: 2 * lanes, cols, plus, plus_row, beta, relu: false }
    }

    /// From the first vector of a row to vector `j`.
    #[inline(always)]
    fn place(&self, j: usize) -> usize {
        j % 2 * self.step + j / 2 * self.deep
    }
}

/// The micro-tile of `R` rows (mr) and `N` vectors (nr), summed over `kc`. `UNIT`: the rows of A are next to each other.
///
/// # Safety
/// The processor must have V's instructions, and both sides all elements that are named.
#[inline(always)]
unsafe fn tile<T: Lanes, V: Vector<T>, const R: usize, const N: usize, const UNIT: bool>(
    kc: usize,
    a: PanelA<T>,
    b: impl Rows<T>,
    c: &TileC<T>,
) -> [[V; N]; R] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(T::zero()); N]; R];
        let mut left = a.at;
        // Lines of C are prefetched a row at a time, between the last steps: all at once they would take every fill buffer of the
        // first-level cache, and the loop would wait for A and B behind them. Prefetched earlier, they might be evicted again.
        for p in 0..kc {
            let line = (p + 2 * R).wrapping_sub(kc);
            if line < R {
                prefetch(c.at.wrapping_add(line * c.row));
                prefetch(c.at.wrapping_add(line * c.row + c.step));
                prefetch(c.plus.wrapping_add(line * c.plus_row));
                prefetch(c.plus.wrapping_add(line * c.plus_row + c.step));
            }
            let right = b.row(p);
            let mut row = [sums[0][0]; N];
            for (j, v) in row.iter_mut().enumerate() {
                *v = V::load(right.wrapping_add(b.place(j, V::LANES)));
            }
            for (i, sums) in sums.iter_mut().enumerate() {
                let v = V::splat(*left.offset(if UNIT { i as isize } else { i as isize * a.row }));
                for (sum, &b) in sums.iter_mut().zip(&row) {
                    *sum = v.mul_add(b, *sum);
                }
            }
            left = left.wrapping_offset(a.col);
        }
        sums
    }
}

/// Writes a tile to where it goes, all of it. Each loop is short enough for the compiler to unroll, so that the tile is never anywhere
/// but in registers: written to the stack and read again, it took as long as five steps.
///
/// # Safety
/// As for [`tile`]; the target must be writable, and have room for the whole tile.
#[inline(always)]
unsafe fn put<T: Lanes, V: Vector<T>, const R: usize, const N: usize>(mut tile: [[V; N]; R], c: TileC<T>) {
    // SAFETY: the caller's promise.
    unsafe {
        if c.beta != T::zero() {
            let beta = V::splat(c.beta);
            for (i, row) in tile.iter_mut().enumerate() {
                for (j, v) in row.iter_mut().enumerate() {
                    *v = beta.mul_add(V::load(c.plus.add(i * c.plus_row + c.place(j))), *v);
                }
            }
        }
        if c.relu {
            // NaN stays.
            let zero = V::splat(T::zero());
            for row in &mut tile {
                for v in row {
                    *v = zero.max(*v);
                }
            }
        }
        for (i, row) in tile.iter().enumerate() {
            for (j, v) in row.iter().enumerate() {
                v.store(c.at.add(i * c.row + c.place(j)));
            }
        }
    }
}

/// Writes a tile of `rows` rows of `N` vectors, which is at `spare`, to where it goes, of which there is a part.
///
/// # Safety
/// As for [`put`], where the target need have no more than `cols` elements of a row.
#[inline(always)]
unsafe fn put_part<T: Lanes, V: Vector<T>, const N: usize>(spare: *const T, rows: usize, c: TileC<T>) {
    // SAFETY: the caller's promise; no more than `cols` elements of a row are read or written.
    unsafe {
        let (beta, zero) = (V::splat(c.beta), V::splat(T::zero()));
        for (i, j) in (0..rows).flat_map(|i| (0..N).map(move |j| (i, j))) {
            let cols = c.cols[j % 2].min(V::LANES);
            let v = V::load(spare.add((i * N + j) * V::LANES));
            let v = if c.beta == T::zero() {
                v
            } else {
                beta.mul_add(V::load_first(c.plus.add(i * c.plus_row + c.place(j)), cols), v)
            };
            let v = if c.relu { zero.max(v) } else { v };
            v.store_first(c.at.add(i * c.row + c.place(j)), cols);
        }
    }
}

/// A tile, to where it goes, by way of `spare` if that is only a part; code of its own for each number of rows, so that none spills its
/// accumulators.
///
/// # Safety
/// As for [`put_part`]; `spare` must have room for a tile.
#[inline(always)]
unsafe fn tile_to<T: Lanes, V: Vector<T>, const R: usize, const N: usize, const UNIT: bool>(
    kc: usize,
    a: PanelA<T>,
    b: impl Rows<T>,
    c: TileC<T>,
    spare: *mut T,
) {
    debug_assert!(R <= V::MR && R * N <= 2 * MOST_MR, "a tile of {R} rows of {N} vectors");
    debug_assert!(N > 1 || c.cols[1] == 0, "a second vector of a tile that has one");
    let whole = c.cols[0] >= V::LANES && (N == 1 || c.cols[1] >= V::LANES);
    let aside = TileC { at: spare, row: N * V::LANES, step: V::LANES, deep: V::NR, beta: T::zero(), relu: false, ..c };
    // SAFETY: the caller's promise.
    unsafe {
        put::<T, V, R, N>(tile::<T, V, R, N, UNIT>(kc, a, b, &c), if whole { c } else { aside });
        if !whole {
            put_part::<T, V, N>(spare, R, c);
        }
    }
}

/// One micro-tile of C, of `mr` rows, no more than `V::MR`.
///
/// # Safety
/// The processor must have V's instructions. A must have `mr` rows and `kc` columns, B `kc` rows of two vectors (of one, if
/// nothing of the second is written), C `mr` rows of `c.cols` elements that nobody else has.
#[inline(always)]
pub unsafe fn micro_kernel<T: Lanes, V: Vector<T>>(mr: usize, kc: usize, a: PanelA<T>, b: PanelB<T>, c: TileC<T>) {
    // SAFETY: the caller's promise.
    unsafe { V::call(Micro { mr, kc, a, b, c }) }
}

struct Micro<T> {
    mr: usize,
    kc: usize,
    a: PanelA<T>,
    b: PanelB<T>,
    c: TileC<T>,
}

impl<T: Lanes> VectorKernel<T> for Micro<T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { mr, kc, a, b, c } = self;
        let mut spare = MaybeUninit::<[[V; 2]; MOST_MR]>::uninit();
        let spare = spare.as_mut_ptr().cast();
        // The conditions are constants, so that larger tiles than V has registers for are not even compiled.
        macro_rules! by_rows {
            ($($r:literal)*) => {
                // SAFETY: the caller's promise, as `micro_kernel` says it.
                match (mr, c.cols[1] > 0, a.row == 1) {
                    $(
                        ($r, true, true) if const { $r <= V::MR } => unsafe { tile_to::<T, V, $r, 2, true>(kc, a, b, c, spare) },
                        ($r, true, false) if const { $r <= V::MR } => unsafe { tile_to::<T, V, $r, 2, false>(kc, a, b, c, spare) },
                        ($r, false, true) if const { $r <= V::MR } => unsafe { tile_to::<T, V, $r, 1, true>(kc, a, b, c, spare) },
                        ($r, false, false) if const { $r <= V::MR } => unsafe { tile_to::<T, V, $r, 1, false>(kc, a, b, c, spare) },
                    )*
                    _ => unreachable!("a tile of {mr} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// Whether a tile of `rows` rows may have four vectors, two by two. With two of so few rows, sums are not ready
/// when the next step comes.
#[inline(always)]
pub fn is_low<T: Lanes, V: Vector<T>>(rows: usize) -> bool {
    rows <= LOW && 2 * rows <= V::MR
}

/// As [`micro_kernel`], with an A whose rows are next to each other and a B whose rows lie anywhere; if the tile is `low`, of
/// twice two vectors.
///
/// # Safety
/// As for [`micro_kernel`], where B has as many rows as there are offsets, and the tile is low only if it [may be](is_low).
#[inline(always)]
pub unsafe fn micro_kernel_at<T: Lanes, V: Vector<T>>(mr: usize, low: bool, a: PanelA<T>, b: ScatteredB<'_, T>, c: TileC<T>) {
    // SAFETY: the caller's promise.
    unsafe { V::call(MicroAt { mr, low, a, b, c }) }
}

struct MicroAt<'a, T> {
    mr: usize,
    low: bool,
    a: PanelA<T>,
    b: ScatteredB<'a, T>,
    c: TileC<T>,
}

impl<T: Lanes> VectorKernel<T> for MicroAt<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { mr, low, a, b, c } = self;
        debug_assert!(a.row == 1 && (!low || is_low::<T, V>(mr)));
        let (mut spare, kc) = (MaybeUninit::<[[V; 2]; MOST_MR]>::uninit(), b.offsets.len());
        let spare = spare.as_mut_ptr().cast();
        if low {
            // SAFETY: the caller's promise, as `micro_kernel_at` says it; `spare` has room, for so few rows.
            return unsafe {
                match mr {
                    1 => tile_to::<T, V, 1, 4, true>(kc, a, b, c, spare),
                    2 => tile_to::<T, V, 2, 4, true>(kc, a, b, c, spare),
                    _ => tile_to::<T, V, LOW, 4, true>(kc, a, b, c, spare),
                }
            };
        }
        macro_rules! by_rows {
            ($($r:literal)*) => {
                match (mr, c.cols[1] > 0) {
                    $(
                        // SAFETY: the caller's promise, as `micro_kernel_at` says it.
                        ($r, true) if const { $r <= V::MR } => unsafe { tile_to::<T, V, $r, 2, true>(kc, a, b, c, spare) },
                        // SAFETY: as above.
                        ($r, false) if const { $r <= V::MR } => unsafe { tile_to::<T, V, $r, 1, true>(kc, a, b, c, spare) },
                    )*
                    _ => unreachable!("a tile of {mr} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// How rows are cut into micro-tiles: as even as can be, and none of more than `mr` rows.
#[derive(Clone, Copy)]
pub struct Tiles {
    rows: usize,
    pub count: usize,
}

impl Tiles {
    #[inline(always)]
    pub fn new(rows: usize, most: usize) -> Self {
        Self { rows, count: rows.div_ceil(most).max(1) }
    }

    /// The first row of tile `i`, and how many it has; for the number of tiles, the number of rows.
    #[inline(always)]
    pub fn at(&self, i: usize) -> (usize, usize) {
        let (low, higher) = (self.rows / self.count, self.rows % self.count);
        (i * low + i.min(higher), low + usize::from(i < higher))
    }
}

/// The micro-tiles that `rows` rows are cut into: the first row and the number of rows of each.
#[inline(always)]
pub fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = Tiles::new(rows, most);
    (0..tiles.count).map(move |i| tiles.at(i))
}
