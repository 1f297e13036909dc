//! Elementwise loops over contiguous slices, and over strided operands.

use super::simd::{Kernel, dispatch};
use super::strided::{self, Dims2};
use crate::element::Element;
use rayon::prelude::*;

/// Slices shorter than this are not worth a second thread.
const SERIAL: usize = 1 << 16;
/// What one task takes: a few microseconds of work, and within the second-level cache.
const CHUNK: usize = 1 << 14;

struct Unary<'a, A, O, F>(&'a [A], &'a mut [O], F);

impl<A: Element, O: Element, F: Fn(A) -> O> Kernel for Unary<'_, A, O, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (y, &x) in self.1.iter_mut().zip(self.0) {
            *y = (self.2)(x);
        }
    }
}

/// `out[i] = f(x[i])`.
pub fn unary<A: Element, O: Element>(x: &[A], out: &mut [O], f: impl Fn(A) -> O + Copy + Send + Sync) {
    assert_eq!(x.len(), out.len());
    if x.len() < SERIAL {
        return dispatch(Unary(x, out, f));
    }
    out.par_chunks_mut(CHUNK).zip(x.par_chunks(CHUNK)).for_each(|(y, x)| dispatch(Unary(x, y, f)));
}

struct InPlace<'a, A, F>(&'a mut [A], F);

impl<A: Element, F: Fn(A) -> A> Kernel for InPlace<'_, A, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for x in self.0 {
            *x = (self.1)(*x);
        }
    }
}

/// `x[i] = f(x[i])`.
pub fn unary_in_place<A: Element>(x: &mut [A], f: impl Fn(A) -> A + Copy + Send + Sync) {
    if x.len() < SERIAL {
        return dispatch(InPlace(x, f));
    }
    x.par_chunks_mut(CHUNK).for_each(|x| dispatch(InPlace(x, f)));
}

/// A row of operands: consecutive, or one value for the whole row.
struct Row<'a, A, B, O, F> {
    a: &'a [A],
    b: &'a [B],
    out: &'a mut [O],
    f: F,
}

impl<A: Element, B: Element, O: Element, F: Fn(A, B) -> O> Kernel for Row<'_, A, B, O, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.out.len();
        match (self.a.len() == n, self.b.len() == n) {
            (true, true) => {
                for ((y, &a), &b) in self.out.iter_mut().zip(self.a).zip(self.b) {
                    *y = (self.f)(a, b);
                }
            }
            (true, false) => {
                let b = self.b[0];
                for (y, &a) in self.out.iter_mut().zip(self.a) {
                    *y = (self.f)(a, b);
                }
            }
            (false, true) => {
                let a = self.a[0];
                for (y, &b) in self.out.iter_mut().zip(self.b) {
                    *y = (self.f)(a, b);
                }
            }
            (false, false) => self.out.fill((self.f)(self.a[0], self.b[0])),
        }
    }
}

/// One operand of a broadcast loop: a buffer, and where its first element is.
#[derive(Clone, Copy)]
pub struct Operand<'a, A> {
    pub data: &'a [A],
    pub offset: usize,
}

/// `out[i] = f(a[i], b[i])` for contiguous operands of equal length.
pub fn binary<A: Element, B: Element, O: Element>(a: &[A], b: &[B], out: &mut [O], f: impl Fn(A, B) -> O + Copy + Send + Sync) {
    assert!(a.len() == out.len() && b.len() == out.len());
    if out.len() < SERIAL {
        return dispatch(Row { a, b, out, f });
    }
    out.par_chunks_mut(CHUNK)
        .zip(a.par_chunks(CHUNK))
        .zip(b.par_chunks(CHUNK))
        .for_each(|((out, a), b)| dispatch(Row { a, b, out, f }));
}

struct BinaryInPlace<'a, A, F>(&'a mut [A], &'a [A], F);

impl<A: Element, F: Fn(A, A) -> A> Kernel for BinaryInPlace<'_, A, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (a, &b) in self.0.iter_mut().zip(self.1) {
            *a = (self.2)(*a, b);
        }
    }
}

/// `a[i] = f(a[i], b[i])` for contiguous operands of equal length.
pub fn binary_in_place<A: Element>(a: &mut [A], b: &[A], f: impl Fn(A, A) -> A + Copy + Send + Sync) {
    assert_eq!(a.len(), b.len());
    if a.len() < SERIAL {
        return dispatch(BinaryInPlace(a, b, f));
    }
    a.par_chunks_mut(CHUNK).zip(b.par_chunks(CHUNK)).for_each(|(a, b)| dispatch(BinaryInPlace(a, b, f)));
}

/// `out[i] = f(a[i], b[i])` over operands with strides (0 where broadcast); `out` is row-major.
pub fn binary_strided<A: Element, B: Element, O: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, B>,
    dims: &Dims2,
    out: &mut [O],
    f: impl Fn(A, B) -> O + Copy + Send + Sync,
) {
    let n = dims.inner_size();
    if out.is_empty() {
        return;
    }
    let rows = out.len() / n;
    let rows_per_task = (CHUNK / n).max(1);
    let task = |(chunk, out): (usize, &mut [O])| {
        let mut scratch = (vec![], vec![]);
        for (i, out) in out.chunks_mut(n).enumerate() {
            let (oa, ob) = dims.row(chunk * rows_per_task + i);
            let a = strided::row(a.data, a.offset as isize + oa, dims.inner_strides().0, n, &mut scratch.0);
            let b = strided::row(b.data, b.offset as isize + ob, dims.inner_strides().1, n, &mut scratch.1);
            dispatch(Row { a, b, out, f });
        }
    };
    if out.len() < SERIAL || rows == 1 {
        out.chunks_mut(rows_per_task * n).enumerate().for_each(task);
    } else {
        out.par_chunks_mut(rows_per_task * n).enumerate().for_each(task);
    }
}

struct Overwrite<'a, A>(&'a [bool], &'a [A], &'a mut [A]);

impl<A: Element> Kernel for Overwrite<'_, A> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((y, &a), &m) in self.2.iter_mut().zip(self.1).zip(self.0) {
            *y = if m { a } else { *y };
        }
    }
}

/// `out[i] = a[i]` where `mask[i]`.
pub fn overwrite_where<A: Element>(mask: &[bool], a: &[A], out: &mut [A]) {
    assert!(mask.len() == out.len() && a.len() == out.len());
    if out.len() < SERIAL {
        return dispatch(Overwrite(mask, a, out));
    }
    out.par_chunks_mut(CHUNK)
        .zip(a.par_chunks(CHUNK))
        .zip(mask.par_chunks(CHUNK))
        .for_each(|((y, a), m)| dispatch(Overwrite(m, a, y)));
}
