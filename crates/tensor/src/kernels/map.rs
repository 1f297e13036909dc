//! Elementwise loops over contiguous slices, and over strided operands.

use super::parallel::{Parts, chunks, chunks_mut, items};
use super::simd::{Kernel, dispatch};
use super::strided::{Blocks, Operand, Scratch};
use crate::element::Element;

/// Slices shorter than this are not worth a second thread.
const SERIAL: usize = 1 << 16;
/// What one task takes: a few microseconds of work, and within the second-level cache.
pub(super) const CHUNK: usize = 1 << 14;
/// Loops are cut into runs of this length for the optimiser's sake: it inlines a long `f` into the
/// inner of two loops, where it takes the call to be hot, but not into a single one. A call that is not
/// inlined is compiled without the vector instructions, and costs twenty times as much.
const RUN: usize = 1 << 10;

struct Unary<'a, A, O, F>(&'a [A], &'a mut [O], F);

impl<A: Element, O: Element, F: Fn(A) -> O> Kernel for Unary<'_, A, O, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (out, x) in self.1.chunks_mut(RUN).zip(self.0.chunks(RUN)) {
            for (y, &x) in out.iter_mut().zip(x) {
                *y = (self.2)(x);
            }
        }
    }
}

/// `out[i] = f(x[i])`.
pub fn unary<A: Element, O: Element>(x: &[A], out: &mut [O], f: impl Fn(A) -> O + Copy + Send + Sync) {
    assert_eq!(x.len(), out.len());
    if x.len() < SERIAL {
        return dispatch(Unary(x, out, f));
    }
    (chunks_mut(out, CHUNK), chunks(x, CHUNK)).each(|_, (y, x)| dispatch(Unary(x, y, f)));
}

struct InPlace<'a, A, F>(&'a mut [A], F);

impl<A: Element, F: Fn(A) -> A> Kernel for InPlace<'_, A, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for x in self.0.chunks_mut(RUN) {
            for x in x {
                *x = (self.1)(*x);
            }
        }
    }
}

/// `x[i] = f(x[i])`.
pub fn unary_in_place<A: Element>(x: &mut [A], f: impl Fn(A) -> A + Copy + Send + Sync) {
    if x.len() < SERIAL {
        return dispatch(InPlace(x, f));
    }
    chunks_mut(x, CHUNK).each(|_, x| dispatch(InPlace(x, f)));
}

/// `out[i] = f(a[i], b[i])`, where an operand of another length than `out` has one value for all.
#[inline(always)]
fn zip<A: Element, B: Element, O: Element>(a: &[A], b: &[B], out: &mut [O], f: impl Fn(A, B) -> O) {
    let n = out.len();
    match (a.len() == n, b.len() == n) {
        (true, true) => {
            for ((out, a), b) in out.chunks_mut(RUN).zip(a.chunks(RUN)).zip(b.chunks(RUN)) {
                for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
                    *y = f(a, b);
                }
            }
        }
        (true, false) => {
            let b = b[0];
            for (out, a) in out.chunks_mut(RUN).zip(a.chunks(RUN)) {
                for (y, &a) in out.iter_mut().zip(a) {
                    *y = f(a, b);
                }
            }
        }
        (false, true) => {
            let a = a[0];
            for (out, b) in out.chunks_mut(RUN).zip(b.chunks(RUN)) {
                for (y, &b) in out.iter_mut().zip(b) {
                    *y = f(a, b);
                }
            }
        }
        (false, false) => out.fill(f(a[0], b[0])),
    }
}

/// `a[i] = f(a[i], b[i])`, where a `b` of another length has one value for all.
#[inline(always)]
fn zip_in_place<A: Element, B: Element>(a: &mut [A], b: &[B], f: impl Fn(A, B) -> A) {
    if a.len() == b.len() {
        for (a, b) in a.chunks_mut(RUN).zip(b.chunks(RUN)) {
            for (a, &b) in a.iter_mut().zip(b) {
                *a = f(*a, b);
            }
        }
    } else {
        let b = b[0];
        for a in a.chunks_mut(RUN) {
            for a in a {
                *a = f(*a, b);
            }
        }
    }
}

struct Binary<'a, A, B, O, F>(&'a [A], &'a [B], &'a mut [O], F);

impl<A: Element, B: Element, O: Element, F: Fn(A, B) -> O> Kernel for Binary<'_, A, B, O, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        zip(self.0, self.1, self.2, self.3);
    }
}

/// `out[i] = f(a[i], b[i])` for contiguous operands of equal length.
pub fn binary<A: Element, B: Element, O: Element>(a: &[A], b: &[B], out: &mut [O], f: impl Fn(A, B) -> O + Copy + Send + Sync) {
    assert!(a.len() == out.len() && b.len() == out.len());
    if out.len() < SERIAL {
        return dispatch(Binary(a, b, out, f));
    }
    let parts = (chunks_mut(out, CHUNK), chunks(a, CHUNK), chunks(b, CHUNK));
    parts.each(|_, (out, a, b)| dispatch(Binary(a, b, out, f)));
}

struct BinaryInPlace<'a, A, B, F>(&'a mut [A], &'a [B], F);

impl<A: Element, B: Element, F: Fn(A, B) -> A> Kernel for BinaryInPlace<'_, A, B, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        zip_in_place(self.0, self.1, self.2);
    }
}

/// `a[i] = f(a[i], b[i])` for contiguous operands of equal length.
pub fn binary_in_place<A: Element, B: Element>(a: &mut [A], b: &[B], f: impl Fn(A, B) -> A + Copy + Send + Sync) {
    assert_eq!(a.len(), b.len());
    if a.len() < SERIAL {
        return dispatch(BinaryInPlace(a, b, f));
    }
    (chunks_mut(a, CHUNK), chunks(b, CHUNK)).each(|_, (a, b)| dispatch(BinaryInPlace(a, b, f)));
}

/// A task's share of [`binary_strided`], from block number `first` on.
struct Strided<'a, A, B, O, F> {
    a: Operand<'a, A>,
    b: Operand<'a, B>,
    blocks: &'a Blocks<2>,
    first: usize,
    out: &'a mut [O],
    f: F,
}

impl<A: Element, B: Element, O: Element, F: Fn(A, B) -> O> Kernel for Strided<'_, A, B, O, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let (mut in_a, mut in_b) = (Scratch::new(), Scratch::new());
        let mut rest = self.out;
        let mut block = self.first;
        while !rest.is_empty() {
            let ([at_a, at_b], n) = self.blocks.place(block);
            let (out, later) = rest.split_at_mut(n);
            zip(in_a.read(self.a, at_a, self.blocks, 0, n), in_b.read(self.b, at_b, self.blocks, 1, n), out, &self.f);
            rest = later;
            block += 1;
        }
    }
}

/// `out[i] = f(a[i], b[i])` over operands with strides (0 where broadcast); `out` is row-major.
pub fn binary_strided<A: Element, B: Element, O: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, B>,
    blocks: &Blocks<2>,
    out: &mut [O],
    f: impl Fn(A, B) -> O + Copy + Send + Sync,
) {
    if out.len() < SERIAL {
        return dispatch(Strided { a, b, blocks, first: 0, out, f });
    }
    items(blocks.split(out)).each(|_, (first, out)| dispatch(Strided { a, b, blocks, first, out, f }));
}

/// A task's share of [`binary_strided_in_place`], from block number `first` on.
struct StridedInPlace<'a, A, B, F> {
    a: &'a mut [A],
    b: Operand<'a, B>,
    blocks: &'a Blocks<1>,
    first: usize,
    f: F,
}

impl<A: Element, B: Element, F: Fn(A, B) -> A> Kernel for StridedInPlace<'_, A, B, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let mut scratch = Scratch::new();
        let mut rest = self.a;
        let mut block = self.first;
        while !rest.is_empty() {
            let ([at], n) = self.blocks.place(block);
            let (a, later) = rest.split_at_mut(n);
            zip_in_place(a, scratch.read(self.b, at, self.blocks, 0, n), &self.f);
            rest = later;
            block += 1;
        }
    }
}

/// `a[i] = f(a[i], b[i])` for a row-major `a` and a `b` with strides (0 where broadcast).
pub fn binary_strided_in_place<A: Element, B: Element>(
    a: &mut [A],
    b: Operand<'_, B>,
    blocks: &Blocks<1>,
    f: impl Fn(A, B) -> A + Copy + Send + Sync,
) {
    if a.len() < SERIAL {
        return dispatch(StridedInPlace { a, b, blocks, first: 0, f });
    }
    items(blocks.split(a)).each(|_, (first, a)| dispatch(StridedInPlace { a, b, blocks, first, f }));
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
    let parts = (chunks_mut(out, CHUNK), chunks(a, CHUNK), chunks(mask, CHUNK));
    parts.each(|_, (y, a, m)| dispatch(Overwrite(m, a, y)));
}
