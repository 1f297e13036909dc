//! Functions at infinity, at their kinks, and where squares of their operands overflow.

use gradus_autograd::{GradMode, Var, grad_with};
use gradus_tensor::{Float, Tensor};

const INF: f64 = f64::INFINITY;
type Call<T> = fn(&Var<T>) -> Var<T>;

fn sum_slope<T: Float>(y: &Var<T>, x: &Var<T>, mode: GradMode) -> Var<T> {
    let ones = Var::constant(Tensor::ones(y.shape().clone()));
    match grad_with(y, &ones, &[x], mode) {
        Ok(mut g) => g.remove(0),
        Err(_) => Var::constant(Tensor::zeros(x.shape().clone())),
    }
}

/// The value, the slope and the second derivative.
fn orders<T: Float>(f: Call<T>, at: f64) -> [f64; 3] {
    let x = Var::leaf(Tensor::from([T::lit(at)]));
    let y = f(&x);
    let plain = sum_slope(&y, &x, GradMode::Plain);
    let first = sum_slope(&y, &x, GradMode::Differentiable);
    assert!(plain.item() == first.item() || (plain.item().is_nan() && first.item().is_nan()), "{plain:?} and {first:?}");
    let second = sum_slope(&first, &x, GradMode::Plain);
    [y.item(), first.item(), second.item()].map(|v| v.to_f64())
}

/// A function's name, its value and slopes at plus and at minus infinity, and the function.
type AtInfinity<T> = (&'static str, [f64; 3], [f64; 3], Call<T>);

fn at_infinity<T: Float>() -> Vec<AtInfinity<T>> {
    let (alpha, scale) = (1.673_263_242_354_377_2, 1.050_700_987_355_480_5);
    let lost = [f64::NAN; 3];
    let pi = std::f64::consts::FRAC_PI_2;
    vec![
        ("relu", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.relu()),
        ("relu6", [6.0, 0.0, 0.0], [0.0, 0.0, 0.0], |x| x.relu6()),
        ("leaky_relu", [INF, 1.0, 0.0], [-INF, 0.1, 0.0], |x| x.leaky_relu(0.1)),
        ("elu", [INF, 1.0, 0.0], [-1.5, 0.0, 0.0], |x| x.elu(1.5)),
        ("selu", [INF, scale, 0.0], [-alpha * scale, 0.0, 0.0], |x| x.selu()),
        ("celu", [INF, 1.0, 0.0], [-1.5, 0.0, 0.0], |x| x.celu(1.5)),
        ("gelu", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.gelu()),
        ("gelu_tanh", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.gelu_tanh()),
        ("silu", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.silu()),
        ("mish", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.mish()),
        ("softplus", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.softplus()),
        ("log_sigmoid", [0.0, 0.0, 0.0], [-INF, 1.0, 0.0], |x| x.log_sigmoid()),
        ("softsign", [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], |x| x.softsign()),
        ("hardtanh", [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], |x| x.hardtanh(-1.0, 1.0)),
        ("hardsigmoid", [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], |x| x.hardsigmoid()),
        ("hardswish", [INF, 1.0, 0.0], [0.0, 0.0, 0.0], |x| x.hardswish()),
        ("tanhshrink", [INF, 1.0, 0.0], [-INF, 1.0, 0.0], |x| x.tanhshrink()),
        ("softshrink", [INF, 1.0, 0.0], [-INF, 1.0, 0.0], |x| x.softshrink(0.5)),
        ("hardshrink", [INF, 1.0, 0.0], [-INF, 1.0, 0.0], |x| x.hardshrink(0.5)),
        ("threshold", [INF, 1.0, 0.0], [-2.0, 0.0, 0.0], |x| x.threshold(0.5, -2.0)),
        ("tanh", [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], |x| x.tanh()),
        ("sigmoid", [1.0, 0.0, 0.0], [0.0, 0.0, 0.0], |x| x.sigmoid()),
        ("erf", [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], |x| x.erf()),
        ("atan", [pi, 0.0, 0.0], [-pi, 0.0, 0.0], |x| x.atan()),
        ("exp", [INF, INF, INF], [0.0, 0.0, 0.0], |x| x.exp()),
        ("exp2", [INF, INF, INF], [0.0, 0.0, 0.0], |x| x.exp2()),
        ("exp_m1", [INF, INF, INF], [-1.0, 0.0, 0.0], |x| x.exp_m1()),
        ("ln", [INF, 0.0, 0.0], [f64::NAN, 0.0, 0.0], |x| x.ln()),
        ("ln_1p", [INF, 0.0, 0.0], [f64::NAN, 0.0, 0.0], |x| x.ln_1p()),
        ("sqrt", [INF, 0.0, 0.0], lost, |x| x.sqrt()),
        ("recip", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], |x| x.recip()),
        ("square", [INF, INF, 2.0], [INF, -INF, 2.0], |x| x.square()),
        ("x³", [INF, INF, INF], [-INF, INF, -INF], |x| x.powf(3.0)),
        ("1/x²", [0.0, 0.0, 0.0], [0.0, 0.0, 0.0], |x| x.powf(-2.0)),
        ("abs", [INF, 1.0, 0.0], [INF, -1.0, 0.0], |x| x.abs()),
        ("sign", [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], |x| x.sign()),
        ("clamp", [1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], |x| x.clamp(-1.0, 1.0)),
        ("sinh", [INF, INF, INF], [-INF, INF, -INF], |x| x.sinh()),
        ("cosh", [INF, INF, INF], [INF, -INF, INF], |x| x.cosh()),
    ]
}

fn limits_are_right<T: Float>() {
    for (name, above, below, f) in at_infinity::<T>() {
        for (at, expected) in [(INF, above), (-INF, below)] {
            let found = orders(f, at);
            let near = |(a, b): (&f64, &f64)| {
                (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= 2.0 * T::EPSILON.to_f64() * b.abs()
            };
            assert!(found.iter().zip(&expected).all(near), "{name} at {at}: {found:?}, not {expected:?}");
        }
    }
}

#[test]
fn every_function_has_its_limits_at_infinity_in_f32() {
    limits_are_right::<f32>();
}

#[test]
fn every_function_has_its_limits_at_infinity_in_f64() {
    limits_are_right::<f64>();
}

/// PyTorch 2's figures (`torch.autograd.grad`, twice), in `f64`.
#[test]
fn kinks_are_as_in_pytorch() {
    let cases: [(&str, f64, f64, f64, Call<f64>); 25] = [
        ("clamp at low", -1.0, 0.0, 0.0, |x| x.clamp(-1.0, 1.0)),
        ("clamp at high", 1.0, 0.0, 0.0, |x| x.clamp(-1.0, 1.0)),
        ("clamp inside", 0.0, 1.0, 0.0, |x| x.clamp(-1.0, 1.0)),
        ("clamp, low above high", 1.5, 0.0, 0.0, |x| x.clamp(2.0, 1.0)),
        ("relu", 0.0, 0.0, 0.0, |x| x.relu()),
        ("relu6 at 0", 0.0, 0.0, 0.0, |x| x.relu6()),
        ("relu6 at 6", 6.0, 0.0, 0.0, |x| x.relu6()),
        ("hardtanh at low", -1.0, 0.0, 0.0, |x| x.hardtanh(-1.0, 1.0)),
        ("hardtanh at high", 1.0, 0.0, 0.0, |x| x.hardtanh(-1.0, 1.0)),
        ("hardsigmoid at -3", -3.0, 0.0, 0.0, |x| x.hardsigmoid()),
        ("hardsigmoid at 3", 3.0, 0.0, 0.0, |x| x.hardsigmoid()),
        ("hardswish at -3", -3.0, 0.0, 0.0, |x| x.hardswish()),
        ("hardswish at 3", 3.0, 1.0, 0.0, |x| x.hardswish()),
        ("threshold", 0.5, 0.0, 0.0, |x| x.threshold(0.5, -2.0)),
        ("leaky_relu", 0.0, 0.1, 0.0, |x| x.leaky_relu(0.1)),
        ("abs", 0.0, 0.0, 0.0, |x| x.abs()),
        ("sign", 0.0, 0.0, 0.0, |x| x.sign()),
        ("elu", 0.0, 1.0, 0.0, |x| x.elu(1.0)),
        ("celu", 0.0, 1.0, 0.0, |x| x.celu(1.0)),
        ("selu", 0.0, 1.758_099_340_847_376_6, 0.0, |x| x.selu()),
        ("softshrink at -0.5", -0.5, 0.0, 0.0, |x| x.softshrink(0.5)),
        ("softshrink at 0.5", 0.5, 0.0, 0.0, |x| x.softshrink(0.5)),
        ("hardshrink at -0.5", -0.5, 0.0, 0.0, |x| x.hardshrink(0.5)),
        ("hardshrink at 0.5", 0.5, 0.0, 0.0, |x| x.hardshrink(0.5)),
        ("sqrt", 0.0, f64::INFINITY, f64::NEG_INFINITY, |x| x.sqrt()),
    ];
    for (name, at, slope, second, f) in cases {
        let [_, found, found_second] = orders(f, at);
        assert!((found - slope).abs() < 1e-15 || found == slope, "{name}: slope {found}, not {slope}");
        assert_eq!(found_second, second, "{name}: second derivative");
    }
}

#[test]
fn clamp_gives_high_where_low_is_above_it() {
    let x = Var::leaf(Tensor::from([0.0, 1.0, 1.5, 2.0, 3.0, f64::INFINITY]));
    let y = x.clamp(2.0, 1.0);
    assert_eq!(y.value().to_vec(), [1.0; 6]);
    assert_eq!(x.value().clamp(2.0, 1.0).to_vec(), [1.0; 6]);
    assert_eq!(sum_slope(&y, &x, GradMode::Plain).value().to_vec(), [0.0; 6]);
}

fn angle<T: Float>(a: f64, b: f64) -> [f64; 2] {
    let xs = [a, b].map(|v| Var::leaf(Tensor::scalar(T::lit(v))));
    let y = xs[0].atan2(&xs[1]);
    let grads = grad_with(&y, &Var::constant(Tensor::scalar(T::one())), &[&xs[0], &xs[1]], GradMode::Plain).unwrap();
    [grads[0].item().to_f64(), grads[1].item().to_f64()]
}

#[test]
fn angles_of_points_near_and_far() {
    let cases = [
        (1e-25, 1e-25, 5e24, -5e24),
        (3e-30, -4e-30, -1.6e29, -1.2e29),
        (1e25, 1e25, 5e-26, -5e-26),
        (3e30, 4e30, 1.6e-31, -1.2e-31),
        (1e-30, 1e30, 1e-30, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (0.0, 0.0, 0.0, 0.0),
        (INF, 1.0, 0.0, 0.0),
        (1.0, -INF, 0.0, 0.0),
        (INF, INF, 0.0, 0.0),
    ];
    for (a, b, da, db) in cases {
        for (found, exact) in angle::<f32>(a, b).into_iter().zip([da, db]) {
            assert!((found - exact).abs() <= 1e-6 * f64::abs(exact), "atan2({a:e}, {b:e}): {found:e}, not {exact:e}");
        }
    }
    assert!((angle::<f64>(3e-200, 4e-200)[0] - 1.6e199).abs() < 1e185);
    assert!((angle::<f64>(3e200, 4e200)[1] + 1.2e-201).abs() < 1e-215);
}

#[test]
fn the_angle_of_the_origin_has_no_second_derivative() {
    let xs = [0.0f64, 0.0].map(|v| Var::leaf(Tensor::scalar(v)));
    let y = xs[0].atan2(&xs[1]);
    let one = Var::constant(Tensor::scalar(1.0));
    let g = grad_with(&y, &one, &[&xs[0]], GradMode::Differentiable).unwrap().remove(0);
    assert_eq!(g.item(), 0.0);
    assert!(grad_with(&g, &one, &[&xs[1]], GradMode::Plain).unwrap()[0].item().is_nan());
}

#[test]
fn powers_at_zero_and_infinity() {
    // (a, b, da, db)
    let cases =
        [(0.0, 2.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0), (0.0, -1.0, -INF, -INF), (INF, -1.0, 0.0, 0.0), (INF, 2.0, INF, INF)];
    for (a, b, da, db) in cases {
        let xs = [a, b].map(|v| Var::leaf(Tensor::scalar(v)));
        let grads =
            grad_with(&xs[0].pow(&xs[1]), &Var::constant(Tensor::scalar(1.0)), &[&xs[0], &xs[1]], GradMode::Plain).unwrap();
        assert_eq!([grads[0].item(), grads[1].item()], [da, db], "{a}^{b}");
    }
}

fn norm_and_gradient<T: Float>(x: &[f64]) -> (f64, Vec<f64>) {
    let x = Var::leaf(Tensor::from(x.iter().map(|&v| T::lit(v)).collect::<Vec<T>>()));
    let y = x.norm(..);
    let g = sum_slope(&y, &x, GradMode::Plain);
    let again = sum_slope(&y, &x, GradMode::Differentiable);
    let same = |(a, b): (T, T)| a == b || (a.is_nan() && b.is_nan());
    assert!(g.value().to_vec().into_iter().zip(again.value().to_vec()).all(same), "{g:?} and {again:?}");
    (y.item().to_f64(), g.value().to_vec().into_iter().map(|v| v.to_f64()).collect())
}

#[test]
fn norms_of_numbers_whose_squares_overflow_or_vanish() {
    let check = |(y, g): (f64, Vec<f64>), size: f64, eps: f64| {
        assert!((y - 5.0 * size).abs() <= eps * 5.0 * size, "{y:e} at {size:e}");
        assert!((g[0] - 0.6).abs() < eps && (g[1] - 0.8).abs() < eps, "{g:?} at {size:e}");
    };
    for size in [1e-37, 1e-30, 1e-25, 1e-20, 1.0, 1e19, 1e25, 6e37] {
        check(norm_and_gradient::<f32>(&[3.0 * size, 4.0 * size]), size, 1e-6);
    }
    for size in [1e-300, 1e-200, 1e160, 1e300, 3e307] {
        check(norm_and_gradient::<f64>(&[3.0 * size, 4.0 * size]), size, 2e-15);
    }
    assert_eq!(norm_and_gradient::<f32>(&[0.0, 0.0]), (0.0, vec![0.0, 0.0]));
    let (y, g) = norm_and_gradient::<f32>(&[INF, 1.0]);
    assert!(y == INF && g[0].is_nan() && g[1] == 0.0);
}
