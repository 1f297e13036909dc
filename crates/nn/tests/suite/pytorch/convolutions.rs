use super::{check_all, read};
use gradus_nn::*;
use gradus_tensor::Rng;

fn layer(name: &str, rng: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "conv1d" => Box::new(Conv1d::new(2, 3, 3, rng)),
        "conv1d_options" => Box::new(Conv1d::grouped(4, 6, 3, 2, rng).stride(2).padding(2).dilation(2).bias(false)),
        "conv1d_same" => Box::new(Conv1d::new(2, 2, 4, rng).same().dilation(3)),
        "conv1d_as_long_as_the_input" => Box::new(Conv1d::new(1, 2, 4, rng)),
        "conv3d" => Box::new(Conv3d::new(2, 2, [2, 3, 2], rng)),
        "conv3d_options" => Box::new(Conv3d::grouped(2, 4, 2, 2, rng).stride([2, 1, 3]).padding([1, 0, 2]).dilation([1, 2, 1])),
        "conv3d_dilated_depth" => {
            Box::new(Conv3d::new(1, 1, [3, 1, 1], rng).stride([2, 2, 1]).padding([3, 0, 0]).dilation([2, 1, 1]))
        }
        "conv3d_same" => Box::new(Conv3d::new(1, 2, [2, 3, 1], rng).same().bias(false)),
        "conv_transpose1d" => Box::new(ConvTranspose1d::new(2, 3, 3, rng)),
        "conv_transpose1d_options" => {
            Box::new(ConvTranspose1d::grouped(4, 2, 4, 2, rng).stride(3).padding(2).dilation(2).output_padding(2))
        }
        "conv_transpose1d_wide_output_padding" => {
            Box::new(ConvTranspose1d::new(1, 2, 2, rng).padding(1).dilation(3).output_padding(2))
        }
        "conv_transpose2d" => Box::new(ConvTranspose2d::new(2, 3, [2, 3], rng)),
        "conv_transpose2d_doubling" => Box::new(ConvTranspose2d::new(3, 2, 4, rng).stride(2).padding(1)),
        "conv_transpose2d_options" => {
            let conv = ConvTranspose2d::grouped(2, 4, [3, 2], 2, rng).stride([2, 3]).padding([2, 0]);
            Box::new(conv.output_padding([1, 2]).bias(false))
        }
        "conv_transpose2d_gaps" => Box::new(ConvTranspose2d::new(2, 1, 1, rng).stride(2).output_padding(1)),
        "conv_transpose2d_keras_same" => Box::new(ConvTranspose2d::new(1, 2, 3, rng).stride(2).same()),
        "conv_transpose2d_keras_same_stride_1" => Box::new(ConvTranspose2d::new(1, 1, [4, 3], rng).same()),
        "conv_transpose3d" => Box::new(ConvTranspose3d::new(2, 2, [2, 1, 3], rng)),
        "conv_transpose3d_options" => {
            let conv = ConvTranspose3d::grouped(2, 2, 2, 2, rng).stride([2, 1, 3]).padding([1, 1, 0]);
            Box::new(conv.dilation([2, 2, 1]).output_padding([1, 0, 2]))
        }
        "conv_transpose3d_one_slice" => {
            Box::new(ConvTranspose3d::new(1, 1, 3, rng).stride(2).padding(1).output_padding(1).bias(false))
        }
        "depthwise" => Box::new(Conv2d::depthwise(2, 3, [3, 2], rng).stride(2).padding(1)),
        "separable" => Box::new(SeparableConv2d::with_multiplier(2, 3, [2, 3], 2, rng).stride([1, 2]).padding(1)),
        other => panic!("a fixture without its layer: {other}"),
    }
}

#[test]
fn convolutions_agree() {
    check_all(&read("convolutions.json"), 22, layer);
}
