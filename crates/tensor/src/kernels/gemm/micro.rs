//! The tile of C that a matrix product keeps in registers, after Goto and van de Geijn, "Anatomy of High-Performance
//! Matrix Multiplication" (2008): `ROWS` rows of two vectors, to which each step of the sum adds the product of a column of
//! A, whose elements are broadcast one by one, and of a row of B. With AVX-512 these are 28 accumulators of 32 registers;
//! each step has 28 fused multiply-adds for 16 loads, so that loads keep up.

use crate::element::Float;
use crate::kernels::simd::{Vector, VectorKernel, prefetch};
use std::mem::MaybeUninit;

/// The most rows that a tile has.
const MOST_ROWS: usize = 14;
/// The most rows of a tile of four vectors.
const LOW: usize = 3;

/// The left side of a tile: element `(i, p)` is at `i · row + p · col`.
#[derive(Clone, Copy)]
pub struct Left<T> {
    pub at: *const T,
    pub row: isize,
    pub col: isize,
}

/// The right side: row `p` starts at `p · row`, and has two whole vectors that may be read.
#[derive(Clone, Copy)]
pub struct Right<T> {
    pub at: *const T,
    pub row: isize,
}

/// A right side whose rows lie anywhere: row `p` starts at `offsets[p]`.
#[derive(Clone, Copy)]
pub struct Offsets<'a, T> {
    pub at: *const T,
    pub offsets: &'a [usize],
    /// From the first vector of a row to the second, and from these two to two more.
    pub step: usize,
    pub deep: usize,
}

/// Where the rows of a right side are.
trait Rows<T>: Copy {
    /// From the first vector of a row to vector `j`, where vectors have `lanes`.
    fn place(&self, j: usize, lanes: usize) -> usize;
    fn row(&self, p: usize) -> *const T;
}
impl<T: Copy> Rows<T> for Right<T> {
    #[inline(always)]
    fn place(&self, j: usize, lanes: usize) -> usize {
        j * lanes
    }
    #[inline(always)]
    fn row(&self, p: usize) -> *const T {
        self.at.wrapping_offset(p as isize * self.row)
    }
}
impl<T: Copy> Rows<T> for Offsets<'_, T> {
    #[inline(always)]
    fn place(&self, j: usize, _: usize) -> usize {
        j % 2 * self.step + j / 2 * self.deep
    }
    #[inline(always)]
    fn row(&self, p: usize) -> *const T {
        self.at.wrapping_add(self.offsets[p])
    }
}

/// Where a tile goes: `c <- tile + beta plus`, or no less than 0.
#[derive(Clone, Copy)]
pub struct Target<T> {
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

impl<T: Float> Target<T> {
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

/// The product of `R` rows and `k` terms. `UNIT`: the left side's rows are next to each other.
///
/// # Safety
/// The processor must have V's instructions, and both sides all elements that are named.
#[inline(always)]
unsafe fn tile<T: Float, V: Vector<T>, const R: usize, const N: usize, const UNIT: bool>(
    k: usize,
    a: Left<T>,
    b: impl Rows<T>,
    c: &Target<T>,
) -> [[V; N]; R] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = [[V::splat(T::zero()); N]; R];
        let mut left = a.at;
        // Lines of C are asked for a row at a time, between terms: all at once they would take every place that the first-level
        // cache has for what it waits for, and the loop would wait for A and B behind them. Earlier than so many terms before the
        // end, they might be pushed out again.
        for p in 0..k {
            let line = (p + 2 * R).wrapping_sub(k);
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
/// but in registers: written to the stack and read again, it took as long as five terms.
///
/// # Safety
/// As for [`tile`]; the target must be writable, and have room for the whole tile.
#[inline(always)]
unsafe fn put<T: Float, V: Vector<T>, const R: usize, const N: usize>(mut tile: [[V; N]; R], c: Target<T>) {
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
unsafe fn put_part<T: Float, V: Vector<T>, const N: usize>(spare: *const T, rows: usize, c: Target<T>) {
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
unsafe fn tile_to<T: Float, V: Vector<T>, const R: usize, const N: usize, const UNIT: bool>(
    k: usize,
    a: Left<T>,
    b: impl Rows<T>,
    c: Target<T>,
    spare: *mut T,
) {
    debug_assert!(R <= V::ROWS && R * N <= 2 * MOST_ROWS, "a tile of {R} rows of {N} vectors");
    debug_assert!(N > 1 || c.cols[1] == 0, "a second vector of a tile that has one");
    let whole = c.cols[..N.min(2)].iter().all(|&cols| cols >= V::LANES);
    let aside = Target { at: spare, row: N * V::LANES, step: V::LANES, deep: 2 * V::LANES, beta: T::zero(), relu: false, ..c };
    // SAFETY: the caller's promise.
    unsafe {
        put::<T, V, R, N>(tile::<T, V, R, N, UNIT>(k, a, b, &c), if whole { c } else { aside });
        if !whole {
            put_part::<T, V, N>(spare, R, c);
        }
    }
}

/// One tile of C, of `rows` rows, no more than `V::ROWS`.
///
/// # Safety
/// The processor must have V's instructions. A must have `rows` rows and `k` columns, B `k` rows of two vectors (of one, if
/// nothing of the second is written), C `rows` rows of `c.cols` elements that nobody else has.
#[inline(always)]
pub unsafe fn micro<T: Float, V: Vector<T>>(rows: usize, k: usize, a: Left<T>, b: Right<T>, c: Target<T>) {
    // SAFETY: the caller's promise.
    unsafe { V::call(Micro { rows, k, a, b, c }) }
}

struct Micro<T> {
    rows: usize,
    k: usize,
    a: Left<T>,
    b: Right<T>,
    c: Target<T>,
}

impl<T: Float> VectorKernel<T> for Micro<T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { rows, k, a, b, c } = self;
        let mut spare = MaybeUninit::<[[V; 2]; MOST_ROWS]>::uninit();
        let spare = spare.as_mut_ptr().cast();
        macro_rules! by_rows {
            ($($r:literal)*) => {
                // SAFETY: the caller's promise, as `micro` says it.
                match (rows, c.cols[1] > 0, a.row == 1) {
                    $(
                        ($r, true, true) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, 2, true>(k, a, b, c, spare) },
                        ($r, true, false) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, 2, false>(k, a, b, c, spare) },
                        ($r, false, true) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, 1, true>(k, a, b, c, spare) },
                        ($r, false, false) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, 1, false>(k, a, b, c, spare) },
                    )*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// Whether a tile of `rows` rows may have four vectors, two by two. With two of so few rows, sums are ready for the next term later
/// than it is.
#[inline(always)]
pub fn is_low<T: Float, V: Vector<T>>(rows: usize) -> bool {
    rows <= LOW && 2 * rows <= V::ROWS
}

/// As [`micro`], with a left side whose rows are next to each other, and a right side whose rows lie anywhere; if the tile is `low`, of
/// twice two vectors.
///
/// # Safety
/// As for [`micro`], where B has as many rows as there are offsets, and the tile is low only if it [may be](is_low).
#[inline(always)]
pub unsafe fn micro_at<T: Float, V: Vector<T>>(rows: usize, low: bool, a: Left<T>, b: Offsets<'_, T>, c: Target<T>) {
    // SAFETY: the caller's promise.
    unsafe { V::call(MicroAt { rows, low, a, b, c }) }
}

struct MicroAt<'a, T> {
    rows: usize,
    low: bool,
    a: Left<T>,
    b: Offsets<'a, T>,
    c: Target<T>,
}

impl<T: Float> VectorKernel<T> for MicroAt<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { rows, low, a, b, c } = self;
        debug_assert!(a.row == 1 && (!low || is_low::<T, V>(rows)));
        let (mut spare, k) = (MaybeUninit::<[[V; 2]; MOST_ROWS]>::uninit(), b.offsets.len());
        let spare = spare.as_mut_ptr().cast();
        if low {
            // SAFETY: the caller's promise, as `micro_at` says it; `spare` has room, for so few rows.
            return unsafe {
                match rows {
                    1 => tile_to::<T, V, 1, 4, true>(k, a, b, c, spare),
                    2 => tile_to::<T, V, 2, 4, true>(k, a, b, c, spare),
                    _ => tile_to::<T, V, LOW, 4, true>(k, a, b, c, spare),
                }
            };
        }
        macro_rules! by_rows {
            ($($r:literal)*) => {
                match (rows, c.cols[1] > 0) {
                    $(
                        // SAFETY: the caller's promise, as `micro_at` says it.
                        ($r, true) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, 2, true>(k, a, b, c, spare) },
                        // SAFETY: as above.
                        ($r, false) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, 1, true>(k, a, b, c, spare) },
                    )*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// How rows are cut into tiles: as even as can be, and none higher than registers have room for.
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

/// The tiles that `rows` rows are cut into: the first row and the number of rows of each.
#[inline(always)]
pub fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = Tiles::new(rows, most);
    (0..tiles.count).map(move |i| tiles.at(i))
}
