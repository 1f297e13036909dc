//! What every gradient must satisfy, whatever its function.

use crate::array::{Array, View, largest};
use crate::function::{Function, joined};
use crate::random::Random;
use crate::report::{Fault, Finding, Report};

/// Linearity in the cotangent, the same bits twice, no NaN from a zero cotangent, and independence of layouts.
pub(crate) fn examine(
    f: &dyn Function,
    inputs: &[Array],
    y: &Array,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), String> {
    let (u, v) = (random.probe(y, 0), random.probe(y, 1));
    let (gu, gv) = (joined(&f.vjp(inputs, &u)?), joined(&f.vjp(inputs, &v)?));
    if joined(&f.vjp(inputs, &u)?).data().iter().map(|v| v.to_bits()).ne(gu.data().iter().map(|v| v.to_bits())) {
        broken(report, 1, "a second backward pass gave other bits than the first".into());
    }
    let mixed = y.with_data(u.data().iter().zip(v.data()).map(|(u, v)| 0.5 * u - 2.0 * v).collect());
    let expected = gu.with_data(gu.data().iter().zip(gv.data()).map(|(u, v)| 0.5 * u - 2.0 * v).collect());
    let size = largest(gu.data()).max(largest(gv.data())) + 0.01 * terms(&mixed, y, inputs);
    if let Some(off) = differs(joined(&f.vjp(inputs, &mixed)?).data(), expected.data(), size) {
        broken(report, 1, format!("the gradient is not linear in the cotangent: {off}"));
    }
    let zero = joined(&f.vjp(inputs, &Array::full(y.shape(), 0.0))?);
    if let Some(v) = zero.data().iter().find(|v| **v != 0.0 || v.is_nan()) {
        broken(report, 1, format!("a zero cotangent gave a gradient of {v}"));
    }
    layouts(f, inputs, y, &u, &gu, random, report)
}

/// Neither the inputs' layout nor the cotangent's changes a result by more than the order of its sums.
fn layouts(
    f: &dyn Function,
    inputs: &[Array],
    y: &Array,
    u: &Array,
    gu: &Array,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), String> {
    let relaid: Vec<Array> = inputs.iter().map(|x| random_views(x, random)).collect();
    if let Some(off) = differs(f.value(&relaid)?.data(), y.data(), largest(y.data())) {
        broken(report, 1, format!("inputs laid out as {} gave another value: {off}", described(&relaid)));
    }
    let size = largest(gu.data()) + 0.01 * terms(u, y, inputs);
    if let Some(off) = differs(joined(&f.vjp(&relaid, u)?).data(), gu.data(), size) {
        broken(report, 1, format!("inputs laid out as {} gave another gradient: {off}", described(&relaid)));
    }
    for expand in [false, true] {
        let cotangent = if expand { constant_along_some_axis(u, random) } else { random_views(u, random) };
        if cotangent.views().is_empty() {
            continue;
        }
        let plain = joined(&f.vjp(inputs, &cotangent.plain())?);
        let size = largest(plain.data()) + 0.01 * terms(&cotangent, y, inputs);
        if let Some(off) = differs(joined(&f.vjp(inputs, &cotangent)?).data(), plain.data(), size) {
            broken(report, 1, format!("a cotangent laid out as {} gave another gradient: {off}", described(&[cotangent])));
        }
    }
    Ok(())
}

/// `<w₁, H w₂> = <w₂, H w₁>` for the Hessian `H` of `<gy, f>`.
pub(crate) fn hessian_is_symmetric(
    f: &dyn Function,
    inputs: &[Array],
    (y, gy): (&Array, &Array),
    random: &mut Random,
    report: &mut Report,
) -> Result<(), String> {
    let mut draw = || -> Vec<Array> { inputs.iter().map(|x| random.probe(x, 0)).collect() };
    let (a, b) = (draw(), draw());
    let product = |w: &[Array]| f.vjp_of_vjp(inputs, gy, w).unwrap_or_else(|| Err("no second derivatives".into()));
    let (ha, hb) = (product(&a)?, product(&b)?);
    let dot = |x: &[Array], y: &[Array]| -> (f64, f64) {
        let products = || x.iter().zip(y).flat_map(|(x, y)| x.data().iter().zip(y.data()).map(|(x, y)| x * y));
        (products().sum(), products().map(f64::abs).sum())
    };
    let ((left, m), (right, n)) = (dot(&b, &ha), dot(&a, &hb));
    let probes: usize = inputs.iter().map(|x| x.data().len()).sum();
    if (left - right).abs() > 1e-10 * (m + n + probes as f64 * 0.01 * terms(gy, y, inputs)) {
        broken(report, 2, format!("the Hessian is not symmetric: <b, H a> = {left:e}, <a, H b> = {right:e}"));
    }
    Ok(())
}

fn broken(report: &mut Report, order: usize, what: String) {
    report.failures.push(Finding { fault: Fault::Broken(what), ..Finding::nowhere(order) });
}

/// The size of the terms that a derivative is a sum of, as far as it shows from outside: where they cancel, as in
/// `atan2(x, x)`, round-off is measured against them, and not against what is left.
pub(crate) fn terms(cotangent: &Array, y: &Array, inputs: &[Array]) -> f64 {
    let x = inputs.iter().map(|x| largest(x.data())).fold(1.0, f64::max);
    largest(cotangent.data()) * largest(y.data()) / x
}

/// Where two results differ by more than round-off; NaN equals NaN.
fn differs(found: &[f64], expected: &[f64], size: f64) -> Option<String> {
    if found.len() != expected.len() {
        return Some(format!("{} elements instead of {}", found.len(), expected.len()));
    }
    let near = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-11 * (size + a.abs());
    let (i, (a, b)) = found.iter().zip(expected).enumerate().find(|(_, (a, b))| !near(**a, **b))?;
    Some(format!("element {i} is {a:e} instead of {b:e}"))
}

fn described(arrays: &[Array]) -> String {
    let one = |a: &Array| a.views().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    arrays.iter().map(|a| format!("[{}]", one(a))).collect::<Vec<_>>().join(", ")
}

/// The array seen through up to three random views.
pub(crate) fn random_views(a: &Array, random: &mut Random) -> Array {
    let rank = a.shape().len();
    if rank == 0 {
        return a.plain();
    }
    let mut views: Vec<View> = (0..1 + random.below(3))
        .map(|_| {
            let axis = random.below(rank);
            match random.below(3) {
                0 => View::Transposed(axis, random.below(rank)),
                1 => View::Flipped(axis),
                _ => View::Stepped(axis),
            }
        })
        .collect();
    if let Some(axis) = (0..rank).find(|&axis| a.shape()[axis] > 1 && a.is_constant_along(axis)) {
        // The outermost view, so that the others lay out what is expanded.
        views.push(View::Expanded(axis));
    }
    a.plain().viewed(views)
}

/// The array with one axis constant, and expanded along it.
fn constant_along_some_axis(a: &Array, random: &mut Random) -> Array {
    let rank = a.shape().len();
    if rank == 0 || a.is_empty() {
        return a.plain();
    }
    let axis = random.below(rank);
    a.select(axis, &vec![0; a.shape()[axis]]).viewed([View::Expanded(axis)])
}
