//! A matrix times a vector: bound by memory, so it is read once, as it lies, with nothing packed.

use super::gemm::operands::Mat;
use super::parallel::{Parts, chunks_mut, tree};
use super::simd::{Kernel, Lanes, Vector, VectorKernel, dispatch, prefetch, with_vectors};
use crate::scalar::Scalar;
use std::borrow::Cow;
use std::ops::Range;

/// Below this many multiply-adds a second thread does not pay.
const SERIAL: usize = 1 << 16;
/// Terms that are summed in one go; longer sums are joined as a balanced tree.
const BLOCK: usize = 1 << 11;
/// Running totals side by side. So many that the loop over them is not unrolled, which would leave it scalar.
const LANES: usize = 64;

struct Dot<'a, T>(&'a [T], &'a [T]);

impl<T: Scalar> Kernel for Dot<'_, T> {
    type Out = T;
    #[inline(always)]
    fn run(self) -> T {
        let Self(a, b) = self;
        let mut lanes = [T::zero(); LANES];
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        for (a, b) in a.iter().zip(b) {
            for ((l, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
                *l += a * b;
            }
        }
        for ((l, &a), &b) in lanes.iter_mut().zip(a_rest).zip(b_rest) {
            *l += a * b;
        }
        let mut width = LANES / 2;
        while width > 0 {
            let (low, high) = lanes.split_at_mut(width);
            for (l, &h) in low.iter_mut().zip(&*high) {
                *l += h;
            }
            width /= 2;
        }
        lanes[0]
    }
}

/// The sum of `a[i] * b[i]`.
pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    assert_eq!(a.len(), b.len());
    if a.len() >= 2 * SERIAL {
        return tree(a.len(), BLOCK, |n| n < 2 * SERIAL, |range| dot(&a[range.clone()], &b[range]), |x, y| x + y);
    }
    if a.len() <= BLOCK {
        return dispatch(Dot(a, b));
    }
    let half = (a.len() / 2).next_multiple_of(BLOCK);
    let ((a1, a2), (b1, b2)) = (a.split_at(half), b.split_at(half));
    dot(a1, b1) + dot(a2, b2)
}

/// Rows that are multiplied by one vector side by side: its elements are loaded once for all of them.
const ROWS: usize = 4;

/// The dot products of some rows with one vector.
struct Dots<'a, T> {
    rows: [&'a [T]; ROWS],
    x: &'a [T],
}

impl<T: Lanes> VectorKernel<T> for Dots<'_, T> {
    type Out = [T; ROWS];
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) -> [T; ROWS] {
        /// Sums of a row side by side.
        const SUMS: usize = 2;
        let (k, rows) = (self.x.len(), self.rows.map(<[T]>::as_ptr));
        // SAFETY: the processor has the instructions, as the caller promises. Rows and vector have `k` elements, which no load
        // goes beyond.
        unsafe {
            let mut sums = [[V::splat(T::zero()); SUMS]; ROWS];
            let mut at = 0;
            while at + SUMS * V::LANES <= k {
                for part in 0..SUMS {
                    let first = at + part * V::LANES;
                    let x = V::load(self.x.as_ptr().add(first));
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        sums[part] = V::load(row.add(first)).mul_add(x, sums[part]);
                    }
                }
                at += SUMS * V::LANES;
            }
            while at < k {
                let n = V::LANES.min(k - at);
                let x = V::load_first(self.x.as_ptr().add(at), n);
                for (sums, row) in sums.iter_mut().zip(rows) {
                    sums[0] = V::load_first(row.add(at), n).mul_add(x, sums[0]);
                }
                at += n;
            }
            sums.map(|[a, b]| {
                let mut lanes = [T::zero(); LANES];
                a.add(b).store(lanes.as_mut_ptr());
                let mut width = V::LANES / 2;
                while width > 0 {
                    let (low, high) = lanes.split_at_mut(width);
                    low.iter_mut().zip(&*high).for_each(|(l, &h)| *l += h);
                    width /= 2;
                }
                lanes[0]
            })
        }
    }
}

fn dots<T: Lanes>(rows: [&[T]; ROWS], x: &[T]) -> [T; ROWS] {
    assert!(rows.iter().all(|row| row.len() == x.len()));
    if x.len() <= BLOCK {
        return with_vectors(Dots { rows, x });
    }
    let half = (x.len() / 2).next_multiple_of(BLOCK);
    let (x1, x2) = x.split_at(half);
    let (first, second) = (dots(rows.map(|row| &row[..half]), x1), dots(rows.map(|row| &row[half..]), x2));
    std::array::from_fn(|i| first[i] + second[i])
}

/// `y[i] += sum over j of a[i, j] * x[j]`, for an A whose columns are consecutive in memory.
struct Columns<'a, T> {
    a: Mat<'a, T>,
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for Columns<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        /// Columns that are added in one pass over `y`.
        const GROUP: usize = 8;
        let Self { a, x, y } = self;
        let (whole, rest) = x.as_chunks::<GROUP>();
        let rows = y.len();
        let column = |j: usize| &a.data[a.from(0, j).offset..][..rows];
        // They lie at equal steps, so that all exist if the first and the last do.
        let first = [0, x.len() - 1].map(column)[0].as_ptr();
        // SAFETY: the processor has the instructions, as the caller promises. Each column has as many elements as `y`, which no
        // load or store goes beyond; a prefetch may.
        unsafe {
            for (g, x) in whole.iter().enumerate() {
                let group = first.offset((g * GROUP) as isize * a.col);
                let x = x.map(|x| V::splat(x));
                let mut at = 0;
                while at < y.len() {
                    let n = V::LANES.min(y.len() - at);
                    let load = |j: usize| {
                        let from = group.offset(j as isize * a.col).add(at);
                        prefetch(from.wrapping_offset(GROUP as isize * a.col));
                        if n == V::LANES { V::load(from) } else { V::load_first(from, n) }
                    };
                    let mut pairs = [V::splat(T::zero()); GROUP / 2];
                    for (j, pair) in pairs.iter_mut().enumerate() {
                        *pair = load(2 * j + 1).mul_add(x[2 * j + 1], load(2 * j).mul(x[2 * j]));
                    }
                    let sum = pairs[0].add(pairs[1]).add(pairs[2].add(pairs[3]));
                    let to = y.as_mut_ptr().add(at);
                    match n == V::LANES {
                        true => V::load(to).add(sum).store(to),
                        false => V::load_first(to, n).add(sum).store_first(to, n),
                    }
                    at += n;
                }
            }
        }
        for (j, &x) in (whole.len() * GROUP..).zip(rest) {
            y.iter_mut().zip(column(j)).for_each(|(y, &a)| *y += a * x);
        }
    }
}

/// `y += A x` for an A of `y.len()` rows and `x.len()` columns whose columns are consecutive in memory.
fn add_columns<T: Lanes>(a: Mat<'_, T>, x: &[T], y: &mut [T]) {
    let rows = y.len();
    let is_serial = |columns: usize| columns <= BLOCK || columns * rows < 2 * SERIAL;
    if !is_serial(x.len()) {
        let leaf = |range: Range<usize>| {
            // The first leaf begins with what is there.
            let mut sum = if range.start == 0 { y.to_vec() } else { vec![T::zero(); rows] };
            add_columns(a.from(0, range.start), &x[range], &mut sum);
            sum
        };
        let joined = |mut a: Vec<T>, b: Vec<T>| {
            a.iter_mut().zip(&b).for_each(|(a, &b)| *a += b);
            a
        };
        let sum = tree(x.len(), BLOCK, is_serial, leaf, joined);
        return y.copy_from_slice(&sum);
    }
    if x.len() > BLOCK {
        let half = (x.len() / 2).next_multiple_of(BLOCK);
        let mut second = vec![T::zero(); rows];
        let (x1, x2) = x.split_at(half);
        add_columns(a, x1, y);
        add_columns(a.from(0, half), x2, &mut second);
        return y.iter_mut().zip(&second).for_each(|(y, &s)| *y += s);
    }
    with_vectors(Columns { a, x, y });
}

/// `y <- A x + beta y` for an A of `[m, k]`, when its rows or its columns are consecutive in memory; does
/// nothing otherwise, and says so. The vector starts at `place.0` of `x`, with `place.1` from one to the next.
pub(crate) fn gemv<T: Lanes>(m: usize, k: usize, a: Mat<'_, T>, x: &[T], place: (usize, isize), beta: T, y: &mut [T]) -> bool {
    if a.col != 1 && a.row != 1 {
        return false;
    }
    let (first, step) = place;
    let x = if step == 1 {
        Cow::Borrowed(&x[first..first + k])
    } else {
        Cow::Owned((0..k as isize).map(|i| x[(first as isize + i * step) as usize]).collect())
    };
    let parallel = m * k >= SERIAL;
    if a.col == 1 {
        let row = |i: usize| &a.data[a.from(i, 0).offset..][..k];
        let put = |y: &mut T, sum: T| *y = if beta == T::zero() { sum } else { sum + beta * *y };
        let rows = |i: usize, y: &mut [T]| match y.len() {
            ROWS if k < 2 * SERIAL => {
                let sums = dots(std::array::from_fn(|r| row(i * ROWS + r)), &x);
                y.iter_mut().zip(sums).for_each(|(y, sum)| put(y, sum));
            }
            // Sums that are parallel themselves, and the last few.
            _ => y.iter_mut().enumerate().for_each(|(r, y)| put(y, dot(row(i * ROWS + r), &x))),
        };
        let least = if parallel { SERIAL / 4 / ROWS / k } else { usize::MAX };
        chunks_mut(y, ROWS).each_at_least(least, rows);
        return true;
    }
    if beta == T::zero() {
        y.fill(T::zero());
    } else {
        y.iter_mut().for_each(|y| *y *= beta);
    }
    // A strip of the result stays in the first-level cache; a longer piece of a column is read faster.
    let strip = if m >= 1 << 12 { 1 << 10 } else { 1 << 8 };
    if parallel && m > strip {
        chunks_mut(y, strip).each(|i, y| add_columns(a.from(i * strip, 0), &x, y));
    } else {
        add_columns(a, &x, y);
    }
    true
}
