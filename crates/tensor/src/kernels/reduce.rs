//! Reductions of `[outer, n, inner]` blocks over `n`, in an order that does not depend on the number
//! of threads, and in blocks so that rounding errors grow with the logarithm of `n`, not with `n`.

use super::simd::{Kernel, dispatch};
use crate::element::Element;
use rayon::prelude::*;

/// A commutative, associative operation with a neutral element.
pub(crate) trait Fold<T>: Copy + Send + Sync {
    fn neutral(&self) -> T;
    fn join(&self, a: T, b: T) -> T;
}

/// Elements that one running total takes in before totals are joined pairwise.
const BLOCK: usize = 1 << 10;
/// Running totals side by side: two vectors of the widest kind for f32.
const LANES: usize = 32;

struct Contiguous<'a, T, F>(&'a [T], F);

impl<T: Element, F: Fold<T>> Kernel for Contiguous<'_, T, F> {
    type Out = T;
    #[inline(always)]
    fn run(self) -> T {
        let Self(x, f) = self;
        let mut lanes = [f.neutral(); LANES];
        let chunks = x.chunks_exact(LANES);
        let rest = chunks.remainder();
        for c in chunks {
            for (l, &v) in lanes.iter_mut().zip(c) {
                *l = f.join(*l, v);
            }
        }
        for (l, &v) in lanes.iter_mut().zip(rest) {
            *l = f.join(*l, v);
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
}

/// All of `x` folded: in blocks of [`BLOCK`], whose totals are joined as a balanced tree.
pub(crate) fn all<T: Element, F: Fold<T>>(x: &[T], f: F) -> T {
    if x.len() <= BLOCK {
        return dispatch(Contiguous(x, f));
    }
    let half = (x.len() / 2).next_multiple_of(BLOCK);
    let (a, b) = x.split_at(half);
    if x.len() >= 1 << 17 {
        let (a, b) = rayon::join(|| all(a, f), || all(b, f));
        f.join(a, b)
    } else {
        f.join(all(a, f), all(b, f))
    }
}

struct Columns<'a, T, F> {
    x: &'a [T],
    inner: usize,
    out: &'a mut [T],
    f: F,
}

impl<T: Element, F: Fold<T>> Kernel for Columns<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for row in self.x.chunks_exact(self.inner) {
            for (o, &v) in self.out.iter_mut().zip(row) {
                *o = self.f.join(*o, v);
            }
        }
    }
}

/// `out[j]` = the fold of `x[.., first + j]` over the rows of `x`, each `inner` long.
fn columns<T: Element, F: Fold<T>>(x: &[T], inner: usize, first: usize, out: &mut [T], f: F) {
    const ROWS: usize = 64;
    let rows = x.len() / inner;
    if rows <= ROWS {
        out.fill(f.neutral());
        if out.len() == inner {
            return dispatch(Columns { x, inner, out, f });
        }
        let width = out.len();
        for row in x.chunks_exact(inner) {
            dispatch(Columns { x: &row[first..first + width], inner: width, out, f });
        }
        return;
    }
    let (a, b) = x.split_at((rows / 2).next_multiple_of(ROWS) * inner);
    columns(a, inner, first, out, f);
    let mut second = vec![f.neutral(); out.len()];
    columns(b, inner, first, &mut second, f);
    for (o, &v) in out.iter_mut().zip(&second) {
        *o = f.join(*o, v);
    }
}

/// `out[o, i]` = the fold of `x[o, .., i]`, for a contiguous `x` of `[outer, n, inner]`.
pub(crate) fn middle<T: Element, F: Fold<T>>(x: &[T], outer: usize, n: usize, inner: usize, out: &mut [T], f: F) {
    debug_assert!(x.len() == outer * n * inner && out.len() == outer * inner);
    if out.is_empty() {
        return;
    }
    if n == 0 {
        return out.fill(f.neutral());
    }
    let parallel = x.len() >= 1 << 16;
    if inner == 1 {
        if parallel && outer > 1 {
            let rows = ((1 << 14) / n).max(1);
            out.par_chunks_mut(rows).zip(x.par_chunks(rows * n)).for_each(|(out, x)| {
                out.iter_mut().zip(x.chunks_exact(n)).for_each(|(o, x)| *o = all(x, f));
            });
        } else {
            out.iter_mut().zip(x.chunks_exact(n)).for_each(|(o, x)| *o = all(x, f));
        }
        return;
    }
    // One task a plane, and within a plane a strip of columns.
    let strip = if parallel { 512.min(inner) } else { inner };
    let task = |(plane, out): (usize, &mut [T])| {
        let x = &x[plane * n * inner..(plane + 1) * n * inner];
        for (s, out) in out.chunks_mut(strip).enumerate() {
            columns(x, inner, s * strip, out, f);
        }
    };
    if !parallel {
        out.chunks_mut(inner).enumerate().for_each(task);
    } else if outer == 1 {
        out.par_chunks_mut(strip).enumerate().for_each(|(s, out)| columns(x, inner, s * strip, out, f));
    } else {
        out.par_chunks_mut(inner).enumerate().for_each(task);
    }
}
