//! Layers and losses against figures that PyTorch computed (`fixtures/make_fixtures.py`).

mod layers;
mod losses;

use gradus_tensor::Tensor;
use serde_json::Value;

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
