//! Convolutions by kernel, channels, picture size and batch; each with both gradients.

use super::normal;
use divan::Bencher;
use divan::counter::ItemsCount;
use gradus::tensor::Conv2dOptions;
use gradus::tensor::ConvAlgorithm;

/// Forward and both gradients of `n` pictures of `c` channels and `size` x `size` pixels, with as many filters.
fn step(bencher: Bencher, [n, c, size]: [usize; 3], kernel: usize, groups: usize, algorithm: ConvAlgorithm) {
    let o = Conv2dOptions { padding: [[kernel / 2; 2]; 2], groups, algorithm, ..Default::default() };
    let (x, w) = (normal([n, c, size, size]), normal([c, c / groups, kernel, kernel]));
    let gy = normal([n, c, size, size]);
    bencher.counter(ItemsCount::new(3 * n * c * c / groups * size * size * kernel * kernel)).bench(|| {
        let y = x.conv2d(&w, o);
        (y, gy.conv2d_input_grad(&w, x.shape(), o), x.conv2d_weight_grad(&gy, w.shape(), o))
    });
}

#[divan::bench(args = [1, 3, 5, 7])]
fn by_kernel(bencher: Bencher, kernel: usize) {
    step(bencher, [16, 32, 32], kernel, 1, ConvAlgorithm::Fastest);
}

#[divan::bench(args = [1, 4, 8, 16, 32, 64, 128])]
fn by_channels(bencher: Bencher, channels: usize) {
    step(bencher, [8, channels, 32], 3, 1, ConvAlgorithm::Fastest);
}

/// As [`by_channels`], by the sum as it is defined.
#[divan::bench(args = [16, 32, 64, 128])]
fn by_channels_direct(bencher: Bencher, channels: usize) {
    step(bencher, [8, channels, 32], 3, 1, ConvAlgorithm::Direct);
}

#[divan::bench(args = [4, 8, 14, 28, 56, 112])]
fn by_size(bencher: Bencher, size: usize) {
    step(bencher, [4, 64, size], 3, 1, ConvAlgorithm::Fastest);
}

#[divan::bench(args = [1, 2, 4, 8, 16, 32, 64])]
fn by_batch(bencher: Bencher, batch: usize) {
    step(bencher, [batch, 32, 32], 3, 1, ConvAlgorithm::Fastest);
}

#[divan::bench(args = [3, 5, 7])]
fn depthwise_by_kernel(bencher: Bencher, kernel: usize) {
    step(bencher, [16, 64, 28], kernel, 64, ConvAlgorithm::Fastest);
}
