use super::{assert_close, floats, integers, read, state};
use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use serde_json::Value;

fn sizes(v: &Value) -> Option<Vec<usize>> {
    Some(v.as_array()?.iter().map(|n| n.as_u64().unwrap() as usize).collect())
}

fn attend(case: &Value, mut layer: MultiHeadAttention<f64>) {
    let name = case["name"].as_str().unwrap();
    layer.load_state_dict(&state(&case["state"])).unwrap();
    if case["causal"].as_bool().unwrap() {
        layer = layer.causal();
    }
    let leaf = |what: &str| case[what].is_object().then(|| Var::leaf(floats(&case[what])));
    let (q, k, v) = (leaf("q").unwrap(), leaf("k"), leaf("v"));
    let with_lengths = |x: &Var<f64>| match sizes(&case["lengths"]) {
        Some(lengths) => Sequence::new(x).with_lengths(&lengths),
        None => Sequence::new(x),
    };
    let mask = case["mask"].is_object().then(|| integers(&case["mask"]).gt(0.0));
    let (keys, values) = (k.as_ref().unwrap_or(&q), v.as_ref().unwrap_or(&q));
    let (y, weights) =
        layer.attend(&Sequence::new(&q), &with_lengths(keys), &with_lengths(values), mask.as_ref(), &mut Mode::Eval);
    assert_close(&format!("{name}: output"), y.data().value(), &case["y"]);
    assert_close(&format!("{name}: weights"), weights.value(), &case["weights"]);
    let weighted = |v: &Var<f64>, by: &Value| (v * Var::constant(floats(by))).sum(..);
    let grads = (weighted(&y.data(), &case["gy"]) + weighted(&weights, &case["gweights"])).backward();
    for (input, g) in [(Some(&q), "gq"), (k.as_ref(), "gk"), (v.as_ref(), "gv")] {
        if let Some(input) = input {
            assert_close(&format!("{name}: {g}"), &grads[input], &case[g]);
        }
    }
    let expected = case["grads"].as_object().unwrap();
    assert_eq!(layer.named_parameters().len(), expected.len(), "{name}");
    for (path, p) in layer.named_parameters() {
        assert_close(&format!("{name}: gradient of {path}"), &grads[p], &expected[&path]);
    }
}

#[test]
fn multi_head_attention_agrees() {
    let rng = &mut Rng::seed(0);
    let file = read("attention.json");
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 5);
    for case in cases {
        match case["name"].as_str().unwrap() {
            "self" | "cross" => attend(case, MultiHeadAttention::new(6, 2, rng)),
            "causal" => attend(case, MultiHeadAttention::new(6, 3, rng)),
            "masked" => attend(case, MultiHeadAttention::new(6, 1, rng)),
            "widths" => attend(case, MultiHeadAttention::with_widths(6, 2, 3, 2, rng)),
            other => panic!("a fixture without its layer: {other}"),
        }
    }
}

#[test]
fn connectionist_temporal_classification_agrees() {
    let file = read("ctc.json");
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let logits = Var::leaf(floats(&case["logits"]));
        let targets: Vec<Vec<usize>> = case["targets"].as_array().unwrap().iter().map(|t| sizes(t).unwrap()).collect();
        let reduction = match case["reduction"].as_str().unwrap() {
            "mean" => Reduction::Mean,
            "sum" => Reduction::Sum,
            _ => Reduction::None,
        };
        let ctc = Ctc::new().blank(case["blank"].as_u64().unwrap() as usize).reduction(reduction);
        let loss = ctc.of(&Sequence::time_major(&logits).with_lengths(&sizes(&case["lengths"]).unwrap()), &targets);
        assert_close(&format!("{name}: loss"), loss.value(), &case["loss"]);
        let grads = loss.backward_with(floats(&case["g"]));
        assert_close(&format!("{name}: gradient"), &grads[&logits], &case["glogits"]);
    }
}

/// PyTorch computes a mask of all that is hidden as NaN; here such a query reads nothing.
#[test]
fn a_query_that_sees_nothing_reads_nothing() {
    let layer: MultiHeadAttention<f64> = MultiHeadAttention::new(4, 2, &mut Rng::seed(0));
    let x = Var::leaf(Tensor::<f64>::normal([1, 3, 4], 0.0, 1.0, &mut Rng::seed(1)));
    let s = Sequence::new(&x);
    let mask = Tensor::from_fn([3, 3], |at| at[0] != 1);
    let (y, weights) = layer.attend(&s, &s, &s, Some(&mask), &mut Mode::Eval);
    assert_eq!(y.data().value().select(1, 1).to_vec(), layer.out_proj.bias.as_ref().unwrap().value().to_vec());
    assert_eq!(weights.value().select(2, 1).abs().sum(..).item(), 0.0);
    assert!(y.data().sum(..).backward()[&x].to_vec().iter().all(|g| g.is_finite()));
}
