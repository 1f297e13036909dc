//! Elementwise loops over contiguous slices, and over strided operands.

use super::parallel::{Parts, chunks, chunks_mut, items};
use super::simd::{Kernel, dispatch};
use super::strided::{Blocks, CHUNK, Operand, Scratch};
use crate::element::Element;

/// Slices shorter than this are not worth a second thread.
const SERIAL: usize = 1 << 16;
/// Loops are cut into runs of this length for the optimiser's sake: it inlines a long `f` into the
/// inner of two loops, where it takes the call to be hot, but not into a single one. A call that is not
/// inlined is compiled without the vector instructions, and costs twenty times as much.
const RUN: usize = 1 << 10;
/// So many elements of an operand that has one value for all are written out.
const SAME: usize = 1 << 8;

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

/// `out[i] = f(x[i])` over a piece of both: all of a loop that is compiled for each `f`. What cuts a tensor into pieces is
/// compiled once for each pair of types, and calls this through `dyn`.
pub fn unary_loop<A: Element, O: Element>(f: impl Fn(A) -> O + Copy + Send + Sync) -> impl Fn(&[A], &mut [O]) + Sync {
    move |x, out| dispatch(Unary(x, out, f))
}

/// Runs a [`unary_loop`] over all of `x` and `out`.
pub fn unary<A: Element, O: Element>(x: &[A], out: &mut [O], run: &(dyn Fn(&[A], &mut [O]) + Sync)) {
    assert_eq!(x.len(), out.len());
    if x.len() < SERIAL {
        return run(x, out);
    }
    (chunks_mut(out, CHUNK), chunks(x, CHUNK)).each(|_, (y, x)| run(x, y));
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

/// `x[i] = f(x[i])` over a piece.
pub fn in_place_loop<A: Element>(f: impl Fn(A) -> A + Copy + Send + Sync) -> impl Fn(&mut [A]) + Sync {
    move |x| dispatch(InPlace(x, f))
}

/// Runs an [`in_place_loop`] over all of `x`.
pub fn unary_in_place<A: Element>(x: &mut [A], run: &(dyn Fn(&mut [A]) + Sync)) {
    if x.len() < SERIAL {
        return run(x);
    }
    chunks_mut(x, CHUNK).each(|_, x| run(x));
}

/// The [`unary_loop`] that an [`in_place_loop`] makes: it changes a copy, while that is in the first-level cache.
pub fn unary_of_copy<A: Element>(run: &(dyn Fn(&mut [A]) + Sync)) -> impl Fn(&[A], &mut [A]) + Sync {
    move |x, out| {
        for (out, x) in out.chunks_mut(RUN).zip(x.chunks(RUN)) {
            out.copy_from_slice(x);
            run(out);
        }
    }
}

struct Binary<'a, A, B, O, F>(&'a [A], &'a [B], &'a mut [O], F);

impl<A: Element, B: Element, O: Element, F: Fn(A, B) -> O> Kernel for Binary<'_, A, B, O, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(a, b, out, f) = self;
        let n = out.len();
        match (a.len() == n, b.len() == n) {
            (true, true) => {
                for ((out, a), b) in out.chunks_mut(RUN).zip(a.chunks(RUN)).zip(b.chunks(RUN)) {
                    for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
                        *y = f(a, b);
                    }
                }
            }
            (true, false) => Unary(a, out, |a| f(a, b[0])).run(),
            (false, true) => Unary(b, out, |b| f(a[0], b)).run(),
            (false, false) => out.fill(f(a[0], b[0])),
        }
    }
}

/// What a [`binary_loop`] is to those who call it.
pub type BinaryLoop<'f, A, B, O> = &'f (dyn Fn(&[A], &[B], &mut [O]) + Sync);

/// `out[i] = f(a[i], b[i])` over a piece of all three, where an operand of another length than `out` has one value for all.
pub fn binary_loop<A: Element, B: Element, O: Element>(
    f: impl Fn(A, B) -> O + Copy + Send + Sync,
) -> impl Fn(&[A], &[B], &mut [O]) + Sync {
    move |a, b, out| dispatch(Binary(a, b, out, f))
}

/// Runs a [`binary_loop`] over contiguous operands of equal length.
pub fn binary<A: Element, B: Element, O: Element>(a: &[A], b: &[B], out: &mut [O], run: BinaryLoop<'_, A, B, O>) {
    assert!(a.len() == out.len() && b.len() == out.len());
    if out.len() < SERIAL {
        return run(a, b, out);
    }
    let parts = (chunks_mut(out, CHUNK), chunks(a, CHUNK), chunks(b, CHUNK));
    parts.each(|_, (out, a, b)| run(a, b, out));
}

/// Runs a [`binary_loop`] over operands with strides (0 where broadcast); `out` is row-major.
pub fn binary_strided<A: Element, B: Element, O: Element>(
    a: Operand<'_, A>,
    b: Operand<'_, B>,
    blocks: &Blocks<2>,
    out: &mut [O],
    run: BinaryLoop<'_, A, B, O>,
) {
    let share = |mut block: usize, mut rest: &mut [O]| {
        let (mut in_a, mut in_b) = (Scratch::new(), Scratch::new());
        while !rest.is_empty() {
            let ([at_a, at_b], n) = blocks.place(block);
            let (out, later) = rest.split_at_mut(n);
            run(in_a.read(a, at_a, blocks, 0, n), in_b.read(b, at_b, blocks, 1, n), out);
            rest = later;
            block += 1;
        }
    };
    if out.len() < SERIAL {
        return share(0, out);
    }
    items(blocks.split(out)).each(|_, (first, out)| share(first, out));
}

struct BinaryInPlace<'a, A, B, F>(&'a mut [A], &'a [B], F);

impl<A: Element, B: Element, F: Fn(A, B) -> A> Kernel for BinaryInPlace<'_, A, B, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(a, b, f) = self;
        for (a, b) in a.chunks_mut(RUN).zip(b.chunks(RUN)) {
            for (a, &b) in a.iter_mut().zip(b) {
                *a = f(*a, b);
            }
        }
    }
}

/// What a [`binary_in_place_loop`] is to those who call it.
pub type BinaryInPlaceLoop<'f, A, B> = &'f (dyn Fn(&mut [A], &[B]) + Sync);

/// `a[i] = f(a[i], b[i])` over a piece of both, where a `b` of another length has one value for all.
pub fn binary_in_place_loop<A: Element, B: Element>(
    f: impl Fn(A, B) -> A + Copy + Send + Sync,
) -> impl Fn(&mut [A], &[B]) + Sync {
    move |a, b| {
        let same;
        let b = if a.len() == b.len() {
            b
        } else {
            // A second form of the loop would be as large as this one.
            same = [b[0]; SAME];
            &same
        };
        for a in a.chunks_mut(b.len().max(1)) {
            dispatch(BinaryInPlace(a, &b[..a.len()], f));
        }
    }
}

/// As [`binary_in_place_loop`], with a form of its own for a `b` that has one value for all.
pub fn broadcast_in_place_loop<A: Element, B: Element>(
    f: impl Fn(A, B) -> A + Copy + Send + Sync,
) -> impl Fn(&mut [A], &[B]) + Sync {
    move |a, b| {
        if a.len() == b.len() {
            dispatch(BinaryInPlace(a, b, f))
        } else {
            let b = b[0];
            dispatch(InPlace(a, move |a| f(a, b)))
        }
    }
}

struct BinaryAnew<'a, A, B, F>(&'a [A], &'a [B], &'a mut [A], F);

impl<A: Element, B: Element, F: Fn(A, B) -> A> Kernel for BinaryAnew<'_, A, B, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self(a, b, out, f) = self;
        if a.len() != out.len() {
            let a = a[0];
            return Unary(b, out, |b| f(a, b)).run();
        }
        for ((out, a), b) in out.chunks_mut(RUN).zip(a.chunks(RUN)).zip(b.chunks(RUN)) {
            for ((y, &a), &b) in out.iter_mut().zip(a).zip(b) {
                *y = f(a, b);
            }
        }
    }
}

/// A [`binary_loop`] to go with a [`binary_in_place_loop`], for an `a` that may not be written to. It has a form for an `a` that has
/// one value for all, as the gradient of a sum, and none for such a `b`.
pub fn binary_anew_loop<A: Element, B: Element>(
    f: impl Fn(A, B) -> A + Copy + Send + Sync,
) -> impl Fn(&[A], &[B], &mut [A]) + Sync {
    move |a, b, out| {
        let n = out.len();
        let same;
        let b = if b.len() == n {
            b
        } else {
            same = [b[0]; SAME];
            &same
        };
        let step = b.len().max(1);
        for (i, out) in out.chunks_mut(step).enumerate() {
            let a = if a.len() == n { &a[i * step..][..out.len()] } else { a };
            dispatch(BinaryAnew(a, &b[..out.len()], out, f));
        }
    }
}

/// Runs a [`binary_in_place_loop`] over contiguous operands of equal length.
pub fn binary_in_place<A: Element, B: Element>(a: &mut [A], b: &[B], run: BinaryInPlaceLoop<'_, A, B>) {
    assert_eq!(a.len(), b.len());
    if a.len() < SERIAL {
        return run(a, b);
    }
    (chunks_mut(a, CHUNK), chunks(b, CHUNK)).each(|_, (a, b)| run(a, b));
}

/// Runs a [`binary_in_place_loop`] over a row-major `a` and a `b` with strides (0 where broadcast).
pub fn binary_strided_in_place<A: Element, B: Element>(
    a: &mut [A],
    b: Operand<'_, B>,
    blocks: &Blocks<1>,
    run: BinaryInPlaceLoop<'_, A, B>,
) {
    let share = |mut block: usize, mut rest: &mut [A]| {
        let mut scratch = Scratch::new();
        while !rest.is_empty() {
            let ([at], n) = blocks.place(block);
            let (a, later) = rest.split_at_mut(n);
            run(a, scratch.read(b, at, blocks, 0, n));
            rest = later;
            block += 1;
        }
    };
    if a.len() < SERIAL {
        return share(0, a);
    }
    items(blocks.split(a)).each(|_, (first, a)| share(first, a));
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
