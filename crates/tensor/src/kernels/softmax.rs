//! Rows of logits: softmax and its logarithm, the logarithm of the sum of their exponentials, and cross-entropy with its gradient.
//!
//! The largest logit `m` and `l = ln Σ e^(x - m)` stay apart: rounded to one number, `m + l` is off by the spacing of floats at
//! `m`, and every `x - (m + l)` with it, while `(x - m) - l` is exact to the last digits of `l`. A row is read again while it is in
//! the first-level cache.

use super::map;
use super::parallel::{Parts, chunks, chunks_mut};
use super::reduce::{self, BLOCK, Fold, Max, Sum, block};
use super::simd::{Kernel, dispatch};
use crate::scalar::Scalar;

/// Elements that a task takes, about, which are as many exponentials; below twice as many, a second thread does not pay.
const TASK: usize = 1 << 13;

/// The sum of `e^(x - max)`.
#[derive(Clone, Copy)]
struct Exps<T> {
    max: T,
}

impl<T: Scalar> Fold<T> for Exps<T> {
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
fn offset<T: Scalar>(max: T) -> T {
    if max.is_finite() || max.is_nan() { max } else { T::zero() }
}

/// Rows that one task takes.
fn rows_of_task(n: usize, rows: usize) -> usize {
    if rows * n < 2 * TASK { rows.max(1) } else { (TASK / n).max(1) }
}

/// Some rows, no longer than a block.
struct LogSums<'a, T> {
    x: &'a [T],
    n: usize,
    max: &'a mut [T],
    log: &'a mut [T],
}

impl<T: Scalar> Kernel for LogSums<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for ((max, log), x) in self.max.iter_mut().zip(self.log).zip(self.x.chunks_exact(self.n)) {
            *max = offset(block(x, Max));
            *log = block(x, Exps { max: *max }).ln();
        }
    }
}

/// `max[r]`, the largest of row `r` of `x`, and `log[r] = ln Σ e^(x - max[r])` over it, each row `n` long. Where the largest is
/// infinite, `max` is 0.
pub fn log_sums<T: Scalar>(x: &[T], n: usize, max: &mut [T], log: &mut [T]) {
    assert!(max.len() == log.len() && x.len() == max.len() * n);
    if n == 0 {
        max.fill(T::zero());
        return log.fill(-T::INFINITY);
    }
    let rows = rows_of_task(n, max.len());
    (chunks_mut(max, rows), chunks_mut(log, rows), chunks(x, rows * n)).each(|_, (max, log, x)| {
        if n <= BLOCK {
            return dispatch(LogSums { x, n, max, log });
        }
        for ((max, log), x) in max.iter_mut().zip(log).zip(x.chunks_exact(n)) {
            *max = offset(reduce::all(x, Max));
            *log = reduce::all(x, Exps { max: *max }).ln();
        }
    });
}

/// Rows no longer than a block: `out = e^(x - max) / Σ e^(x - max)`, or with `LOG` its logarithm.
struct Softmax<'a, T, const LOG: bool> {
    x: &'a [T],
    n: usize,
    out: &'a mut [T],
}

impl<T: Scalar, const LOG: bool> Kernel for Softmax<'_, T, LOG> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        for (out, x) in self.out.chunks_exact_mut(self.n).zip(self.x.chunks_exact(self.n)) {
            let max = offset(block(x, Max));
            if LOG {
                let log = block(x, Exps { max }).ln();
                for (y, &x) in out.iter_mut().zip(x) {
                    *y = (x - max) - log;
                }
            } else {
                for (y, &x) in out.iter_mut().zip(x) {
                    *y = (x - max).exp();
                }
                let sum = block(out, Sum);
                for y in out {
                    *y /= sum;
                }
            }
        }
    }
}

/// The softmax of each row of `x`, each `n` long, or with `LOG` its logarithm.
pub fn softmax<T: Scalar, const LOG: bool>(x: &[T], n: usize, out: &mut [T]) {
    assert_eq!(x.len(), out.len());
    if x.is_empty() {
        return;
    }
    let rows = rows_of_task(n, x.len() / n);
    (chunks_mut(out, rows * n), chunks(x, rows * n)).each(|_, (out, x)| {
        if n <= BLOCK {
            return dispatch(Softmax::<T, LOG> { x, n, out });
        }
        for (out, x) in out.chunks_exact_mut(n).zip(x.chunks_exact(n)) {
            let max = offset(reduce::all(x, Max));
            if LOG {
                let log = reduce::all(x, Exps { max }).ln();
                map::unary(x, out, &map::unary_loop(move |x| (x - max) - log));
            } else {
                map::unary(x, out, &map::unary_loop(move |x: T| (x - max).exp()));
                let sum = reduce::all(out, Sum);
                map::unary_in_place(out, &map::in_place_loop(move |y| y / sum));
            }
        }
    });
}

/// `out = g (e^(x - max) / e^log - 1[label])` of some rows.
struct Gradient<'a, T> {
    x: &'a [T],
    n: usize,
    max: &'a [T],
    log: &'a [T],
    labels: Option<&'a [usize]>,
    g: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> Kernel for Gradient<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let rows = self.x.chunks_exact(self.n).zip(self.out.chunks_exact_mut(self.n));
        let sums = self.max.iter().zip(self.log).zip(self.g);
        for (r, ((x, out), ((&max, &log), &g))) in rows.zip(sums).enumerate() {
            let nothing = self.labels.is_none() && log == -T::INFINITY;
            if g == T::zero() || nothing {
                out.fill(T::zero());
                continue;
            }
            // `log` is 0 or more, so that its exponential is a share of 1.
            let share = g * (-log).exp();
            for (y, &x) in out.iter_mut().zip(x) {
                *y = (x - max).exp() * share;
            }
            if let Some(labels) = self.labels {
                out[labels[r]] -= g;
            }
        }
    }
}

/// The gradient of [`log_sums`]' `max + log`, `g softmax(x)`, or, where `labels` are given, of cross-entropy,
/// `g (softmax(x) - one_hot(label))`, for each row of `x`, each `n` long. A row whose `g` is 0 has none, be its logits infinite; nor
/// has the sum of a row of minus infinities.
pub fn log_sums_backward<T: Scalar>(x: &[T], n: usize, [max, log, g]: [&[T]; 3], labels: Option<&[usize]>, out: &mut [T]) {
    let counts = [max.len(), log.len(), g.len(), labels.map_or(g.len(), <[usize]>::len)];
    assert!(x.len() == out.len() && counts.iter().all(|rows| rows * n == x.len()));
    if n == 0 {
        return;
    }
    let rows = rows_of_task(n, max.len());
    let all = (chunks_mut(out, rows * n), chunks(x, rows * n), [max, log, g].map(|given| chunks(given, rows)));
    all.each(|task, (out, x, [max, log, g])| {
        let labels = labels.map(|labels| &labels[task * rows..][..g.len()]);
        dispatch(Gradient { x, n, max, log, labels, g, out });
    });
}
