//! The largest few of a row, by selection: most elements are compared with one threshold, in vectors, and never moved.

use super::parallel::{Parts, chunks};
use super::simd::{Kernel, dispatch};
use crate::element::Num;
use std::cmp::Ordering;

/// Elements that are compared with the threshold at once.
const BLOCK: usize = 64;
/// What one task selects from, unless so many are wanted that it would keep most of them.
const PART: usize = 1 << 15;

/// By value; NaN after everything, so that sorting stays well-defined.
pub fn compare<T: Num>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// The largest first, NaN before them; of equals the first of the row.
fn descending<T: Num>(a: &(T, usize), b: &(T, usize)) -> Ordering {
    compare(b.0, a.0).then(a.1.cmp(&b.1))
}

/// The indices of the `largest.len()` largest elements of `row`, in order.
pub fn largest<T: Num>(row: &[T], largest: &mut [i64]) {
    let k = largest.len();
    let part = PART.max(k.saturating_mul(8));
    let (first, rest) = row.split_at(row.len().min(part));
    let mut found = candidates(first, 0, k, None);
    keep(&mut found, k);
    // So many are at least as large as the last of these, and come first.
    let threshold = if found.len() == k { found.last().map(|&(v, _)| v) } else { None };
    let parts = chunks(rest, part).map_at_least(1, |i, x| candidates(x, (i + 1) * part, k, threshold));
    found.extend(parts.into_iter().flatten());
    keep(&mut found, k);
    found.sort_unstable_by(descending);
    largest.iter_mut().zip(found).for_each(|(index, (_, from))| *index = from as i64);
}

/// The elements of `x` above the threshold, if there is one, or of these the `k` largest and some others; each with its index,
/// which is counted from `first`.
fn candidates<T: Num>(x: &[T], first: usize, k: usize, mut threshold: Option<T>) -> Vec<(T, usize)> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < x.len() && k > 0 {
        if let Some(threshold) = threshold {
            if threshold.is_nan() {
                break;
            }
            at += dispatch(Below { x: &x[at..], threshold });
        }
        let block = &x[at..x.len().min(at + BLOCK)];
        let enters = |v: T| threshold.is_none_or(|threshold| compare(v, threshold) == Ordering::Greater);
        kept.extend((first + at..).zip(block).filter(|&(_, &v)| enters(v)).map(|(i, &v)| (v, i)));
        at += block.len();
        if kept.len() >= 2 * k + BLOCK {
            keep(&mut kept, k);
            threshold = Some(kept[k - 1].0);
        }
    }
    kept
}

/// Drops all but the `k` largest. The last of those that stay is the smallest of them.
fn keep<T: Num>(found: &mut Vec<(T, usize)>, k: usize) {
    if k < found.len() {
        if k > 0 {
            found.select_nth_unstable_by(k - 1, descending);
        }
        found.truncate(k);
    }
}

/// How many elements, in whole blocks, come before the first block with one above the threshold, or NaN.
struct Below<'a, T> {
    x: &'a [T],
    threshold: T,
}

impl<T: Num> Kernel for Below<'_, T> {
    type Out = usize;
    #[inline(always)]
    fn run(self) -> usize {
        let mut before = 0;
        for block in self.x.as_chunks::<BLOCK>().0 {
            let mut below = true;
            for &v in block {
                below &= v <= self.threshold;
            }
            if !below {
                break;
            }
            before += BLOCK;
        }
        before
    }
}
