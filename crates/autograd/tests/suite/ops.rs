//! What holds for every op of the table, and that the table is whole. Its derivatives are checked by `gradus-check`'s
//! tests.

use gradus_autograd::samples::{listed_ops, op_samples};
use gradus_autograd::{GradMode, Var, evaluate, grad_with};
use gradus_check::check;
use gradus_tensor::{Rng, Tensor};
use std::collections::{BTreeSet, HashSet};

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

/// A type without samples, or an op that is applied and not on the list, does not compile; so it remains that the samples of a type
/// run it, and that it has the name that they give.
#[test]
fn every_type_of_the_list_is_run_by_its_samples() {
    let mut names = BTreeSet::new();
    for listed in listed_ops::<f64>() {
        let samples = (listed.samples)();
        assert!(!samples.is_empty(), "{} has no samples", listed.type_name);
        for sample in samples {
            assert!(
                listed.recorded_by(&sample).is_some(),
                "the samples of `{}` never record a {}",
                sample.name,
                listed.type_name
            );
            names.insert(sample.name);
        }
    }
    assert_eq!(listed_ops::<f64>().iter().map(|l| l.type_id).collect::<HashSet<_>>().len(), listed_ops::<f64>().len());
    // Not of a list that has lost a table.
    assert!(["sin", "relu", "add", "mul_scalar", "conv2d", "checkpoint"].iter().all(|name| names.contains(name)));
}

/// An op's fields and its inputs decide its value: what was recorded can be computed again.
#[test]
fn a_recorded_op_computes_its_value_again() {
    let mut again = BTreeSet::new();
    for sample in op_samples::<f64>() {
        for seed in 0..CASES {
            let case = (sample.case)(&mut Rng::seed(seed));
            let xs: Vec<_> = case.inputs.iter().cloned().map(Var::leaf).collect();
            let y = (case.apply)(&xs);
            let (tape, Some(op)) = (y.tape(), y.op()) else { continue };
            // Of ops of leaves only, for between ops no values are kept.
            let inputs: Option<Vec<&Tensor<f64>>> = tape
                .last()
                .into_iter()
                .flat_map(|e| &e.inputs)
                .map(|id| xs.iter().find(|x| x.id() == Some(*id)).map(Var::value))
                .collect();
            // A checkpoint has no value of its own; a fixed point begins at a constant, which the tape does not list.
            let alone = !["checkpoint", "fixed_point"].contains(&op.name());
            let Some(inputs) = inputs.filter(|_| op.name() == sample.name && alone) else { continue };
            let value = evaluate(op, &inputs);
            let same = |(a, b): (f64, f64)| a.to_bits() == b.to_bits();
            assert_eq!(value.shape(), y.shape(), "op `{}`, case {seed}", sample.name);
            assert!(value.to_vec().into_iter().zip(y.value().to_vec()).all(same), "op `{}`, case {seed}", sample.name);
            again.insert(sample.name);
        }
    }
    assert!(again.len() > 90, "{} ops were computed again: {again:?}", again.len());
}
