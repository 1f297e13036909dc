//! Layers and losses against figures that PyTorch computed (`fixtures/make_*.py`).

mod activations;
mod attention;
mod containers;
mod convolutions;
mod edges;
mod layers;
mod losses;
mod normalisation;
mod pooling;
mod recurrent;
mod sizes;

use gradus_autograd::{Module, Var};
use gradus_nn::{Layer, Mode};
use gradus_tensor::{Rng, Tensor};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Gives the layer that a case is about, by the case's name; its weights come from the file.
type MakeLayer = fn(&str, &mut Rng) -> Box<dyn Layer<f64>>;

fn read(file: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(file);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn shape(v: &Value) -> Vec<usize> {
    v["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect()
}

fn floats(v: &Value) -> Tensor<f64> {
    Tensor::from_vec(v["data"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect(), shape(v))
}

fn integers(v: &Value) -> Tensor<i64> {
    Tensor::from_vec(v["data"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect(), shape(v))
}

/// Agreement to the digits that were stored.
#[track_caller]
fn assert_close(what: &str, got: &Tensor<f64>, expected: &Value) {
    let expected = floats(expected);
    assert_eq!(got.shape(), expected.shape(), "{what}");
    for (i, (got, expected)) in got.to_vec().into_iter().zip(expected.to_vec()).enumerate() {
        let close = (got - expected).abs() <= 1e-10 * expected.abs().max(1.0);
        assert!(close, "{what}, element {i}: {got} where PyTorch has {expected}");
    }
}

fn state(v: &Value) -> BTreeMap<String, Tensor<f64>> {
    v.as_object().unwrap().iter().map(|(path, v)| (path.clone(), floats(v))).collect()
}

/// The layer of a case against its figures: outputs, gradients, and what training leaves in the buffers.
fn check(case: &Value, layer: MakeLayer) {
    let name = case["name"].as_str().unwrap();
    let rng = &mut Rng::seed(0);
    let mut layer = layer(name, rng);
    layer.load_state_dict(&state(&case["state"])).unwrap();
    let mut mode = if case["train"].as_bool().unwrap() { Mode::Train(rng) } else { Mode::Eval };
    let x = floats(&case["x"]);
    for i in 0..case["steps"].as_u64().unwrap() - 1 {
        layer.forward(&(&x + i as f64).into(), &mut mode);
    }
    let x = Var::leaf(x);
    let y = layer.forward(&x, &mut mode);
    assert_close(&format!("{name}: output"), y.value(), &case["y"]);
    let grads = y.backward_with(floats(&case["gy"]));
    assert_close(&format!("{name}: input's gradient"), &grads[&x], &case["gx"]);
    let expected = case["grads"].as_object().unwrap();
    assert_eq!(layer.named_parameters().len(), expected.len(), "{name}");
    for (path, p) in layer.named_parameters() {
        assert_close(&format!("{name}: gradient of {path}"), &grads[p], &expected[&path]);
    }
    let now = layer.state_dict();
    for (path, expected) in case["after"].as_object().unwrap() {
        assert_close(&format!("{name}: {path} after the step"), &now[path], expected);
    }
}

/// All `count` cases.
fn check_all(cases: &Value, count: usize, layer: MakeLayer) {
    let cases = cases.as_array().unwrap();
    let names: BTreeSet<&str> = cases.iter().map(|c| c["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), count);
    cases.iter().for_each(|case| check(case, layer));
}
