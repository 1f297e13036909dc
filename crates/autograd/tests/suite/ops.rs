//! What holds for every op of the table, and that the table is whole. Its derivatives are checked by `gradus-check`'s
//! tests.

use gradus_autograd::samples::op_samples;
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_check::check;
use gradus_tensor::{Rng, Tensor};
use std::collections::BTreeSet;

/// Random calls of each sample.
const CASES: u64 = 24;

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
        // Plus its cube, for x - x has no derivatives to be exact about.
        check(|v| f(&v[0], &v[0]) + v[0].powf(3.0), &x).unwrap();
        check(|v| f(&v[0], &v[0].t()) + v[0].powf(3.0), &x).unwrap();
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
