use super::{assert_close, floats, read, state};
use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::Rng;
use serde_json::Value;

/// A cell of three inputs and four units, unfolded over the case's steps.
fn unfold<C: Cell<f64>>(case: &Value, mut cell: C, make: fn(&[Var<f64>]) -> C::State, parts: fn(&C::State) -> Var<f64>) {
    let name = case["name"].as_str().unwrap();
    cell.load_state_dict(&state(&case["state"])).unwrap();
    let x = Var::leaf(floats(&case["x"]));
    let initial: Vec<Var<f64>> = case["initial"].as_array().unwrap().iter().map(|v| Var::leaf(floats(v))).collect();
    let (mut carried, mut outputs) = (make(&initial), Vec::new());
    for t in 0..x.shape()[0] {
        let (y, new) = cell.step(&x.select(0, t), &carried);
        outputs.push(y);
        carried = new;
    }
    let (y, last) = (Var::stack(&outputs.iter().collect::<Vec<_>>(), 0), parts(&carried));
    assert_close(&format!("{name}: output"), y.value(), &case["y"]);
    assert_close(&format!("{name}: last state"), last.value(), &case["last"]);
    let weighted = |v: &Var<f64>, by: &Value| (v * Var::constant(floats(by))).sum(..);
    let grads = (weighted(&y, &case["gy"]) + weighted(&last, &case["glast"])).backward();
    assert_close(&format!("{name}: input's gradient"), &grads[&x], &case["gx"]);
    for (v, expected) in initial.iter().zip(case["ginitial"].as_array().unwrap()) {
        assert_close(&format!("{name}: first state's gradient"), &grads[v], expected);
    }
    assert_eq!(cell.named_parameters().len(), 4, "{name}");
    for (path, p) in cell.named_parameters() {
        assert_close(&format!("{name}: gradient of {path}"), &grads[p], &case["grads"][&path]);
    }
}

#[test]
fn cells_agree() {
    let rng = &mut Rng::seed(0);
    let file = read("recurrent.json");
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        match case["name"].as_str().unwrap() {
            "elman_tanh" => unfold(case, Elman::new(3, 4, rng), |v| v[0].clone(), Var::clone),
            "elman_relu" => unfold(case, Elman::new(3, 4, rng).nonlinearity(Nonlinearity::Relu), |v| v[0].clone(), Var::clone),
            "lstm" => unfold(case, Lstm::new(3, 4, rng), |v| (v[0].clone(), v[1].clone()), |s| s.1.clone()),
            "gru" => unfold(case, Gru::new(3, 4, rng), |v| v[0].clone(), Var::clone),
            other => panic!("a fixture without its cell: {other}"),
        }
    }
}
