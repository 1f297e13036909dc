//! Where a careless formula loses digits or makes NaN (`fixtures/make_edges.py`).

use super::{floats, integers, read, shape};
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_nn::*;
use gradus_tensor::{Float, Tensor};
use serde_json::Value;

/// Numbers with null for minus infinity.
fn numbers(v: &Value) -> Tensor<f64> {
    let data = v["data"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap_or(f64::NEG_INFINITY)).collect();
    Tensor::from_vec(data, shape(v))
}

/// Agreement to some units in the last place of `T`, or in that of 1.
#[track_caller]
fn assert_near<T: Float>(what: &str, got: &Tensor<T>, wanted: &Tensor<f64>) {
    assert_eq!(got.shape(), wanted.shape(), "{what}");
    // Figures have 13 digits.
    let unit = (20.0 * T::EPSILON.to_f64()).max(1e-12);
    for (got, wanted) in got.cast::<f64>().to_vec().into_iter().zip(wanted.to_vec()) {
        let near = got == wanted || (got - wanted).abs() <= unit * wanted.abs().max(1.0);
        assert!(near, "{what}: {got} where PyTorch has {wanted} in double precision");
    }
}

/// The gradients of `y`, plain and differentiable, which must agree.
fn both<T: Float>(what: &str, y: &Var<T>, gy: &Tensor<T>, wrt: &[&Var<T>], wanted: &[Tensor<f64>]) {
    for mode in [GradMode::Plain, GradMode::Differentiable] {
        let grads = grad_with(y, &Var::constant(gy.clone()), wrt, mode).unwrap();
        grads.iter().zip(wanted).for_each(|(got, wanted)| assert_near(&format!("{what}, {mode:?}"), got.value(), wanted));
    }
}

fn logits_in<T: Float>(case: &Value) {
    let name = case["name"].as_str().unwrap();
    let x = Var::leaf(numbers(&case["x"]).cast::<T>());
    let gy = floats(&case["gy"]).cast::<T>();
    let check = |op: &str, y: Var<T>, gy: &Tensor<T>| {
        let what = format!("{name}: {op} in {:?}", T::DTYPE);
        let expected = &case[op];
        assert_near(&what, y.value(), &numbers(&expected["y"]));
        both(&what, &y, gy, &[&x], &[numbers(&expected["gx"])]);
    };
    check("softmax", x.softmax(1), &gy);
    check("log_softmax", x.log_softmax(1), &gy);
    let ones = Tensor::ones([x.shape()[0]]);
    check("logsumexp", x.logsumexp(1), &ones);
    let loss = CrossEntropy::new().reduction(Reduction::None);
    check("cross_entropy", loss.loss(&x, &integers(&case["labels"])), &ones);
}

#[test]
fn large_and_impossible_logits_agree() {
    let file = read("edges.json");
    let cases = file["logits"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        logits_in::<f32>(case);
        logits_in::<f64>(case);
    }
}

#[test]
fn targets_of_zero_count_for_nothing() {
    let file = read("edges.json");
    for case in file["divergence"].as_array().unwrap() {
        let (x, target) = (Var::leaf(numbers(&case["x"])), numbers(&case["target"]));
        let mut loss = KlDivergence::new().reduction(Reduction::Sum);
        if case["log_target"].as_bool().unwrap() {
            loss = loss.log_target();
        }
        let y = loss.loss(&x, &target);
        let what = case["name"].as_str().unwrap();
        assert_near(what, y.value(), &floats(&case["y"]));
        both(what, &y, &Tensor::scalar(1.0), &[&x], &[floats(&case["gx"])]);
    }
    for case in file["soft_targets"].as_array().unwrap() {
        let (x, target) = (Var::leaf(numbers(&case["x"])), floats(&case["target"]));
        let mut loss = CrossEntropy::new().label_smoothing(case["label_smoothing"].as_f64().unwrap());
        if let Some(weight) = case["weight"].as_array() {
            loss = loss.weight(weight.iter().map(|w| w.as_f64().unwrap()).collect::<Vec<_>>());
        }
        let y = loss.loss(&x, &target);
        let what = case["name"].as_str().unwrap();
        assert_near(what, y.value(), &floats(&case["y"]));
        both(what, &y, &Tensor::scalar(1.0), &[&x], &[floats(&case["gx"])]);
    }
}

/// NaN in the keys `[N, S, d]` that the mask hides from every query.
fn with_nan(x: &Tensor<f64>, mask: &Tensor<bool>) -> Tensor<f64> {
    let seen = |key: usize| (0..mask.shape()[0]).any(|q| mask.at([q, key]));
    Tensor::from_fn(x.shape().clone(), |at| if seen(at[1]) { x.at([at[0], at[1], at[2]]) } else { f64::NAN })
}

#[test]
fn masked_attention_agrees() {
    let file = read("edges.json");
    let cases = file["attention"].as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        let [q, k, v] = ["q", "k", "v"].map(|part| floats(&case[part]));
        let mask = match &case["mask"] {
            Value::Null => causal_mask(q.shape()[1], k.shape()[1]),
            mask => integers(mask).gt(0),
        };
        let [k, v] = [with_nan(&k, &mask), with_nan(&v, &mask)];
        let [q, k, v] = [q, k, v].map(Var::leaf);
        let y = scaled_dot_product_attention(&q, &k, &v, Some(&mask));
        let what = case["name"].as_str().unwrap();
        assert_near(what, y.value(), &floats(&case["y"]));
        let wanted = ["gq", "gk", "gv"].map(|part| floats(&case[part]));
        both(what, &y, &floats(&case["gy"]), &[&q, &k, &v], &wanted);
    }
}
