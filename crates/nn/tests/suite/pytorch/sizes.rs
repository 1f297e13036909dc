use super::{check_all, read};
use gradus_nn::*;
use gradus_tensor::Rng;

fn layer(name: &str, _: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "nearest_line" => Box::new(Upsample::new(2.0)),
        "nearest_by_half_more" => Box::new(Upsample::new(1.5)),
        "nearest_smaller" => Box::new(Upsample::new(0.4)),
        "nearest_size" => Box::new(Upsample::to([5, 3])),
        "nearest_volume" => Box::new(Upsample::to([3, 4, 1])),
        "linear" => Box::new(Upsample::new(2.0).linear(false)),
        "linear_aligned" => Box::new(Upsample::to([8]).linear(true)),
        "linear_to_one" => Box::new(Upsample::to([1]).linear(true)),
        "bilinear" => Box::new(Upsample::new(2.0).linear(false)),
        "bilinear_by_1.7" => Box::new(Upsample::new(1.7).linear(false)),
        "bilinear_smaller" => Box::new(Upsample::to([2, 3]).linear(false)),
        "bilinear_aligned" => Box::new(Upsample::new(3.0).linear(true)),
        "trilinear" => Box::new(Upsample::to([4, 2, 5]).linear(false)),
        "trilinear_aligned" => Box::new(Upsample::to([3, 3, 3]).linear(true)),
        "zero_pad2d" => Box::new(ZeroPad2d::sides([[2, 0], [1, 3]])),
        "reflection_pad2d" => Box::new(ReflectionPad2d::sides([[2, 0], [1, 3]])),
        "replication_pad2d" => Box::new(ReplicationPad2d::sides([[2, 0], [1, 3]])),
        "circular_pad2d" => Box::new(CircularPad2d::sides([[2, 0], [1, 3]])),
        "reflection_pad1d" => Box::new(ReflectionPad1d::sides([[4, 2]])),
        "replication_pad3d" => Box::new(ReplicationPad3d::sides([[0, 3], [2, 1], [1, 0]])),
        "reflection_pad3d" => Box::new(ReflectionPad3d::new(1)),
        "circular_pad1d" => Box::new(CircularPad1d::sides([[5, 1]])),
        other => panic!("a fixture without its layer: {other}"),
    }
}

#[test]
fn layers_that_change_sizes_agree() {
    check_all(&read("sizes.json"), 22, layer);
}
