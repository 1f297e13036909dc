//! Minimal filtering where magnitudes differ: each result is near its own sum, not near the tile's largest number only.

use gradus_tensor::{Conv2dOptions, ConvAlgorithm, Float, Rng, Tensor};

const CHANNELS: usize = 16;

fn options(kernel: usize) -> Conv2dOptions {
    Conv2dOptions::default().padding([[kernel / 2, kernel / 2]; 2])
}

/// The convolution and its two gradients.
fn all<T: Float>(o: Conv2dOptions, [x, w, gy]: &[Tensor<T>; 3]) -> [Tensor<T>; 3] {
    [x.conv2d(w, o), gy.conv2d_input_grad(w, x.shape().clone(), o), x.conv2d_weight_grad(gy, w.shape().clone(), o)]
}

/// Numbers of random signs, of sizes from a half to one and a half times `10^u`, with one `u` of `-digits..digits` for each place of the
/// last two axes.
fn wild(shape: [usize; 4], digits: f64, rng: &mut Rng) -> Tensor<f64> {
    let sizes = Tensor::<f64>::uniform([1, 1, shape[2], shape[3]], -digits, digits, rng).map(|u| 10f64.powf(u));
    let numbers = Tensor::<f64>::uniform(shape, -1.0, 1.0, rng).map(|v| v + 0.5f64.copysign(v));
    // In f32 from the start, so that both precisions are given the same.
    (numbers * sizes).cast::<f32>().cast()
}

/// Asserts that what `f32` gives by the quickest way differs from the sum in `f64` by no more than `bound` of the sum of the absolute
/// values of its terms.
#[track_caller]
fn assert_near_its_own_sum(o: Conv2dOptions, given: &[Tensor<f64>; 3], bound: f64) {
    let exact = all(o.algorithm(ConvAlgorithm::Direct), given);
    let sizes = all(o.algorithm(ConvAlgorithm::Direct), &given.each_ref().map(Tensor::abs));
    let found = all(o, &given.each_ref().map(|x| x.cast::<f32>()));
    for (which, ((exact, size), found)) in exact.iter().zip(&sizes).zip(&found).enumerate() {
        for (i, ((e, s), f)) in exact.to_vec().into_iter().zip(size.to_vec()).zip(found.to_vec()).enumerate() {
            let error = (f64::from(f) - e).abs();
            assert!(error <= bound * s, "result {which} at {i} is {f} for {e}: {:.1e} of its terms", error / s);
        }
    }
}

#[test]
fn results_are_near_their_own_sums_over_random_magnitudes() {
    for (kernel, seed) in [(3, 0), (3, 1), (5, 2), (5, 3)] {
        let rng = &mut Rng::seed(seed);
        let (x, w) = ([2, CHANNELS, 19, 18], [CHANNELS + 1, CHANNELS, kernel, kernel]);
        let gy = [2, CHANNELS + 1, 19, 18];
        for [pixels, taps, gradients] in
            [[0.0; 3], [6.0, 0.0, 0.0], [2.0, 0.0, 2.0], [0.0, 0.0, 6.0], [3.0, 3.0, 0.0], [0.0, 5.0, 0.0]]
        {
            let given = [wild(x, pixels, rng), wild(w, taps, rng), wild(gy, gradients, rng)];
            assert_near_its_own_sum(options(kernel), &given, 1e-3);
        }
    }
}

/// Ones, with `value` at one pixel of one channel.
fn one_pixel(background: f32, value: f32) -> Tensor<f32> {
    let mut x = vec![background; 2 * CHANNELS * 16 * 16];
    x[(3 * 16 + 7) * 16 + 6] = value;
    Tensor::from_vec(x, [2, CHANNELS, 16, 16])
}

/// Whether the output at this index of `[2, F, 16, 16]` sees the pixel of [`one_pixel`].
fn sees(i: usize, kernel: usize) -> bool {
    let (n, y, x) = (i / (CHANNELS * 256), i / 16 % 16, i % 16);
    n == 0 && y.abs_diff(7) <= kernel / 2 && x.abs_diff(6) <= kernel / 2
}

#[test]
fn a_bright_pixel_is_seen_by_its_neighbours_only() {
    for kernel in [3, 5] {
        let (o, w) = (options(kernel), Tensor::ones([CHANNELS, CHANNELS, kernel, kernel]));
        let y = one_pixel(0.0, 1e6).conv2d(&w, o);
        // The input's gradient is the same convolution, for filters of ones.
        let gx = one_pixel(0.0, 1e6).conv2d_input_grad(&w, [2, CHANNELS, 16, 16], o);
        for result in [y, gx] {
            for (i, v) in result.to_vec().into_iter().enumerate() {
                let right = if sees(i, kernel) { 1e6 } else { 0.0 };
                assert!((v - right).abs() <= 1e-5 * right, "{v} for {right} at {i}, {kernel} x {kernel}");
            }
        }
        // Dim pixels beside it are as bright as without it.
        let (dim, without) = (one_pixel(1.0, 1e6).conv2d(&w, o), one_pixel(1.0, 1.0).conv2d(&w, o));
        for (i, (v, right)) in dim.to_vec().into_iter().zip(without.to_vec()).enumerate() {
            assert!(sees(i, kernel) || (v - right).abs() <= 1e-4 * right, "{v} for {right} at {i}, {kernel} x {kernel}");
        }
        let relu = one_pixel(0.0, 1e6).conv2d_relu(&w, Some(&Tensor::from_vec(vec![-2.0; CHANNELS], [CHANNELS])), o);
        for (i, v) in relu.to_vec().into_iter().enumerate() {
            let right = if sees(i, kernel) { 1e6 - 2.0 } else { 0.0 };
            assert!((v - right).abs() <= 1e-5 * right, "{v} for {right} at {i}, {kernel} x {kernel}");
        }
    }
}

#[test]
fn a_pixel_that_is_not_finite_is_seen_by_its_neighbours_only() {
    for (kernel, value) in [(3, f32::NAN), (5, f32::NAN), (3, f32::INFINITY), (5, f32::NEG_INFINITY)] {
        let (o, w) = (options(kernel), Tensor::ones([CHANNELS, CHANNELS, kernel, kernel]));
        let (y, without) = (one_pixel(1.0, value).conv2d(&w, o), one_pixel(1.0, 1.0).conv2d(&w, o));
        for (i, (v, right)) in y.to_vec().into_iter().zip(without.to_vec()).enumerate() {
            let right = if sees(i, kernel) { value } else { right };
            assert!(v == right || (v.is_nan() && right.is_nan()) || (v - right).abs() <= 1e-4 * right, "{v} for {right} at {i}");
        }
    }
}

#[test]
fn positive_weights_on_positive_pixels_give_nothing_negative() {
    let rng = &mut Rng::seed(7);
    for (kernel, digits) in [(3, 1.0), (3, 12.0), (5, 1.0), (5, 12.0)] {
        let x = wild([2, CHANNELS, 20, 20], digits, rng).abs().cast::<f32>();
        // Half of the picture is 0.
        let x = x.slice(3, ..10).pad(&[[0, 0], [0, 0], [0, 0], [0, 10]], 0.0);
        let w = Tensor::<f32>::uniform([CHANNELS, CHANNELS, kernel, kernel], 0.0, 1.0, rng);
        let negative = x.conv2d(&w, options(kernel)).to_vec().into_iter().filter(|&v| v < 0.0).count();
        assert_eq!(negative, 0, "{kernel} x {kernel}, {digits} digits");
    }
}

#[test]
fn a_filters_gradient_where_only_one_tap_meets_a_gradient_is_0_elsewhere() {
    for kernel in [3, 5] {
        let o = options(kernel);
        let gw = one_pixel(0.0, 1e6).conv2d_weight_grad(&one_pixel(0.0, 1.0), [CHANNELS, CHANNELS, kernel, kernel], o);
        let (middle, found) = ((3 * CHANNELS + 3) * kernel * kernel + kernel * kernel / 2, gw.to_vec());
        for (i, v) in found.into_iter().enumerate() {
            assert_eq!(v, if i == middle { 1e6 } else { 0.0 }, "{i}, {kernel} x {kernel}");
        }
    }
}

#[test]
fn ordinary_numbers_take_the_quick_way() {
    let rng = &mut Rng::seed(9);
    for kernel in [3, 5] {
        let o = options(kernel);
        let x = Tensor::<f32>::normal([2, CHANNELS, 16, 16], 0.0, 1.0, rng).map(|v| v.max(0.0));
        let given = [
            x,
            Tensor::normal([CHANNELS, CHANNELS, kernel, kernel], 0.0, 1.0, rng),
            Tensor::normal([2, CHANNELS, 16, 16], 0.0, 1.0, rng),
        ];
        let (quick, plain) = (all(o, &given), all(o.algorithm(ConvAlgorithm::Direct), &given));
        for (which, (quick, plain)) in quick.iter().zip(&plain).enumerate() {
            let differ = quick.to_vec().iter().zip(plain.to_vec()).filter(|(a, b)| **a != *b).count();
            assert!(2 * differ > quick.numel(), "result {which} of {kernel} x {kernel} was computed as the sum is defined");
        }
    }
}
