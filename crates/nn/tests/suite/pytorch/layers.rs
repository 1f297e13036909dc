use super::{assert_close, check_all, floats, integers, read};
use gradus_nn::*;
use gradus_tensor::Rng;

/// The layer that a case is about; its weights come from the file.
fn layer(name: &str, rng: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "linear" | "linear_of_sequence" => Box::new(Linear::new(3, 2, rng)),
        "linear_without_bias" => Box::new(Linear::new(3, 2, rng).bias(false)),
        "conv2d" => Box::new(Conv2d::new(2, 3, 3, rng)),
        "conv2d_same" => Box::new(Conv2d::new(2, 2, [4, 3], rng).same().dilation([1, 2])),
        "conv2d_stride_padding" => Box::new(Conv2d::new(2, 3, [3, 2], rng).stride([2, 1]).padding([1, 2])),
        "conv2d_dilated_grouped" => Box::new(Conv2d::grouped(4, 6, 2, 2, rng).dilation(2).bias(false)),
        "conv2d_depthwise" => Box::new(Conv2d::grouped(3, 3, 3, 3, rng).padding(1)),
        "conv2d_keras_same" => Box::new(Conv2d::new(1, 2, 3, rng).stride(2).same()),
        "max_pool2d" => Box::new(MaxPool2d::new(2)),
        "max_pool2d_overlapping" => Box::new(MaxPool2d::new(3).stride(2).padding(1)),
        "max_pool2d_dilated_ceil" => Box::new(MaxPool2d::new(2).dilation(2).ceil_mode(true)),
        "max_pool2d_keras_same" => Box::new(MaxPool2d::new(3).stride(2).same()),
        "avg_pool2d" => Box::new(AvgPool2d::new([2, 3])),
        "avg_pool2d_padded" => Box::new(AvgPool2d::new(3).stride(2).padding(1)),
        "avg_pool2d_ceil_without_pad" => {
            Box::new(AvgPool2d::new(3).stride(2).padding(1).ceil_mode(true).count_include_pad(false))
        }
        "adaptive_avg_pool2d" => Box::new(AdaptiveAvgPool2d::new([3, 2])),
        "adaptive_avg_pool2d_even" => Box::new(AdaptiveAvgPool2d::new([2, 3])),
        "adaptive_avg_pool2d_larger" => Box::new(AdaptiveAvgPool2d::new(4)),
        "global_avg_pool2d" => Box::new(GlobalAvgPool2d),
        "global_max_pool2d" => Box::new(GlobalMaxPool2d),
        "flatten" => Box::new(Flatten),
        "batch_norm1d_eval" | "batch_norm1d_train" => Box::new(BatchNorm1d::new(3)),
        "batch_norm1d_sequence" => Box::new(BatchNorm1d::new(2)),
        "batch_norm2d_eval" | "batch_norm2d_train" => Box::new(BatchNorm2d::new(2)),
        "batch_norm2d_options" => Box::new(BatchNorm2d::new(2).eps(1e-2).momentum(0.3).affine(false)),
        "layer_norm" => Box::new(LayerNorm::new([4])),
        "layer_norm_two_axes" => Box::new(LayerNorm::new([3, 4]).eps(1e-2)),
        "layer_norm_without_affine" => Box::new(LayerNorm::new([4]).affine(false)),
        "relu" => Box::new(Relu),
        "relu6" => Box::new(Relu6),
        "gelu" => Box::new(Gelu),
        "silu" => Box::new(Silu),
        "sigmoid" => Box::new(Sigmoid),
        "tanh" => Box::new(Tanh),
        "softplus" => Box::new(Softplus),
        "leaky_relu" => Box::new(LeakyRelu::default()),
        "leaky_relu_0.2" => Box::new(LeakyRelu { slope: 0.2 }),
        "elu" => Box::new(Elu::default()),
        "elu_1.5" => Box::new(Elu { alpha: 1.5 }),
        "softmax_1" => Box::new(Softmax(1)),
        "log_softmax_0" => Box::new(LogSoftmax(0)),
        other => panic!("a fixture without its layer: {other}"),
    }
}

#[test]
fn layers_agree() {
    check_all(&read("layers.json")["layers"], 44, layer);
}

#[test]
fn embeddings_agree() {
    let file = read("layers.json");
    let cases = file["embeddings"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let name = case["name"].as_str().unwrap();
        let mut table = Embedding::from_weight(floats(&case["weight"]));
        if name == "embedding_padding" {
            table = table.padding_index(1);
        }
        let y = table.embed(&integers(&case["ids"]));
        assert_close(name, y.value(), &case["y"]);
        let grads = y.backward_with(floats(&case["gy"]));
        assert_close(name, &grads[&table.weight], &case["gw"]);
    }
}
