//! What layers do beside computing: modes, randomness, identities, refusals.

use gradus_autograd::{Module, Var};
use gradus_nn::*;
use gradus_tensor::{Rng, Shape, Tensor};
use proptest::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn forward<T: gradus_tensor::Float>(layer: &impl Layer<T>, x: &Tensor<T>, mode: &mut Mode) -> Tensor<T> {
    layer.forward(&Var::constant(x.clone()), mode).into_value()
}

/// The message that `f` panics with.
#[track_caller]
fn message<R>(f: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).err().expect("it should have panicked");
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| panic.downcast_ref::<&str>().unwrap().to_string())
}

#[test]
fn dropout_keeps_the_mean_and_drops_its_share() {
    for p in [0.1, 0.5, 0.8] {
        let y: Tensor<f64> = forward(&Dropout::new(p), &Tensor::ones([100, 1000]), &mut Mode::Train(&mut Rng::seed(3)));
        let kept = 1.0 / (1.0 - p);
        assert!(y.to_vec().iter().all(|&v| v == 0.0 || (v - kept).abs() < 1e-12));
        let dropped = y.eq(0.0).to_num::<f64>().mean(..).item();
        // Five standard deviations of a share of 100,000 draws.
        assert!((dropped - p).abs() < 5.0 * (p * (1.0 - p) / 1e5).sqrt(), "{dropped} of {p}");
        let mean: f64 = y.mean(..).item();
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }
}

#[test]
fn dropout_is_the_identity_in_evaluation_and_at_zero() {
    let x = Tensor::<f32>::normal([4, 5], 0.0, 1.0, &mut Rng::seed(0));
    assert_eq!(forward(&Dropout::new(0.9), &x, &mut Mode::Eval), x);
    assert_eq!(forward(&Dropout::new(0.0), &x, &mut Mode::Train(&mut Rng::seed(0))), x);
}

#[test]
fn dropout_draws_by_the_seed_and_anew_each_time() {
    let (x, layer) = (Tensor::<f32>::ones([50]), Dropout::new(0.5));
    let mut rng = Rng::seed(9);
    let first = forward(&layer, &x, &mut Mode::Train(&mut rng));
    assert_ne!(forward(&layer, &x, &mut Mode::Train(&mut rng)), first);
    assert_eq!(forward(&layer, &x, &mut Mode::Train(&mut Rng::seed(9))), first);
}

#[test]
fn the_gradient_of_dropout_has_the_mask_of_its_output() {
    let x = Var::leaf(Tensor::<f64>::ones([40]));
    let y = Dropout::new(0.5).forward(&x, &mut Mode::Train(&mut Rng::seed(2)));
    let value = y.value().clone();
    assert_eq!(y.sum(..).backward()[&x], value);
}

#[test]
fn spatial_dropout_drops_whole_channels() {
    let layers: [(&dyn Layer<f64>, &[usize]); 3] = [
        (&Dropout1d::new(0.3), &[40, 50, 3]),
        (&Dropout2d::new(0.3), &[40, 50, 2, 3]),
        (&Dropout3d::new(0.3), &[40, 50, 2, 1, 3]),
    ];
    for (layer, shape) in layers {
        let x = Var::constant(Tensor::ones(shape));
        let y = layer.forward(&x, &mut Mode::Train(&mut Rng::seed(4))).into_value();
        let channels = y.reshape([2000, -1]);
        let (low, high) = (channels.min(1).to_vec(), channels.max(1).to_vec());
        assert!(low.iter().zip(&high).all(|(l, h)| l == h && (*l == 0.0 || (l - 1.0 / 0.7).abs() < 1e-12)));
        let dropped = low.iter().filter(|l| **l == 0.0).count() as f64 / 2000.0;
        // Five standard deviations of a share of 2,000 draws.
        assert!((dropped - 0.3).abs() < 5.0 * (0.3f64 * 0.7 / 2000.0).sqrt(), "{dropped}");
        assert_eq!(layer.forward(&x, &mut Mode::Eval).value(), x.value());
    }
}

#[test]
fn dropout_refuses_what_is_no_probability() {
    for p in [-0.1, 1.0, f64::NAN] {
        assert!(message(|| Dropout::new(p)).contains("dropout: the probability is"));
    }
}

#[test]
fn batch_norm_standardises_in_training_and_only_there() {
    let norm = BatchNorm2d::<f64>::new(3);
    let x = Tensor::normal([8, 3, 4, 4], 5.0, 3.0, &mut Rng::seed(1));
    let y = forward(&norm, &x, &mut Mode::Train(&mut Rng::seed(0)));
    for (mean, var) in y.mean([0, 2, 3]).to_vec().into_iter().zip(y.var([0, 2, 3], 0).to_vec()) {
        assert!(mean.abs() < 1e-12 && (var - 1.0).abs() < 1e-4, "{mean} {var}");
    }
    let before = norm.state_dict();
    let _ = forward(&norm, &x, &mut Mode::Eval);
    assert_eq!(norm.state_dict(), before);
    // Once the statistics have settled, evaluation does what training does.
    (0..300).for_each(|_| drop(forward(&norm, &x, &mut Mode::Train(&mut Rng::seed(0)))));
    let apart = (forward(&norm, &x, &mut Mode::Eval) - &y).abs().max(..).item();
    assert!(apart < 0.02, "{apart}");
}

#[test]
fn frozen_running_statistics_stay_and_are_gone_by_in_training() {
    let rng = &mut Rng::seed(0);
    let x = Tensor::normal([4, 3, 2, 2], 5.0, 3.0, rng);
    let norm = BatchNorm2d::<f64>::new(3);
    let moving = norm.clone();
    let norm = norm.frozen(true);
    let before = norm.state_dict();
    assert_eq!(forward(&norm, &x, &mut Mode::Train(rng)), forward(&norm, &x, &mut Mode::Eval));
    assert_eq!(norm.state_dict(), before);
    assert_ne!(forward(&moving, &x, &mut Mode::Train(rng)), forward(&norm, &x, &mut Mode::Eval));
    // A clone is frozen as well, and thaws.
    let thawed = norm.clone().frozen(false);
    let _ = forward(&thawed, &x, &mut Mode::Train(rng));
    assert_eq!(thawed.state_dict(), moving.state_dict());
    // Its own parameters are trained.
    let grads = norm.forward(&Var::constant(x), &mut Mode::Train(rng)).sum(..).backward();
    assert_eq!(grads.len(), 2);
}

#[test]
fn what_is_frozen_by_path_is_a_constant() {
    let rng = &mut Rng::seed(0);
    let base = Sequential::new().add(Conv2d::new(1, 2, 3, rng)).add(BatchNorm2d::new(2)).add(Flatten);
    let mut net: Sequential =
        Sequential::new().push("base", Residual::new(Flatten).shortcut(base)).push("head", Linear::new(8, 1, rng));
    net.freeze("base.*");
    assert_eq!((net.num_trainable(), net.num_parameters()), (9, 9 + 20 + 4));
    let x = Tensor::normal([3, 8], 0.0, 1.0, rng);
    assert!(net.get("head").unwrap().forward(&x.into(), &mut Mode::Eval).requires_grad());
    let base = net.get("base").unwrap().named_buffers().into_iter().filter(|(_, b)| b.is_frozen()).count();
    assert_eq!(base, 2);
    net.unfreeze("*.1.*");
    assert_eq!(net.num_trainable(), 9 + 4);
    assert!(net.named_buffers().iter().all(|(_, b)| !b.is_frozen()));
    let m = message(|| net.freeze("bsae.*"));
    assert!(m.contains("fits `bsae.*`; there are base.shortcut.0.weight, ") && m.contains("base.shortcut.1.running_mean"), "{m}");
}

#[test]
fn layers_say_what_they_refuse() {
    let rng = &mut Rng::seed(0);
    let mut said = |layer: &dyn Layer<f32>, shape: &[usize]| {
        let x = Var::constant(Tensor::zeros(shape));
        message(|| layer.forward(&x, &mut Mode::Train(rng)))
    };
    let m = said(&BatchNorm2d::new(3), &[2, 4, 5, 5]);
    assert!(m.ends_with("expected input [N, 3, H, W], got [2, 4, 5, 5]"), "{m}");
    let m = said(&BatchNorm1d::new(3), &[1, 3]);
    assert!(m.ends_with("a channel in training, got one (input [1, 3]), whose variance is 0"), "{m}");
    let m = said(&LayerNorm::new([4]), &[2, 3]);
    assert!(m.ends_with("expected input [.., 4], got [2, 3]"), "{m}");
    let m = said(&GlobalAvgPool2d, &[2, 3]);
    assert!(m.ends_with("expected input [N, C, H, W], got [2, 3]"), "{m}");
    let m = said(&Linear::new(4, 2, &mut Rng::seed(0)), &[2, 3]);
    assert!(m.ends_with("expected input [.., 4], got [2, 3]"), "{m}");
    let m = said(&Conv2d::new(3, 2, 3, &mut Rng::seed(0)).same(), &[2, 5, 5]);
    assert!(m.ends_with("expected input [N, 3, H, W], got [2, 5, 5]"), "{m}");
    let m = said(&Conv3d::new(3, 2, 3, &mut Rng::seed(0)), &[2, 3, 5, 2, 5]);
    assert!(m.ends_with("along axis 3, got 2 and padding [0, 0] (input [2, 3, 5, 2, 5])"), "{m}");
    let m = said(&ConvTranspose1d::new(3, 2, 3, &mut Rng::seed(0)).padding(2), &[2, 3, 1]);
    assert!(m.ends_with("the 4 that the padding takes, got 3 places along axis 2 (input [2, 3, 1])"), "{m}");
    let m = message(|| ConvTranspose2d::<f32>::new(1, 1, 3, &mut Rng::seed(0)).stride([2, 1]).output_padding(1));
    assert!(m.contains("output padding [1, 1]; wanted less than the stride [2, 1] or the dilation [1, 1]"), "{m}");
    let m = said(&MaxPool1d::new(2), &[2, 3]);
    assert!(m.ends_with("expected input [N, C, L], got [2, 3]"), "{m}");
    let m = said(&Upsample::to([2, 2]), &[1, 1, 4]);
    assert!(m.ends_with("expected input of 4 axes for size [2, 2], got [1, 1, 4]"), "{m}");
    let m = said(&ReflectionPad2d::new([1, 2]), &[1, 1, 4, 2]);
    assert!(m.ends_with("expected padding of at most 1 along axis 3, got [2, 2] (input [1, 1, 4, 2])"), "{m}");
    let x = Var::constant(Tensor::<f32>::ones([1, 1, 2]));
    let m = message(|| MaxUnpool1d::new(2).forward(&x, &Tensor::from([[[0i32, 4]]])));
    assert!(m.ends_with("expected indices below 4, got 4"), "{m}");
    let m = said(&Residual::new(Linear::new(3, 1, &mut Rng::seed(0))), &[2, 3]);
    assert!(m.ends_with("expected body and shortcut of one shape, got [2, 1] and [2, 3] of input [2, 3]"), "{m}");
    let m = said(&Dropout2d::new(0.5), &[2, 3]);
    assert!(m.ends_with("expected input [N, C, H, W], got [2, 3]"), "{m}");
    let m = said(&InstanceNorm2d::new(3), &[2, 3, 1, 1]);
    assert!(m.ends_with("a channel, got one (input [2, 3, 1, 1]), whose variance is 0"), "{m}");
    let m = said(&GroupNorm::new(2, 4), &[2, 3]);
    assert!(m.ends_with("expected input [N, 4, ..], got [2, 3]"), "{m}");
    let m = said(&PRelu::new(4), &[2, 3]);
    assert!(m.ends_with("expected input [N, 4, ..], got [2, 3]"), "{m}");
    let m = said(&Glu(-1), &[2, 3]);
    assert!(m.ends_with("expected input with an even size along axis 1, got [2, 3]"), "{m}");
    assert!(message(|| GroupNorm::<f32>::new(3, 4)).contains("4 channels do not divide into 3 groups"));
    let m = message(|| Concat::<f32>::new().push("a", Relu).push("a", Tanh));
    assert!(m.contains("already is a branch `a`"), "{m}");
    assert!(message(|| Conv2d::<f32>::grouped(3, 4, 1, 2, &mut Rng::seed(0))).contains("do not divide into 2 groups"));
    assert!(message(|| Embedding::<f32>::new(3, 2, &mut Rng::seed(0)).padding_index(3)).contains("padding index 3 of 3"));
    let table = Embedding::<f32>::new(3, 2, &mut Rng::seed(0));
    let m = message(|| table.embed(&Tensor::from([0i64, 3])));
    assert!(m.contains('3') && m.contains("at"), "{m}");
}

#[test]
fn a_convolution_starts_and_restarts_as_it_should() {
    let rng = &mut Rng::seed(4);
    let conv: Conv2d = Conv2d::grouped(8, 6, 3, 2, rng);
    assert_eq!(*conv.weight.shape(), [6, 4, 3, 3]);
    assert_eq!(*conv.bias.as_ref().unwrap().shape(), [6]);
    let bound = 1.0 / 36f32.sqrt();
    assert!(conv.weight.value().abs().max(..).item() <= bound);
    let conv = conv.init(Init::Constant(0.5), rng);
    assert_eq!(conv.weight.value().min(..).item(), 0.5);
    assert_eq!(conv.bias.unwrap().value().abs().max(..).item(), 0.0);
}

#[test]
fn unpooling_keeps_the_last_of_the_values_for_a_place() {
    let x = Var::leaf(Tensor::from([[[1.0f64, 2.0, 3.0]]]));
    let y = MaxUnpool1d::new(2).stride(1).forward(&x, &Tensor::from([[[1i32, 1, 3]]]));
    assert_eq!(y.value().to_vec(), [0.0, 2.0, 0.0, 3.0]);
    assert_eq!(y.sum(..).backward()[&x].to_vec(), [0.0, 1.0, 1.0]);
}

#[test]
fn a_separable_convolution_is_its_two_parts() {
    let rng = &mut Rng::seed(0);
    let x = Tensor::<f64>::normal([2, 3, 5, 4], 0.0, 1.0, rng);
    let conv: SeparableConv2d<f64> = SeparableConv2d::with_multiplier(3, 4, 3, 2, rng).padding(1).stride(2);
    let y = forward(&conv, &x, &mut Mode::Eval);
    let between = forward(&conv.depthwise, &x, &mut Mode::Eval);
    assert_eq!(*between.shape(), [2, 6, 3, 2]);
    assert_eq!(y, forward(&conv.pointwise, &between, &mut Mode::Eval));
    assert_eq!(
        conv.named_parameters().iter().map(|(p, _)| p.as_str()).collect::<Vec<_>>(),
        ["depthwise.weight", "pointwise.weight", "pointwise.bias",]
    );
}

#[test]
fn a_clone_has_parameters_of_its_own() {
    let a: Linear = Linear::new(2, 2, &mut Rng::seed(0));
    let b = a.clone();
    assert_eq!(a.state_dict(), b.state_dict());
    assert_ne!(a.weight.id(), b.weight.id());
    let grads = b.forward(&Tensor::ones([1, 2]).into(), &mut Mode::Eval).sum(..).backward();
    assert!(grads.get(&b.weight).is_some() && grads.get(&a.weight).is_none());
}

#[test]
fn a_padding_row_is_zero_and_stays_so() {
    let table: Embedding<f64> = Embedding::new(4, 2, &mut Rng::seed(0)).padding_index(2);
    let y = table.embed(&Tensor::from([2i64, 1, 2]));
    assert_eq!(y.value().select(0, 0).to_vec(), [0.0, 0.0]);
    let grads = y.sum(..).backward();
    assert_eq!(grads[&table.weight], Tensor::from([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]));
}

#[test]
fn f32_and_f64_layers_agree() {
    let conv: Conv2d<f64> = Conv2d::new(2, 3, 3, &mut Rng::seed(6)).same();
    let single: Conv2d<f32> = Conv2d::new(2, 3, 3, &mut Rng::seed(6)).same();
    let x = Tensor::<f64>::normal([2, 2, 6, 5], 0.0, 1.0, &mut Rng::seed(7));
    let (y, z) = (forward(&conv, &x, &mut Mode::Eval), forward(&single, &x.cast(), &mut Mode::Eval));
    assert!((y - &z.cast::<f64>()).abs().max(..).item() < 1e-5);
}

/// The mean of each region, by its definition.
fn adaptive_by_loops(x: &Tensor<f64>, out: [usize; 2]) -> Tensor<f64> {
    let [n, c, h, w] = [x.size(0), x.size(1), x.size(2), x.size(3)];
    Tensor::from_fn([n, c, out[0], out[1]], |i| {
        let rows = i[2] * h / out[0]..((i[2] + 1) * h).div_ceil(out[0]);
        let cols = i[3] * w / out[1]..((i[3] + 1) * w).div_ceil(out[1]);
        let count = rows.len() * cols.len();
        let sum: f64 = rows.flat_map(|r| cols.clone().map(move |c| (r, c))).map(|(r, c)| x.at([i[0], i[1], r, c])).sum();
        sum / count as f64
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn adaptive_pooling_is_the_mean_of_its_regions(h in 1..9usize, w in 1..9usize, oh in 1..9usize, ow in 1..9usize, seed: u64) {
        let x = Tensor::<f64>::normal([2, 1, h, w], 0.0, 1.0, &mut Rng::seed(seed)).transpose(0, 1);
        let y = forward(&AdaptiveAvgPool2d::new([oh, ow]), &x, &mut Mode::Eval);
        let expected = adaptive_by_loops(&x, [oh, ow]);
        prop_assert_eq!(y.shape(), expected.shape());
        prop_assert!((y - &expected).abs().max(..).item() < 1e-12);
    }

    #[test]
    fn same_padding_keeps_the_size_over_the_stride(
        size in 1..12usize, kernel in 1..5usize, stride in 1..4usize, dilation in 1..3usize,
    ) {
        let x = Tensor::<f32>::ones([1, 1, size, size + 1]);
        let expected = [1, 1, size.div_ceil(stride), (size + 1).div_ceil(stride)];
        let conv = Conv2d::new(1, 1, kernel, &mut Rng::seed(0)).stride(stride).dilation(dilation).same();
        let y = forward(&conv, &x, &mut Mode::Eval);
        prop_assert_eq!(y.shape(), &Shape::from(expected));
        let y = forward(&AvgPool2d::new(kernel).stride(stride).same().count_include_pad(false), &x, &mut Mode::Eval);
        prop_assert_eq!(y.shape(), &Shape::from(expected));
        prop_assert!((y - 1.0).abs().max(..).item() < 1e-6);
    }

    #[test]
    fn layer_norm_does_not_see_shift_and_scale(rows in 1..5usize, width in 2..9usize, seed: u64) {
        let x = Tensor::<f64>::normal([rows, width], 0.0, 1.0, &mut Rng::seed(seed));
        let norm = LayerNorm::new([width]).eps(0.0);
        let (y, z) = (forward(&norm, &x, &mut Mode::Eval), forward(&norm, &(&x * 7.0 + 3.0), &mut Mode::Eval));
        prop_assert!((y - &z).abs().max(..).item() < 1e-9);
    }
}

#[test]
fn a_convolution_is_computed_by_the_algorithm_that_it_is_told() {
    use gradus_tensor::ConvAlgorithm::{self, Direct, Fastest};
    let rng = &mut Rng::seed(5);
    let x = Tensor::<f32>::normal([2, 16, 16, 16], 0.0, 1.0, rng);
    let of = |layer: Conv2d, algorithm: ConvAlgorithm| {
        let o = gradus_tensor::Conv2dOptions::default().padding([[1, 1], [1, 1]]).algorithm(algorithm);
        let right = x.conv2d(layer.weight.value(), o).to_vec();
        let found = layer.algorithm(algorithm).forward(&x.clone().into(), &mut Mode::Eval).value().to_vec();
        assert_eq!(found, right, "{algorithm:?}");
        found
    };
    let layer: Conv2d = Conv2d::new(16, 16, 3, rng).padding(1).bias(false);
    assert_ne!(of(layer.clone(), Direct), of(layer, Fastest));
}
