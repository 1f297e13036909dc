//! From a failure to the smallest inputs that still fail.

use crate::array::Array;
use crate::checker::Checker;
use crate::function::Function;
use crate::report::{Fault, Finding, Report, Verdict};
use std::mem::discriminant;

/// Checks at most, so that a slow function's failure is still shown soon.
const MOST: usize = 400;

/// Greedy: takes the first simplification that still fails, and starts over, until none does. Simplifications go from
/// large to small: indices of axes away (of one input, or of all inputs' axes of one length at once), views away, values
/// to round numbers. What fails must stay the same kind of thing at the same order: elsewhere the function may have another
/// fault, or show this one as a consequence only.
pub(crate) fn shrink(checker: &Checker, f: &dyn Function, inputs: &[Array], report: Report) -> Report {
    let (mut best, mut inputs) = (report, inputs.to_vec());
    let refused = best.failures.iter().any(|f| matches!(f.fault, Fault::Refused(_)));
    let Some(first) = best.failures.first().filter(|_| !refused) else { return best };
    let kind = |f: &Finding| (f.order, discriminant(&f.fault));
    let wanted = kind(first);
    let mut left = MOST;
    'again: loop {
        for candidate in candidates(&inputs) {
            if left == 0 {
                return best;
            }
            left -= 1;
            let report = checker.run(f, &candidate);
            let same_kind = report.failures.first().is_some_and(|f| kind(f) == wanted);
            if report.verdict() == Verdict::Fail && same_kind {
                let shrunk = best.shrunk + 1;
                (best, inputs) = (Report { shrunk, ..report }, candidate);
                continue 'again;
            }
        }
        return best;
    }
}

fn candidates(inputs: &[Array]) -> Vec<Vec<Array>> {
    let mut out = Vec::new();
    let mut lengths: Vec<usize> = inputs.iter().flat_map(|a| a.shape().iter().copied()).filter(|&n| n > 1).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let shorter = |n: usize| [1, n / 2, n - 1].into_iter().filter(move |&m| m > 0 && m < n);
    for &n in lengths.iter().rev() {
        // One axis of one input, then all axes of this length together, for they may have to agree.
        for m in shorter(n) {
            for (i, a) in inputs.iter().enumerate() {
                for axis in (0..a.shape().len()).filter(|&axis| a.shape()[axis] == n) {
                    out.push(replaced(inputs, i, cut(a, axis, m)));
                }
            }
            out.push(
                inputs
                    .iter()
                    .map(|a| (0..a.shape().len()).filter(|&x| a.shape()[x] == n).fold(a.clone(), |a, x| cut(&a, x, m)))
                    .collect(),
            );
        }
    }
    for (i, a) in inputs.iter().enumerate() {
        for dropped in 0..a.views().len() {
            let mut views = a.views().to_vec();
            views.remove(dropped);
            if let Some(a) = viewed(a.plain(), &views) {
                out.push(replaced(inputs, i, a));
            }
        }
        for simpler in simpler_values(a) {
            out.push(replaced(inputs, i, simpler));
        }
    }
    out
}

fn replaced(inputs: &[Array], i: usize, a: Array) -> Vec<Array> {
    let mut inputs = inputs.to_vec();
    inputs[i] = a;
    inputs
}

/// The first `n` indices of an axis, in the same views where they still fit.
fn cut(a: &Array, axis: usize, n: usize) -> Array {
    let short = a.select(axis, &(0..n).collect::<Vec<_>>());
    viewed(short.clone(), a.views()).unwrap_or(short)
}

/// Through these views, unless values along an expanded axis would differ.
fn viewed(a: Array, views: &[crate::View]) -> Option<Array> {
    let fits = views.iter().all(|v| !matches!(v, crate::View::Expanded(axis) if !a.is_constant_along(*axis)));
    fits.then(|| a.viewed(views))
}

/// Rounder values: all to 1, all to whole numbers, all to a tenth; then one element each.
fn simpler_values(a: &Array) -> Vec<Array> {
    let expanded = a.views().iter().any(|v| matches!(v, crate::View::Expanded(_)));
    let roundings: [fn(f64) -> f64; 4] = [|_| 1.0, f64::round, |v| (v * 10.0).round() / 10.0, |v| (v * 100.0).round() / 100.0];
    let mut out = Vec::new();
    for round in roundings {
        let data: Vec<f64> = a.data().iter().map(|&v| round(v)).collect();
        if data != a.data() {
            let views = a.views().to_vec();
            out.push(a.with_data(data).viewed(views));
            for i in (0..a.len().min(8)).filter(|_| !expanded) {
                let mut one = a.clone();
                one.data_mut()[i] = round(a.data()[i]);
                // Only towards fewer digits, so that the search ends.
                if one != *a && digits(one.data()[i]) < digits(a.data()[i]) {
                    out.push(one);
                }
            }
        }
    }
    out.retain(|b| total_digits(b) < total_digits(a));
    out
}

/// How far a number is from being simple: 1, then whole numbers, then few digits.
fn digits(v: f64) -> usize {
    if v == 1.0 { 0 } else { format!("{v:?}").len() + usize::from(v.fract() != 0.0) }
}

fn total_digits(a: &Array) -> usize {
    a.data().iter().map(|&v| digits(v)).sum()
}
