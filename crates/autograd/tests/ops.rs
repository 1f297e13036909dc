//! Every op of the table against finite differences: orders 1 and 2, on random shapes and layouts.

use gradus_autograd::check::{Tolerance, gradcheck, gradgradcheck};
use gradus_autograd::samples::{OpSample, op_samples};
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_tensor::{Rng, Tensor};
use std::collections::BTreeSet;

/// Random calls of each sample.
const CASES: u64 = 24;

/// The same values in another layout: transposed, a stepped slice of something larger, flipped.
fn relaid(x: &Tensor<f64>, rng: &mut Rng) -> Tensor<f64> {
    let mut x = x.clone();
    let rank = x.rank();
    if rank == 0 {
        return x;
    }
    for _ in 0..rng.below(3) {
        let axis = rng.below(rank);
        x = match rng.below(3) {
            0 => {
                let other = rng.below(rank);
                x.transpose(axis, other).copy().transpose(axis, other)
            }
            1 => x.flip(axis).copy().flip(axis),
            _ => every_second(&x, axis),
        };
    }
    x
}

/// `x` as every second index of a tensor twice as large, whose other elements are NaN.
fn every_second(x: &Tensor<f64>, axis: usize) -> Tensor<f64> {
    let mut shape = x.shape().clone();
    shape[axis] *= 2;
    let large = Tensor::from_fn(shape, |i| {
        if i[axis] % 2 == 1 {
            return f64::NAN;
        }
        let mut at = x.clone();
        for (a, &i) in i.iter().enumerate() {
            let i = if a == axis { i / 2 } else { i };
            at = at.slice(a, i..=i);
        }
        at.item()
    });
    large.slice_step(axis, .., 2)
}

/// `x` with one axis constant, broadcast from its first index.
fn partly_constant(x: &Tensor<f64>, rng: &mut Rng) -> Tensor<f64> {
    if x.rank() == 0 || x.numel() == 0 {
        return x.clone();
    }
    let axis = rng.below(x.rank());
    x.slice(axis, ..1).expand(x.shape())
}

fn check(sample: &OpSample, order: usize, cases: u64) {
    for seed in 0..cases {
        let mut rng = Rng::seed(seed);
        let mut case = (sample.case)(&mut rng);
        for x in &mut case.inputs {
            if sample.ties && rng.below(4) == 0 {
                *x = partly_constant(x, &mut rng);
            }
            *x = relaid(x, &mut rng);
        }
        let result = match order {
            1 => gradcheck(&case.apply, &case.inputs, Tolerance::default()),
            _ => gradgradcheck(&case.apply, &case.inputs, Tolerance { relative: 1e-5, absolute: 1e-6, ..Tolerance::default() }),
        };
        if let Err(e) = result {
            let shapes: Vec<_> = case.inputs.iter().map(Tensor::shape).collect();
            panic!("op `{}`, case {seed}, inputs {shapes:?}: {e}", sample.name);
        }
    }
}

#[test]
fn first_derivatives() {
    op_samples::<f64>().iter().for_each(|s| check(s, 1, CASES));
}

#[test]
fn second_derivatives() {
    op_samples::<f64>().iter().for_each(|s| check(s, 2, CASES));
}

/// A rule may take a short cut when its gradients need not be differentiable; it must not lead elsewhere.
#[test]
fn plain_and_differentiable_gradients_agree() {
    for sample in op_samples::<f64>() {
        for seed in 0..CASES {
            let case = (sample.case)(&mut Rng::seed(seed));
            let xs: Vec<_> = case.inputs.iter().cloned().map(Var::leaf).collect();
            let y = (case.apply)(&xs);
            let gy = Var::constant(Tensor::uniform(y.shape().clone(), -1.0, 1.0, &mut Rng::seed(seed)));
            let wrt: Vec<_> = xs.iter().collect();
            let Ok(plain) = grad_with(&y, &gy, &wrt, GradMode::Plain) else { continue };
            let differentiable = grad_with(&y, &gy, &wrt, GradMode::Differentiable).unwrap();
            for (p, d) in plain.iter().zip(&differentiable) {
                let near = (p.value() - d.value()).abs().le(&(d.value().abs() * 1e-12 + 1e-12));
                assert!(near.all(), "op `{}`, case {seed}: {p:?} and {d:?}", sample.name);
            }
        }
    }
}

#[test]
fn one_variable_as_both_operands() {
    let x = [Tensor::from([[0.5, 1.5], [2.0, 0.7]])];
    for f in [Var::add, Var::sub, Var::mul, Var::div, Var::pow, Var::atan2] {
        gradcheck(|v| f(&v[0], &v[0]), &x, Tolerance::default()).unwrap();
        gradgradcheck(|v| f(&v[0], &v[0]), &x, Tolerance::default()).unwrap();
        gradcheck(|v| f(&v[0], &v[0].t()), &x, Tolerance::default()).unwrap();
    }
}

/// The names that ops are recorded under, read from the source of this crate.
fn names_in_source() -> BTreeSet<String> {
    fn visit(dir: &std::path::Path, names: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                visit(&path, names);
            } else {
                let text = std::fs::read_to_string(&path).unwrap();
                let code: String = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
                for call in ["op(", "op_with_output(", "op_of_many(", "op_of_many_with_output("] {
                    for (at, _) in code.match_indices(call) {
                        let rest = code[at + call.len()..].trim_start();
                        if let Some(name) = rest.strip_prefix('"').and_then(|r| r.split('"').next()) {
                            names.insert(name.to_string());
                        }
                    }
                }
            }
        }
    }
    let mut names = BTreeSet::new();
    visit(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    names
}

#[test]
fn every_op_has_samples_and_every_sample_runs_its_op() {
    let samples = op_samples::<f64>();
    let sampled: BTreeSet<String> = samples.iter().map(|s| s.name.to_string()).collect();
    let missing: Vec<_> = names_in_source().difference(&sampled).cloned().collect();
    assert!(missing.is_empty(), "ops without samples: {missing:?}");
    for s in &samples {
        let recorded = (0..20).any(|seed| {
            let case = (s.case)(&mut Rng::seed(seed));
            let xs: Vec<_> = case.inputs.into_iter().map(Var::leaf).collect();
            (case.apply)(&xs).tape().iter().any(|e| e.name == s.name)
        });
        assert!(recorded, "the samples of `{}` never record that op", s.name);
    }
}
