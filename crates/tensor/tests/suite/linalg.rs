//! Linear systems against Cramer's rule, and against the product that they invert.

use crate::common::{on_threads, panic_of};
use crate::layouts::{at, reals, view};
use gradus_tensor::{Float, LinalgError, Rng, Tensor};
use proptest::prelude::*;

/// The determinant by expansion along the first row.
fn determinant(a: &[Vec<f64>]) -> f64 {
    let minor = |skip: usize| -> Vec<Vec<f64>> {
        a[1..].iter().map(|row| row.iter().enumerate().filter(|(j, _)| *j != skip).map(|(_, &v)| v).collect()).collect()
    };
    let sign = |j: usize| if j.is_multiple_of(2) { 1.0 } else { -1.0 };
    if a.is_empty() { 1.0 } else { (0..a.len()).map(|j| sign(j) * a[0][j] * determinant(&minor(j))).sum() }
}

/// `x[j] = det(A with column j replaced by b) / det(A)`.
fn cramer(a: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let replaced = |j: usize| {
        let with = |(row, &b): (&Vec<f64>, &f64)| row.iter().enumerate().map(|(i, &v)| if i == j { b } else { v }).collect();
        a.iter().zip(b).map(with).collect::<Vec<Vec<f64>>>()
    };
    (0..b.len()).map(|j| determinant(&replaced(j)) / determinant(a)).collect()
}

fn rows(a: &Tensor<f64>) -> Vec<Vec<f64>> {
    (0..a.size(0)).map(|i| a.select(0, i).to_vec()).collect()
}

/// The largest element of `a x - b` beside what rounding may leave of it (Higham 2002, theorem 9.5, with room).
fn assert_solves<T: Float>(a: &Tensor<T>, x: &Tensor<T>, b: &Tensor<T>) {
    let (a, x, b) = (a.cast::<f64>(), x.cast::<f64>(), b.cast::<f64>());
    let n = a.size(-1) as f64;
    let x = if b.rank() == 1 { x.unsqueeze(-1) } else { x };
    let b = if b.rank() == 1 { b.unsqueeze(-1) } else { b };
    let bound = a.abs().matmul(&x.abs()) * (8.0 * n * n * T::EPSILON.to_f64());
    assert!((a.matmul(&x) - b).abs().le(&(bound + 1e-300)).all(), "n {n}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn small_systems_by_cramers_rule(n in 1usize..6, columns in 1usize..4, seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let (a, b) = (reals(&mut rng, &[n, n]), reals(&mut rng, &[n, columns]));
        let det = determinant(&rows(&a)).abs();
        prop_assume!(det > 1e-3);
        let (x, transposed) = (a.solve(&b).unwrap(), a.lu().unwrap().solve_transposed(&b));
        for j in 0..columns {
            let column = b.select(1, j).to_vec();
            for (x, a) in [(&x, &a), (&transposed, &a.t())] {
                for (i, wanted) in cramer(&rows(a), &column).into_iter().enumerate() {
                    prop_assert!((at(x, &[i, j]) - wanted).abs() < 1e-11 / det, "{} for {wanted}", at(x, &[i, j]));
                }
            }
        }
    }

    #[test]
    fn the_product_gives_the_right_hand_side_back(n in 1usize..100, columns in 1usize..4, seed in 0u64..1 << 32) {
        let mut rng = Rng::seed(seed);
        let (a, b) = (reals(&mut rng, &[n, n]), reals(&mut rng, &[n, columns]));
        check(&a, &b)?;
        let single = |rng: &mut Rng| rng.below(2001) as f32 / 1000.0 - 1.0;
        check(&view(&mut rng, &[n, n], single), &view(&mut rng, &[n], single))?;
    }
}

fn check<T: Float>(a: &Tensor<T>, b: &Tensor<T>) -> Result<(), TestCaseError> {
    let n = a.size(0);
    match a.lu() {
        // Equal rows, or small ones that chance made so.
        Err(_) => prop_assert!(n < 4 || a.strides().contains(&0)),
        Ok(lu) => {
            prop_assert!(n < 2 || !a.strides().contains(&0));
            assert_solves(a, &lu.solve(b), b);
            assert_solves(&a.t(), &lu.solve_transposed(b), b);
        }
    }
    Ok(())
}

#[test]
fn batches_broadcast_and_a_vector_serves_all() {
    let mut rng = Rng::seed(3);
    let a = Tensor::normal([2, 1, 4, 4], 0.0, 1.0, &mut rng);
    let b: Tensor<f64> = Tensor::normal([3, 4, 2], 0.0, 1.0, &mut rng);
    let x = a.solve(&b).unwrap();
    assert_eq!(*x.shape(), [2, 3, 4, 2]);
    for i in 0..2 {
        for j in 0..3 {
            let alone = a.select(0, i).select(0, 0).solve(&b.select(0, j)).unwrap();
            assert_eq!(x.select(0, i).select(0, j), alone);
        }
    }
    let v: Tensor<f64> = Tensor::normal([4], 0.0, 1.0, &mut rng);
    let x = a.solve(&v).unwrap();
    assert_eq!(*x.shape(), [2, 1, 4]);
    assert_eq!(x.select(0, 1).select(0, 0), a.select(0, 1).select(0, 0).solve(&v).unwrap());
}

#[test]
fn pivots_are_taken_where_they_must_be() {
    // Without exchanges the first pivot is zero, or so small that the rest is lost.
    let a = Tensor::from([[0.0, 1.0], [1.0, 0.0]]);
    assert_eq!(a.solve(&Tensor::from([2.0, 3.0])).unwrap().to_vec(), [3.0, 2.0]);
    let a = Tensor::from([[1e-20, 1.0], [1.0, 1.0]]);
    assert_eq!(a.solve(&Tensor::from([1.0, 2.0])).unwrap().to_vec(), [1.0, 1.0]);
}

fn error(a: Tensor<f64>) -> String {
    LinalgError::to_string(&a.lu().unwrap_err())
}

#[test]
fn what_has_no_inverse_is_an_error() {
    assert!(error(Tensor::zeros([3, 3])).contains("3 x 3 matrix is singular to working precision: column 0"));
    // 3 x (0.1, 0.2) is not quite (0.3, 0.6) in binary: the second pivot is 3e-17 and not 0.
    assert!(error(Tensor::from([[0.1, 0.2], [0.3, 0.6]])).contains("column 1"));
    let magic = Tensor::from([[16.0, 2.0, 3.0, 13.0], [5.0, 11.0, 10.0, 8.0], [9.0, 7.0, 6.0, 12.0], [4.0, 14.0, 15.0, 1.0]]);
    assert!(error(magic).contains("column 3"));
    let batch = Tensor::stack(&[&Tensor::eye(2), &Tensor::ones([2, 2])], 0);
    assert!(error(batch).contains("matrix 1 of a batch [2, 2, 2] is singular"));
    assert!(error(Tensor::from([[1.0, f64::NAN], [2.0, 3.0]])).contains("not finite"));
    assert!(error(Tensor::from([[f64::NAN, 1.0], [2.0, 3.0]])).contains("not finite"));
    assert!(error(Tensor::from([[f64::INFINITY, 1.0], [2.0, 3.0]])).contains("not finite"));
}

#[test]
fn scaling_rows_and_columns_makes_nothing_singular() {
    let a = Tensor::from([[2.0f64, 1.0], [1.0, 3.0]]);
    for (r, c) in [(1e-25, 1.0), (1.0, 1e-25), (1e25, 1.0), (1.0, 1e25), (1e-150, 1e-150)] {
        let scaled = a.clone() * Tensor::from([[1.0], [r]]) * Tensor::from([1.0, c]);
        let x = scaled.solve(&Tensor::from([3.0, 4.0 * r])).unwrap();
        assert!((x.at([0]) - 1.0).abs() < 1e-14 && (x.at([1]) * c - 1.0).abs() < 1e-14, "{r} {c}: {x}");
    }
}

#[test]
fn empty_systems_have_empty_solutions() {
    let solve = |a: &[usize], b: &[usize]| {
        let eye = Tensor::eye(a[a.len() - 1]).expand(a);
        eye.solve(&Tensor::<f64>::ones(b)).unwrap().shape().to_vec()
    };
    assert_eq!(solve(&[0, 0], &[0]), [0]);
    assert_eq!(solve(&[2, 0, 0], &[0, 3]), [2, 0, 3]);
    assert_eq!(solve(&[3, 3], &[3, 0]), [3, 0]);
    assert_eq!(solve(&[0, 3, 3], &[3]), [0, 3]);
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let solve = |a: &[usize], b: &[usize]| {
        let (a, b) = (Tensor::<f64>::ones(a), Tensor::<f64>::ones(b));
        panic_of(std::panic::AssertUnwindSafe(|| a.solve(&b)))
    };
    assert!(solve(&[2, 3], &[2]).contains("square"));
    assert!(solve(&[3], &[3]).contains("square"));
    let message = solve(&[3, 3], &[2]);
    assert!(message.contains("solve at") && message.contains("linalg.rs") && message.contains("[2]"), "{message}");
    assert!(solve(&[5, 3, 3], &[5, 3]).contains("unsqueeze(-1)"));
    assert!(solve(&[3, 3], &[]).contains("right-hand side"));
    assert!(solve(&[2, 3, 3], &[4, 3, 1]).contains("broadcast"));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let mut rng = Rng::seed(5);
    let large = (Tensor::<f64>::normal([150, 150], 0.0, 1.0, &mut rng), Tensor::normal([150, 2], 0.0, 1.0, &mut rng));
    let many = (Tensor::<f64>::normal([300, 8, 8], 0.0, 1.0, &mut rng), Tensor::normal([8, 8], 0.0, 1.0, &mut rng));
    for (a, b) in [large, many] {
        let once = on_threads(1, || a.solve(&b).unwrap());
        assert_eq!(on_threads(4, || a.solve(&b).unwrap()), once);
        assert_solves(&a, &once, &b);
    }
}
