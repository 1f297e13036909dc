//! Single layers: normalisation and pooling.

use super::step::{both_passes, layer};
use super::{Bench, normal};
use gradus::prelude::*;
use gradus::tensor::Pool2dOptions;

pub fn bench(b: &Bench) {
    b.run("i_layernorm", |rng| layer(LayerNorm::new([768]), normal([4096, 768], rng), rng));
    b.run("i_batchnorm", |rng| layer(BatchNorm2d::new(64), normal([64, 64, 32, 32], rng), rng));
    b.run("i_maxpool3s2", |rng| {
        let options = Pool2dOptions { kernel: [3, 3], stride: [2, 2], padding: [[1, 1]; 2], ..Pool2dOptions::new(3) };
        both_passes(move |[x]| x.max_pool2d(options), [normal([32, 64, 56, 56], rng)], rng)
    });
}
