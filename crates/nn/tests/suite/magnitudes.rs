//! Layers and losses on very large and very small numbers.

use gradus_autograd::{GradMode, Var, grad_with};
use gradus_nn::*;
use gradus_tensor::{Float, Rng, Tensor};

/// A layer's name, the layer, and the shape of four numbers that it normalises together.
type Case<T> = (&'static str, Box<dyn Layer<T>>, Vec<usize>);

fn layers<T: Float>(eps: f64) -> Vec<Case<T>> {
    vec![
        ("batch", Box::new(BatchNorm1d::new(1).eps(eps)), vec![4, 1]),
        ("batch 2d", Box::new(BatchNorm2d::new(1).eps(eps)), vec![1, 1, 2, 2]),
        ("layer", Box::new(LayerNorm::new([4]).eps(eps)), vec![1, 4]),
        ("group", Box::new(GroupNorm::new(1, 4).eps(eps)), vec![1, 4]),
        ("instance", Box::new(InstanceNorm1d::new(1).eps(eps)), vec![1, 1, 4]),
        ("rms", Box::new(RmsNorm::new([4]).eps(eps)), vec![1, 4]),
    ]
}

/// The output for ±`size`, and the gradient times `size` for the cotangent (1, 0, 0, 0), in either mode.
fn normalised<T: Float>(layer: &dyn Layer<T>, shape: &[usize], size: f64) -> [Vec<f64>; 3] {
    let x = Tensor::from([1.0, -1.0, 1.0, -1.0].map(|v| T::lit(v * size))).reshape(shape);
    let x = Var::leaf(x);
    let y = layer.forward(&x, &mut Mode::Train(&mut Rng::seed(0)));
    let gy = Var::constant(Tensor::from([1.0, 0.0, 0.0, 0.0].map(T::lit)).reshape(shape));
    let slopes = |mode| {
        let g = grad_with(&y, &gy, &[&x], mode).unwrap().remove(0);
        g.value().to_vec().into_iter().map(|v| v.to_f64() * size).collect()
    };
    let y = y.value().to_vec().into_iter().map(|v| v.to_f64()).collect();
    [y, slopes(GradMode::Plain), slopes(GradMode::Differentiable)]
}

fn normalisation_keeps_its_scale<T: Float>(eps: f64, sizes: &[f64]) {
    let expected = layers::<T>(0.0).iter().map(|(_, layer, shape)| normalised(&**layer, shape, 1.0)).collect::<Vec<_>>();
    for &size in sizes {
        for ((name, layer, shape), expected) in layers::<T>(eps).iter().zip(&expected) {
            let found = normalised(&**layer, shape, size);
            for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
                assert!((found - expected).abs() < 1e-5, "{name} at ±{size:e}: {found}, not {expected}");
            }
            assert!(found[0][0] > 0.99 && found[0][1] < -0.99, "{name} at ±{size:e}: {found:?}");
        }
    }
}

#[test]
fn normalisation_of_large_numbers() {
    normalisation_keeps_its_scale::<f32>(1e-5, &[1e10, 3e19, 3e25, 1e37, 3e38]);
    normalisation_keeps_its_scale::<f64>(1e-5, &[1e100, 1e160, 1e300]);
}

#[test]
fn normalisation_of_small_numbers_without_eps() {
    normalisation_keeps_its_scale::<f32>(0.0, &[1e-10, 1e-20, 3e-25, 1e-36]);
    normalisation_keeps_its_scale::<f64>(0.0, &[1e-100, 1e-160, 1e-300]);
}

/// Channels of very different sizes in one batch.
#[test]
fn every_channel_has_a_scale_of_its_own() {
    let norm: BatchNorm1d = BatchNorm1d::new(3);
    let x = Tensor::from([[1e-3f32, 3e25, 2.0], [-1e-3, -3e25, 0.0]]);
    let y = norm.forward(&x.into(), &mut Mode::Train(&mut Rng::seed(0)));
    let small = (1e-3 / (1e-6f32 + 1e-5).sqrt()).abs();
    for (y, exact) in y.value().to_vec().into_iter().zip([small, 1.0, 1.0, -small, -1.0, -1.0]) {
        assert!((y - exact).abs() < 1e-5, "{y}, not {exact}");
    }
    // A variance that cannot be held is a large one, not an infinite one: later batches lead back from it.
    let var = norm.running_var.get().to_vec();
    assert!(var[1] > 1e37 && var[1].is_finite(), "{var:?}");
}

fn bce<T: Float>(x: f64, t: f64, p: Option<f64>) -> [f64; 2] {
    let x = Var::leaf(Tensor::from([T::lit(x)]));
    let loss = match p {
        Some(p) => BceWithLogits::new().pos_weight(Tensor::scalar(p)),
        None => BceWithLogits::new(),
    };
    let loss = loss.loss(&x, &Tensor::from([T::lit(t)]));
    let value = loss.item().to_f64();
    [value, loss.backward()[&x].item().to_f64()]
}

#[test]
fn binary_cross_entropy_in_its_tails() {
    let tiny = 2.061_153_620_314_381e-9;
    let slight = 2.061_153_618_190_203_7e-9;
    let cases = [
        (-20.0, 0.0, None, tiny, slight),
        (20.0, 1.0, None, tiny, -slight),
        (20.0, 0.0, None, 20.0 + tiny, 1.0 - slight),
        (-20.0, 1.0, None, 20.0 + tiny, slight - 1.0),
        (20.0, 1.0, Some(3.0), 3.0 * tiny, -3.0 * slight),
        (-20.0, 0.0, Some(3.0), tiny, slight),
        (-60.0, 0.0, None, 8.756_510_762_696_52e-27, 8.756_510_762_696_52e-27),
        (-60.0, 0.25, None, 15.0, -0.25),
        (0.0, 0.5, None, std::f64::consts::LN_2, 0.0),
        (f64::INFINITY, 1.0, None, 0.0, 0.0),
        (f64::NEG_INFINITY, 0.0, None, 0.0, 0.0),
        (f64::INFINITY, 0.0, None, f64::INFINITY, 1.0),
        (f64::NEG_INFINITY, 1.0, Some(2.0), f64::INFINITY, -2.0),
    ];
    for (x, t, p, loss, slope) in cases {
        for (found, eps) in [(bce::<f32>(x, t, p), 1e-6), (bce::<f64>(x, t, p), 1e-13)] {
            for (found, exact) in found.into_iter().zip([loss, slope]) {
                assert!(
                    found == exact || (found - exact).abs() <= eps * f64::abs(exact),
                    "{x}, target {t}: {found:e}, not {exact:e}"
                );
            }
        }
    }
}

/// The loss, its slope and its second derivative, for the target 0.
fn orders(loss: &dyn Loss<f32, Tensor<f32>>, x: f32) -> [f32; 3] {
    let x = Var::leaf(Tensor::from([x]));
    let y = loss.loss(&x, &Tensor::from([0.0]));
    let one = |y: &Var<f32>| Var::constant(Tensor::ones(y.shape().clone()));
    let g = grad_with(&y, &one(&y), &[&x], GradMode::Differentiable).unwrap().remove(0);
    let second = grad_with(&g, &one(&g), &[&x], GradMode::Plain).map_or(0.0, |h| h[0].item());
    [y.item(), g.item(), second]
}

#[test]
fn regression_losses_at_infinity_and_at_small_beta() {
    let inf = f32::INFINITY;
    for sign in [1.0, -1.0] {
        assert_eq!(orders(&Huber::new(1.5), sign * inf), [inf, sign * 1.5, 0.0]);
        assert_eq!(orders(&SmoothL1::new(0.5), sign * inf), [inf, sign, 0.0]);
        assert_eq!(orders(&L1::new(), sign * inf), [inf, sign, 0.0]);
        assert_eq!(orders(&Mse::new(), sign * inf), [inf, sign * inf, 2.0]);
    }
    assert_eq!(orders(&Mse::new(), 3e25), [inf, 6e25, 2.0]);
    // d²/(2 beta), whose square vanishes.
    let [loss, slope, _] = orders(&SmoothL1::new(1e-25), 5e-26);
    assert!((loss / 1.25e-26 - 1.0).abs() < 1e-6 && (slope - 0.5).abs() < 1e-6, "{loss:e}, {slope}");
}

#[test]
fn prelu_at_its_kink_and_at_infinity() {
    let prelu: PRelu = PRelu::new(1);
    let x = Var::leaf(Tensor::from([[0.0f32, f32::INFINITY, f32::NEG_INFINITY, -2.0]]));
    let y = prelu.forward(&x, &mut Mode::Eval);
    assert_eq!(y.value().to_vec(), [0.0, f32::INFINITY, f32::NEG_INFINITY, -0.5]);
    let grads = y.backward_with(Tensor::ones([1, 4]));
    assert_eq!(grads[&x].to_vec(), [0.25, 1.0, 0.25, 0.25]);
}
