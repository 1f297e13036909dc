//! What a network says of images with other channels than it takes: the layer by its path, as its parameters have it.

use gradus_autograd::Var;
use gradus_models::{ConvNet, EfficientNetLite0, LeNet5, MobileNetV2, ResNet18, ResNet50};
use gradus_nn::{Layer, Linear, Mode, Module, Sequential};
use gradus_tensor::{Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn message<R>(f: impl FnOnce() -> R) -> String {
    *catch_unwind(AssertUnwindSafe(f)).err().expect("it should have panicked").downcast::<String>().unwrap()
}

#[test]
fn a_network_names_the_layer_that_refuses_by_its_path() {
    let rng = &mut Rng::seed(0);
    let nets: [ConvNet; 4] =
        [ResNet18::new(10, rng), ResNet50::new(10, rng), MobileNetV2::new(10, rng), EfficientNetLite0::new(10, rng)];
    let gray = Var::constant(Tensor::ones([1, 1, 64, 64]));
    for net in &nets {
        let first = net.named_parameters()[0].0.clone();
        let path = first.strip_suffix(".weight").unwrap();
        let m = message(|| net.forward(&gray, &mut Mode::Eval));
        let place = format!("Conv2d `{path}` at {}:{}: ", file!(), line!() - 1);
        assert_eq!(m, format!("{place}expected input [N, 3, H, W], got [1, 1, 64, 64]"));
    }
    let head = Sequential::new().push("fc", Linear::new(7, 2, rng));
    let net: ConvNet = LeNet5::new(1, [28, 28], 10, rng).with_classifier(head);
    let m = message(|| net.forward(&Tensor::ones([2, 1, 28, 28]).into(), &mut Mode::Eval));
    let place = format!("Linear `classifier.fc` at {}:{}: ", file!(), line!() - 1);
    assert_eq!(m, format!("{place}expected input [.., 7], got [2, 2450]"));
}
