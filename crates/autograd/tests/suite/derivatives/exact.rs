//! Against closed forms and PyTorch's figures.

use super::{assert_near, constant};
use gradus_autograd::{Var, hessian, hvp, nth_derivative, value_and_grad};
use gradus_tensor::Tensor;
use serde_json::Value;

#[track_caller]
fn nth_derivatives_are(what: &str, f: fn(&Var<f64>) -> Var<f64>, points: &[f64], exact: impl Fn(f64, i32) -> f64) {
    let x = Var::constant(Tensor::from_vec(points.to_vec(), [points.len()]));
    for n in 0..=6 {
        for (got, &at) in nth_derivative(f, &x, n).value().to_vec().into_iter().zip(points) {
            let expected = exact(at, n as i32);
            let near = (got - expected).abs() <= 1e-10 * expected.abs();
            assert!(near, "derivative {n} of {what} at {at}: {got:e} where {expected:e} is right");
        }
    }
}

#[test]
fn derivatives_to_order_six_are_exact() {
    let points = [-7.5, -1.0, -0.1, 0.003, 0.5, 2.0, 11.0];
    nth_derivatives_are(
        "sin",
        |x| x.sin(),
        &points,
        |x, n| match n % 4 {
            0 => x.sin(),
            1 => x.cos(),
            2 => -x.sin(),
            _ => -x.cos(),
        },
    );
    nth_derivatives_are("exp", |x| x.exp(), &points, |x, _| x.exp());
    let factorial = |n: i32| (1..=n).map(f64::from).product::<f64>();
    let reciprocal = |x: f64, n: i32| (-1f64).powi(n) * factorial(n) * x.powi(-n - 1);
    nth_derivatives_are("1/x", |x| x.recip(), &points, reciprocal);
    nth_derivatives_are("1/x as a division", |x| 1.0 / x, &points, reciprocal);
    nth_derivatives_are("1/x between variables", |x| (x - x + 1.0) / x, &points, reciprocal);
    nth_derivatives_are("1/x as a power", |x| x.powf(-1.0), &points, reciprocal);
    let positive = [0.01, 0.5, 1.0, 3.0, 40.0];
    let ln = |x: f64, n: i32| if n == 0 { x.ln() } else { reciprocal(x, n - 1) };
    nth_derivatives_are("ln", |x| x.ln(), &positive, ln);
    nth_derivatives_are("e^3x", |x| (x * 3.0).exp(), &positive, |x, n| 3f64.powi(n) * (3.0 * x).exp());
    let root = |x: f64, n: i32| (0..n).map(|k| 0.5 - f64::from(k)).product::<f64>() * x.powf(0.5 - f64::from(n));
    nth_derivatives_are("sqrt", |x| x.sqrt(), &positive, root);
}

/// What `fixtures/make_hessian.py` made.
fn fixture() -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hessian.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn floats(v: &Value) -> Var<f64> {
    let shape: Vec<usize> = v["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    Var::constant(Tensor::from_vec(v["data"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect(), shape))
}

/// Mean cross-entropy of a two-layer tanh network.
fn network_loss([w1, b1, w2, b2]: &[Var<f64>; 4], x: &Var<f64>, labels: &Tensor<i64>) -> Var<f64> {
    let logits = x.linear(w1, Some(b1)).tanh().linear(w2, Some(b2));
    -logits.log_softmax(1).gather(1, labels).mean(..)
}

#[test]
fn the_hessian_of_a_network_is_pytorchs() {
    let stored = fixture();
    let labels: Vec<i64> = stored["labels"].as_array().unwrap().iter().map(|n| n.as_i64().unwrap()).collect();
    let labels = Tensor::from_vec(labels.clone(), [labels.len(), 1]);
    let x = floats(&stored["x"]);
    let parameters = ["w1", "b1", "w2", "b2"].map(|name| floats(&stored[name]));
    let loss = |p: &[Var<f64>; 4]| network_loss(p, &x, &labels);
    let (y, gradient) = value_and_grad(loss, &parameters);
    assert_near("loss", &y, &constant(stored["loss"].as_f64().unwrap()), 1e-12);
    let flat = |parts: [&Var<f64>; 4]| Var::concat(&parts.map(|p| p.reshape([-1])).iter().collect::<Vec<_>>(), 0);
    assert_near("gradient", &flat(gradient.each_ref()), &floats(&stored["gradient"]), 1e-12);

    // Block by block, set side by side.
    let sizes = parameters.each_ref().map(|p| p.value().numel());
    let row = |(blocks, &n): (&[Var<f64>; 4], &usize)| {
        let blocks: Vec<_> = blocks.iter().zip(sizes).map(|(b, m)| b.reshape([n, m])).collect();
        Var::concat(&blocks.iter().collect::<Vec<_>>(), 1)
    };
    let blocks = hessian(loss, &parameters);
    let rows: Vec<_> = blocks.iter().zip(&sizes).map(row).collect();
    let whole = Var::concat(&rows.iter().collect::<Vec<_>>(), 0);
    assert_near("Hessian by blocks", &whole, &floats(&stored["hessian"]), 1e-10);

    // All parameters as one vector.
    let unflat = |p: &Var<f64>| {
        let parts = p.split_sizes(&sizes, 0);
        std::array::from_fn(|i| parts[i].reshape(parameters[i].shape()))
    };
    let point = flat(parameters.each_ref());
    let of_vector = |p: &Var<f64>| loss(&unflat(p));
    assert_near("Hessian of a vector", &hessian(of_vector, &point), &floats(&stored["hessian"]), 1e-10);
    let v = floats(&stored["v"]);
    assert_near("product", &hvp(of_vector, &point, &v), &floats(&stored["hessian"]).matmul(&v), 1e-10);
}
