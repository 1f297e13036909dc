//! Reductions of `[outer, n, inner]` blocks over `n`, in an order that does not depend on the number
//! of threads, and in blocks so that rounding errors grow with the logarithm of `n`, not with `n`.

use super::parallel::{Parts, chunks, chunks_mut, tree};
use super::simd::{Kernel, dispatch};
use crate::element::{Element, Num};
use crate::scalar::Scalar;
use std::ops::Range;

/// A commutative, associative operation with a neutral element, on what `lift` makes of each element.
pub(crate) trait Fold<T>: Copy + Send + Sync {
    fn neutral(&self) -> T;
    fn join(&self, a: T, b: T) -> T;
    #[inline(always)]
    fn lift(&self, v: T) -> T {
        v
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Sum;
impl<T: Num> Fold<T> for Sum {
    #[inline(always)]
    fn neutral(&self) -> T {
        T::zero()
    }
    #[inline(always)]
    fn join(&self, a: T, b: T) -> T {
        a.add_wrapping(b)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Prod;
impl<T: Num> Fold<T> for Prod {
    #[inline(always)]
    fn neutral(&self) -> T {
        T::one()
    }
    #[inline(always)]
    fn join(&self, a: T, b: T) -> T {
        a.mul_wrapping(b)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Max;
impl<T: Num> Fold<T> for Max {
    #[inline(always)]
    fn neutral(&self) -> T {
        T::LOWEST
    }
    #[inline(always)]
    fn join(&self, a: T, b: T) -> T {
        if a >= b || a.is_nan() { a } else { b }
    }
}

/// The largest size.
#[derive(Clone, Copy)]
pub(crate) struct MaxAbs;
impl<T: Scalar> Fold<T> for MaxAbs {
    #[inline(always)]
    fn neutral(&self) -> T {
        T::zero()
    }
    #[inline(always)]
    fn join(&self, a: T, b: T) -> T {
        if a >= b || a.is_nan() { a } else { b }
    }
    #[inline(always)]
    fn lift(&self, v: T) -> T {
        v.abs()
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Min;
impl<T: Num> Fold<T> for Min {
    #[inline(always)]
    fn neutral(&self) -> T {
        T::HIGHEST
    }
    #[inline(always)]
    fn join(&self, a: T, b: T) -> T {
        if a <= b || a.is_nan() { a } else { b }
    }
}

/// Elements that one running total takes in before totals are joined pairwise.
pub(super) const BLOCK: usize = 1 << 10;
/// Rows shorter than this have fewer running totals side by side.
const SHORT: usize = 128;
/// Rows whose columns one running total each takes in.
const ROWS: usize = 64;
/// Elements below which a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// `x` folded into `LANES` running totals side by side, and those pairwise.
#[inline(always)]
fn lanes<const LANES: usize, T: Element, F: Fold<T>>(x: &[T], f: F) -> T {
    let mut lanes = [f.neutral(); LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for c in chunks {
        for (l, &v) in lanes.iter_mut().zip(c) {
            *l = f.join(*l, f.lift(v));
        }
    }
    // All lanes take part: a loop as long as the rest would have the totals written to memory for it.
    let mut last = [f.neutral(); LANES];
    last[..rest.len()].copy_from_slice(rest);
    for i in 0..LANES {
        let v = if i < rest.len() { f.lift(last[i]) } else { f.neutral() };
        lanes[i] = f.join(lanes[i], v);
    }
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] = f.join(lanes[i], lanes[i + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// A block folded: the order depends on its length alone.
#[inline(always)]
pub(super) fn block<T: Element, F: Fold<T>>(x: &[T], f: F) -> T {
    match x.len() {
        0..8 => x.iter().fold(f.neutral(), |total, &v| f.join(total, f.lift(v))),
        8..SHORT => lanes::<8, T, F>(x, f),
        _ => lanes::<32, T, F>(x, f),
    }
}

struct Rows<'a, T, F> {
    x: &'a [T],
    n: usize,
    out: &'a mut [T],
    f: F,
}

impl<T: Element, F: Fold<T>> Kernel for Rows<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (o, row) in self.out.iter_mut().zip(self.x.chunks_exact(self.n)) {
            *o = block(row, self.f);
        }
    }
}

struct Block<'a, T, F>(&'a [T], F);

impl<T: Element, F: Fold<T>> Kernel for Block<'_, T, F> {
    type Out = T;
    #[inline(always)]
    fn run(self) -> T {
        block(self.0, self.1)
    }
}

/// All of `x` folded: in blocks of [`BLOCK`], whose totals are joined as a balanced tree.
pub(crate) fn all<T: Element, F: Fold<T>>(x: &[T], f: F) -> T {
    if x.len() >= 2 * SERIAL {
        return tree(x.len(), BLOCK, |n| n < 2 * SERIAL, |range| all(&x[range], f), |a, b| f.join(a, b));
    }
    if x.len() <= BLOCK {
        return dispatch(Block(x, f));
    }
    let half = (x.len() / 2).next_multiple_of(BLOCK);
    let (a, b) = x.split_at(half);
    f.join(all(a, f), all(b, f))
}

struct Columns<'a, T, F> {
    x: &'a [T],
    inner: usize,
    first: usize,
    out: &'a mut [T],
    f: F,
}

impl<T: Element, F: Fold<T>> Kernel for Columns<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let columns = self.first..self.first + self.out.len();
        for row in self.x.chunks_exact(self.inner) {
            for (o, &v) in self.out.iter_mut().zip(&row[columns.clone()]) {
                *o = self.f.join(*o, self.f.lift(v));
            }
        }
    }
}

/// `out[j]` = the fold of `x[.., first + j]` over the rows of `x`, each `inner` long: in blocks of
/// rows, whose totals are joined as a balanced tree.
fn columns<T: Element, F: Fold<T>>(x: &[T], inner: usize, first: usize, out: &mut [T], f: F) {
    let rows = x.len() / inner;
    if rows <= ROWS {
        out.fill(f.neutral());
        return dispatch(Columns { x, inner, first, out, f });
    }
    let width = out.len();
    let is_serial = |rows: usize| rows <= ROWS || rows * width < 2 * SERIAL;
    if !is_serial(rows) {
        let leaf = |rows: Range<usize>| {
            let mut totals = vec![f.neutral(); width];
            columns(&x[rows.start * inner..rows.end * inner], inner, first, &mut totals, f);
            totals
        };
        let joined = |mut a: Vec<T>, b: Vec<T>| {
            join_all(&mut a, &b, f);
            a
        };
        return out.copy_from_slice(&tree(rows, ROWS, is_serial, leaf, joined));
    }
    let (a, b) = x.split_at((rows / 2).next_multiple_of(ROWS) * inner);
    let mut second = vec![f.neutral(); width];
    columns(a, inner, first, out, f);
    columns(b, inner, first, &mut second, f);
    join_all(out, &second, f);
}

/// Joins each of `b` to its like in `a`.
fn join_all<T: Element, F: Fold<T>>(a: &mut [T], b: &[T], f: F) {
    for (a, &b) in a.iter_mut().zip(b) {
        *a = f.join(*a, b);
    }
}

/// `out[r]` = the fold of row `r` of `x`, each `n` long.
fn rows<T: Element, F: Fold<T>>(x: &[T], n: usize, out: &mut [T], f: F) {
    if n <= BLOCK {
        return dispatch(Rows { x, n, out, f });
    }
    out.iter_mut().zip(x.chunks_exact(n)).for_each(|(o, x)| *o = all(x, f));
}

/// `out[o, i]` = the fold of `x[o, .., i]`, for a contiguous `x` of `[outer, n, inner]`.
pub(crate) fn middle<T: Element, F: Fold<T>>(x: &[T], n: usize, inner: usize, out: &mut [T], f: F) {
    if out.is_empty() {
        return;
    }
    if n == 0 {
        return out.fill(f.neutral());
    }
    debug_assert_eq!(x.len(), out.len() * n);
    let parallel = x.len() >= SERIAL;
    if inner == 1 {
        let per_task = if parallel { ((1 << 14) / n).max(1) } else { out.len() };
        (chunks_mut(out, per_task), chunks(x, per_task * n)).each(|_, (out, x)| rows(x, n, out, f));
        return;
    }
    // One task some planes, and within a plane a strip of columns: a wide one, which is read in order, where rows are enough to be cut.
    let strip = match (parallel, n > ROWS) {
        (false, _) => inner,
        (true, true) => 4096.min(inner),
        (true, false) => 512.min(inner),
    };
    let plane = |x: &[T], out: &mut [T]| {
        for (s, out) in out.chunks_mut(strip).enumerate() {
            columns(x, inner, s * strip, out, f);
        }
    };
    if !parallel {
        out.chunks_mut(inner).zip(x.chunks(n * inner)).for_each(|(out, x)| plane(x, out));
    } else if out.len() == inner {
        chunks_mut(out, strip).each(|s, out| columns(x, inner, s * strip, out, f));
    } else {
        (chunks_mut(out, inner), chunks(x, n * inner)).each(|_, (out, x)| plane(x, out));
    }
}
