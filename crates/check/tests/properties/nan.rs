//! Where a NaN goes: to every result and every gradient that depends on it, and to no other.

use crate::common::{cotangent, each_case, gradients, leaves, values};
use gradus_autograd::samples::Case;
use gradus_tensor::Tensor;

/// Functions whose slope is constant in pieces: at a NaN, one of those slopes. PyTorch's choice, but for `leaky_relu`'s, which
/// there is that of the negative side.
const PIECEWISE: [(&str, f64); 14] = [
    ("relu", 1.0),
    ("relu6", 1.0),
    ("leaky_relu", 1.0),
    ("clamp", 0.0),
    ("sign", 0.0),
    ("floor", 0.0),
    ("ceil", 0.0),
    ("round", 0.0),
    ("trunc", 0.0),
    ("hardtanh", 1.0),
    ("hardsigmoid", 1.0 / 6.0),
    ("threshold", 1.0),
    ("softshrink", 1.0),
    ("hardshrink", 1.0),
];

fn with_nan(t: &Tensor<f64>, at: usize) -> Tensor<f64> {
    let mut data = t.to_vec();
    data[at] = f64::NAN;
    Tensor::from_vec(data, t.shape().clone())
}

fn nan_mask(v: &[f64]) -> Vec<bool> {
    v.iter().map(|v| v.is_nan()).collect()
}

/// For functions of one element, the gradient is NaN exactly where the value is.
#[test]
fn the_masks_of_value_and_gradient_are_equal() {
    each_case::<f64>(6, |sample, seed, mut case| {
        if case.dual.is_none() || case.inputs[0].numel() == 0 {
            return;
        }
        let n = case.inputs[0].numel();
        case.inputs[0] = with_nan(&case.inputs[0], seed as usize % n);
        let xs = leaves(&case);
        let y = (case.apply)(&xs);
        let g = values(&gradients(&y, &Tensor::ones(y.shape().clone()), &xs)[0]);
        let (at, y) = (seed as usize % n, values(y.value()));
        assert_eq!(nan_mask(&y), (0..n).map(|i| i == at).collect::<Vec<_>>(), "the value of `{}`", sample.name);
        match PIECEWISE.iter().find(|(name, _)| *name == sample.name) {
            Some(&(name, slope)) => assert_eq!((g[at], g.iter().any(|v| v.is_nan())), (slope, false), "`{name}`"),
            None => assert_eq!(nan_mask(&g), nan_mask(&y), "the gradient of `{}`", sample.name),
        }
    });
}

/// What a case gives with a NaN in one element of one operand, or in one element of the cotangent.
struct Probe {
    input: usize,
    at: usize,
    value: Vec<bool>,
    grads: Vec<Vec<f64>>,
}

fn probes(case: &Case, gy: &Tensor<f64>) -> Vec<Probe> {
    let mut probes = Vec::new();
    for input in 0..case.inputs.len() {
        for at in 0..case.inputs[input].numel() {
            let mut inputs = case.inputs.clone();
            inputs[input] = with_nan(&inputs[input], at);
            let xs: Vec<_> = inputs.into_iter().map(gradus_autograd::Var::leaf).collect();
            let y = (case.apply)(&xs);
            let grads = gradients(&y, gy, &xs).iter().map(values).collect();
            probes.push(Probe { input, at, value: nan_mask(&values(y.value())), grads });
        }
    }
    probes
}

#[test]
fn a_nan_reaches_what_depends_on_it_and_nothing_else() {
    each_case::<f64>(4, |sample, seed, case| {
        // A NaN takes another place in the order, and so moves the others.
        if sample.name == "gather" && !sample.ties {
            return;
        }
        // These have no result then, but an error.
        if ["solve", "fixed_point"].contains(&sample.name) {
            return;
        }
        let name = format!("`{}`, case {seed}", sample.name);
        let xs = leaves(&case);
        let y = (case.apply)(&xs);
        let gy = cotangent(&y, seed);
        let clean: Vec<Vec<f64>> = gradients(&y, &gy, &xs).iter().map(values).collect();
        let probes = probes(&case, &gy);
        // Padding counts: it is zeros, which are multiplied as all others are.
        let padded = sample.name.starts_with("conv2d");
        let common = |a: &Probe, b: &Probe| a.value.iter().zip(&b.value).any(|(a, b)| *a && *b);
        for p in &probes {
            for q in &probes {
                let (g, before) = (p.grads[q.input][q.at], clean[q.input][q.at]);
                if !common(p, q) {
                    let what = format!("{name}: a NaN at {} of operand {}", p.at, p.input);
                    assert!(
                        g == before || padded,
                        "{what} made the gradient at {} of operand {} {g}, not {before}",
                        q.at,
                        q.input
                    );
                }
            }
        }
        for k in 0..y.shape().numel() {
            let mut one_hot = vec![0.0; y.shape().numel()];
            one_hot[k] = 1.0;
            let one_hot = Tensor::from_vec(one_hot, y.shape().clone());
            let row = gradients(&y, &one_hot, &xs);
            let spoilt = gradients(&y, &with_nan(&gy, k), &xs);
            for p in &probes {
                let (slope, g) = (values(&row[p.input])[p.at], values(&spoilt[p.input])[p.at]);
                let place = format!("{name}: result {k} and element {} of operand {}", p.at, p.input);
                assert!(slope == 0.0 || p.value[k], "{place}: a NaN in the operand does not reach the result");
                assert!(slope == 0.0 || g.is_nan(), "{place}: a NaN in the result's gradient does not reach the operand's");
                let apart = p.value[k] || !g.is_nan() || padded;
                assert!(apart, "{place}: a NaN in the result's gradient reaches what does not depend on it");
            }
        }
    });
}

/// Two infinities are equal, and share the gradient as other equals do.
#[test]
fn equal_infinities_share_a_gradient() {
    for v in [f64::INFINITY, f64::NEG_INFINITY] {
        let xs = [v, v].map(|v| gradus_autograd::Var::leaf(Tensor::from([v, 1.0])));
        for y in [xs[0].maximum(&xs[1]), xs[0].minimum(&xs[1])] {
            let grads = gradients(&y, &Tensor::ones([2]), &xs);
            assert_eq!(grads.iter().map(values).collect::<Vec<_>>(), [[0.5, 0.5], [0.5, 0.5]]);
        }
    }
}
