//! Sorting against the standard library's stable sort, row by row.

use crate::common::{indices, on_threads, panic_of};
use crate::layouts::{at, integers, reals};
use gradus_tensor::{Num, Rng, Tensor};
use proptest::prelude::*;

/// Checks a sort of `x` along `axis`: each row is what a stable sort by `before` gives.
fn check<T: Num>(x: &Tensor<T>, axis: usize, descending: bool) {
    let (values, from) = x.sort(axis, descending);
    assert_eq!(from, x.argsort(axis, descending));
    assert_eq!((values.shape(), from.shape()), (x.shape(), x.shape()));
    let n = x.shape()[axis];
    let mut others = x.shape().clone();
    others.remove(axis);
    for i in indices(&others) {
        let row = |i: &[usize], k: usize| [&i[..axis], &[k], &i[axis..]].concat();
        let mut wanted: Vec<usize> = (0..n).collect();
        wanted.sort_by(|&j, &k| {
            let (a, b) = (at(x, &row(&i, j)).to_f64(), at(x, &row(&i, k)).to_f64());
            let order = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
            if descending { order.reverse() } else { order }
        });
        for (k, &w) in wanted.iter().enumerate() {
            assert_eq!(at(&from, &row(&i, k)) as usize, w);
            let (v, original) = (at(&values, &row(&i, k)).to_f64(), at(x, &row(&i, w)).to_f64());
            assert_eq!(v.to_bits(), original.to_bits());
        }
        for k in 0..=if descending { n } else { 0 } {
            let (top, index) = x.topk(k, axis);
            for (j, &w) in wanted.iter().enumerate().take(k) {
                assert_eq!(at(&index, &row(&i, j)) as usize, w);
                assert_eq!(at(&top, &row(&i, j)).to_f64().to_bits(), at(&values, &row(&i, j)).to_f64().to_bits());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) })]

    #[test]
    fn rows_are_sorted_stably(shape in prop::collection::vec(0usize..7, 1..4), seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let x = integers(&mut rng, &shape);
        let holes = integers(&mut rng, &shape).cast::<f32>().map(|v| if v > 5.0 { f32::NAN } else { v });
        for axis in 0..shape.len() {
            for descending in [false, true] {
                check(&x, axis, descending);
                check(&holes, axis, descending);
            }
        }
    }

    #[test]
    fn unique(shape in prop::collection::vec(0usize..7, 0..3), seed in 0u64..1 << 32) {
        let x = integers(&mut Rng::seed(seed), &shape);
        let (values, like, counts) = x.unique();
        let v = values.to_vec();
        prop_assert!(v.windows(2).all(|w| w[0] < w[1]));
        prop_assert_eq!(like.shape(), x.shape());
        prop_assert_eq!(like.to_vec().iter().map(|&i| v[i as usize]).collect::<Vec<_>>(), x.to_vec());
        prop_assert_eq!(like.bincount(v.len()), counts);
    }
}

#[test]
fn nan_is_one_value_and_comes_last() {
    let x = Tensor::from([f64::NAN, 1.0, f64::NAN, -1.0]);
    let (values, like, counts) = x.unique();
    assert_eq!(values.to_vec()[..2], [-1.0, 1.0]);
    assert!(values.to_vec()[2].is_nan() && values.numel() == 3);
    assert_eq!((like.to_vec(), counts.to_vec()), (vec![2, 1, 2, 0], vec![1, 1, 2]));
    assert_eq!(x.argsort(0, false).to_vec(), [3, 1, 0, 2]);
    assert_eq!(x.argsort(0, true).to_vec(), [0, 2, 1, 3]);
}

/// The largest are the first of all in falling order, however few of however many they are.
fn check_topk<T: Num>(x: &Tensor<T>) {
    let order = x.argsort(0, true).to_vec();
    let n = order.len();
    for k in [0, 1, 2, 63, 100, 4097, 40_000, n - 1, n] {
        for threads in [1, 3] {
            let (values, from) = on_threads(threads, || x.topk(k.min(n), 0));
            assert!(from.to_vec() == order[..k.min(n)], "the {k} largest of {n} on {threads} threads");
            let same = |(&v, &i): (&T, &i64)| v.to_f64().to_bits() == at(x, &[i as usize]).to_f64().to_bits();
            assert!(values.to_vec().iter().zip(&order).all(same));
        }
    }
}

#[test]
fn the_largest_are_selected_among_ties_nan_and_in_any_order() {
    let mut rng = Rng::seed(9);
    for n in [1, 63, 64, 65, 4096, 32_767, 32_768, 32_769, 65_535, 65_537, 200_003] {
        check_topk(&Tensor::from_fn([n], |_| rng.below(900) as i64 - 450));
        check_topk(&Tensor::from_fn([n], |_| rng.below(1 << 24) as f32 - 1e6));
        check_topk(&Tensor::from_fn([n], |_| if rng.below(100) == 0 { f32::NAN } else { rng.below(500) as f32 }));
    }
    let n = 100_000;
    check_topk(&Tensor::from_fn([n], |i| i[0] as f64));
    check_topk(&Tensor::from_fn([n], |i| -(i[0] as f64)));
    check_topk(&Tensor::from_fn([n], |_| f64::NAN));
    check_topk(&Tensor::from_fn([n], |_| f64::NEG_INFINITY));
    check_topk(&Tensor::from_fn([n], |_| if rng.below(2) == 0 { 0.0 } else { -0.0 }));
    check_topk(&Tensor::from_fn([2 * n], |_| rng.below(1000) as f64).slice_step(0, .., -2));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let x = reals(&mut Rng::seed(4), &[90, 300]);
    let run = || (x.argsort(0, false).to_vec(), x.topk(5, 1).1.to_vec());
    assert_eq!(on_threads(1, run), on_threads(3, run));
}

#[test]
fn errors_name_the_axis() {
    let message = panic_of(|| Tensor::<f32>::zeros([2, 3]).topk(4, 1));
    assert_eq!(message.split_once(": ").unwrap().1, "4 of axis 1, which has 3 (shape [2, 3])");
}
