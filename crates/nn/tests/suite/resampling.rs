//! Sizes and places of resampled pixels, and how far a NaN reaches.

use gradus_autograd::{Var, op};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

fn forward(layer: &dyn Layer<f64>, x: &Tensor<f64>) -> Tensor<f64> {
    layer.forward(&x.clone().into(), &mut Mode::Eval).into_value()
}

/// Pixels numbered from 0, `[1, 1, n]`.
fn numbered(n: usize) -> Tensor<f64> {
    Tensor::<f64>::arange(0.0, n as f64, 1.0).reshape([1, 1, n])
}

/// Which elements are NaN.
fn nans(x: &Tensor<f64>) -> Vec<usize> {
    x.to_vec().iter().enumerate().filter(|(_, v)| v.is_nan()).map(|(i, _)| i).collect()
}

#[test]
fn a_fraction_of_sizes_gives_the_size() {
    for from in 1..130usize {
        for to in 1..130usize {
            let y = forward(&Upsample::new(to as f64 / from as f64), &numbered(from));
            assert_eq!(y.shape()[2], to, "{from} pixels by {to}/{from}");
        }
    }
    for (scale, from, to) in [(120.0 / 88.0, 88, 120), (1.1, 10, 11), (0.7, 10, 7), (0.29, 100, 29), (1.7, 3, 5), (0.999, 10, 9)]
    {
        assert_eq!(forward(&Upsample::new(scale), &numbered(from)).shape()[2], to, "{from} pixels by {scale}");
        assert_eq!(forward(&Upsample::new(scale).linear(false), &numbered(from)).shape()[2], to);
    }
}

#[test]
fn the_nearest_pixel_is_that_of_whole_numbers() {
    for scale in 1..130usize {
        let y = forward(&Upsample::new(scale as f64), &numbered(7)).to_vec();
        assert!(y.iter().enumerate().all(|(i, &v)| v == (i / scale) as f64), "by {scale}: {y:?}");
    }
    for (from, to) in [(7, 93), (88, 120), (93, 31), (49, 7), (13, 5)] {
        let wanted: Vec<f64> = (0..to).map(|i| (i * from / to) as f64).collect();
        assert_eq!(forward(&Upsample::to([to]), &numbered(from)).to_vec(), wanted, "{from} to {to}");
        assert_eq!(forward(&Upsample::new(to as f64 / from as f64), &numbered(from)).to_vec(), wanted, "{from} by {to}/{from}");
    }
}

#[test]
fn a_pixel_on_a_pixel_is_that_pixel() {
    // By an odd number, every so many pixels lie upon one of the input; between, the line is straight.
    for scale in [3usize, 7, 49, 93] {
        for layer in [Upsample::new(scale as f64).linear(false), Upsample::to([5 * scale]).linear(false)] {
            let y = forward(&layer, &numbered(5)).to_vec();
            for (i, &v) in y.iter().enumerate() {
                let at = ((2 * i + 1) as f64 / (2 * scale) as f64 - 0.5).clamp(0.0, 4.0);
                assert!((v - at).abs() < 1e-13, "by {scale}, pixel {i}: {v} where {at} is right");
                if (2 * i + 1) % scale == 0 && (2 * i + 1) / scale % 2 == 1 {
                    assert_eq!(v, (i / scale) as f64);
                }
            }
        }
    }
    let y = forward(&Upsample::to([50]).linear(true), &numbered(8)).to_vec();
    assert!((0..8).all(|k| y[7 * k] == k as f64), "{y:?}");
}

#[test]
fn a_nan_reaches_its_neighbours_alone() {
    for strange in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let x = Tensor::from([[[1.0, 2.0, 3.0, strange, 5.0, 6.0]]]);
        let y = forward(&Upsample::new(2.0).linear(false), &x);
        let beside = forward(&Upsample::new(2.0).linear(false), &Tensor::from([[[1.0, 2.0, 3.0, 0.0, 5.0, 6.0]]]));
        let off: Vec<usize> = (0..12).filter(|&i| !y.at([0, 0, i]).is_finite()).collect();
        assert_eq!(off, [5, 6, 7, 8], "{strange}");
        assert!((0..12).filter(|i| !off.contains(i)).all(|i| y.at([0, 0, i]) == beside.at([0, 0, i])));
        // A region of 6 in 4 is [0, 2), [1, 3), [3, 5), [4, 6): the place 3 is in one alone.
        let y = forward(&AdaptiveAvgPool1d::new(4), &x);
        assert_eq!((0..4).filter(|&i| !y.at([0, 0, i]).is_finite()).collect::<Vec<_>>(), [2], "{strange}");
    }
    // At a share of 0 the neighbour is not read.
    let x = Tensor::from([[[1.0, f64::NAN, 3.0]]]);
    assert_eq!(nans(&forward(&Upsample::to([5]).linear(true), &x)), [1, 2, 3]);
    assert_eq!(nans(&forward(&Upsample::new(3.0).linear(false), &x)), [2, 3, 4, 5, 6]);
}

#[test]
fn in_planes_and_volumes_too() {
    let mut x = Tensor::<f64>::ones([1, 2, 5, 7]);
    x.as_mut_slice()[7 * 2 + 3] = f64::NAN;
    let count = |layer: &dyn Layer<f64>| nans(&forward(layer, &x)).len();
    assert_eq!(count(&Upsample::new(2.0).linear(false)), 16);
    // Rows 0 to 2, 1 to 4 and 3 to 5 of 5; columns 0 to 2, 1 to 4, 3 to 6 and 5 to 7 of 7: both twice and once.
    assert_eq!(count(&AdaptiveAvgPool2d::new([3, 4])), 2);
    let mut x = Tensor::<f64>::ones([1, 1, 5, 5, 5]);
    x.as_mut_slice()[0] = f64::NAN;
    let y = AdaptiveAvgPool3d::new([3, 3, 2]).forward(&x.into(), &mut Mode::Eval);
    assert_eq!(nans(y.value()), [0]);
}

/// `x`, whose gradient is NaN at one place.
fn with_nan_gradient(x: &Var<f64>, place: usize) -> Var<f64> {
    op("nan_gradient", [x], x.value().clone(), move |p| {
        let mut g = p.gy().value().clone();
        g.as_mut_slice()[place] = f64::NAN;
        [Some(g.into())]
    })
}

#[test]
fn a_nan_gradient_reaches_what_it_is_of() {
    let of = |layer: &dyn Layer<f64>, n: usize, place: usize| {
        let x = Var::leaf(numbered(n));
        let y = with_nan_gradient(&layer.forward(&x, &mut Mode::Eval), place);
        nans(&y.sum(..).backward()[&x])
    };
    assert_eq!(of(&Upsample::new(2.0).linear(false), 6, 5), [2, 3]);
    assert_eq!(of(&Upsample::new(3.0).linear(false), 6, 4), [1]);
    assert_eq!(of(&AdaptiveAvgPool1d::new(4), 6, 2), [3, 4]);
    assert_eq!(of(&Upsample::new(2.0), 6, 5), [2]);
}

/// What is dropped may be NaN.
#[test]
fn a_channel_that_is_dropped_is_zero() {
    let x = Var::leaf(Tensor::full([1, 64, 3], f64::NAN));
    let y = Dropout1d::new(0.5).forward(&x, &mut Mode::Train(&mut Rng::seed(0)));
    let kept = y.value().to_vec().iter().filter(|v| v.is_nan()).count();
    assert!(kept > 0 && kept < 192 && kept.is_multiple_of(3), "{kept}");
    assert!(y.value().to_vec().iter().all(|v| v.is_nan() || *v == 0.0));
    let y = Dropout::new(0.5).forward(&x, &mut Mode::Train(&mut Rng::seed(0)));
    assert!(y.value().to_vec().contains(&0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn resampling_is_a_product_with_a_matrix(from in 1usize..9, to in 1usize..12, align in any::<bool>(), seed in any::<u64>()) {
        let x = Tensor::<f64>::normal([2, 1, from, 3], 0.0, 1.0, &mut Rng::seed(seed));
        let place = |i: usize| {
            let ratio = if align { (from - 1) as f64 / (to.max(2) - 1) as f64 } else { from as f64 / to as f64 };
            if align { i as f64 * ratio } else { ((i as f64 + 0.5) * ratio - 0.5).clamp(0.0, (from - 1) as f64) }
        };
        // The hat function around each pixel.
        let hat = Tensor::from_fn([to, from], |at| (1.0 - (place(at[0]) - at[1] as f64).abs()).max(0.0));
        let y = forward(&Upsample::to([to, 3]).linear(align), &x);
        prop_assert!((y - hat.matmul(&x)).abs().le(1e-12).all());
        let mean = Tensor::from_fn([to, from], |at| {
            let region = at[0] * from / to..((at[0] + 1) * from).div_ceil(to);
            if region.contains(&at[1]) { 1.0 / region.len() as f64 } else { 0.0 }
        });
        let y = forward(&AdaptiveAvgPool2d::new([to, 3]), &x);
        prop_assert!((y - mean.matmul(&x)).abs().le(1e-12).all());
    }
}
