use super::{check_all, read};
use gradus_nn::*;
use gradus_tensor::Rng;

fn layer(name: &str, _: &mut Rng) -> Box<dyn Layer<f64>> {
    match name {
        "selu" => Box::new(Selu),
        "celu" => Box::new(Celu::default()),
        "celu_1.5" => Box::new(Celu { alpha: 1.5 }),
        "gelu_tanh" => Box::new(GeluTanh),
        "mish" => Box::new(Mish),
        "softsign" => Box::new(Softsign),
        "log_sigmoid" => Box::new(LogSigmoid),
        "hardsigmoid" => Box::new(Hardsigmoid),
        "hardswish" => Box::new(Hardswish),
        "hardtanh" => Box::new(Hardtanh::default()),
        "hardtanh_numbers" => Box::new(Hardtanh { low: -0.5, high: 3.0 }),
        "threshold" => Box::new(Threshold { threshold: 0.5, value: 20.0 }),
        "softshrink" => Box::new(Softshrink::default()),
        "hardshrink" => Box::new(Hardshrink::default()),
        "tanhshrink" => Box::new(Tanhshrink),
        "softmin" => Box::new(Softmin(1)),
        "glu" => Box::new(Glu(1)),
        "prelu" => Box::new(PRelu::new(1)),
        "prelu_channels" => Box::new(PRelu::new(3)),
        "relu" => Box::new(Relu),
        "relu6" => Box::new(Relu6),
        "leaky_relu" => Box::new(LeakyRelu::default()),
        "elu" => Box::new(Elu::default()),
        other => panic!("a fixture without its layer: {other}"),
    }
}

/// Also where their slopes change.
#[test]
fn activations_agree() {
    check_all(&read("activations.json"), 23, layer);
}
