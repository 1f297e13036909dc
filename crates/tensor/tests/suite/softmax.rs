//! Softmax, sums of exponentials, cross-entropy and their gradients against the formulas in `f64`.

use crate::common::on_threads;
use gradus_tensor::{Rng, Tensor};

/// Rows and classes: one of each, rows of many classes, longer than a block of sums, and as many as take several threads.
const SIZES: [(usize, usize); 6] = [(1, 1), (3, 7), (5, 100), (2, 3000), (2000, 10), (300, 1000)];

/// Losses, largest logits, sums and gradient of each row, by the formula.
fn formula(x: &[f64], classes: usize, labels: &[i64], g: &[f64]) -> [Vec<f64>; 4] {
    let (mut losses, mut largest, mut sums, mut dx) = (vec![], vec![], vec![], vec![]);
    for ((row, &label), g) in x.chunks(classes).zip(labels).zip(g) {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum = row.iter().map(|v| (v - max).exp()).sum::<f64>().ln();
        let share = |(c, v): (usize, &f64)| g * ((v - max - sum).exp() - f64::from(u8::from(c == label as usize)));
        dx.extend(row.iter().enumerate().map(share));
        losses.push(sum - (row[label as usize] - max));
        largest.push(max);
        sums.push(sum);
    }
    [losses, largest, sums, dx]
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
        // Some rows have large logits, where a sum rounded to one number would be off.
        let level = Tensor::from_fn([rows, 1], |at| [0.0, 1e3, -1e5][at[0] % 3]);
        let x = (Tensor::<f32>::normal([rows, 2 * classes], 0.0, 3.0, rng) + level).slice(1, ..classes).flip(0);
        let labels = Tensor::randint([rows], 0, classes as i64, rng);
        let g = Tensor::<f32>::normal([rows], 0.0, 1.0, rng).flip(0);
        let (losses, sums) = x.cross_entropy(&labels).unwrap();
        let dx = x.cross_entropy_grad(&labels, &sums, &g).unwrap();
        let [largest, sums] = sums;
        let wanted = formula(&x.cast::<f64>().to_vec(), classes, &labels.to_vec(), &g.cast::<f64>().to_vec());
        assert_eq!(x.shape(), dx.shape());
        for (got, wanted) in [losses, largest, sums, dx].iter().zip(&wanted) {
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
            let (losses, sums) = x.cross_entropy(&labels).unwrap();
            (x.cross_entropy_grad(&labels, &sums, &g).unwrap(), losses, sums)
        })
    };
    assert_eq!(run(1), run(3));
}

#[test]
fn a_row_without_a_gradient_has_none_though_it_is_infinite() {
    let x = Tensor::from([[f32::INFINITY, 0.0], [0.0, 0.0]]);
    let labels = Tensor::from([1i64, 0]);
    let (losses, sums) = x.cross_entropy(&labels).unwrap();
    assert_eq!(losses.to_vec()[0], f32::INFINITY);
    let dx = x.cross_entropy_grad(&labels, &sums, &Tensor::from([0.0, 2.0])).unwrap();
    assert_eq!(dx.to_vec(), [0.0, 0.0, -1.0, 1.0]);
}

#[test]
fn mistakes_say_what_is_wanted() {
    let (x, sums) = (Tensor::<f32>::zeros([2, 3]), [0, 1].map(|_| Tensor::zeros([2])));
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

/// The softmax of a row and its logarithm, in `f64`.
fn of_row(row: &[f32]) -> (Vec<f64>, Vec<f64>) {
    let row: Vec<f64> = row.iter().copied().map(f64::from).collect();
    let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = row.iter().map(|v| (v - max).exp()).sum();
    (row.iter().map(|v| (v - max).exp() / sum).collect(), row.iter().map(|v| v - max - sum.ln()).collect())
}

#[test]
fn large_logits_lose_no_digits() {
    for (rows, classes) in SIZES {
        for level in [0.0, 1e3, -1e4, 1e7, -3e30] {
            let x = Tensor::<f32>::normal([rows, classes], 0.0, 4.0, &mut Rng::seed(5)) + level;
            let (soft, log) = (x.softmax(1).to_vec(), x.log_softmax(-1).to_vec());
            for (r, row) in x.to_vec().chunks(classes).enumerate() {
                let (wanted, wanted_log) = of_row(row);
                for c in 0..classes {
                    let (y, l) = (f64::from(soft[r * classes + c]), f64::from(log[r * classes + c]));
                    assert!((y - wanted[c]).abs() <= 2e-6 * wanted[c] + 1e-38, "softmax at {level}: {y} against {}", wanted[c]);
                    let bound = 2e-6 * wanted_log[c].abs().max(1.0);
                    assert!((l - wanted_log[c]).abs() <= bound, "log_softmax at {level}: {l} against {}", wanted_log[c]);
                }
                let total: f64 = soft[r * classes..][..classes].iter().copied().map(f64::from).sum();
                assert!((total - 1.0).abs() < 2e-6, "softmax at {level} sums to {total}");
            }
        }
    }
}

#[test]
fn values_of_pytorch_in_double_precision_at_large_logits() {
    let x = Tensor::<f32>::arange(1e4, 1e4 + 4.0, 1.0);
    let last = x.log_softmax(0).to_vec()[3];
    assert!((last - -0.440_189_7).abs() < 1e-7, "{last}");
    let shares = Tensor::from([1e7f32, 1e7 + 1.0]).softmax(0).to_vec();
    assert!((shares[0] - 0.268_941_42).abs() < 1e-7 && (shares[1] - 0.731_058_6).abs() < 1e-7, "{shares:?}");
}

#[test]
fn any_axis_is_as_the_last() {
    let x = Tensor::<f64>::normal([3, 4, 5], 0.0, 2.0, &mut Rng::seed(6)).flip(1);
    for axis in 0..3usize {
        let rows = x.transpose(axis, 2);
        assert_eq!(x.softmax(axis), rows.softmax(2).transpose(axis, 2));
        assert_eq!(x.log_softmax(axis), rows.log_softmax(2).transpose(axis, 2));
    }
    for axes in [vec![0usize], vec![2], vec![0, 2], vec![0, 1, 2], vec![]] {
        let [largest, sums] = x.log_sums(&axes[..]);
        let g = Tensor::<f64>::normal(sums.shape().clone(), 0.0, 1.0, &mut Rng::seed(7));
        let wanted = (&x - &largest).exp().sum_keep(&axes[..]).ln();
        assert!((&sums - &wanted).abs().max(..).item() < 1e-14);
        let wanted = (&x - &largest - &sums).exp() * &g;
        let got = x.logsumexp_grad(&axes[..], &[largest, sums], &g);
        assert!((got - wanted).abs().max(..).item() < 1e-14);
    }
}

#[test]
fn infinite_logits() {
    let inf = f32::INFINITY;
    assert_eq!(Tensor::from([0.0, -inf, 0.0]).softmax(0).to_vec(), [0.5, 0.0, 0.5]);
    assert_eq!(Tensor::from([0.0, -inf]).log_softmax(0).to_vec(), [0.0, -inf]);
    assert_eq!(Tensor::from([[-inf, -inf], [inf, 0.0]]).logsumexp(1).to_vec(), [-inf, inf]);
    assert!(Tensor::from([-inf, -inf]).softmax(0).to_vec().iter().all(|y| y.is_nan()));
    let x = Tensor::from([[-inf, -inf], [0.0, -inf]]);
    let g = x.logsumexp_grad(1, &x.log_sums(1), &Tensor::from([[2.0], [3.0]]));
    assert_eq!(g.to_vec(), [0.0, 0.0, 3.0, 0.0]);
    assert_eq!(*Tensor::<f32>::zeros([3, 0]).softmax(1).shape(), [3, 0]);
    assert_eq!(*Tensor::<f32>::zeros([0, 3]).log_softmax(1).shape(), [0, 3]);
}
