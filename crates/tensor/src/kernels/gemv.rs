//! A matrix times a vector: bound by memory, so it is read once, as it lies, with nothing packed.

use super::gemm::operands::Mat;
use super::parallel::{Parts, chunks_mut, tree};
use super::simd::{Kernel, dispatch};
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

/// `y[i] += sum over j of columns[j][i] * x[j]`, for four columns.
struct Columns<'a, T> {
    columns: [&'a [T]; 4],
    x: [T; 4],
    y: &'a mut [T],
}

impl<T: Scalar> Kernel for Columns<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { columns: [a, b, c, d], x, y } = self;
        for ((((y, &a), &b), &c), &d) in y.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *y += (a * x[0] + b * x[1]) + (c * x[2] + d * x[3]);
        }
    }
}

/// `y += A x` for an A of `y.len()` rows and `x.len()` columns whose columns are consecutive in memory.
fn add_columns<T: Scalar>(a: Mat<'_, T>, x: &[T], y: &mut [T]) {
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
    let column = |j: usize| &a.data[a.from(0, j).offset..][..y.len()];
    let whole = x.len() / 4 * 4;
    let columns: Vec<&[T]> = (0..x.len()).map(column).collect();
    for (c, x) in columns[..whole].chunks_exact(4).zip(x.chunks_exact(4)) {
        dispatch(Columns { columns: [c[0], c[1], c[2], c[3]], x: [x[0], x[1], x[2], x[3]], y });
    }
    for (c, &x) in columns[whole..].iter().zip(&x[whole..]) {
        y.iter_mut().zip(*c).for_each(|(y, &a)| *y += a * x);
    }
}

/// `y <- A x + beta y` for an A of `[m, k]`, when its rows or its columns are consecutive in memory; does
/// nothing otherwise, and says so. The vector starts at `place.0` of `x`, with `place.1` from one to the next.
pub(crate) fn gemv<T: Scalar>(m: usize, k: usize, a: Mat<'_, T>, x: &[T], place: (usize, isize), beta: T, y: &mut [T]) -> bool {
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
        let row = |i: usize, y: &mut T| {
            let sum = dot(&a.data[a.from(i, 0).offset..][..k], &x);
            *y = if beta == T::zero() { sum } else { sum + beta * *y };
        };
        if parallel {
            chunks_mut(y, 1).each_at_least(SERIAL / 4 / k, |i, y| row(i, &mut y[0]));
        } else {
            y.iter_mut().enumerate().for_each(|(i, y)| row(i, y));
        }
        return true;
    }
    if beta == T::zero() {
        y.fill(T::zero());
    } else {
        y.iter_mut().for_each(|y| *y *= beta);
    }
    const STRIP: usize = 1024;
    if parallel && m > STRIP {
        chunks_mut(y, STRIP).each(|i, y| add_columns(a.from(i * STRIP, 0), &x, y));
    } else {
        add_columns(a, &x, y);
    }
    true
}
