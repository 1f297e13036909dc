//! Initialisers: their moments, their ranges, orthogonality.

use gradus_nn::init::*;
use gradus_tensor::{Rng, Tensor};
use proptest::prelude::*;

/// A convolution's weights: 43,200 numbers, fan in 450, fan out 864.
const SHAPE: [usize; 4] = [96, 50, 3, 3];
const FAN_IN: f64 = 450.0;
const FAN_OUT: f64 = 864.0;

#[track_caller]
fn assert_moments(w: &Tensor<f64>, mean: f64, std: f64) {
    let (found_mean, found_std): (f64, f64) = (w.mean(..).item(), w.var(.., 0).item().sqrt());
    // The standard error of the mean is std / √43,200; that of the standard deviation is no larger.
    let tolerance = 5.0 * std / (w.numel() as f64).sqrt();
    assert!((found_mean - mean).abs() < tolerance, "mean {found_mean}, wanted {mean}");
    assert!((found_std - std).abs() < tolerance, "standard deviation {found_std}, wanted {std}");
}

/// Within the bounds, and near both of them.
#[track_caller]
fn assert_range(w: &Tensor<f64>, low: f64, high: f64) {
    let (min, max) = (w.min(..).item(), w.max(..).item());
    let edge = (high - low) * 1e-3;
    assert!(low <= min && min < low + edge && high - edge < max && max <= high, "{min} to {max}, wanted {low} to {high}");
}

#[test]
fn fans_are_counted_as_in_pytorch() {
    assert_eq!(fans(&SHAPE), (450, 864));
    assert_eq!(fans(&[500, 784]), (784, 500));
}

#[test]
#[should_panic(expected = "a weight of shape [5] has no fans")]
fn a_vector_has_no_fans() {
    fans(&[5]);
}

#[test]
fn moments_and_ranges() {
    let rng = &mut Rng::seed(1);
    let (gain, uniform_std) = (1.7, 3f64.sqrt());
    let xavier = gain * (2.0 / (FAN_IN + FAN_OUT)).sqrt();
    let (by_in, by_out) = (gain / FAN_IN.sqrt(), gain / FAN_OUT.sqrt());
    let normals: [(Tensor<f64>, f64); 4] = [
        (xavier_normal(SHAPE, gain, rng), xavier),
        (kaiming_normal(SHAPE, gain, Fan::In, rng), by_in),
        (kaiming_normal(SHAPE, gain, Fan::Out, rng), by_out),
        (lecun_normal(SHAPE, rng), 1.0 / FAN_IN.sqrt()),
    ];
    for (w, std) in normals {
        assert_moments(&w, 0.0, std);
        // A normal distribution reaches four standard deviations in so many draws, a uniform one not two.
        assert!(w.abs().max(..).item() > 3.5 * std);
    }
    let uniforms: [(Tensor<f64>, f64); 4] = [
        (xavier_uniform(SHAPE, gain, rng), xavier),
        (kaiming_uniform(SHAPE, gain, Fan::In, rng), by_in),
        (kaiming_uniform(SHAPE, gain, Fan::Out, rng), by_out),
        (lecun_uniform(SHAPE, rng), 1.0 / FAN_IN.sqrt()),
    ];
    for (w, std) in uniforms {
        assert_moments(&w, 0.0, std);
        assert_range(&w, -std * uniform_std, std * uniform_std);
    }
    assert_moments(&normal(SHAPE, 3.0, 0.5, rng), 3.0, 0.5);
    assert_range(&uniform(SHAPE, -1.0, 2.0, rng), -1.0, 2.0);
    assert_eq!(constant::<f32>([2], 0.25).to_vec(), [0.25, 0.25]);
}

#[test]
fn the_truncated_normal_is_cut_off_at_two_standard_deviations() {
    let w: Tensor<f64> = truncated_normal(SHAPE, 1.0, 0.5, &mut Rng::seed(2));
    assert_range(&w, 0.0, 2.0);
    // What is left of the variance: 1 - 2 a φ(a) / (2 Φ(a) - 1) at a = 2.
    assert_moments(&w, 1.0, 0.5 * 0.773_741_3f64.sqrt());
}

#[test]
fn linear_layers_start_as_pytorchs() {
    let layer: gradus_nn::Linear<f64> = gradus_nn::Linear::new(400, 100, &mut Rng::seed(3));
    assert_range(layer.weight.value(), -0.05, 0.05);
    assert_moments(layer.weight.value(), 0.0, 0.05 / 3f64.sqrt());
    let bias = layer.bias.unwrap().value().abs();
    assert!(bias.max(..).item() <= 0.05 && bias.min(..).item() < bias.max(..).item());
}

#[test]
fn by_name_is_by_function() {
    let draw = |init: Init| init.draw::<f64>([6, 4], &mut Rng::seed(4));
    let rng = || Rng::seed(4);
    let (shape, relu) = ([6, 4], std::f64::consts::SQRT_2);
    assert_eq!(draw(Init::Uniform(-1.0, 3.0)), uniform(shape, -1.0, 3.0, &mut rng()));
    assert_eq!(draw(Init::Normal(1.0, 2.0)), normal(shape, 1.0, 2.0, &mut rng()));
    assert_eq!(draw(Init::TruncatedNormal(1.0, 2.0)), truncated_normal(shape, 1.0, 2.0, &mut rng()));
    assert_eq!(draw(Init::Constant(0.5)), constant(shape, 0.5));
    assert_eq!(draw(Init::XavierUniform), xavier_uniform(shape, 1.0, &mut rng()));
    assert_eq!(draw(Init::XavierNormal), xavier_normal(shape, 1.0, &mut rng()));
    assert_eq!(draw(Init::KaimingUniform), kaiming_uniform(shape, relu, Fan::In, &mut rng()));
    assert_eq!(draw(Init::KaimingNormal), kaiming_normal(shape, relu, Fan::In, &mut rng()));
    assert_eq!(draw(Init::KaimingNormalFanOut), kaiming_normal(shape, relu, Fan::Out, &mut rng()));
    assert_eq!(draw(Init::LecunUniform), lecun_uniform(shape, &mut rng()));
    assert_eq!(draw(Init::LecunNormal), lecun_normal(shape, &mut rng()));
    assert_eq!(draw(Init::Orthogonal(1.5)), orthogonal(shape, 1.5, &mut rng()));
    assert_ne!(draw(Init::XavierNormal), xavier_normal(shape, 1.0, &mut Rng::seed(5)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn orthogonal_rows_or_columns(rows in 1..12usize, a in 1..5usize, b in 1..4usize, gain in 0.5..2.0f64, seed: u64) {
        let w: Tensor<f64> = orthogonal([rows, a, b], gain, &mut Rng::seed(seed));
        let w = w.reshape([rows, a * b]);
        let gram = if rows <= a * b { w.matmul(&w.t()) } else { w.t().matmul(&w) };
        let apart = (gram - &(Tensor::eye(rows.min(a * b)) * (gain * gain))).abs().max(..).item();
        prop_assert!(apart < 1e-12, "{}", apart);
    }
}
