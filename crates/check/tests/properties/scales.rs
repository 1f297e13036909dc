//! Large and small numbers, signed zeros, and equal elements.

use crate::common::{cotangent, each_case, gradients, values};
use gradus_autograd::Var;
use gradus_autograd::samples::Case;
use gradus_check::{Array, Checker, GradusFunction};
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeSet;

/// The value and the gradients for operands times 2^`exponent`.
fn scaled<T: Float>(case: &Case<T>, exponent: i32, seed: u64) -> Vec<Vec<f64>> {
    let xs: Vec<Var<T>> = case.inputs.iter().map(|x| Var::leaf(x.cast::<f32>().cast::<T>() * 2f64.powi(exponent))).collect();
    let y = (case.apply)(&xs);
    let grads = gradients(&y, &cotangent(&y, seed), &xs);
    [values(y.value())].into_iter().chain(grads.iter().map(values)).collect()
}

/// The `k` for which `b = 2^k a`, to the bit.
fn degree(a: &[f64], b: &[f64]) -> Option<i32> {
    // Zeros scale as anything.
    let Some(at) = a.iter().position(|v| *v != 0.0) else { return times(a, 0, b).then_some(0) };
    let k = (b[at] / a[at]).abs().log2().round() as i32;
    times(a, k, b).then_some(k)
}

fn times(a: &[f64], exponent: i32, b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a * 2f64.powi(exponent) == *b)
}

/// Ops that only add, multiply, divide and compare.
const HOMOGENEOUS: &str = "add sub mul div maximum minimum neg abs relu leaky_relu square recip sum max min cumsum matmul \
                           conv2d einsum max_pool2d avg_pool2d gather concat slice where expand norm";

/// They are homogeneous, and scale with their operands to the bit: with a power of 2 no rounding differs, at sizes whose
/// squares can still be held.
fn homogeneous_ops_scale_to_the_bit<T: Float>(largest: i32, n: u64) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    each_case::<T>(n, |sample, seed, case| {
        if !HOMOGENEOUS.split(' ').any(|name| name == sample.name) {
            return;
        }
        let (one, two) = (scaled(&case, 0, seed), scaled(&case, 1, seed));
        let degrees: Option<Vec<i32>> = one.iter().zip(&two).map(|(a, b)| degree(a, b)).collect();
        // Some samples are of more than the op, or have the value 0 whatever the operands.
        let Some(degrees) = degrees.filter(|_| one[0].iter().any(|v| *v != 0.0)) else { return };
        seen.insert(sample.name);
        let most = degrees.iter().map(|k| k.abs()).max().unwrap_or(1).max(2);
        for exponent in [2 * largest / most, -2 * largest / most] {
            let found = scaled(&case, exponent, seed);
            for (i, ((one, found), k)) in one.iter().zip(&found).zip(&degrees).enumerate() {
                let what = if i == 0 { "value".into() } else { format!("gradient {}", i - 1) };
                let case = format!("`{}`, case {seed}: the {what} at 2^{exponent}", sample.name);
                assert!(times(one, k * exponent, found), "{case} is {found:?}, not 2^{} times {one:?}", k * exponent);
            }
        }
    });
    seen
}

#[test]
fn homogeneous_ops_scale_to_the_bit_in_f64() {
    // 2^±498 is about 1e±150.
    let seen = homogeneous_ops_scale_to_the_bit::<f64>(498, 10);
    for name in HOMOGENEOUS.split(' ') {
        assert!(seen.contains(name), "`{name}` is homogeneous, and no case of it was seen to be");
    }
}

#[test]
fn homogeneous_ops_scale_to_the_bit_in_f32() {
    // 2^±50 is about 1e±15.
    let seen = homogeneous_ops_scale_to_the_bit::<f32>(50, 10);
    for name in HOMOGENEOUS.split(' ') {
        assert!(seen.contains(name), "`{name}` is homogeneous, and no case of it was seen to be");
    }
}

/// Functions of one number at the ends of the range: their slope there is that of dual numbers through the formula.
#[test]
fn functions_of_one_number_agree_with_dual_numbers_at_every_scale() {
    // None at a kink.
    let sizes = [1e-300, 1e-150, 1e-15, 1e-8, 1e-3, 0.99, 30.0, 1e3, 1e8, 1e15, 1e150, 1e300];
    let points: Vec<f64> = sizes.iter().flat_map(|&v| [v, -v]).collect();
    let mut compared = 0;
    each_case::<f64>(1, |sample, _, case| {
        let Some(dual) = case.dual else { return };
        let x = Var::leaf(Tensor::from_vec(points.clone(), [points.len()]));
        let y = (case.apply)(std::slice::from_ref(&x));
        let g = values(&gradients(&y, &Tensor::ones([points.len()]), &[x])[0]);
        for ((&x, g), y) in points.iter().zip(g).zip(values(y.value())) {
            let exact = dual(gradus_autograd::Dual::variable(x));
            let what = format!("`{}` at {x:e}: {g:e} instead of {:e}", sample.name, exact.slope);
            if !y.is_finite() || !exact.slope.is_finite() {
                continue;
            }
            compared += 1;
            // A function that has reached its limit to the precision of its value has the slope 0.
            let saturated = if x.abs() >= 1.0 { f64::EPSILON } else { 0.0 };
            assert!((g - exact.slope).abs() <= 1e-9 * exact.slope.abs() + saturated, "{what}");
        }
    });
    assert!(compared > 500, "{compared} slopes compared");
}

/// -0 is 0, but for what has a pole there.
#[test]
fn negative_zeros_are_zeros() {
    each_case::<f64>(6, |sample, seed, case| {
        // A matrix of zeros is singular.
        let pole = ["recip", "sqrt", "ln", "log2", "log10", "div", "atan2", "pow", "mul_scalar", "solve"];
        if pole.contains(&sample.name) {
            return;
        }
        let at_zero = |zero: f64| {
            let replaced = |x: &Tensor<f64>| {
                let data = x.to_vec().into_iter().enumerate().map(|(i, v)| if i % 2 == 0 { zero } else { v }).collect();
                Var::leaf(Tensor::from_vec(data, x.shape().clone()))
            };
            let xs: Vec<Var<f64>> = case.inputs.iter().map(replaced).collect();
            let y = (case.apply)(&xs);
            let grads = gradients(&y, &cotangent(&y, seed), &xs);
            let all: Vec<f64> = values(y.value()).into_iter().chain(grads.iter().flat_map(values)).collect();
            all
        };
        let (plus, minus) = (at_zero(0.0), at_zero(-0.0));
        let same = plus.iter().zip(&minus).all(|(a, b)| a == b || (a.is_nan() && b.is_nan()));
        assert!(same, "`{}`, case {seed}: {plus:?} at 0, {minus:?} at -0", sample.name);
    });
}

/// Ops that choose among elements, on few different values: between the one-sided slopes, and the whole gradient is handed
/// on.
#[test]
fn equal_elements_share_a_gradient() {
    each_case::<f64>(6, |sample, seed, case| {
        let compares = ["max", "min", "maximum", "minimum", "max_pool2d", "gather"].contains(&sample.name);
        if !compares {
            return;
        }
        let tied = |x: &Tensor<f64>| Array::new(x.shape().to_vec(), x.to_vec().iter().map(|v| v.round() * 0.5).collect());
        let inputs: Vec<Array> = case.inputs.iter().map(tied).collect();
        let f = GradusFunction::new(&case.apply).named(sample.name);
        // Few different values leave many kinks: that little is decided is no failure here.
        if let Err(failure) = Checker::new().floor(0.0).order(1).seed(seed).check(&f, &inputs) {
            panic!("`{}`, case {seed}:\n{failure}", sample.name);
        }
    });
}
