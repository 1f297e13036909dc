//! The maths of `f32` against `f64`, over the whole range.

use gradus_tensor::{Real, Tensor};

/// The distance of `y` from `exact` in units of the last place of `f32` at `exact`.
fn ulps(y: f32, exact: f64) -> f64 {
    let rounded = exact as f32;
    if y == rounded || (y.is_nan() && rounded.is_nan()) {
        return 0.0;
    }
    if !y.is_finite() || !rounded.is_finite() {
        return f64::INFINITY;
    }
    let size = exact.abs().max(f64::from(f32::MIN_POSITIVE));
    (f64::from(y) - exact).abs() / 2f64.powi(size.log2().floor() as i32 - 23)
}

/// Every 4,099th bit pattern, negative numbers, infinities and NaN included, and a fine grid around 0.
fn sweep() -> impl Iterator<Item = f32> {
    let patterns = (0..=u32::MAX).step_by(4099).map(f32::from_bits);
    patterns.chain((-40_000..40_000).map(|i| i as f32 / 1999.0))
}

type Case = (&'static str, fn(f32) -> f32, fn(f64) -> f64, f64);
const CASES: [Case; 12] = [
    ("exp", Real::exp, f64::exp, 1.0),
    ("exp2", Real::exp2, f64::exp2, 1.1),
    ("exp_m1", Real::exp_m1, f64::exp_m1, 2.0),
    ("sigmoid", Real::sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 3.0),
    ("tanh", Real::tanh, f64::tanh, 3.0),
    ("ln", Real::ln, f64::ln, 1.0),
    ("ln_1p", Real::ln_1p, f64::ln_1p, 2.0),
    ("log2", Real::log2, f64::log2, 1.0),
    ("log10", Real::log10, f64::log10, 1.0),
    ("sin", Real::sin, f64::sin, 2.0),
    ("cos", Real::cos, f64::cos, 2.0),
    ("erf", Real::erf, Real::erf, 1.6),
];

#[test]
fn every_function_keeps_the_error_it_states() {
    let mut worse = vec![];
    for (name, f, exact, bound) in CASES {
        let (mut worst, mut at) = (0.0, 0.0);
        for x in sweep() {
            let error = ulps(f(x), exact(f64::from(x)));
            if error > worst {
                (worst, at) = (error, x);
            }
        }
        if worst > bound {
            worse.push(format!("{name}: {worst:.3} ulp at {at:e}: {:e}, exactly {:e}", f(at), exact(f64::from(at))));
        }
    }
    assert!(worse.is_empty(), "{worse:#?}");
}

#[test]
fn edges_are_exact() {
    const INF: f32 = f32::INFINITY;
    let tiny = f32::from_bits(1);
    type Edges<'a> = (fn(f32) -> f32, &'a [(f32, f32)]);
    let cases: [Edges; 12] = [
        (Real::exp, &[(0.0, 1.0), (-0.0, 1.0), (-104.0, 0.0), (89.0, INF), (INF, INF), (-INF, 0.0), (-103.5, tiny)]),
        (Real::exp2, &[(-149.0, tiny), (-151.0, 0.0), (127.0, 2f32.powi(127)), (128.0, INF), (INF, INF), (-INF, 0.0)]),
        (Real::exp_m1, &[(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (-tiny, -tiny), (89.0, INF), (INF, INF), (-INF, -1.0)]),
        (Real::ln, &[(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, f32::NAN), (-INF, f32::NAN), (-tiny, f32::NAN)]),
        (Real::ln_1p, &[(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (-1.5, f32::NAN), (INF, INF), (-tiny, -tiny)]),
        (Real::log2, &[(1.0, 0.0), (tiny, -149.0), (8.0, 3.0), (2f32.powi(127), 127.0), (0.0, -INF), (-2.0, f32::NAN)]),
        (Real::log10, &[(1.0, 0.0), (10.0, 1.0), (1e3, 3.0), (1e10, 10.0), (0.0, -INF), (INF, INF)]),
        (Real::tanh, &[(-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (tiny, tiny), (-20.0, -1.0)]),
        (Real::sigmoid, &[(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-200.0, 0.0), (200.0, 1.0)]),
        (Real::erf, &[(-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (5.0, 1.0), (-5.0, -1.0)]),
        (Real::sin, &[(0.0, 0.0), (-0.0, -0.0), (tiny, tiny), (INF, f32::NAN), (-INF, f32::NAN)]),
        (Real::cos, &[(0.0, 1.0), (-0.0, 1.0), (tiny, 1.0), (INF, f32::NAN)]),
    ];
    for ((f, cases), (name, ..)) in cases.into_iter().zip([
        CASES[0], CASES[1], CASES[2], CASES[5], CASES[6], CASES[7], CASES[8], CASES[4], CASES[3], CASES[11], CASES[9], CASES[10],
    ]) {
        assert!(f(f32::NAN).is_nan(), "{name}(NaN)");
        for &(x, y) in cases {
            assert!(f(x).to_bits() == y.to_bits() || (f(x).is_nan() && y.is_nan()), "{name}({x:e}) is {:e}, not {y:e}", f(x));
        }
    }
}

#[test]
fn loops_give_the_bits_of_the_single_call() {
    // A loop is compiled for this processor's widest vectors, the single call here for the oldest of its family.
    let x = Tensor::from((0..100_003u32).map(|i| f32::from_bits(i * 42_940)).collect::<Vec<f32>>());
    for (name, f, ..) in CASES {
        let looped = match name {
            "exp" => x.exp(),
            "exp2" => x.exp2(),
            "exp_m1" => x.exp_m1(),
            "sigmoid" => x.sigmoid(),
            "tanh" => x.tanh(),
            "ln" => x.ln(),
            "ln_1p" => x.ln_1p(),
            "log2" => x.log2(),
            "log10" => x.log10(),
            "sin" => x.sin(),
            "cos" => x.cos(),
            _ => x.erf(),
        };
        for (x, y) in x.to_vec().into_iter().zip(looped.to_vec()) {
            assert!(y.to_bits() == f(x).to_bits() || (y.is_nan() && f(x).is_nan()), "{name}({x:e}): {y:e} against {:e}", f(x));
        }
    }
}
