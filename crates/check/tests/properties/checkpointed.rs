//! Run again in the backward pass, every op gives the same bits.

use crate::common::{bits, cotangent, each_case, gradients, leaves};
use gradus_autograd::{GradMode, Var, checkpoint, grad_with};
use gradus_tensor::Float;

fn checkpointed_equals_plain<T: Float>() {
    each_case::<T>(5, |sample, seed, case| {
        let xs = leaves(&case);
        let plain = (case.apply)(&xs);
        let gy = cotangent(&plain, seed);
        let others = xs[1..].to_vec();
        let apply = case.apply;
        let segment = move |x: &Var<T>| apply(&[std::slice::from_ref(x), &others[..]].concat());
        let again = checkpoint(segment, &xs[0]);
        let what = format!("`{}`, case {seed}", sample.name);
        assert_eq!(bits(&[plain.value().clone()]), bits(&[again.value().clone()]), "{what}: value");
        // Once for the operands together, as a rule may save work where one needs no gradient, and once for the first.
        assert_eq!(bits(&gradients(&plain, &gy, &xs)), bits(&gradients(&again, &gy, &xs)), "{what}: gradients");
        let first = |y| grad_with(y, &gy.clone().into(), &[&xs[0]], GradMode::Plain).map(|g| bits(&[g[0].value().clone()]));
        assert_eq!(first(&plain).ok(), first(&again).ok(), "{what}: gradient of the first operand");
    });
}

#[test]
fn every_op_gives_the_same_bits_when_it_is_run_again_in_f64() {
    checkpointed_equals_plain::<f64>();
}

#[test]
fn every_op_gives_the_same_bits_when_it_is_run_again_in_f32() {
    checkpointed_equals_plain::<f32>();
}
