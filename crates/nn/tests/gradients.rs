//! Every layer and loss against finite differences: first and second derivatives, in evaluation and training.

use gradus_autograd::check::{Tolerance, gradcheck, gradgradcheck};
use gradus_autograd::{Param, Var};
use gradus_nn::check::{check_layer, check_layer_at};
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};

// What `#[derive(Module)]` writes names the crate `gradus`.
extern crate gradus_autograd as gradus;

fn rng() -> Rng {
    Rng::seed(5)
}

#[test]
fn dense_and_convolution_layers() {
    let rng = &mut rng();
    check_layer(Linear::new(3, 2, rng), [4, 3]).unwrap();
    check_layer(Linear::new(3, 2, rng).bias(false), [2, 2, 3]).unwrap();
    check_layer(Conv2d::new(2, 3, 3, rng), [2, 2, 4, 5]).unwrap();
    check_layer(Conv2d::new(2, 2, [2, 3], rng).same().dilation([2, 1]), [1, 2, 4, 3]).unwrap();
    check_layer(Conv2d::new(1, 2, 3, rng).stride(2).same().bias(false), [1, 1, 4, 5]).unwrap();
    check_layer(Conv2d::grouped(2, 4, 2, 2, rng).padding([1, 0]).stride([1, 2]), [1, 2, 3, 4]).unwrap();
    check_layer(Conv2d::new(1, 1, 2, rng).padded(Padding::Explicit([[0, 2], [1, 0]])), [1, 1, 3, 3]).unwrap();
}

#[test]
fn pooling_layers() {
    let shape = [2, 2, 5, 4];
    check_layer(MaxPool2d::new(2), shape).unwrap();
    check_layer(MaxPool2d::new(3).stride(2).padding(1).ceil_mode(true), shape).unwrap();
    check_layer(MaxPool2d::new([2, 1]).dilation([2, 1]).stride(1).same(), shape).unwrap();
    check_layer(AvgPool2d::new(2), shape).unwrap();
    check_layer(AvgPool2d::new(3).stride(2).same().count_include_pad(false), shape).unwrap();
    check_layer(AdaptiveAvgPool2d::new([3, 2]), shape).unwrap();
    check_layer(AdaptiveAvgPool2d::new([2, 3]), shape).unwrap();
    check_layer(GlobalAvgPool2d, shape).unwrap();
    check_layer(GlobalMaxPool2d, shape).unwrap();
}

#[test]
fn normalisation_layers() {
    check_layer(scaled(BatchNorm1d::new(3)), [4, 3]).unwrap();
    check_layer(scaled(BatchNorm1d::new(2)), [2, 2, 3]).unwrap();
    check_layer(scaled(BatchNorm2d::new(2)), [2, 2, 2, 3]).unwrap();
    check_layer(BatchNorm2d::new(2).affine(false).eps(0.1), [2, 2, 2, 2]).unwrap();
    check_layer(scaled(LayerNorm::new([4])), [2, 3, 4]).unwrap();
    check_layer(scaled(LayerNorm::new([3, 2])), [2, 3, 2]).unwrap();
    check_layer(LayerNorm::new([3]).affine(false), [2, 3]).unwrap();
}

/// The layer with parameters that are not all 1 or 0.
fn scaled<L: Layer<f64>>(mut layer: L) -> L {
    layer.for_each_parameter(|_, p| p.set(Tensor::uniform(p.shape().clone(), 0.5, 2.0, &mut rng())));
    layer
}

#[test]
fn activations_and_other_layers_without_parameters() {
    let shape = [3, 4];
    check_layer(ReLU, shape).unwrap();
    check_layer_at(ReLU6, &Tensor::uniform(shape, -4.0, 10.0, &mut rng())).unwrap();
    check_layer(GELU, shape).unwrap();
    check_layer(SiLU, shape).unwrap();
    check_layer(Sigmoid, shape).unwrap();
    check_layer(Tanh, shape).unwrap();
    check_layer(Softplus, shape).unwrap();
    check_layer(LeakyReLU::default(), shape).unwrap();
    check_layer(ELU { alpha: 1.5 }, shape).unwrap();
    check_layer(Softmax(1), shape).unwrap();
    check_layer(LogSoftmax(0), shape).unwrap();
    check_layer(Dropout::new(0.4), shape).unwrap();
    check_layer(Identity, shape).unwrap();
    check_layer(Flatten, [2, 2, 3]).unwrap();
    check_layer(Lambda(|x: &Var<f64>| x.square().sin()), shape).unwrap();
}

#[test]
fn a_whole_network() {
    let rng = &mut rng();
    let net = Sequential::new()
        .add(Conv2d::new(1, 2, 3, rng).same())
        .add(BatchNorm2d::new(2))
        .add(Tanh)
        .add(AvgPool2d::new(2))
        .add(Dropout::new(0.3))
        .add(Flatten)
        .push("head", Linear::new(8, 2, rng));
    check_layer(net, [2, 1, 4, 4]).unwrap();
}

#[test]
fn the_check_finds_wrong_gradients() {
    /// Its value is 2 w x, its gradient that of w x.
    #[derive(Module)]
    #[module(f64)]
    struct Wrong(Param<f64>);
    impl Layer<f64> for Wrong {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            let y = x * &*self.0;
            &y + y.detach()
        }
    }
    let error = check_layer(Wrong(Param::new(Tensor::from([0.5, 2.0]))), [2]).unwrap_err();
    assert_eq!((error.path.as_str(), error.error.order), ("input", "first"));

    /// Right to first order; to second, the output in its rule is a constant.
    #[derive(Module)]
    #[module(f64)]
    struct Severed;
    impl Layer<f64> for Severed {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            let y = x.value().exp();
            let constant = Var::constant(y.clone());
            gradus_autograd::op("severed", [x], y, move |p| [Some(p.gy() * &constant)])
        }
    }
    let error = check_layer(Severed, [2]).unwrap_err();
    assert_eq!((error.path.as_str(), error.error.order), ("input", "second"));
    assert!(error.to_string().starts_with("input in evaluation: second derivative of input 0"), "{error}");
}

#[test]
#[should_panic(expected = "the parameters [\"used\", \"unused\"]: grad: y does not depend on xs[2]")]
fn the_check_finds_parameters_without_influence() {
    #[derive(Module)]
    #[module(f64)]
    struct Idle {
        used: Param<f64>,
        unused: Param<f64>,
    }
    impl Layer<f64> for Idle {
        fn forward(&self, x: &Var<f64>, _: &mut Mode) -> Var<f64> {
            x * &*self.used
        }
    }
    let one = || Param::new(Tensor::ones([1]));
    let _ = check_layer(Idle { used: one(), unused: one() }, [2]);
}

#[test]
fn embedding() {
    let ids = Tensor::from([[2i64, 0], [2, 1]]);
    let weight = Tensor::normal([4, 3], 0.0, 1.0, &mut rng());
    let table = Embedding::from_weight(weight.clone());
    let gy = Tensor::uniform([2, 2, 3], -1.0, 1.0, &mut rng());
    let grads = table.embed(&ids).backward_with(gy.clone());
    // Linear in the weights: the gradient times any change of them is the change of the result.
    let change = Tensor::normal([4, 3], 0.0, 1.0, &mut Rng::seed(8));
    let moved = Embedding::from_weight(&weight + &change).embed(&ids);
    let expected: f64 = ((moved.value() - table.embed(&ids).value()) * &gy).sum(..).item();
    let found: f64 = (&grads[&table.weight] * &change).sum(..).item();
    assert!((found - expected).abs() < 1e-12);
}

/// Both orders, with respect to the output; under every reduction.
fn check_loss<Y>(x: &Tensor<f64>, target: &Y, losses: [impl Loss<f64, Y>; 3]) {
    for loss in losses {
        let second = Tolerance { relative: 1e-5, absolute: 1e-6, ..Tolerance::default() };
        gradcheck(|v| loss.loss(&v[0], target), std::slice::from_ref(x), Tolerance::default()).unwrap();
        gradgradcheck(|v| loss.loss(&v[0], target), std::slice::from_ref(x), second).unwrap();
    }
}

const REDUCTIONS: [Reduction; 3] = [Reduction::Mean, Reduction::Sum, Reduction::None];

#[test]
fn classification_losses() {
    let rng = &mut rng();
    let x = Tensor::normal([4, 3], 0.0, 1.5, rng);
    let labels = Tensor::from([2i64, 0, -100, 1]);
    let all = || CrossEntropy::new().ignore_index(-100);
    check_loss(&x, &labels, REDUCTIONS.map(|r| all().reduction(r)));
    let all = || all().weight([0.5, 2.0, 1.5]).label_smoothing(0.2);
    check_loss(&x, &labels, REDUCTIONS.map(|r| all().reduction(r)));
    check_loss(&x, &labels, REDUCTIONS.map(|r| Nll::new().ignore_index(-100).weight([0.5, 2.0, 1.5]).reduction(r)));
    let probabilities = Var::constant(x.flip(0)).softmax(1).into_value();
    check_loss(&x, &probabilities, REDUCTIONS.map(|r| all().reduction(r)));
    let dense = Tensor::normal([2, 3, 2], 0.0, 1.0, rng);
    check_loss(&dense, &Tensor::from([[2i64, 0], [1, 1]]), REDUCTIONS.map(|r| CrossEntropy::new().reduction(r)));
}

#[test]
fn other_losses() {
    let rng = &mut rng();
    let (x, t) = (Tensor::normal([3, 4], 0.0, 1.5, rng), Tensor::uniform([3, 4], 0.0, 1.0, rng));
    let weighted = || BinaryCrossEntropy::new().pos_weight([2.0, 0.5, 1.0, 3.0]).weight([[0.5], [1.0], [2.0]]);
    check_loss(&x, &t, REDUCTIONS.map(|r| BinaryCrossEntropy::new().reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|r| weighted().reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|r| Mse::new().reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|r| L1::new().reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|r| Huber::new(0.7).reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|r| SmoothL1::new(0.7).reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|r| KlDivergence::new().reduction(r)));
    check_loss(&x, &t, REDUCTIONS.map(|_| KlDivergence::new().log_target()));
}

#[test]
fn targets_may_be_variables() {
    let rng = &mut rng();
    let pair = [Tensor::normal([3, 2], 0.0, 1.0, rng), Tensor::normal([3, 2], 0.0, 1.0, rng)];
    gradcheck(|v| Mse::new().loss(&v[0], &v[1]), &pair, Tolerance::default()).unwrap();
    gradcheck(|v| L1::new().loss(&v[0], &v[1]), &pair, Tolerance::default()).unwrap();
    gradcheck(|v| Huber::new(0.5).loss(&v[0], &v[1]), &pair, Tolerance::default()).unwrap();
    gradgradcheck(|v| SmoothL1::new(0.5).loss(&v[0], &v[1]), &pair, Tolerance::default()).unwrap();
}
