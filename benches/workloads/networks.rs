//! Whole networks: training steps, and inference.

use super::step::{layer, train, train_by};
use super::{Bench, normal};
use gradus::models::{LeNet5, MobileNetV2, Vgg16, cifar};
use gradus::nn::{Conv1d, ConvTranspose2d, Padding, Residual};
use gradus::prelude::*;
use std::hint::black_box;

pub fn bench(b: &Bench) {
    small(b);
    large(b);
    images(b);
    dense(b);
    b.run("e_dcgan_g", |rng| layer(generator(rng), normal([64, 100, 1, 1], rng), rng));
    b.run("f_wavenet", |rng| {
        let (x, y) = (normal([4, 1, 4096], rng), normal([4, 1, 4096], rng));
        train_by(WaveNet::new(rng), Adam::new(1e-3), x, rng.split(), move |output| output.mse(&y))
    });
}

fn small(b: &Bench) {
    b.run("W3_lenet_b128", |rng| {
        let (x, y) = (normal([128, 1, 28, 28], rng), Tensor::randint([128], 0, 10, rng));
        train(LeNet5::new(1, [28, 28], 10, rng), Adam::new(1e-3), x, y, rng.split())
    });
    for batch in [32, 128] {
        b.run(&format!("W4_cifar_b{batch}"), |rng| {
            let (x, y) = (normal([batch, 3, 32, 32], rng), Tensor::randint([batch], 0, 10, rng));
            train(cifar::deep(10, rng), RmsProp::new(1e-3), x, y, rng.split())
        });
    }
}

/// The layers of All-CNN-C as the bench counts them: filters, kernel, stride; each with a ReLU.
const ALL_CNN: [(usize, usize, usize); 9] =
    [(96, 3, 1), (96, 3, 1), (96, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2), (192, 3, 1), (192, 1, 1), (10, 1, 1)];

fn all_cnn(rng: &mut Rng) -> Sequential {
    let (mut net, mut channels) = (Sequential::new(), 3);
    for (filters, kernel, stride) in ALL_CNN {
        let conv = Conv2d::new(channels, filters, kernel, rng).stride(stride).padding(kernel / 2);
        (net, channels) = (net.add(conv).add(Relu), filters);
    }
    net.add(GlobalAvgPool2d)
}

fn large(b: &Bench) {
    b.run("W5_allcnn_b32", |rng| {
        let (x, y) = (normal([32, 3, 32, 32], rng), Tensor::randint([32], 0, 10, rng));
        train(all_cnn(rng), Sgd::new(0.01).momentum(0.9), x, y, rng.split())
    });
    for batch in [1, 8] {
        b.run(&format!("W6_vgg16_fwd_b{batch}"), |rng| {
            let net = Vgg16::new(1000, rng);
            let x = Var::constant(normal([batch, 3, 224, 224], rng));
            move || {
                black_box(no_grad(|| net.forward(&x, &mut Mode::Eval)));
            }
        });
    }
}

/// `relu(body(x) + shortcut(x))` of two 3x3 convolutions (He et al. 2016).
fn basic_block(channels: usize, width: usize, stride: usize, rng: &mut Rng) -> Sequential {
    let body = Sequential::new()
        .add(Conv2d::new(channels, width, 3, rng).stride(stride).padding(1).bias(false))
        .add(BatchNorm2d::new(width))
        .add(Relu)
        .add(Conv2d::new(width, width, 3, rng).padding(1).bias(false))
        .add(BatchNorm2d::new(width));
    let mut sum = Residual::new(body);
    if stride != 1 || channels != width {
        let shortcut = Conv2d::new(channels, width, 1, rng).stride(stride).bias(false);
        sum = sum.shortcut(Sequential::new().add(shortcut).add(BatchNorm2d::new(width)));
    }
    Sequential::new().add(sum).add(Relu)
}

/// ResNet-18, or its form for small images, which begins with a 3x3 convolution and no pooling.
fn resnet18(small: bool, rng: &mut Rng) -> Sequential {
    let first = match small {
        true => Conv2d::new(3, 64, 3, rng).padding(1),
        false => Conv2d::new(3, 64, 7, rng).stride(2).padding(3),
    };
    let mut net = Sequential::new().add(first.bias(false)).add(BatchNorm2d::new(64)).add(Relu);
    if !small {
        net = net.add(MaxPool2d::new(3).stride(2).padding(1));
    }
    let mut channels = 64;
    for (stage, width) in [64, 128, 256, 512].into_iter().enumerate() {
        let stride = if stage > 0 { 2 } else { 1 };
        net = net.add(basic_block(channels, width, stride, rng)).add(basic_block(width, width, 1, rng));
        channels = width;
    }
    net.add(GlobalAvgPool2d).add(Linear::new(512, 10, rng))
}

fn images(b: &Bench) {
    for (name, size) in [("64", 64), ("cifar", 32)] {
        b.run(&format!("a_resnet18_{name}_b32"), |rng| {
            let (x, y) = (normal([32, 3, size, size], rng), Tensor::randint([32], 0, 10, rng));
            train(resnet18(size == 32, rng), Sgd::new(0.01).momentum(0.9), x, y, rng.split())
        });
    }
    b.run("b_mobilenetv2_96_b16", |rng| {
        let (x, y) = (normal([16, 3, 96, 96], rng), Tensor::randint([16], 0, 10, rng));
        train(MobileNetV2::new(10, rng), Sgd::new(0.01).momentum(0.9), x, y, rng.split())
    });
}

fn mlp(rng: &mut Rng) -> Sequential {
    let (first, second, third) = (Linear::new(784, 256, rng), Linear::new(256, 128, rng), Linear::new(128, 10, rng));
    Sequential::new().add(first).add(Relu).add(second).add(Relu).add(third)
}

fn dense(b: &Bench) {
    b.run("d_mlp_b64", |rng| {
        let (x, y) = (normal([64, 784], rng), Tensor::randint([64], 0, 10, rng));
        train(mlp(rng), Adam::new(1e-3), x, y, rng.split())
    });
    b.run("d_tiny_b1", |rng| {
        let (x, y) = (normal([1, 2], rng), normal([1, 1], rng));
        let net = Sequential::new().add(Linear::new(2, 16, rng)).add(Tanh).add(Linear::new(16, 1, rng));
        train_by(net, Sgd::new(1e-3), x, rng.split(), move |output| output.mse(&y))
    });
    b.run("d_mlp_infer_b1", |rng| {
        let (net, x) = (mlp(rng), Var::constant(normal([1, 784], rng)));
        move || {
            black_box(no_grad(|| net.forward(&x, &mut Mode::Eval)));
        }
    });
}

/// The generator of DCGAN for images of 32 x 32 (Radford et al. 2016).
fn generator(rng: &mut Rng) -> Sequential {
    let up = |from, to, rng: &mut Rng| ConvTranspose2d::new(from, to, 4, rng).stride(2).padding(1).bias(false);
    let first = ConvTranspose2d::new(100, 256, 4, rng).bias(false);
    let mut net = Sequential::new().add(first).add(BatchNorm2d::new(256)).add(Relu);
    for (from, to) in [(256, 128), (128, 64)] {
        net = net.add(up(from, to, rng)).add(BatchNorm2d::new(to)).add(Relu);
    }
    net.add(up(64, 3, rng)).add(Tanh)
}

/// Eight dilated causal convolutions, each added to its input (van den Oord et al. 2016, without gates).
#[derive(Module)]
struct WaveNet {
    first: Conv1d,
    layers: Vec<Conv1d>,
    last: Conv1d,
}

impl WaveNet {
    fn new(rng: &mut Rng) -> Self {
        let causal = |i: usize| {
            let padding = Padding::Explicit([[1 << i, 0]]);
            Conv1d::new(32, 32, 2, rng).dilation(1 << i).padded(padding)
        };
        let layers = (0..8).map(causal).collect();
        Self { first: Conv1d::new(1, 32, 1, rng), layers, last: Conv1d::new(32, 1, 1, rng) }
    }
}

impl Layer for WaveNet {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let mut h = self.first.forward(x, mode);
        for layer in &self.layers {
            h = &h + layer.forward(&h, mode).relu();
        }
        self.last.forward(&h, mode)
    }
}
