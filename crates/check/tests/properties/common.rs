//! Running an op's samples: values, gradients, and their bits.

use gradus_autograd::samples::{Case, OpSample};
use gradus_autograd::{GradMode, Var, grad_with};
use gradus_tensor::{Float, Rng, Tensor};

/// Random calls of each sample: `n`, or what `GRADUS_CHECK_CASES` says.
pub fn cases(n: u64) -> u64 {
    std::env::var("GRADUS_CHECK_CASES").map_or(n, |n| n.parse().expect("GRADUS_CHECK_CASES is a number"))
}

/// The samples of the ops of all crates.
pub fn op_samples<T: Float>() -> Vec<OpSample<T>> {
    gradus_autograd::samples::op_samples().into_iter().chain(gradus_nn::samples::op_samples()).collect()
}

/// Calls `f` with every sample, and `n` random cases of each.
pub fn each_case<T: Float>(n: u64, mut f: impl FnMut(&OpSample<T>, u64, Case<T>)) {
    for sample in &op_samples::<T>() {
        for seed in 0..cases(n) {
            f(sample, seed, (sample.case)(&mut Rng::seed(seed)));
        }
    }
}

/// The operands as leaves.
pub fn leaves<T: Float>(case: &Case<T>) -> Vec<Var<T>> {
    case.inputs.iter().map(|x| Var::leaf(x.cast())).collect()
}

/// Random numbers of the shape of `y`.
pub fn cotangent<T: Float>(y: &Var<T>, seed: u64) -> Tensor<T> {
    Tensor::<f64>::uniform(y.shape().clone(), -1.0, 1.0, &mut Rng::seed(seed ^ 0x5eed)).cast()
}

/// The gradients of `<y, gy>`; zeros for what `y` does not depend on.
pub fn gradients<T: Float>(y: &Var<T>, gy: &Tensor<T>, xs: &[Var<T>]) -> Vec<Tensor<T>> {
    let gy = Var::constant(gy.clone());
    let one = |x: &Var<T>| match grad_with(y, &gy, &[x], GradMode::Plain) {
        Ok(mut g) => g.remove(0).into_value(),
        Err(_) => Tensor::zeros(x.shape().clone()),
    };
    match grad_with(y, &gy, &xs.iter().collect::<Vec<_>>(), GradMode::Plain) {
        Ok(grads) => grads.into_iter().map(Var::into_value).collect(),
        Err(_) => xs.iter().map(one).collect(),
    }
}

/// The value and the gradients of a case, for a random cotangent.
pub fn run<T: Float>(case: &Case<T>, seed: u64) -> Vec<Tensor<T>> {
    let xs = leaves(case);
    let y = (case.apply)(&xs);
    let grads = gradients(&y, &cotangent(&y, seed), &xs);
    [y.into_value()].into_iter().chain(grads).collect()
}

/// The bits of all elements, in row-major order.
pub fn bits<T: Float>(results: &[Tensor<T>]) -> Vec<Vec<u64>> {
    results.iter().map(|t| t.to_vec().into_iter().map(|v| v.to_f64().to_bits()).collect()).collect()
}

/// The values in row-major order, as `f64`.
pub fn values<T: Float>(t: &Tensor<T>) -> Vec<f64> {
    t.to_vec().into_iter().map(|v| v.to_f64()).collect()
}
