//! Weighted sums of a few elements against a product with the whole matrix.

use crate::common::{on_threads, panic_of};
use gradus_tensor::{Rng, Taps, Tensor};
use proptest::prelude::*;

/// Random rows of up to three taps, and the matrix that they stand for.
fn drawn(outputs: usize, inputs: usize, rng: &mut Rng) -> (Taps<f64>, Tensor<f64>) {
    let row = |rng: &mut Rng| (0..rng.below(4)).map(|_| (rng.below(inputs), rng.normal())).collect::<Vec<_>>();
    let rows: Vec<_> = (0..outputs).map(|_| row(rng)).collect();
    let mut matrix = Tensor::zeros([outputs, inputs]);
    for (i, row) in rows.iter().enumerate() {
        row.iter().for_each(|&(j, weight)| matrix.as_mut_slice()[i * inputs + j] += weight);
    }
    (Taps::new(inputs, rows), matrix)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_weighted_sum_is_a_row_of_a_product(outputs in 0usize..6, inputs in 1usize..6, others in (0usize..4, 0usize..4), seed in any::<u64>()) {
        let rng = &mut Rng::seed(seed);
        let (taps, matrix) = drawn(outputs, inputs, rng);
        for shape in [[others.0, others.1, inputs], [others.0, inputs, others.1], [inputs, others.0, others.1]] {
            let axis = shape.iter().rposition(|&n| n == inputs).unwrap();
            let x = Tensor::<f64>::normal(shape, 0.0, 1.0, rng).flip(0);
            let product = |m: &Tensor<f64>, x: &Tensor<f64>| x.transpose(axis, 2).matmul(&m.t()).transpose(axis, 2);
            let y = x.weighted_sums(axis, &taps);
            prop_assert!((&y - product(&matrix, &x)).abs().le(1e-12).all());
            let back = y.weighted_sums(axis, &taps.transposed());
            prop_assert!((back - product(&matrix.t(), &y)).abs().le(1e-12).all());
        }
    }
}

#[test]
fn what_has_no_weight_is_not_read() {
    let taps = Taps::new(3, [vec![(0, 1.0), (1, 0.0)], vec![(2, 0.5)], vec![]]);
    let y = Tensor::from([[f64::INFINITY, f64::NAN, 2.0]]);
    assert_eq!(y.weighted_sums(1, &taps).to_vec(), [f64::INFINITY, 1.0, 0.0]);
    assert_eq!(y.t().weighted_sums(0, &taps).to_vec(), [f64::INFINITY, 1.0, 0.0]);
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let rng = &mut Rng::seed(1);
    let (taps, _) = drawn(70, 60, rng);
    let x = Tensor::<f64>::normal([20, 60, 60], 0.0, 1.0, rng);
    for axis in 1..3usize {
        assert_eq!(on_threads(1, || x.weighted_sums(axis, &taps)), on_threads(3, || x.weighted_sums(axis, &taps)));
    }
}

#[test]
fn mistakes_say_what_is_expected() {
    assert!(panic_of(|| Taps::new(2, [vec![(2, 1.0f32)]])).ends_with("input 2 of 2"));
    let taps = Taps::new(2, [vec![(1, 1.0f32)]]);
    let message = panic_of(|| Tensor::<f32>::zeros([2, 3]).weighted_sums(1, &taps));
    assert!(message.ends_with("axis 1 of shape [2, 3]; expected 2 elements"), "{message}");
}
