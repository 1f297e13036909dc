use super::{assert_close, floats, integers, read};
use gradus_autograd::Var;
use gradus_nn::*;
use serde_json::Value;
use std::collections::BTreeSet;

/// An option that a case may have.
fn number(case: &Value, option: &str) -> Option<f64> {
    case["options"][option].as_f64()
}

fn class_weights(case: &Value) -> Option<Vec<f64>> {
    case["options"].get("weight").map(|w| floats(w).to_vec())
}

fn cross_entropy(case: &Value, reduction: Reduction) -> CrossEntropy {
    let mut loss = CrossEntropy::new().reduction(reduction);
    if let Some(smoothing) = number(case, "label_smoothing") {
        loss = loss.label_smoothing(smoothing);
    }
    if let Some(ignored) = number(case, "ignore_index") {
        loss = loss.ignore_index(ignored as i64);
    }
    match class_weights(case) {
        Some(w) => loss.weight(w),
        None => loss,
    }
}

fn nll(case: &Value, reduction: Reduction) -> Nll {
    let mut loss = Nll::new().reduction(reduction);
    if let Some(ignored) = number(case, "ignore_index") {
        loss = loss.ignore_index(ignored as i64);
    }
    match class_weights(case) {
        Some(w) => loss.weight(w),
        None => loss,
    }
}

fn bce_with_logits(case: &Value, reduction: Reduction) -> BceWithLogits {
    let mut loss = BceWithLogits::new().reduction(reduction);
    if let Some(w) = case["options"].get("weight") {
        loss = loss.weight(floats(w));
    }
    match case["options"].get("pos_weight") {
        Some(w) => loss.pos_weight(floats(w)),
        None => loss,
    }
}

fn kl_divergence(case: &Value, reduction: Option<Reduction>) -> KlDivergence {
    let mut loss = KlDivergence::new();
    if case["options"].get("log_target").is_some() {
        loss = loss.log_target();
    }
    match reduction {
        Some(r) => loss.reduction(r),
        None => loss,
    }
}

/// `reduction` is `None` for PyTorch's `batchmean`.
fn compute(case: &Value, x: &Var<f64>, reduction: Option<Reduction>) -> Var<f64> {
    let (kind, target) = (case["kind"].as_str().unwrap(), &case["target"]);
    if kind == "kl_divergence" {
        return kl_divergence(case, reduction).loss(x, &floats(target));
    }
    let r = reduction.unwrap();
    let indices = target["data"][0].is_i64();
    match kind {
        "cross_entropy" if indices => cross_entropy(case, r).loss(x, &integers(target)),
        "cross_entropy" => cross_entropy(case, r).loss(x, &floats(target)),
        "nll" => nll(case, r).loss(x, &integers(target)),
        "bce_with_logits" => bce_with_logits(case, r).loss(x, &floats(target)),
        "mse" => Mse::new().reduction(r).loss(x, &floats(target)),
        "l1" => L1::new().reduction(r).loss(x, &floats(target)),
        "huber" => Huber::new(number(case, "delta").unwrap()).reduction(r).loss(x, &floats(target)),
        "smooth_l1" => SmoothL1::new(number(case, "beta").unwrap()).reduction(r).loss(x, &floats(target)),
        other => panic!("a fixture without its loss: {other}"),
    }
}

#[test]
fn losses_agree() {
    let file = read("losses.json");
    let cases = file.as_array().unwrap();
    let names: BTreeSet<&str> = cases.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 29);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let reductions = case["reductions"].as_object().unwrap();
        assert!(reductions.len() >= 3);
        for (reduction, expected) in reductions {
            let what = format!("{name}, {reduction}");
            let x = Var::leaf(floats(&case["x"]));
            let reduction = match reduction.as_str() {
                "mean" => Some(Reduction::Mean),
                "sum" => Some(Reduction::Sum),
                "none" => Some(Reduction::None),
                _ => None,
            };
            let y = compute(case, &x, reduction);
            assert_close(&what, y.value(), &expected["y"]);
            let grads = y.backward_with(floats(&expected["gy"]));
            assert_close(&format!("{what}: gradient"), &grads[&x], &expected["gx"]);
        }
    }
}
