//! The tile of C that a matrix product keeps in registers, after Goto and van de Geijn, "Anatomy of High-Performance
//! Matrix Multiplication" (2008): `ROWS` rows of two vectors, to which each step of the sum adds the product of a column of
//! A, whose elements are broadcast one by one, and of a row of B. With AVX-512 these are 28 accumulators of 32 registers;
//! each step has 28 fused multiply-adds for 16 loads, so that loads keep up.

use crate::element::Float;
use crate::kernels::simd::{Vector, VectorKernel};

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
    /// From the first vector of a row to the second.
    pub step: usize,
}

/// Where the rows of a right side are.
trait Rows<T>: Copy {
    /// From the first vector of a row to the second, where vectors have `lanes`.
    fn step(&self, lanes: usize) -> usize;
    fn row(&self, p: usize) -> *const T;
}
impl<T: Copy> Rows<T> for Right<T> {
    #[inline(always)]
    fn step(&self, lanes: usize) -> usize {
        lanes
    }
    #[inline(always)]
    fn row(&self, p: usize) -> *const T {
        self.at.wrapping_offset(p as isize * self.row)
    }
}
impl<T: Copy> Rows<T> for Offsets<'_, T> {
    #[inline(always)]
    fn step(&self, _: usize) -> usize {
        self.step
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
    /// From the first vector of a row to the second, also of what is added.
    pub step: usize,
    /// How much of each of the two vectors is written; nothing of the second if the tile is one vector wide.
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
    /// Two vectors of `lanes` side by side, of which `cols` columns are written, with `beta` times what is there.
    #[inline(always)]
    pub fn side_by_side(at: *mut T, row: usize, lanes: usize, cols: usize, beta: T) -> Self {
        let cols = [cols.min(lanes), cols - cols.min(lanes)];
        Self { at, row, step: lanes, cols, plus: at, plus_row: row, beta, relu: false }
    }

    /// With what is at `plus` added, `plus_row` from one row to the next.
    #[inline(always)]
    pub fn plus(self, plus: *const T, plus_row: usize) -> Self {
        Self { plus, plus_row, beta: T::one(), ..self }
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
        // Lines of C are asked for one after the other, between terms: all at once they would take every place that the
        // first-level cache has for what it waits for, and the loop would wait for A and B behind them.
        let mut first = 0;
        for i in 0..R {
            V::prefetch(c.at.wrapping_add(i * c.row));
            V::prefetch(c.at.wrapping_add(i * c.row + c.step));
            let end = (i + 1) * k / R;
            for p in first..end {
                let right = b.row(p);
                let mut row = [sums[0][0]; N];
                for (j, v) in row.iter_mut().enumerate() {
                    *v = V::load(right.wrapping_add(j * b.step(V::LANES)));
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let v = V::splat(*left.offset(if UNIT { i as isize } else { i as isize * a.row }));
                    for (sum, &b) in sums.iter_mut().zip(&row) {
                        *sum = v.mul_add(b, *sum);
                    }
                }
                left = left.wrapping_offset(a.col);
            }
            first = end;
        }
        sums
    }
}

/// Writes a tile to where it goes.
///
/// # Safety
/// As for [`tile`]; the target must be writable.
#[inline(always)]
unsafe fn put<T: Float, V: Vector<T>, const R: usize, const N: usize>(tile: [[V; N]; R], c: Target<T>) {
    // SAFETY: the caller's promise; no more than `cols` elements of a row are read or written.
    unsafe {
        let (beta, zero) = (V::splat(c.beta), V::splat(T::zero()));
        for (i, row) in tile.into_iter().enumerate() {
            for (j, v) in row.into_iter().enumerate() {
                let (at, left) = (c.at.add(i * c.row + j * c.step), c.cols[j]);
                let whole = left >= V::LANES;
                let v = if c.beta == T::zero() {
                    v
                } else {
                    let plus = c.plus.add(i * c.plus_row + j * c.step);
                    beta.mul_add(if whole { V::load(plus) } else { V::load_first(plus, left) }, v)
                };
                // NaN stays.
                let v = if c.relu { zero.max(v) } else { v };
                if whole { v.store(at) } else { v.store_first(at, left) }
            }
        }
    }
}

/// A tile, to where it goes; code of its own for each number of rows, so that none spills its accumulators.
///
/// # Safety
/// As for [`put`].
#[inline(always)]
unsafe fn tile_to<T: Float, V: Vector<T>, const R: usize, const UNIT: bool>(k: usize, a: Left<T>, b: impl Rows<T>, c: Target<T>) {
    // SAFETY: the caller's promise.
    unsafe {
        if c.cols[1] > 0 {
            put::<T, V, R, 2>(tile::<T, V, R, 2, UNIT>(k, a, b, &c), c);
        } else {
            put::<T, V, R, 1>(tile::<T, V, R, 1, UNIT>(k, a, b, &c), c);
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
        macro_rules! by_rows {
            ($($r:literal)*) => {
                // SAFETY: the caller's promise, as `micro` says it.
                match (rows, a.row == 1) {
                    $(
                        ($r, true) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, true>(k, a, b, c) },
                        ($r, false) if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, false>(k, a, b, c) },
                    )*
                    _ => unreachable!("a tile of {rows} rows"),
                }
            };
        }
        by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// As [`micro`], with a left side whose rows are next to each other, and a right side whose rows lie anywhere.
///
/// # Safety
/// As for [`micro`], where B has as many rows as there are offsets.
#[inline(always)]
pub unsafe fn micro_at<T: Float, V: Vector<T>>(rows: usize, a: Left<T>, b: Offsets<'_, T>, c: Target<T>) {
    // SAFETY: the caller's promise.
    unsafe { V::call(MicroAt { rows, a, b, c }) }
}

struct MicroAt<'a, T> {
    rows: usize,
    a: Left<T>,
    b: Offsets<'a, T>,
    c: Target<T>,
}

impl<T: Float> VectorKernel<T> for MicroAt<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { rows, a, b, c } = self;
        debug_assert_eq!(a.row, 1);
        macro_rules! by_rows {
            ($($r:literal)*) => {
                match rows {
                    // SAFETY: the caller's promise, as `micro_at` says it.
                    $($r if $r <= V::ROWS => unsafe { tile_to::<T, V, $r, true>(b.offsets.len(), a, b, c) },)*
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
