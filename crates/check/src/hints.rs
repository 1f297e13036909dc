//! What wrong numbers look like: mistakes that are made often leave a pattern.

use crate::array::Array;
use crate::report::{Fault, Finding};

/// What the pattern of the findings says of the mistake behind them.
pub(crate) fn hints(findings: &[Finding], inputs: &[Array]) -> Vec<String> {
    let wrong: Vec<&Finding> = findings.iter().filter(|f| f.fault == Fault::Wrong && f.analytic.is_finite()).collect();
    let Some(first) = wrong.first() else { return Vec::new() };
    let of_order: Vec<&Finding> = wrong.iter().copied().filter(|f| f.order == first.order).collect();
    let absent = of_order.iter().all(|f| f.analytic == 0.0 && f.numeric != 0.0);
    if first.order == 2 {
        return if absent { vec![constant_to_the_rule()] } else { Vec::new() };
    }
    match not_summed(&of_order, inputs) {
        Some(hint) => vec![hint],
        None if absent => vec![no_gradient(&of_order)],
        None => Vec::new(),
    }
}

/// Right to first order, 0 to second.
fn constant_to_the_rule() -> String {
    "looks like a rule that holds for a constant what depends on the inputs: its op's own output captured by value (read it from \
     `VjpContext::y` of `op_with_output`), an input's value() or a detach() instead of the variable"
        .into()
}

/// 0 where something is.
fn no_gradient(findings: &[&Finding]) -> String {
    let mut names: Vec<&str> = findings.iter().map(|f| f.input_name.as_str()).collect();
    names.dedup();
    format!(
        "looks like a gradient that is lost on the way to {}: the result is computed from its value where the tape does not see \
         it, as by an op that does not list it among its inputs (`custom_op` would refuse), by value() or by detach()",
        names.join(", ")
    )
}

/// One ratio throughout, and a small whole number, or one over it: a mean for a sum, or a sum for a mean; else, right for a part of
/// the results and 0 for the others: no sum at all.
fn not_summed(findings: &[&Finding], inputs: &[Array]) -> Option<String> {
    let first = findings.first()?;
    let largest = inputs.iter().map(Array::len).max().unwrap_or(0);
    let own = inputs.get(first.input).map_or(0, Array::len);
    let broadcast = own > 0 && own < largest && findings.iter().all(|f| f.input == first.input);
    if !broadcast {
        return None;
    }
    let (ratio, times) = (first.analytic / first.numeric, largest as f64 / own as f64);
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-6 * b.abs();
    let constant = findings.iter().all(|f| near(f.analytic / f.numeric, ratio));
    let of = format!("{}, which is broadcast,", first.input_name);
    if constant && (near(ratio, times) || near(ratio, 1.0 / times)) {
        return Some(format!(
            "looks like a mean where the gradients of {of} must be added up, or the reverse: the ratio is {ratio:.4}"
        ));
    }
    let in_part = findings.iter().all(|f| f.analytic == 0.0) && findings.len() < largest;
    in_part
        .then(|| format!("looks like a missing sum: the gradient of {of} takes only a part of the result; add it up by sum_to"))
}
