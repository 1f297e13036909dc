use super::{assert_close, floats, read, state};
use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::Rng;
use serde_json::Value;

/// A cell of three inputs and four units, unrolled over the case's steps.
fn unrolled<C: RnnCell<f64>>(case: &Value, mut cell: C, make: fn(&[Var<f64>]) -> C::State, parts: fn(&C::State) -> Var<f64>) {
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
            "rnn_tanh" => unrolled(case, Rnn::new(3, 4, rng), |v| v[0].clone(), Var::clone),
            "rnn_relu" => unrolled(case, Rnn::new(3, 4, rng).nonlinearity(Nonlinearity::Relu), |v| v[0].clone(), Var::clone),
            "lstm" => unrolled(case, Lstm::new(3, 4, rng), |v| (v[0].clone(), v[1].clone()), |s| s.1.clone()),
            "gru" => unrolled(case, Gru::new(3, 4, rng), |v| v[0].clone(), Var::clone),
            other => panic!("a fixture without its cell: {other}"),
        }
    }
}

/// A whole layer of PyTorch's, or several, under its names: outputs, last states, and all gradients. `order` says which
/// of PyTorch's last states `[layers · directions, N, ..]` each variable of the state here is: the part, and its index.
fn run<U: RecurrentLayer<f64>>(case: &Value, mut layer: U, order: &[(usize, usize)]) {
    let name = case["name"].as_str().unwrap();
    let theirs = state(&case["state"]);
    layer.for_each_parameter(|path, p| p.set(theirs[&torch_recurrent_name(path)].clone()));
    let x = Var::leaf(floats(&case["x"]));
    let sequence = match case["lengths"].as_array() {
        Some(lengths) => {
            Sequence::new(&x).with_lengths(&lengths.iter().map(|l| l.as_u64().unwrap() as usize).collect::<Vec<_>>())
        }
        None => Sequence::new(&x),
    };
    let (y, last) = layer.run(&sequence, &mut Mode::Eval);
    assert_close(&format!("{name}: output"), y.data().value(), &case["y"]);
    let mut loss = (y.data() * Var::constant(floats(&case["gy"]))).sum(..);
    assert_eq!(last.variables().len(), order.len(), "{name}");
    for (v, &(part, index)) in last.variables().iter().zip(order) {
        let of = |what: &str| floats(&case[what][part]).select(0, index);
        assert!((v.value() - &of("last")).abs().max(..).item() < 1e-10, "{name}: last state {part}, {index}");
        loss = loss + (v * Var::constant(of("glast"))).sum(..);
    }
    let grads = loss.backward();
    assert_close(&format!("{name}: input's gradient"), &grads[&x], &case["gx"]);
    assert_eq!(layer.named_parameters().len(), theirs.len(), "{name}");
    for (path, p) in layer.named_parameters() {
        assert_close(&format!("{name}: gradient of {path}"), &grads[p], &case["grads"][&torch_recurrent_name(&path)]);
    }
}

#[test]
fn layers_stacks_and_packed_sequences_agree() {
    let rng = &mut Rng::seed(0);
    let file = read("recurrent_layers.json");
    let cases = file.as_array().unwrap();
    assert_eq!(cases.len(), 12);
    for case in cases {
        match case["name"].as_str().unwrap() {
            "rnn" => run(case, Recurrent::new(Rnn::new(3, 4, rng)), &[(0, 0)]),
            "rnn_bidirectional" => {
                run(case, Bidirectional::new(Rnn::new(3, 4, rng), Rnn::new(3, 4, rng)), &[(0, 0), (0, 1)]);
            }
            "lstm_stacked_bidirectional" => {
                let both = |n, rng: &mut Rng| Bidirectional::new(Lstm::new(n, 4, rng), Lstm::new(n, 4, rng));
                let order = [0, 1, 2, 3].map(|i| [(0, i), (1, i)]).concat();
                run(case, Stacked::new([both(3, rng), both(8, rng)]), &order);
            }
            "lstm_projected" => run(case, Recurrent::new(Lstm::with_projection(3, 4, 2, rng)), &[(0, 0), (1, 0)]),
            "gru_stacked" => {
                let stack = Stacked::new([3, 4].map(|n| Recurrent::new(Gru::new(n, 4, rng))));
                run(case, stack, &[(0, 0), (0, 1)]);
            }
            "gru_bidirectional" => run(case, Bidirectional::new(Gru::new(3, 4, rng), Gru::new(3, 4, rng)), &[(0, 0), (0, 1)]),
            other => panic!("a fixture without its layer: {other}"),
        }
    }
}
