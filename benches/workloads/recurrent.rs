//! Recurrent networks.

use super::step::train;
use super::{Bench, normal};
use gradus::nn::{Bidirectional, Stacked};
use gradus::prelude::*;

pub fn bench(b: &Bench) {
    first(b);
    others(b);
}

/// A network that says one of 64 classes at each step: `[N, T, 64]` to `[N T, 64]`.
#[derive(Module)]
struct EachStep<R> {
    recurrent: R,
    head: Linear,
}

impl<R: Layer> Layer for EachStep<R> {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let y = self.recurrent.forward(x, mode);
        let rows = y.shape()[0] * y.shape()[1];
        self.head.forward(&y.reshape([rows, y.shape()[2]]), mode)
    }
}

/// A loop over the steps of a cell, as one writes it by hand.
#[derive(Module)]
struct ByHand {
    cell: Rnn,
}

impl Layer for ByHand {
    fn forward(&self, x: &Var, _: &mut Mode) -> Var {
        let mut h = self.cell.initial_state(x.shape()[0]);
        let mut outputs = Vec::new();
        for t in 0..x.shape()[1] {
            h = self.cell.step(&x.select(1, t), &h).1;
            outputs.push(h.clone());
        }
        Var::stack(&outputs.iter().collect::<Vec<_>>(), 1)
    }
}

/// One of ten classes, from the last states of both directions.
#[derive(Module)]
struct LastOfBoth {
    recurrent: Bidirectional<Lstm>,
    head: Linear,
}

impl Layer for LastOfBoth {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let (_, ((a, _), (b, _))) = self.recurrent.run(&x.into(), mode);
        self.head.forward(&Var::concat(&[&a, &b], 1), mode)
    }
}

fn first(b: &Bench) {
    fn each_step<R: Layer + 'static>(
        steps: usize,
        make: impl FnOnce(&mut Rng) -> R,
    ) -> impl FnOnce(&mut Rng) -> Box<dyn FnMut()> {
        move |rng| {
            let (x, y) = (normal([32, steps, 64], rng), Tensor::randint([32 * steps], 0, 64, rng));
            let net = EachStep { recurrent: make(rng), head: Linear::new(128, 64, rng) };
            Box::new(train(net, Adam::new(1e-3), x, y, rng.split()))
        }
    }
    for steps in [100, 1000] {
        b.run(&format!("W7_rnn_T{steps}"), each_step(steps, |rng| Recurrent::new(Rnn::new(64, 128, rng))));
        b.run(&format!("W7_rnncell_loop_T{steps}"), each_step(steps, |rng| ByHand { cell: Rnn::new(64, 128, rng) }));
    }
    b.run("W7_lstm_T100", each_step(100, |rng| Recurrent::new(Lstm::new(64, 128, rng))));
    b.run("W7_gru_T100", each_step(100, |rng| Recurrent::new(Gru::new(64, 128, rng))));
    // How time grows with the length. The loss is that of all steps: one of the last alone has a gradient that vanishes on the
    // way back, and while it does its numbers are denormal, which processors compute with far more slowly than with others.
    for steps in [100, 1000, 10_000] {
        let gru = |rng: &mut Rng| Recurrent::new(Gru::new(64, 128, rng));
        b.run(&format!("length_fused_T{steps}"), each_step(steps, gru));
        b.run(&format!("length_unrolled_T{steps}"), each_step(steps, |rng| gru(rng).unrolled()));
    }
    b.run("W8_bilstm_T100", |rng| {
        let (x, y) = (normal([32, 100, 64], rng), Tensor::randint([32], 0, 10, rng));
        let recurrent = Bidirectional::new(Lstm::new(64, 128, rng), Lstm::new(64, 128, rng));
        train(LastOfBoth { recurrent, head: Linear::new(256, 10, rng) }, Adam::new(1e-3), x, y, rng.split())
    });
}

/// One of ten classes, from the last state of sequences of unequal length.
#[derive(Module)]
struct LastOfEach {
    recurrent: Recurrent<Gru>,
    head: Linear,
    #[module(skip)]
    lengths: Vec<usize>,
}

impl Layer for LastOfEach {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let x = Sequence::new(x).with_lengths(&self.lengths);
        let (_, state) = self.recurrent.run(&x, mode);
        self.head.forward(&state, mode)
    }
}

/// A large hidden state, lengths, and layers on layers.
fn others(b: &Bench) {
    b.run("n_lstm_h512", |rng| {
        let (x, y) = (normal([64, 50, 512], rng), Tensor::randint([64 * 50], 0, 64, rng));
        let net = EachStep { recurrent: Recurrent::new(Lstm::new(512, 512, rng)), head: Linear::new(512, 64, rng) };
        train(net, Adam::new(1e-3), x, y, rng.split())
    });
    b.run("n_gru_lengths_h256", |rng| {
        let (x, y) = (normal([32, 100, 128], rng), Tensor::randint([32], 0, 10, rng));
        let lengths = (0..32).map(|i| if i == 0 { 100 } else { 10 + (i * 37) % 91 }).collect();
        let recurrent = Recurrent::new(Gru::new(128, 256, rng));
        train(LastOfEach { recurrent, head: Linear::new(256, 10, rng), lengths }, Adam::new(1e-3), x, y, rng.split())
    });
    b.run("n_bilstm2_h128", |rng| {
        let (x, y) = (normal([32, 100, 64], rng), Tensor::randint([32 * 100], 0, 64, rng));
        let layers = [64, 256].map(|inputs| Bidirectional::new(Lstm::new(inputs, 128, rng), Lstm::new(inputs, 128, rng)));
        let net = EachStep { recurrent: Stacked::new(layers), head: Linear::new(256, 64, rng) };
        train(net, Adam::new(1e-3), x, y, rng.split())
    });
}
