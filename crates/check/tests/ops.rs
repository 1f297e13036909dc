//! The toolkit turned on ourselves: every op of the table, on random shapes, values and layouts.

use gradus_autograd::samples::{Case, OpSample, op_samples};
use gradus_check::{Array, Checker, Function, GradusFunction};
use gradus_tensor::Rng;

/// Random calls of each sample; more with `GRADUS_CHECK_CASES`, for a night's run.
fn cases() -> u64 {
    std::env::var("GRADUS_CHECK_CASES").map_or(50, |n| n.parse().expect("GRADUS_CHECK_CASES is a number"))
}

fn arrays(case: &Case) -> Vec<Array> {
    case.inputs.iter().map(|t| Array::new(t.shape().to_vec(), t.to_vec())).collect()
}

#[test]
fn every_op_is_right() {
    let samples: Vec<OpSample> = op_samples();
    for sample in &samples {
        for seed in 0..cases() {
            let case = (sample.case)(&mut Rng::seed(seed));
            let inputs = arrays(&case);
            let f = GradusFunction::new(&case.apply).named(sample.name).with_dual(case.dual);
            if let Err(failure) = Checker::new().seed(seed).check(&f as &dyn Function, &inputs) {
                panic!("op `{}`, case {seed}:\n{failure}", sample.name);
            }
        }
    }
}
