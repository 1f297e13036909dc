//! The first NaN or infinity is found, with its op and line.

use gradus_autograd::{Pass, Var, detect_anomaly, no_grad, op};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn leaf<const N: usize>(values: [f32; N]) -> Var {
    Var::leaf(values.into())
}

#[test]
fn the_first_op_forward_is_named_with_line_and_ranges() {
    let x = leaf([4.0, -1.0, 9.0]);
    let line = line!() + 1;
    let found = detect_anomaly(|| (x.sqrt() * 2.0).exp().sum(..).backward()).unwrap_err();
    assert_eq!((found.op, found.pass, found.at.line()), ("sqrt", Pass::Forward, line));
    assert!(found.at.file().ends_with("anomaly.rs"));
    assert_eq!((found.operands[0].min, found.operands[0].max), (-1.0, 9.0));
    assert_eq!((found.result.nans, found.result.infinities, found.result.max), (1, 0, 3.0));
    let text = found.to_string();
    assert!(text.contains("`sqrt`") && text.contains("made NaN") && text.contains("shape [3]"), "{text}");
}

#[test]
fn overflow_to_infinity_is_found() {
    let x = leaf([100.0]);
    let found = detect_anomaly(|| x.exp().recip()).unwrap_err();
    assert_eq!((found.op, found.result.infinities), ("exp", 1));
    assert!(found.to_string().contains("made infinity"));
}

#[test]
fn the_first_rule_backward_is_named() {
    // sqrt is finite at 0, its derivative is not.
    let x = leaf([0.0, 1.0]);
    let line = line!() + 1;
    let found = detect_anomaly(|| (x.sqrt() * 3.0).sum(..).backward()).unwrap_err();
    assert_eq!((found.op, found.pass, found.at.line()), ("sqrt", Pass::Backward(0), line));
    assert_eq!((found.operands[0].min, found.operands[0].max), (3.0, 3.0));
    assert_eq!(found.result.infinities, 1);
    assert!(found.to_string().contains("gradient of input 0"), "{found}");
}

#[test]
fn a_users_rule_is_seen_by_input() {
    let (a, b) = (leaf([1.0]), leaf([2.0]));
    let make = || {
        let y = op("crooked", [&a, &b], a.value() + b.value(), |p| [Some(p.gy().clone()), Some(p.gy() * f64::NAN)]);
        y.sum(..).backward()
    };
    let found = detect_anomaly(make).unwrap_err();
    assert_eq!((found.op, found.pass), ("crooked", Pass::Backward(1)));
}

#[test]
fn what_was_not_finite_before_is_told_apart() {
    let x = leaf([f32::NAN, 1.0]);
    let found = detect_anomaly(|| &x * 2.0).unwrap_err();
    assert_eq!((found.op, found.operands[0].nans), ("mul_scalar", 1));
    assert!(found.to_string().contains("was handed"), "{found}");
}

#[test]
fn unrecorded_ops_are_seen_too() {
    let x = leaf([-1.0]);
    assert_eq!(detect_anomaly(|| no_grad(|| x.ln())).unwrap_err().op, "ln");
    assert_eq!(detect_anomaly(|| x.detach().ln()).unwrap_err().op, "ln");
}

#[test]
fn sound_values_pass_and_nothing_stays_switched_on() {
    let x = leaf([1.0, 2.0]);
    let grads = detect_anomaly(|| x.square().sum(..).backward()).unwrap();
    assert_eq!(grads[&x].to_vec(), [2.0, 4.0]);
    // An inner search has its own first find, and leaves the outer one's alone.
    let outer = detect_anomaly(|| {
        let inner = detect_anomaly(|| (-&x).ln()).unwrap_err();
        assert_eq!(inner.op, "ln");
    });
    assert!(outer.is_ok());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        detect_anomaly(|| {
            if (-&x).ln().requires_grad() {
                panic!("on purpose")
            }
        })
    }));
    (-&x).ln();
    assert!(detect_anomaly(|| x.exp()).is_ok());
}
