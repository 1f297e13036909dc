//! Elementwise functions on shapes of rank 0 to 5, empty ones among them, through views of every kind.

use crate::common::{cases, op_samples, values};
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_check::strategies::{arrays, arrays_of, broadcast_arrays, scales, signed_zeros, ties, viewed};
use gradus_check::{Array, Checker, Function, GradusFunction, tensor_of};
use gradus_tensor::Rng;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// A runner with a fixed seed, and `n` cases or what `GRADUS_CHECK_CASES` says.
fn runner(n: u64) -> TestRunner {
    let config = ProptestConfig { cases: cases(n) as u32, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn run<S: Strategy>(name: &str, n: u64, inputs: S, check: impl Fn(S::Value) -> Result<(), String>) {
    let check = |inputs| check(inputs).map_err(TestCaseError::fail);
    if let Err(failure) = runner(n).run(&inputs, check) {
        panic!("`{name}`: {failure}");
    }
}

type Apply = Box<dyn Fn(&[Var<f64>]) -> Var<f64>>;

/// An elementwise function, and numbers of the domain of each operand.
struct Elementwise {
    name: &'static str,
    apply: Apply,
    domains: Vec<Vec<f64>>,
}

/// The elementwise functions of the table with so many operands; the domains are what their samples draw from.
fn functions(operands: usize) -> Vec<Elementwise> {
    let samples = op_samples::<f64>().into_iter().filter_map(|sample| {
        let draw = |seed| (sample.case)(&mut Rng::seed(seed));
        let case = draw(0);
        let wanted = sample.elementwise && case.inputs.len() == operands;
        let domain = |i: usize| (0..60).flat_map(|seed| draw(seed).inputs[i].to_vec()).collect();
        wanted.then(|| Elementwise { name: sample.name, apply: case.apply, domains: (0..operands).map(domain).collect() })
    });
    samples.collect()
}

fn passes(name: &str, apply: &dyn Fn(&[Var<f64>]) -> Var<f64>, inputs: &[Array]) -> Result<(), String> {
    let f = GradusFunction::new(apply).named(name);
    Checker::new().shrink(false).check(&f, inputs).map(drop).map_err(|failure| failure.to_string())
}

#[test]
fn of_one_operand() {
    let functions = functions(1);
    assert!(functions.len() > 35, "{} functions of one operand", functions.len());
    for Elementwise { name, apply, domains } in functions {
        let inputs = viewed(arrays(16, select(domains[0].clone())));
        run(name, 6, inputs, |x| passes(name, &apply, &[x]));
    }
}

#[test]
fn of_two_operands() {
    for Elementwise { name, apply, domains } in functions(2) {
        let pairs = broadcast_arrays(12, select(domains[0].clone()), select(domains[1].clone()));
        let inputs = pairs.prop_flat_map(|(a, b)| (viewed(Just(a)), viewed(Just(b))));
        run(name, 12, inputs, |(a, b)| passes(name, &apply, &[a, b]));
    }
}

/// A cotangent's layout is of no account.
#[test]
fn with_cotangents_of_every_layout() {
    for Elementwise { name, apply, domains } in functions(1) {
        let pairs = arrays(60, select(domains[0].clone())).prop_flat_map(|x| {
            let shape = x.shape().to_vec();
            (viewed(Just(x)), viewed(arrays_of(shape, -2.0..2.0)))
        });
        run(name, 12, pairs, |(x, gy)| {
            let f = GradusFunction::new(&apply);
            let (seen, plain) = (f.vjp(std::slice::from_ref(&x), &gy)?.remove(0), f.vjp(&[x.plain()], &gy.plain())?.remove(0));
            if seen == plain { Ok(()) } else { Err(format!("{seen:?} instead of {plain:?}")) }
        });
    }
}

/// What chooses one of two, on equal elements: both shares together are the whole gradient.
#[test]
fn of_equal_operands() {
    for Elementwise { name, apply, .. } in functions(2) {
        if !["maximum", "minimum"].contains(&name) {
            continue;
        }
        run(name, 40, broadcast_arrays(30, signed_zeros(ties()), signed_zeros(ties())), |(a, b)| {
            let xs = [Var::leaf(tensor_of(&a)), Var::leaf(tensor_of(&b))];
            let y = apply(&xs);
            let gy = Var::constant(y.value().map(|_| 1.0));
            let grads = grad_with(&y, &gy, &[&xs[0], &xs[1]], GradMode::Plain).map_err(|e| e.to_string())?;
            let handed: f64 = grads.iter().flat_map(|g| values(g.value())).sum();
            if handed == y.shape().numel() as f64 { Ok(()) } else { Err(format!("{handed} of {}", y.shape().numel())) }
        });
    }
}

/// Products and quotients of numbers of any size whose results can be held: each slope to the last bits.
#[test]
fn of_large_and_small_numbers() {
    run("a · b / c", 200, (scales(70), scales(70), scales(70)), |(a, b, c)| {
        let at = |v: f64| Var::leaf(gradus_tensor::Tensor::scalar(v));
        let xs = [at(a), at(b), at(c)];
        let y = &xs[0] * &xs[1] / &xs[2];
        let gy = Var::constant(gradus_tensor::Tensor::scalar(1.0));
        let grads = grad_with(&y, &gy, &xs.iter().collect::<Vec<_>>(), GradMode::Plain).map_err(|e| e.to_string())?;
        for (g, exact) in grads.iter().zip([b / c, a / c, -(a * b / c / c)]) {
            if (g.item() - exact).abs() > 1e-15 * exact.abs() {
                return Err(format!("{} instead of {exact}", g.item()));
            }
        }
        Ok(())
    });
}
