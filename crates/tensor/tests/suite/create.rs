//! Tensors from nothing.

use crate::common::{Model, panic_of, shapes};
use gradus_tensor::{DType, Element, Tensor};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn from_fn_visits_each_index_once_in_order(shape in shapes()) {
        let code = |i: &[usize]| i.iter().fold(0i64, |c, &k| c * 10 + k as i64);
        Model::from_fn(&shape, code).agrees(&Tensor::from_fn(&shape[..], code));
    }

    #[test]
    fn constants_fill_every_shape(shape in shapes()) {
        let n = shape.iter().product();
        prop_assert_eq!(Tensor::<f32>::zeros(&shape[..]).to_vec(), vec![0.0; n]);
        prop_assert_eq!(Tensor::<i32>::ones(&shape[..]).to_vec(), vec![1; n]);
        prop_assert_eq!(Tensor::full(&shape[..], true).to_vec(), vec![true; n]);
        let mut full = Tensor::full(&shape[..], 2.5f64);
        full.as_mut_slice().fill(1.0);
        prop_assert_eq!(full.to_vec(), vec![1.0; n]);
    }

    #[test]
    fn arange_has_every_step_before_the_end(start in -20i64..20, end in -20i64..20, step in prop_oneof![-4i64..0, 1i64..5]) {
        let mut wanted = vec![];
        let mut v = start;
        while if step > 0 { v < end } else { v > end } {
            wanted.push(v);
            v += step;
        }
        prop_assert_eq!(Tensor::<i64>::arange(start, end, step).to_vec(), wanted);
    }

    #[test]
    fn linspace_is_even_and_ends_exactly(start in -5.0f64..5.0, end in -5.0f64..5.0, n in 0usize..20) {
        let x = Tensor::<f64>::linspace(start, end, n).to_vec();
        prop_assert_eq!(x.len(), n);
        for (i, v) in x.iter().enumerate() {
            prop_assert!((v - (start + (end - start) * i as f64 / (n.max(2) - 1) as f64)).abs() < 1e-12);
        }
        if n > 1 {
            prop_assert_eq!((x[0], x[n - 1]), (start, end));
        }
    }
}

#[test]
fn the_end_of_a_range_is_not_in_it() {
    let count = |a: f64, b: f64, s: f64| Tensor::<f64>::arange(a, b, s).numel();
    let single = |a: f32, b: f32, s: f32| Tensor::<f32>::arange(a, b, s).numel();
    // Decimal fractions, each a quotient that rounds to above or below a whole number.
    for (a, b, s, n) in [(1.0, 1.3, 0.1, 3), (0.0, 0.3, 0.1, 3), (0.0, 1.0, 0.1, 10), (2.0, 2.6, 0.2, 3), (0.0, 0.7, 0.1, 7)] {
        assert_eq!((count(a, b, s), single(a as f32, b as f32, s as f32)), (n, n), "from {a} to {b} by {s}");
        assert_eq!(count(b, a, -s), n, "from {b} to {a} by -{s}");
        assert!(Tensor::<f64>::arange(a, b, s).to_vec().iter().all(|&v| v < b - s / 2.0));
    }
    for n in 1..500 {
        let n_steps = f64::from(n) * 0.01;
        assert_eq!(count(0.0, n_steps, 0.01), n as usize);
        assert_eq!(single(0.0, n_steps as f32, 0.01), n as usize);
        assert_eq!(count(0.0, n_steps + 0.005, 0.01), n as usize + 1);
    }
    assert_eq!((count(0.0, 1.0, 0.3), count(0.0, 0.95, 0.1), single(0.0, 1_000_000.5, 1.0)), (4, 10, 1_000_001));
    assert_eq!((count(1.0, 0.0, 0.1), count(0.0, 0.0, 1.0)), (0, 0));
}

#[test]
fn ranges_of_large_integers_are_exact() {
    let big = (1i64 << 53) + 1;
    assert_eq!(Tensor::<i64>::arange(big, big + 5, 2).to_vec(), [big, big + 2, big + 4]);
    assert_eq!(Tensor::<i64>::arange(i64::MAX - 1, i64::MIN, i64::MIN).to_vec(), [i64::MAX - 1, -2]);
    assert_eq!(Tensor::<u8>::arange(250, 255, 2).to_vec(), [250, 252, 254]);
    assert!(panic_of(|| Tensor::<i64>::arange(i64::MIN, i64::MAX, 1)).starts_with("arange at "));
}

#[test]
fn linspace_between_ends_whose_distance_overflows() {
    let x = Tensor::<f64>::linspace(-1.6e308, 1.6e308, 5).to_vec();
    assert!(x.iter().zip([-1.6e308, -8e307, 0.0, 8e307, 1.6e308]).all(|(a, b)| (a - b).abs() <= 1e-15 * b.abs()), "{x:?}");
}

#[test]
fn arrays_keep_their_nesting() {
    let x = Tensor::from([[[[1i32, 2], [3, 4]], [[5, 6], [7, 8]]]]);
    assert_eq!(*x.shape(), [1, 2, 2, 2]);
    assert_eq!(x.at([0, 1, 0, 1]), 6);
    assert_eq!(Tensor::from(vec![1u8, 2]).to_vec(), [1, 2]);
    assert_eq!(*Tensor::from(3.0f64).shape(), [0usize; 0]);
    assert_eq!(*Tensor::from([[0.0f32; 0]; 3]).shape(), [3, 0]);
    assert_eq!(Tensor::<i64>::eye(2), Tensor::from([[1, 0], [0, 1]]));
    assert_eq!([f32::DTYPE, bool::DTYPE], [DType::F32, DType::Bool]);
}

#[test]
fn a_constant_is_stored_once() {
    assert_eq!(Tensor::full([1 << 20, 1 << 20], 1.0f32).strides()[..], [0, 0]);
}

#[test]
fn mistakes_name_op_place_and_shapes() {
    let message = panic_of(|| Tensor::from_vec(vec![1, 2, 3], [2, 2]));
    assert!(message.starts_with("from_vec at crates/tensor/tests/suite/create.rs:"), "{message}");
    assert!(message.ends_with("3 values do not fill the shape [2, 2]"), "{message}");
    assert!(Tensor::try_from_vec(vec![0u8], [usize::MAX, 3]).is_err());
    assert!(panic_of(|| Tensor::<f32>::arange(0.0, 1.0, 0.0)).contains("the step must be finite and not 0"));
    assert!(panic_of(|| Tensor::<f32>::arange(0.0, f32::INFINITY, 1.0)).starts_with("arange at "));
}
