//! Elementwise loops over views, and functions at single values.

use crate::common::{Model, chains, on_threads, panic_of, shapes, viewed};
use gradus_tensor::{Real, Rng, Tensor, shape::broadcast_shapes};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn map_agrees_with_a_loop(shape in shapes(), chain in chains()) {
        let (x, m) = viewed::<f32>(&shape, &chain);
        let wanted = Model::from_fn(&m.shape, |i| m.at(i) * 3.0 - 1.0);
        wanted.agrees(&x.map(|v| v * 3.0 - 1.0));
        let other = x.clone();
        wanted.agrees(&x.map_into(|v| v * 3.0 - 1.0));
        wanted.agrees(&other.copy().map_into(|v| v * 3.0 - 1.0));
        m.agrees(&other);
        Model::from_fn(&m.shape, |i| m.at(i) > 0.0).agrees(&other.map(|v| v > 0.0));
    }

    #[test]
    fn zip_map_agrees_with_a_loop(shape in shapes(), c in (chains(), chains())) {
        let ((x, m), (y, n)) = (viewed::<i64>(&shape, &c.0), viewed::<i64>(&shape, &c.1));
        let f = |a: i64, b: i64| a * 1000 + b;
        match broadcast_shapes("test", &m.shape, &n.shape) {
            Ok(out) if out.numel() < 50_000 => {
                let wanted = Model::from_fn(&out, |i| f(m.broadcast_at(i), n.broadcast_at(i)));
                wanted.agrees(&x.zip_map("test", &y, f));
                wanted.agrees(&x.copy().zip_map_into("test", &y, f));
                wanted.agrees(&x.clone().zip_map_into("test", &y, f));
                m.agrees(&x);
            }
            Ok(_) => {}
            Err(e) => prop_assert_eq!(x.try_zip_map("test", &y, f).unwrap_err(), e),
        }
    }

    #[test]
    fn broadcasting_agrees_at_sizes_of_many_blocks(
        rows in 1usize..90, cols in prop_oneof![1usize..9, 60usize..70, 1000usize..1100], planes in 1usize..8,
        ones in (any::<[bool; 3]>(), any::<[bool; 3]>()), flips in (0u8..8, 0u8..8),
    ) {
        let full = [planes, rows, cols];
        let operand = |ones: [bool; 3], flips: u8, k: i64| {
            let shape: [usize; 3] = std::array::from_fn(|a| if ones[a] { 1 } else { full[a] });
            let x = Tensor::<i64>::arange(0, shape.iter().product::<usize>() as i64, 1).reshape(shape) * k as f64;
            (0..3).filter(|a| flips >> a & 1 == 1).fold(x, |x, a| x.flip(a))
        };
        let (x, y) = (operand(ones.0, flips.0, 1), operand(ones.1, flips.1, 1_000_000));
        let (sx, sy): (Vec<isize>, Vec<isize>) = (expanded_strides(&x), expanded_strides(&y));
        let (vx, vy) = (x.copy().to_vec(), y.copy().to_vec());
        let out = broadcast_shapes("test", x.shape(), y.shape()).unwrap();
        let got = &x + &y;
        let in_place = x.expand(&out).copy() + &y;
        prop_assert_eq!(&got, &in_place);
        let mut at = 0;
        let got = got.to_vec();
        for p in 0..out[0] {
            for r in 0..out[1] {
                for c in 0..out[2] {
                    let place = |s: &[isize]| p * s[0] as usize + r * s[1] as usize + c * s[2] as usize;
                    prop_assert_eq!(got[at], vx[place(&sx)] + vy[place(&sy)], "[{}, {}, {}]", p, r, c);
                    at += 1;
                }
            }
        }
    }

    #[test]
    fn cast_truncates_and_saturates(v in prop::collection::vec(prop_oneof![-300.0f32..300.0, Just(f32::NAN), Just(f32::INFINITY)], 0..50)) {
        let x = Tensor::from(v.clone());
        prop_assert_eq!(x.cast::<i64>().to_vec(), v.iter().map(|&v| v as i64).collect::<Vec<_>>());
        prop_assert_eq!(x.cast::<u8>().to_vec(), v.iter().map(|&v| v as u8).collect::<Vec<_>>());
        prop_assert_eq!(x.cast::<i32>().cast::<f64>().to_vec(), v.iter().map(|&v| f64::from(v as i32)).collect::<Vec<_>>());
    }
}

/// The row-major strides of a copy, 0 along axes of size 1.
fn expanded_strides(x: &Tensor<i64>) -> Vec<isize> {
    x.shape().strides().iter().zip(x.shape().iter()).map(|(&s, &n)| if n == 1 { 0 } else { s }).collect()
}

#[test]
fn methods_apply_the_scalar_function_of_their_name() {
    let x = Tensor::<f64>::linspace(-2.75, 2.75, 45);
    let near = |name: &str, got: Tensor<f64>, f: fn(f64) -> f64| {
        for (x, y) in x.to_vec().into_iter().zip(got.to_vec()) {
            let wanted = f(x);
            let same = y == wanted || (y.is_nan() && wanted.is_nan());
            assert!(same || (y - wanted).abs() <= 1e-14 * wanted.abs().max(1.0), "{name}({x}) is {y}");
        }
    };
    near("abs", x.abs(), f64::abs);
    near("recip", x.recip(), |v| 1.0 / v);
    near("sqrt", x.sqrt(), f64::sqrt);
    near("exp", x.exp(), f64::exp);
    near("exp_m1", x.exp_m1(), f64::exp_m1);
    near("exp2", x.exp2(), f64::exp2);
    near("ln", x.ln(), f64::ln);
    near("ln_1p", x.ln_1p(), f64::ln_1p);
    near("log2", x.log2(), f64::log2);
    near("log10", x.log10(), f64::log10);
    near("sin", x.sin(), f64::sin);
    near("cos", x.cos(), f64::cos);
    near("tan", x.tan(), f64::tan);
    near("asin", x.asin(), f64::asin);
    near("acos", x.acos(), f64::acos);
    near("atan", x.atan(), f64::atan);
    near("sinh", x.sinh(), f64::sinh);
    near("cosh", x.cosh(), f64::cosh);
    near("tanh", x.tanh(), f64::tanh);
    near("sigmoid", x.sigmoid(), |v| 1.0 / (1.0 + (-v).exp()));
    near("floor", x.floor(), f64::floor);
    near("ceil", x.ceil(), f64::ceil);
    near("round", x.round(), f64::round_ties_even);
    near("trunc", x.trunc(), f64::trunc);
    near("square", x.square(), |v| v * v);
    near("relu", x.relu(), |v| v.max(0.0));
    near("powf 3", x.powf(3.0), |v| v * v * v);
    near("powf -2", x.powf(-2.0), |v| 1.0 / (v * v));
    near("powf 0.5", x.powf(0.5), f64::sqrt);
    near("pow", x.abs().pow(&x), |v| v.abs().powf(v));
    near("atan2", x.atan2(&Tensor::scalar(-1.0)), |v| v.atan2(-1.0));
    near("clamp", x.clamp(-1.0, 0.5), |v| v.clamp(-1.0, 0.5));
    // Of erf by its series: 2/sqrt(pi) sum (-1)^k x^(2k+1) / (k! (2k+1)).
    near("erf", x.erf(), |v| {
        let (mut term, mut sum) = (v, v);
        for k in 1..80 {
            term *= -v * v / f64::from(k);
            sum += term / f64::from(2 * k + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    });
}

#[test]
fn nan_goes_through_comparing_functions() {
    let (nan, one) = (Tensor::scalar(f32::NAN), Tensor::scalar(1.0));
    for y in
        [nan.maximum(&one), one.maximum(&nan), nan.minimum(&one), one.minimum(&nan), nan.relu(), nan.clamp(0.0, 1.0), nan.sign()]
    {
        assert!(y.item().is_nan());
    }
    let x = Tensor::from([-2.0f32, -0.0, 0.0, 3.0, f32::INFINITY, f32::NEG_INFINITY]);
    assert_eq!(x.sign().to_vec(), [-1.0, 0.0, 0.0, 1.0, 1.0, -1.0]);
    assert_eq!(x.maximum(&Tensor::scalar(1.0)).to_vec(), [1.0, 1.0, 1.0, 3.0, f32::INFINITY, 1.0]);
    assert_eq!(x.minimum(&Tensor::scalar(1.0)).to_vec(), [-2.0, 0.0, 0.0, 1.0, 1.0, f32::NEG_INFINITY]);
}

#[test]
fn sigmoid_of_f64_keeps_its_small_end() {
    for v in [-700.0f64, -709.9, -720.0] {
        let exact = v.exp();
        assert!((Real::sigmoid(v) - exact).abs() <= 1e-14 * exact + 5e-324, "sigmoid({v}) is {:e}", Real::sigmoid(v));
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let mut rng = Rng::seed(5);
    let x = Tensor::<f32>::normal([311, 1003], 0.0, 3.0, &mut rng);
    let y = Tensor::<f32>::normal([311, 1], 0.0, 3.0, &mut rng);
    let run = |threads| on_threads(threads, || [x.tanh(), &x * &y, x.t().exp(), x.flip(1) - &x, x.t().copy().t()]);
    assert_eq!(run(1), run(3));
}

#[test]
fn mistakes_name_op_place_and_shapes() {
    let (x, y) = (Tensor::<f32>::zeros([2, 3]), Tensor::<f32>::zeros([4]));
    for (message, op) in [
        (panic_of(|| x.maximum(&y)), "maximum"),
        (panic_of(|| x.pow(&y)), "pow"),
        (panic_of(|| x.zip_map("my_op", &y, |a, _| a)), "my_op"),
        (panic_of(|| x.clone().zip_map_into("my_op", &y, |a, _| a)), "my_op"),
    ] {
        assert!(message.starts_with(&format!("{op} at crates/tensor/tests/suite/elementwise.rs:")), "{message}");
        assert!(message.contains("shapes [2, 3] and [4] do not broadcast: axis -1 is 3 against 4"), "{message}");
    }
}
