//! Norms and deviations against the plain formula in `f64`, at every magnitude.

use crate::common::on_threads;
use crate::layouts::reals;
use gradus_tensor::{Rng, Scalar, Tensor};

#[test]
fn norms_and_deviations_at_every_magnitude() {
    let x = Tensor::<f64>::normal([5, 7], 0.0, 1.0, &mut Rng::seed(1));
    for exponent in [-126, -110, -80, -50, 0, 50, 63, 64, 100, 120] {
        let scale = 2f64.powi(exponent);
        let single = (&x * scale).cast::<f32>();
        let exact = single.cast::<f64>();
        let wanted = [exact.square().sum(1).sqrt(), exact.var(1, 1).sqrt(), exact.var(1, 0).sqrt()];
        for (found, wanted) in [single.norm(1), single.std(1, 1), single.std(1, 0)].iter().zip(&wanted) {
            let off = (found.cast::<f64>() - wanted).abs().max(..).item() / wanted.max(..).item();
            assert!(off < 1e-6, "2^{exponent}: {found:?} instead of {wanted:?}");
        }
        assert_eq!(*single.norm_keep([0, 1]).shape(), [1, 1]);
        assert_eq!(*single.std_keep(0, 1).shape(), [1, 7]);
    }
}

/// Rows that need a unit of their own beside rows that do not.
#[test]
fn every_row_has_a_unit_of_its_own() {
    let x = Tensor::from([[3e-30f32, 4e-30], [0.0, 0.0], [3.0, 4.0], [3e30, -4e30], [f32::INFINITY, 1.0], [f32::NAN, 1.0]]);
    let y = x.norm(1).to_vec();
    for (y, exact) in y.iter().zip([5e-30, 0.0, 5.0, 5e30]) {
        assert!((y - exact).abs() <= 2e-7 * exact, "{y:e}, not {exact:e}");
    }
    assert!(y[4] == f32::INFINITY && y[5].is_nan());
    assert_eq!(Tensor::<f32>::zeros([2, 0]).norm(1).to_vec(), [0.0, 0.0]);
    assert_eq!(Tensor::<f32>::zeros([0, 2]).norm(1).numel(), 0);
    assert!(Tensor::from([1.0f32]).std(0, 1).item().is_nan());
}

#[test]
fn binades() {
    for v in [1.0f32, 1.5, -2.0, 3e38, 1.2e-38, 7.25] {
        let unit = v.binade();
        assert!((1.0..2.0).contains(&(v / unit).abs()), "{v}: {unit}");
        assert_eq!(v / unit * unit, v);
    }
    assert_eq!([0.0f32, 1e-44].map(Scalar::binade), [f32::MIN_POSITIVE; 2]);
    assert_eq!([f32::INFINITY, f32::NAN, f32::MAX].map(Scalar::binade), [2f32.powi(127); 3]);
    assert_eq!([f64::INFINITY, f64::MAX, -1e-310].map(Scalar::binade), [2f64.powi(1023), 2f64.powi(1023), f64::MIN_POSITIVE]);
}

#[test]
fn the_largest_size() {
    assert_eq!(Tensor::from([1.0f32, -3.0, 2.0]).largest_size(), 3.0);
    assert_eq!(Tensor::<f32>::zeros([0]).largest_size(), 0.0);
    assert_eq!(Tensor::from([1.0, f32::NEG_INFINITY]).largest_size(), f32::INFINITY);
    for at in [0, 5_000, 199_999] {
        let mut x = vec![1.0f32; 200_000];
        x[at] = -2.5;
        assert_eq!(Tensor::from(x.clone()).largest_size(), 2.5);
        x[at] = f32::NAN;
        assert!(Tensor::from(x).largest_size().is_nan());
    }
}

#[test]
fn a_sum_of_squares_is_that_of_doubles() {
    let mut rng = Rng::seed(6);
    for n in [0, 1, 31, 32, 33, 5000, 100_000] {
        let x = reals(&mut rng, &[n]);
        let wanted: f64 = x.to_vec().iter().map(|v| (0.5 * v) * (0.5 * v)).sum();
        for threads in [1, 3] {
            let sum = on_threads(threads, || x.sum_of_squares(0.5));
            assert!((sum - wanted).abs() <= 1e-12 * wanted, "{sum} for {wanted}, of {n} on {threads} threads");
        }
    }
    let large = Tensor::from([3.0f32, 4.0]) * 2f64.powi(100);
    assert_eq!(large.sum_of_squares(2f64.powi(-100)), 25.0);
    assert!(Tensor::from([1.0f32, f32::NAN]).sum_of_squares(1.0).is_nan());
}
