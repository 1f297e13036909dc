//! One variable in several places: its gradient is the sum over them.

use crate::common::{bits, cotangent, each_case, gradients, leaves, values};
use gradus_autograd::Var;

/// `f(x, x)` has the gradient of `f(a, b)` with respect to both, added.
#[test]
fn one_variable_as_every_operand() {
    let mut seen = std::collections::BTreeSet::new();
    each_case::<f64>(20, |sample, seed, mut case| {
        let first = case.inputs[0].clone();
        if case.inputs.len() < 2 || case.inputs.iter().any(|x| x.shape() != first.shape()) {
            return;
        }
        seen.insert(sample.name);
        case.inputs.fill(first);
        let apart = leaves(&case);
        let one = vec![apart[0].clone(); apart.len()];
        let (y, shared) = ((case.apply)(&apart), (case.apply)(&one));
        assert_eq!(bits(&[y.value().clone()]), bits(&[shared.value().clone()]), "`{}`, case {seed}", sample.name);
        let gy = cotangent(&y, seed);
        let grads = gradients(&y, &gy, &apart);
        let sum = grads.iter().skip(1).fold(grads[0].clone(), |sum, g| sum + g);
        let found = gradients(&shared, &gy, &one[..1]).remove(0);
        let size: f64 = grads.iter().flat_map(values).map(f64::abs).fold(0.0, f64::max);
        let near = values(&found).iter().zip(values(&sum)).all(|(a, b)| (a - b).abs() <= 1e-14 * size);
        assert!(near, "`{}`, case {seed}: {found:?} instead of {sum:?}", sample.name);
    });
    for name in ["add", "sub", "mul", "div", "pow", "maximum", "where", "matmul", "concat"] {
        assert!(seen.contains(name), "no case gave `{name}` operands of one shape");
    }
}

/// A result that is read twice has the sum of both gradients, and is passed once: the bits are those of twice the gradient.
#[test]
fn a_result_that_is_read_twice() {
    each_case::<f64>(5, |sample, seed, case| {
        let xs = leaves(&case);
        let y = (case.apply)(&xs);
        let gy = cotangent(&y, seed);
        let twice = gradients(&(&y + &y), &gy, &xs);
        let doubled = gradients(&y, &(&gy * 2.0), &xs);
        assert_eq!(bits(&twice), bits(&doubled), "`{}`, case {seed}", sample.name);
    });
}

/// An operand that goes into two calls has the sum of their gradients.
#[test]
fn an_operand_that_is_read_by_two_calls() {
    each_case::<f64>(5, |sample, seed, case| {
        let xs = leaves(&case);
        let (a, b): (Var<f64>, Var<f64>) = ((case.apply)(&xs), (case.apply)(&xs));
        let gy = cotangent(&a, seed);
        let sum = gradients(&(&a + &b), &gy, &xs);
        let size = gradients(&a, &gy, &xs);
        for (sum, one) in sum.iter().zip(&size) {
            let near = values(sum).iter().zip(values(one)).all(|(s, g)| (s - 2.0 * g).abs() <= 1e-14 * (1.0 + g.abs()));
            assert!(near, "`{}`, case {seed}: {sum:?} instead of twice {one:?}", sample.name);
        }
    });
}
