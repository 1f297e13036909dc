//! The toolkit turned on ourselves: every op of the table, on random shapes, values and layouts.

use gradus_autograd::samples::{Case, OpSample};
use gradus_check::{Array, Checker, Function, GradusFunction, View};
use gradus_tensor::Rng;

/// Random calls of each sample; more with `GRADUS_CHECK_CASES`, for a night's run.
fn cases() -> u64 {
    std::env::var("GRADUS_CHECK_CASES").map_or(50, |n| n.parse().expect("GRADUS_CHECK_CASES is a number"))
}

/// The case's inputs; in every other case, laid out at random. Where an op allows it, some have equal elements.
fn arrays(case: &Case, ties: bool, seed: u64) -> Vec<Array> {
    let rng = &mut Rng::seed(seed);
    let mut arrays = Vec::new();
    for t in &case.inputs {
        let mut array = Array::new(t.shape().to_vec(), t.to_vec());
        if t.rank() > 0 && t.numel() > 0 && seed % 2 == 1 {
            let axis = rng.below(t.rank());
            let view = match rng.below(4) {
                0 => View::Transposed(axis, rng.below(t.rank())),
                1 => View::Stepped(axis),
                2 if ties => {
                    let same = t.slice(axis, ..1).expand(t.shape());
                    array = Array::new(t.shape().to_vec(), same.to_vec());
                    View::Expanded(axis)
                }
                _ => View::Flipped(axis),
            };
            array = array.viewed([view]);
        }
        arrays.push(array);
    }
    arrays
}

/// The first failure of an op, if there is one.
fn failure_of(sample: &OpSample) -> Option<String> {
    (0..cases()).find_map(|seed| {
        let case = (sample.case)(&mut Rng::seed(seed));
        let inputs = arrays(&case, sample.ties, seed);
        let f = GradusFunction::new(&case.apply).named(sample.name).with_dual(case.dual);
        let checker = Checker::new().seed(seed);
        let failure = checker.check(&f as &dyn Function, &inputs).err()?;
        Some(format!("op `{}`, case {seed}:\n{failure}", sample.name))
    })
}

/// The samples of the ops of all crates.
fn op_samples() -> Vec<OpSample> {
    gradus_autograd::samples::op_samples().into_iter().chain(gradus_nn::samples::op_samples()).collect()
}

#[test]
fn every_op_is_right() {
    let failures: Vec<String> = op_samples().iter().filter_map(failure_of).collect();
    assert!(failures.is_empty(), "{} ops failed\n{}", failures.len(), failures.concat());
}
