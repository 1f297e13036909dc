//! Digits that must not be lost, and what 0 times NaN must not become.

use gradus_autograd::{GradMode, Var, grad, grad_with};
use gradus_tensor::{Float, Tensor};

/// Gradients of either mode.
fn grads<T: Float>(y: &Var<T>, gy: &Tensor<T>, x: &Var<T>) -> [Tensor<T>; 2] {
    [GradMode::Plain, GradMode::Differentiable].map(|mode| {
        let found = grad_with(y, &Var::constant(gy.clone()), &[x], mode).unwrap();
        found[0].value().clone()
    })
}

#[test]
fn slopes_at_large_logits_are_those_at_small_ones() {
    // Multiples of 1/1024, so that single precision holds the sums exactly.
    let x = Tensor::from([[0.0f64, 1.25, -3.5, 2.0], [0.5, 0.25, 0.0, -1.0], [-2.0, 4.0, 3.5, 3.25]]);
    let gy = Tensor::from([[0.5f64, -1.0, 2.0, 0.25], [1.0, 1.0, -1.0, 0.0], [0.0, 3.0, -2.0, 1.0]]);
    type Function<T> = fn(&Var<T>) -> Var<T>;
    fn functions<T: Float>() -> [Function<T>; 5] {
        [|x| x.softmax(1), |x| x.log_softmax(1), |x| x.softmax(0), |x| x.logsumexp(1), |x| x.logsumexp(..)]
    }
    for level in [1e3, -1e4, 8192.0] {
        for (f, exact) in functions::<f32>().into_iter().zip(functions::<f64>()) {
            let (a, b) = (Var::leaf((&x + level).cast::<f32>()), Var::leaf(x.clone()));
            let (y, wanted) = (f(&a), exact(&b));
            let gy = if y.rank() == 2 {
                gy.clone()
            } else {
                gy.slice(1, ..1).squeeze(1).slice(0, ..y.value().numel()).reshape(y.shape())
            };
            let wanted = grads(&wanted, &gy, &b);
            for (got, wanted) in grads(&y, &gy.cast(), &a).iter().zip(&wanted) {
                let off = (got.cast::<f64>() - wanted).abs().max(..).item();
                assert!(off < 2e-6, "off by {off} at {level}");
            }
        }
    }
}

#[test]
fn second_derivatives_at_large_logits() {
    let at = |level: f32| {
        let x = Var::leaf(Tensor::from([0.0f32, 1.0, 2.5]) + f64::from(level));
        let weights = Var::constant(Tensor::from([1.0f32, -2.0, 0.5]));
        let y = x.logsumexp(0) + (x.log_softmax(0) * &weights).sum(..);
        let g = grad(&y, &[&x], GradMode::Differentiable).unwrap();
        grad(&(&g[0] * &weights).sum(..), &[&x], GradMode::Plain).unwrap()[0].value().clone()
    };
    let off = (at(0.0) - at(4096.0)).abs().max(..).item();
    assert!(off < 1e-6, "off by {off}");
}

#[test]
fn the_sum_of_impossible_things_has_no_slope() {
    let none = f64::NEG_INFINITY;
    let x = Var::leaf(Tensor::from([[none, none], [none, 1.0], [0.0, 0.0]]));
    let y = x.logsumexp(1);
    assert_eq!(y.value().to_vec(), [none, 1.0, 2f64.ln()]);
    for g in grads(&y, &Tensor::ones([3]), &x) {
        assert_eq!(g.to_vec(), [0.0, 0.0, 0.0, 1.0, 0.5, 0.5]);
    }
}

#[test]
fn an_infinite_gradient_reaches_the_maximum_alone() {
    let x = Var::leaf(Tensor::from([[1.0, 3.0, 2.0], [5.0, 4.0, 5.0]]));
    let gy = Tensor::from([f64::INFINITY, f64::NAN]);
    for g in grads(&x.max(1), &gy, &x) {
        assert_eq!(g.slice(0, ..1).to_vec(), [0.0, f64::INFINITY, 0.0]);
        assert!(g.at([1, 0]).is_nan() && g.at([1, 1]) == 0.0 && g.at([1, 2]).is_nan());
    }
    for g in grads(&x.min(1), &gy, &x) {
        assert_eq!(g.slice(0, ..1).to_vec(), [f64::INFINITY, 0.0, 0.0]);
        assert!(g.at([1, 0]) == 0.0 && g.at([1, 1]).is_nan() && g.at([1, 2]) == 0.0);
    }
}

/// Masked products against plain ones of which the hidden is cut away.
#[test]
fn a_masked_product_reads_what_is_shown() {
    let (nan, inf) = (f64::NAN, f64::INFINITY);
    let a = Var::leaf(Tensor::from([[2.0, nan, 3.0], [1.0, 4.0, inf]]));
    let b = Var::leaf(Tensor::from([[1.0, -1.0], [nan, inf], [0.5, 2.0]]));
    // Row 0 sees rows 0 and 2 of `b`, row 1 row 0.
    let mask = Tensor::from([[true, false, true], [true, false, false]]);
    let y = a.masked_matmul(&mask, &b);
    assert_eq!(y.value().to_vec(), [3.5, 4.0, 1.0, -1.0]);
    let gy = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    for g in grads(&y, &gy, &a) {
        assert_eq!(g.to_vec(), [-1.0, 0.0, 4.5, -1.0, 0.0, 0.0]);
    }
    for g in grads(&y, &gy, &b) {
        assert_eq!(g.to_vec(), [5.0, 8.0, 0.0, 0.0, 3.0, 6.0]);
    }
    let (q, k) = (Var::leaf(Tensor::from([[1.0, 2.0], [nan, 1.0]])), Var::leaf(Tensor::from([[1.0, inf], [3.0, nan]])));
    let y = q.sampled_matmul(&k, &Tensor::from([[true, false], [false, false]]));
    assert_eq!(y.value().to_vec(), [7.0, 0.0, 0.0, 0.0]);
    let gy = Tensor::from([[2.0, nan], [inf, 1.0]]);
    for g in grads(&y, &gy, &q) {
        assert_eq!(g.to_vec(), [2.0, 6.0, 0.0, 0.0]);
    }
    for g in grads(&y, &gy, &k) {
        assert_eq!(g.to_vec(), [2.0, 0.0, 4.0, 0.0]);
    }
}

#[test]
fn a_masked_softmax_reads_what_is_shown() {
    for hidden in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308] {
        let x = Var::leaf(Tensor::from([[1.0, hidden, 2.0], [hidden, hidden, hidden], [f64::NEG_INFINITY, hidden, -1e31]]));
        let mask = Tensor::from([[true, false, true], [false; 3], [true, false, true]]);
        let y = x.masked_softmax(&mask, 1);
        let share = 1.0 / (1.0 + 1f64.exp());
        let wanted = [share, 0.0, 1.0 - share, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert!(y.value().to_vec().iter().zip(wanted).all(|(y, w)| (y - w).abs() < 1e-15), "{y:?}");
        let gy = Tensor::from([[1.0, f64::NAN, 3.0], [f64::NAN; 3], [1.0, f64::INFINITY, 1.0]]);
        let slope = -2.0 * share * (1.0 - share);
        for g in grads(&y, &gy, &x) {
            let wanted = [slope, 0.0, -slope, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
            assert!(g.to_vec().iter().zip(wanted).all(|(g, w)| (g - w).abs() < 1e-15), "{g:?}");
        }
    }
}

#[test]
fn ctc_knows_no_number_for_the_impossible() {
    // Log-probabilities below any stand-in, and impossible ones, of three steps and three paths to the target.
    let none = f64::NEG_INFINITY;
    for low in [-1e31, -1e200, -5.0] {
        let x = Var::leaf(Tensor::from([[[low, low, none]], [[low, low, none]], [[none, low, low]]]));
        let y = x.ctc(&[vec![1]], None, 0);
        let [plain, differentiable] = grads(&y, &Tensor::ones([1]), &x);
        // The paths 1 1 1, 0 1 1 and 0 0 1: the third step must be 1.
        let (one, two) = (-1.0 / 3.0, -2.0 / 3.0);
        let wanted = [two, one, 0.0, one, two, 0.0, 0.0, -1.0, 0.0];
        let loss = -3.0 * low - 3f64.ln();
        assert!((y.item() - loss).abs() <= 1e-15 * loss.abs(), "{low}: {y:?}");
        assert!(plain.to_vec().iter().zip(wanted).all(|(g, w)| (g - w).abs() < 1e-12), "{low}: {plain:?}");
        assert!((plain - differentiable).abs().le(1e-12).all(), "{low}");
    }
}

#[test]
fn integer_literals_count_as_numbers() {
    let x = Var::leaf(Tensor::from([1.5f64, -2.0]));
    let y = (2 * &x + 1 - &x / 2) * 3 - 1;
    assert_eq!(y.value().to_vec(), [8.75, -7.0]);
    assert_eq!((1 / &x).value().to_vec(), [1.0 / 1.5, -0.5]);
    assert_eq!(y.sum(..).backward()[&x].to_vec(), [4.5, 4.5]);
}
