//! Cross-entropy and its gradient against the formula in `f64`.

use crate::common::on_threads;
use gradus_tensor::{Rng, Tensor};

/// Rows and classes: one of each, rows of many classes, longer than a block of sums, and as many as take several threads.
const SIZES: [(usize, usize); 6] = [(1, 1), (3, 7), (5, 100), (2, 3000), (2000, 10), (300, 1000)];

/// Losses, sums and gradient of each row, by the formula.
fn formula(x: &[f64], classes: usize, labels: &[i64], g: &[f64]) -> [Vec<f64>; 3] {
    let (mut losses, mut sums, mut dx) = (vec![], vec![], vec![]);
    for ((row, &label), g) in x.chunks(classes).zip(labels).zip(g) {
        let sum = row.iter().map(|v| v.exp()).sum::<f64>().ln();
        let share = |(c, v): (usize, &f64)| g * ((v - sum).exp() - f64::from(u8::from(c == label as usize)));
        dx.extend(row.iter().enumerate().map(share));
        losses.push(sum - row[label as usize]);
        sums.push(sum);
    }
    [losses, sums, dx]
}

fn assert_near(got: &Tensor<f32>, wanted: &[f64]) {
    for (y, w) in got.to_vec().into_iter().zip(wanted) {
        assert!((f64::from(y) - w).abs() <= 2e-6 * w.abs().max(1.0), "{y} against {w}");
    }
}

#[test]
fn cross_entropy_agrees_with_the_formula() {
    let rng = &mut Rng::seed(3);
    for (rows, classes) in SIZES {
        // Each row twice as wide as it is read, backwards.
        let x = Tensor::<f32>::normal([rows, 2 * classes], 0.0, 3.0, rng).slice(1, ..classes).flip(0);
        let labels = Tensor::randint([rows], 0, classes as i64, rng);
        let g = Tensor::<f32>::normal([rows], 0.0, 1.0, rng).flip(0);
        let [losses, sums] = x.cross_entropy(&labels).unwrap();
        let dx = x.cross_entropy_grad(&labels, &sums, &g).unwrap();
        let wanted = formula(&x.cast::<f64>().to_vec(), classes, &labels.to_vec(), &g.cast::<f64>().to_vec());
        assert_eq!(x.shape(), dx.shape());
        for (got, wanted) in [losses, sums, dx].iter().zip(&wanted) {
            assert_near(got, wanted);
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_of_cross_entropy() {
    let rng = &mut Rng::seed(4);
    let (x, g) = (Tensor::<f32>::normal([500, 300], 0.0, 3.0, rng), Tensor::normal([500], 0.0, 1.0, rng));
    let labels = Tensor::randint([500], 0, 300, rng);
    let run = |threads| {
        on_threads(threads, || {
            let [losses, sums] = x.cross_entropy(&labels).unwrap();
            (x.cross_entropy_grad(&labels, &sums, &g).unwrap(), losses, sums)
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_row_without_a_gradient_has_none_though_it_is_infinite() {
    let x = Tensor::from([[f32::INFINITY, 0.0], [0.0, 0.0]]);
    let labels = Tensor::from([1i64, 0]);
    let [losses, sums] = x.cross_entropy(&labels).unwrap();
    assert_eq!(losses.to_vec()[0], f32::INFINITY);
    let dx = x.cross_entropy_grad(&labels, &sums, &Tensor::from([0.0, 2.0])).unwrap();
    assert_eq!(dx.to_vec(), [0.0, 0.0, -1.0, 1.0]);
}

#[test]
fn mistakes_say_what_is_wanted() {
    let (x, sums) = (Tensor::<f32>::zeros([2, 3]), Tensor::zeros([2]));
    let with = |labels: &[i64]| x.cross_entropy(&Tensor::from(labels.to_vec())).unwrap_err().to_string();
    assert_eq!(with(&[0]), "cross_entropy: logits [2, 3] and labels [1]; wanted [N, C] and [N]");
    assert_eq!(with(&[0, 3]), "cross_entropy: label 3 at position 1 is outside the classes 0 to 2");
    assert_eq!(with(&[-1, 0]), "cross_entropy: label -1 at position 0 is outside the classes 0 to 2");
    let none = Tensor::<f32>::zeros([1, 0]).cross_entropy(&Tensor::from([0i64])).unwrap_err();
    assert_eq!(none.to_string(), "cross_entropy: there are no classes");
    let labels = Tensor::from([0i64, 1]);
    let error = x.cross_entropy_grad(&labels, &sums, &Tensor::zeros([3])).unwrap_err().to_string();
    assert_eq!(error, "cross_entropy: sums [2] and gradients [3] of 2 losses");
}
