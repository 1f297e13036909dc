//! Integer tensors against fractions and literals, and where integers have no result.

use crate::common::panic_of;
use gradus_tensor::{Num, Tensor};
use proptest::prelude::*;

/// Compares each element with `c` as numbers, by way of fractions of two integers.
fn compares<T: Num>(values: &[T], c: f64) {
    let x = Tensor::from(values.to_vec());
    let order = |v: &T| {
        let v = v.to_i128().unwrap();
        // c = whole + rest with 0 <= rest < 1; far outside of all types, the conversion saturates.
        let (whole, rest) = (c.floor() as i128, c - c.floor());
        if c.is_nan() {
            None
        } else {
            Some(v.cmp(&whole).then(if rest > 0.0 { std::cmp::Ordering::Less } else { std::cmp::Ordering::Equal }))
        }
    };
    let wanted = |f: fn(std::cmp::Ordering) -> bool| values.iter().map(|v| order(v).is_some_and(f)).collect::<Vec<_>>();
    assert_eq!(x.lt(c).to_vec(), wanted(std::cmp::Ordering::is_lt), "{values:?} < {c}");
    assert_eq!(x.le(c).to_vec(), wanted(std::cmp::Ordering::is_le), "{values:?} <= {c}");
    assert_eq!(x.gt(c).to_vec(), wanted(std::cmp::Ordering::is_gt), "{values:?} > {c}");
    assert_eq!(x.ge(c).to_vec(), wanted(std::cmp::Ordering::is_ge), "{values:?} >= {c}");
    assert_eq!(x.eq(c).to_vec(), wanted(std::cmp::Ordering::is_eq), "{values:?} == {c}");
    assert_eq!(x.ne(c).to_vec(), x.eq(c).not().to_vec(), "{values:?} != {c}");
}

#[test]
fn fractions_and_bounds_compare_as_numbers() {
    let two63 = 9_223_372_036_854_775_808.0;
    let numbers =
        [0.0, -0.0, 0.5, -0.5, 1.5, 2.0, 255.0, 255.5, 256.0, -1.0, 2_147_483_647.5, 9_007_199_254_740_992.0, two63, -two63];
    let wide = [1e300, -1e300, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, f64::MIN_POSITIVE, -f64::MIN_POSITIVE];
    for c in numbers.into_iter().chain(wide) {
        compares(&[i64::MIN, -1, 0, 1, 2, 9_007_199_254_740_993, i64::MAX - 1, i64::MAX], c);
        compares(&[i32::MIN, -2, -1, 0, 1, 2, i32::MAX], c);
        compares(&[0u8, 1, 2, 254, 255], c);
    }
    assert_eq!(Tensor::from([0i64, 1]).lt(0.5).to_vec(), [true, false]);
    assert_eq!(Tensor::from([0i64, 1]).eq(1.5).to_vec(), [false, false]);
}

#[test]
fn integer_literals_compare_with_every_type() {
    assert_eq!(Tensor::from([1.0f32, 3.5]).gt(3).to_vec(), [false, true]);
    assert_eq!(Tensor::from([7u8, 8]).eq(7).to_vec(), [true, false]);
    assert_eq!(Tensor::from([7u8, 8]).lt(300).to_vec(), [true, true]);
    assert_eq!(Tensor::from([7u8, 8]).ge(-1).to_vec(), [true, true]);
    assert_eq!(Tensor::from([i64::MAX, i64::MAX - 1]).eq(i64::MAX).to_vec(), [true, false]);
}

#[test]
fn literals_multiply_integers_and_floats() {
    let (i, x) = (Tensor::from([2i64, -7]), Tensor::from([0.5f32, 3.0]));
    assert_eq!((&i * 3).to_vec(), [6, -21]);
    assert_eq!((3 * i.clone() + 1 - &i).to_vec(), [5, -13]);
    assert_eq!((&i / 2).to_vec(), [1, -3]);
    assert_eq!((14 / &i).to_vec(), [7, -2]);
    assert_eq!((&i * 2.0).to_vec(), [4, -14]);
    assert_eq!((&x * 2).to_vec(), [1.0, 6.0]);
    assert_eq!((1 / x.clone()).to_vec(), [2.0, 1.0 / 3.0]);
    let mut y = i.clone();
    y += 1;
    y *= 2.0;
    y -= 1;
    y /= 5;
    assert_eq!(y.to_vec(), [1, -2]);
    assert_eq!((Tensor::from([250u8]) - 50).to_vec(), [200]);
}

#[test]
fn a_quotient_that_is_whole_is_given_and_another_refused() {
    assert_eq!((Tensor::from([4i64, -6]) / 2.0).to_vec(), [2, -3]);
    assert_eq!((12.0 / Tensor::from([4i32, -6])).to_vec(), [3, -2]);
    let message = panic_of(|| Tensor::from([4i64, 5]) / 2.0);
    assert!(message.starts_with("div at crates/tensor/tests/suite/integers.rs:"), "{message}");
    assert!(message.contains("5 / 2 is no i64") && message.contains("cast::<f32>()"), "{message}");
}

#[test]
fn a_fraction_is_refused_with_advice() {
    for message in [
        panic_of(|| &Tensor::from([1i64]) * 0.5),
        panic_of(|| Tensor::from([1i64]) * 0.5),
        panic_of(|| 0.5 * &Tensor::from([1i64])),
        panic_of(|| 0.5 * Tensor::from([1i64])),
    ] {
        assert!(message.starts_with("mul at crates/tensor/tests/suite/integers.rs:"), "{message}");
        assert!(message.ends_with("0.5 is no i64, which the tensor holds; convert it first, as with cast::<f32>()"), "{message}");
    }
    for c in [f64::NAN, f64::INFINITY, 256.0, -1.0] {
        assert!(panic_of(move || Tensor::from([1u8]) + c).contains("is no u8"));
    }
    assert!(panic_of(|| Tensor::from([1u8]) + 256).contains("256 is no u8"));
    let mut x = Tensor::from([3i32]);
    assert!(panic_of(|| x += 0.5).starts_with("add at"));
    assert_eq!(x.to_vec(), [3], "a refused assignment leaves the left-hand side");
}

#[test]
fn a_division_by_zero_names_the_op() {
    let (zero, one) = (Tensor::from([3i64, 0]), Tensor::from([1i64, 1]));
    for message in [
        panic_of(|| &one / &zero),
        panic_of(|| 1 / &zero),
        panic_of(|| 1.0 / &zero),
        panic_of(|| one.clone() / zero.clone()),
        panic_of(|| &one / 0.0),
        panic_of(|| &one / 0),
    ] {
        assert!(message.starts_with("div at crates/tensor/tests/suite/integers.rs:"), "{message}");
        assert!(message.contains("is 0: integers have no quotient; convert first, as with cast::<f32>()"), "{message}");
    }
}

#[test]
fn integers_wrap_around() {
    assert_eq!((Tensor::from([i64::MIN]) / -1).item(), i64::MIN);
    assert_eq!((Tensor::from([i64::MIN]) / -1.0).item(), i64::MIN);
    assert_eq!((Tensor::from([i32::MAX]) + 1).item(), i32::MIN);
    assert_eq!((Tensor::from([3u8]) - &Tensor::from([4u8])).item(), 255);
    assert_eq!((2.0 * Tensor::from([i64::MAX])).item(), -2);
}

#[test]
fn totals_that_do_not_fit_are_refused() {
    let bytes = Tensor::full([3, 2], 100u8);
    assert_eq!(bytes.sum(1).to_vec(), [200, 200, 200]);
    assert_eq!(bytes.cast::<i64>().sum(..).item(), 600);
    let message = panic_of(|| bytes.sum(..));
    assert!(message.starts_with("sum at crates/tensor/tests/suite/integers.rs:"), "{message}");
    assert!(message.contains("overflows u8; convert first, as with cast::<i64>()"), "{message}");
    assert!(panic_of(|| bytes.sum_keep(0)).contains("overflows u8"));
    assert!(panic_of(|| bytes.prod(1)).contains("prod at"));
    assert!(panic_of(|| bytes.cumsum(0)).contains("cumsum at"));
    // What goes beyond the type on the way, but ends within it, is right.
    assert_eq!(Tensor::from([i64::MAX, i64::MAX, -i64::MAX, -i64::MAX, 7]).sum(..).item(), 7);
    assert_eq!(Tensor::from([i32::MAX, 2, 0]).prod(0).item(), 0);
    assert_eq!(Tensor::from([i64::MAX]).sum(..).item(), i64::MAX);
    assert!(panic_of(|| Tensor::from([i64::MAX, 1]).sum(..)).contains("overflows i64"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn literals_calculate_as_numbers_do(a in prop::collection::vec(any::<i64>(), 1..5), b in any::<i64>(), small in -4i64..5) {
        for b in [b, small] {
            let x = Tensor::from(a.clone());
            let exact = |f: fn(i64, i64) -> i64| a.iter().map(|&a| f(a, b)).collect::<Vec<_>>();
            type Form<'a> = (fn(i64, i64) -> i64, &'a dyn Fn() -> Tensor<i64>);
            let forms: [Form; 3] = [
                (i64::wrapping_add, &|| &x + b),
                (i64::wrapping_sub, &|| &x - &Tensor::scalar(b)),
                (i64::wrapping_mul, &|| x.clone() * b),
            ];
            for (wanted, got) in forms {
                prop_assert_eq!(got().to_vec(), exact(wanted));
            }
            if b != 0 {
                prop_assert_eq!((&x / b).to_vec(), exact(i64::wrapping_div));
            }
        }
    }
}
