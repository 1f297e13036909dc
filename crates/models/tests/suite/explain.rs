//! Maps of what matters, against what they must be for networks simple enough to say.

use gradus_models::{ConvNet, explain};
use gradus_nn::{Conv2d, Flatten, GlobalAvgPool2d, Layer, Linear, Mode, Relu, Sequential};
use gradus_tensor::{Rng, Tensor};

fn linear_net(rng: &mut Rng) -> Sequential<f64> {
    Sequential::new().add(Flatten).push("fc", Linear::new(2 * 4 * 5, 3, rng))
}

/// The weight of a class, laid out as the picture.
fn weight_of(net: &Sequential<f64>, class: usize) -> Tensor<f64> {
    use gradus_nn::Module;
    net.state_dict()["fc.weight"].select(0, class).reshape([2, 4, 5])
}

#[test]
fn the_saliency_of_a_linear_network_is_its_weight() {
    let rng = &mut Rng::seed(3);
    let net = linear_net(rng);
    let x = Tensor::uniform([2, 2, 4, 5], -1.0, 1.0, rng);
    let map = explain::saliency(&net, &x, &[2, 0]);
    for (i, class) in [2, 0].into_iter().enumerate() {
        assert!((map.select(0, i) - weight_of(&net, class).abs().max(0)).abs().max(..).item() < 1e-15);
    }
}

/// Covering pixels of a linear network takes away what they contribute.
#[test]
fn the_occlusion_of_a_linear_network_is_what_the_square_contributes() {
    let rng = &mut Rng::seed(4);
    let net = linear_net(rng);
    let x = Tensor::uniform([2, 2, 4, 5], -1.0, 1.0, rng);
    let map = explain::occlusion(&net, &x, &[1, 2], 2, 1, 0.5);
    assert_eq!(*map.shape(), [2, 3, 4]);
    for (i, class) in [1, 2].into_iter().enumerate() {
        let part = weight_of(&net, class) * (x.select(0, i) - 0.5);
        for (row, col) in (0..3).flat_map(|r| (0..4).map(move |c| (r, c))) {
            let expected = part.slice(1, row..row + 2).slice(2, col..col + 2).sum(..).item();
            assert!((map.at([i, row, col]) - expected).abs() < 1e-14);
        }
    }
}

/// With global average pooling and one linear layer, Grad-CAM is the class activation map of Zhou et al. 2016 over `h · w`.
#[test]
fn grad_cam_is_the_class_activation_map_where_that_is_defined() {
    use gradus_nn::Module;
    let rng = &mut Rng::seed(5);
    let net = ConvNet::<f64> {
        features: Sequential::new().add(Conv2d::new(2, 6, 3, rng).same()).add(Relu),
        pool: Sequential::new().add(GlobalAvgPool2d),
        classifier: Sequential::new().add(Linear::new(6, 3, rng)),
    };
    let x = Tensor::uniform([2, 2, 4, 5], -1.0, 1.0, rng);
    let cam = explain::grad_cam(&net, &x, &[0, 2]);
    let maps = net.features.forward(&x.into(), &mut Mode::Eval).into_value();
    for (i, class) in [0, 2].into_iter().enumerate() {
        let weight = net.classifier.state_dict()["0.weight"].select(0, class);
        for (row, col) in (0..4).flat_map(|r| (0..5).map(move |c| (r, c))) {
            let sum: f64 = (0..6).map(|k| weight.at([k]) * maps.at([i, k, row, col])).sum();
            assert!((cam.at([i, row, col]) - sum.max(0.0) / 20.0).abs() < 1e-15);
        }
    }
}

#[test]
fn wrong_classes_are_said() {
    let rng = &mut Rng::seed(6);
    let net = linear_net(rng);
    let x = Tensor::uniform([2, 2, 4, 5], -1.0, 1.0, rng);
    let message = |classes: &[usize]| {
        let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| explain::saliency(&net, &x, classes)));
        panic.unwrap_err().downcast_ref::<String>().unwrap().clone()
    };
    assert!(message(&[0]).contains("1 classes for 2 pictures"));
    assert!(message(&[0, 3]).contains("class 3; the network has 3, numbered from 0"));
    let large = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| explain::occlusion(&net, &x, &[0, 0], 9, 1, 0.0)));
    assert!(large.unwrap_err().downcast_ref::<String>().unwrap().contains("a square of 9 pixels"));
}
