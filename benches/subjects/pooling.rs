//! Pooling, forward and back.

use super::normal;
use divan::Bencher;
use gradus::nn::AvgPool2d;
use gradus::prelude::*;

fn step(bencher: Bencher, layer: impl Layer) {
    let x = Var::leaf(normal([32, 64, 32, 32]));
    bencher.bench(|| layer.forward(&x, &mut Mode::Eval).sum(..).backward());
}

#[divan::bench(args = [2, 3])]
fn max(bencher: Bencher, window: usize) {
    step(bencher, MaxPool2d::new(window).stride(2));
}

#[divan::bench(args = [2, 3])]
fn average(bencher: Bencher, window: usize) {
    step(bencher, AvgPool2d::new(window).stride(2));
}

#[divan::bench]
fn global_average(bencher: Bencher) {
    step(bencher, GlobalAvgPool2d);
}
