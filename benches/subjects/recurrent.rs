//! A recurrent layer's forward and backward pass, by length and by width; fused, and step by step on the tape.

use super::normal;
use divan::Bencher;
use gradus::nn::RnnCell;
use gradus::prelude::*;

fn step<C: RnnCell>(bencher: Bencher, cell: impl FnOnce(&mut Rng) -> C, steps: usize, fused: bool)
where
    Recurrent<C>: Layer,
{
    let net = Recurrent::new(cell(&mut Rng::seed(0)));
    let net = if fused { net } else { net.unrolled() };
    let x = Var::leaf(normal([32, steps, 64]));
    bencher.bench_local(|| net.forward(&x, &mut Mode::Eval).sum(..).backward());
}

#[divan::bench(args = [10, 100, 1000])]
fn rnn(bencher: Bencher, steps: usize) {
    step(bencher, |rng| Rnn::new(64, 128, rng), steps, true);
}

#[divan::bench(args = [10, 100, 1000])]
fn rnn_unrolled(bencher: Bencher, steps: usize) {
    step(bencher, |rng| Rnn::new(64, 128, rng), steps, false);
}

#[divan::bench(args = [10, 100, 1000])]
fn lstm(bencher: Bencher, steps: usize) {
    step(bencher, |rng| Lstm::new(64, 128, rng), steps, true);
}

#[divan::bench(args = [10, 100, 1000])]
fn gru(bencher: Bencher, steps: usize) {
    step(bencher, |rng| Gru::new(64, 128, rng), steps, true);
}

#[divan::bench(args = [16, 64, 256])]
fn gru_by_width(bencher: Bencher, hidden: usize) {
    step(bencher, |rng| Gru::new(64, hidden, rng), 100, true);
}
