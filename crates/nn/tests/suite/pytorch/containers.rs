use super::{check_all, read};
use gradus_nn::*;
use gradus_tensor::Rng;

/// The body of a residual block of ResNet-18.
fn basic_block(channels: usize, filters: usize, stride: usize, rng: &mut Rng) -> Sequential<f64> {
    Sequential::new()
        .add(Conv2d::new(channels, filters, 3, rng).stride(stride).padding(1).bias(false))
        .add(BatchNorm2d::new(filters))
        .add(Relu)
        .add(Conv2d::new(filters, filters, 3, rng).padding(1).bias(false))
        .add(BatchNorm2d::new(filters))
}

fn layer(name: &str, rng: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "residual_identity" => Box::new(Residual::new(basic_block(2, 2, 1, rng))),
        "residual_projection" => {
            let projection = Sequential::new().add(Conv2d::new(2, 3, 1, rng).stride(2).bias(false)).add(BatchNorm2d::new(3));
            Box::new(Residual::new(basic_block(2, 3, 2, rng)).shortcut(projection))
        }
        "concat" => {
            let pool = Sequential::new().add(MaxPool2d::new(3).stride(1).padding(1)).add(Conv2d::new(2, 1, 1, rng));
            Box::new(Concat::new().add(Conv2d::new(2, 3, 1, rng)).add(Conv2d::new(2, 2, [3, 5], rng).padding([1, 2])).add(pool))
        }
        other => panic!("a fixture without its layer: {other}"),
    }
}

#[test]
fn containers_agree() {
    check_all(&read("containers.json"), 3, layer);
}
