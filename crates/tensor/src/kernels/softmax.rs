//! Rows of logits: the logarithm of the sum of their exponentials, and cross-entropy with its gradient. A row is read again while it
//! is in the first-level cache, and no exponential is written to memory but the gradient's.

use super::parallel::{Parts, chunks, chunks_mut};
use super::reduce::{self, BLOCK, Fold, Max, Sum, block};
use super::simd::{Kernel, dispatch};
use crate::element::Float;

/// Elements that a task takes, about; below four times as many, a second thread does not pay.
const TASK: usize = 1 << 14;

/// The sum of `e^(x - max)`.
#[derive(Clone, Copy)]
struct Exps<T> {
    max: T,
}

impl<T: Float> Fold<T> for Exps<T> {
    #[inline(always)]
    fn neutral(&self) -> T {
        Sum.neutral()
    }
    #[inline(always)]
    fn join(&self, a: T, b: T) -> T {
        Sum.join(a, b)
    }
    #[inline(always)]
    fn lift(&self, v: T) -> T {
        (v - self.max).exp()
    }
}

/// What is taken from each `x` before its exponential, so that none is infinite: the largest. An infinite one would make `x - max`
/// NaN where it must stay infinite.
#[inline(always)]
fn offset<T: Float>(max: T) -> T {
    if max.is_finite() || max.is_nan() { max } else { T::zero() }
}

/// Some rows, no longer than a block.
struct Rows<'a, T> {
    x: &'a [T],
    n: usize,
    out: &'a mut [T],
}

impl<T: Float> Kernel for Rows<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (out, x) in self.out.iter_mut().zip(self.x.chunks_exact(self.n)) {
            let max = offset(block(x, Max));
            *out = block(x, Exps { max }).ln() + max;
        }
    }
}

/// Rows that one task takes.
fn rows_of_task(n: usize, rows: usize) -> usize {
    if rows * n < 4 * TASK { rows.max(1) } else { (TASK / n).max(1) }
}

/// `out[r] = ln Σ e^x` over row `r` of `x`, each `n` long.
pub fn log_sum_exp<T: Float>(x: &[T], n: usize, out: &mut [T]) {
    assert_eq!(x.len(), out.len() * n);
    if n == 0 {
        return out.fill(-T::INFINITY);
    }
    let rows = rows_of_task(n, out.len());
    (chunks_mut(out, rows), chunks(x, rows * n)).each(|_, (out, x)| {
        if n <= BLOCK {
            return dispatch(Rows { x, n, out });
        }
        for (out, x) in out.iter_mut().zip(x.chunks_exact(n)) {
            let max = offset(reduce::all(x, Max));
            *out = reduce::all(x, Exps { max }).ln() + max;
        }
    });
}

/// `out = g (e^(x - lse) - 1[label])` of some rows.
struct Gradient<'a, T> {
    x: &'a [T],
    n: usize,
    lse: &'a [T],
    labels: &'a [usize],
    g: &'a [T],
    out: &'a mut [T],
}

impl<T: Float> Kernel for Gradient<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let rows = self.x.chunks_exact(self.n).zip(self.out.chunks_exact_mut(self.n));
        for ((x, out), (&lse, (&label, &g))) in rows.zip(self.lse.iter().zip(self.labels.iter().zip(self.g))) {
            if g == T::zero() {
                out.fill(g);
                continue;
            }
            for (y, &x) in out.iter_mut().zip(x) {
                *y = (x - lse).exp() * g;
            }
            out[label] -= g;
        }
    }
}

/// The gradient of cross-entropy, `g (softmax(x) - one_hot(label))`, for each row of `x`, each `n` long, whose log-sum-exp, label and
/// gradient `g` are given. A row whose `g` is 0 has none, be its logits infinite.
pub fn cross_entropy_backward<T: Float>(x: &[T], n: usize, lse: &[T], labels: &[usize], g: &[T], out: &mut [T]) {
    assert!(x.len() == out.len() && [lse.len(), labels.len(), g.len()].iter().all(|rows| rows * n == x.len()));
    if n == 0 {
        return;
    }
    let rows = rows_of_task(n, lse.len());
    let given = (chunks(lse, rows), chunks(labels, rows), chunks(g, rows));
    let all = (chunks_mut(out, rows * n), chunks(x, rows * n), given);
    all.each(|_, (out, x, (lse, labels, g))| dispatch(Gradient { x, n, lse, labels, g, out }));
}
