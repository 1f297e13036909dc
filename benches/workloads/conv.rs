//! Convolutions.

use super::step::{both_passes, layer};
use super::{Bench, normal};
use gradus::nn::Conv3d;
use gradus::prelude::*;
use gradus::tensor::Conv2dOptions;
use std::hint::black_box;

pub fn bench(b: &Bench) {
    same_shape(b);
    other_shapes(b);
    three_axes(b);
}

/// Stride 1, with the output as large as the input.
fn same_shape(b: &Bench) {
    // name, N, C, H = W, filters, kernel, groups
    let shapes = [
        ("a", 64, 1, 28, 20, 5, 1),
        ("b", 64, 20, 14, 50, 5, 1),
        ("c", 64, 3, 32, 32, 3, 1),
        ("d", 64, 32, 32, 32, 3, 1),
        ("e", 64, 64, 16, 64, 3, 1),
        ("f", 32, 96, 32, 96, 3, 1),
        ("g", 8, 256, 28, 256, 3, 1),
        ("h", 32, 128, 28, 128, 3, 128),
    ];
    for (name, n, c, h, f, k, groups) in shapes {
        let options = Conv2dOptions { padding: [[k / 2; 2]; 2], groups, ..Default::default() };
        let make = move |rng: &mut Rng| (normal([n, c, h, h], rng), normal([f, c / groups, k, k], rng) * 0.05);
        b.run(&format!("W2_conv_{name}_fwd"), |rng| {
            let (x, w) = make(rng);
            move || {
                black_box(x.conv2d(&w, options));
            }
        });
        b.run(&format!("W2_conv_{name}_fwdbwd"), |rng| {
            let (x, w) = make(rng);
            let (x, w, gy) = (Var::leaf(x), Var::leaf(w), normal([n, f, h, h], rng));
            move || {
                black_box(x.conv2d(&w, options).backward_with(gy.clone()));
            }
        });
    }
}

/// Strides, 1x1, groups, depthwise: input and weight gradients, without a bias.
fn other_shapes(b: &Bench) {
    // name, N, C, H = W, filters, kernel, stride, padding, groups
    let shapes = [
        ("conv7s2_224", 8, 3, 224, 64, 7, 2, 3, 1),
        ("conv3s2_56", 8, 64, 56, 128, 3, 2, 1, 1),
        ("conv1x1_28", 32, 256, 28, 64, 1, 1, 0, 1),
        ("conv_g32_28", 16, 128, 28, 128, 3, 1, 1, 32),
        ("dw3s2_56", 16, 96, 56, 96, 3, 2, 1, 96),
        ("dw7_28", 16, 96, 28, 96, 7, 1, 3, 96),
    ];
    for (name, n, c, h, f, k, stride, padding, groups) in shapes {
        let options = Conv2dOptions { stride: [stride; 2], padding: [[padding; 2]; 2], groups, ..Default::default() };
        b.run(&format!("h_{name}"), |rng| {
            let xs = [normal([n, c, h, h], rng), normal([f, c / groups, k, k], rng) * 0.05];
            both_passes(move |[x, w]| x.conv2d(w, options), xs, rng)
        });
    }
}

fn three_axes(b: &Bench) {
    b.run("g_conv3d", |rng| {
        let conv = Conv3d::new(8, 16, 3, rng).padding(1).bias(false);
        layer(conv, normal([4, 8, 16, 32, 32], rng), rng)
    });
}
