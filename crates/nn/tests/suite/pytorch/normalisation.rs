use super::{check_all, read};
use gradus_nn::*;
use gradus_tensor::Rng;

fn layer(name: &str, rng: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "batch_norm2d_frozen" => Box::new(BatchNorm2d::new(2).frozen(true)),
        "batch_norm3d_train" | "batch_norm3d_eval" => Box::new(BatchNorm3d::new(2)),
        "group_norm" => Box::new(GroupNorm::new(2, 4)),
        "group_norm_each" => Box::new(GroupNorm::new(3, 3).eps(1e-2)),
        "group_norm_all_of_vectors" => Box::new(GroupNorm::new(1, 4).affine(false)),
        "instance_norm1d" => Box::new(InstanceNorm1d::new(2)),
        "instance_norm1d_train" | "instance_norm1d_eval" => {
            Box::new(InstanceNorm1d::new(2).affine(true).track_running_stats(true))
        }
        "instance_norm2d" => Box::new(InstanceNorm2d::new(3).affine(true).eps(1e-2)),
        "instance_norm3d" => Box::new(InstanceNorm3d::new(2).affine(true).track_running_stats(true).momentum(0.3)),
        "rms_norm" => Box::new(RmsNorm::new([4])),
        "rms_norm_two_axes" => Box::new(RmsNorm::new([3, 2]).eps(1e-2)),
        "rms_norm_without_affine" => Box::new(RmsNorm::new([4]).affine(false)),
        "squeeze_excite" => Box::new(SqueezeExcite::new(4, 2, rng)),
        "squeeze_excite_hard" => Box::new(SqueezeExcite::new(3, 1, rng).activation(Silu).gate(Hardsigmoid)),
        other => panic!("a fixture without its layer: {other}"),
    }
}

#[test]
fn normalisation_agrees() {
    check_all(&read("normalisation.json"), 16, layer);
}
