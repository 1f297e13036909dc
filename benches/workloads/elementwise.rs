//! Elementwise functions, and what an op costs beside its work.

use super::step::both_passes;
use super::{Bench, normal};
use gradus::prelude::*;
use std::hint::black_box;

pub fn bench(b: &Bench) {
    first(b);
    activations(b);
}

fn first(b: &Bench) {
    b.run("W9_tape_1000", |rng| {
        let x = Var::leaf(normal([16], rng));
        move || {
            let mut y = x.clone();
            for _ in 0..1000 {
                y = y * 1.0001 + 0.001;
            }
            black_box(y.sum(..).backward());
        }
    });
    b.run("W9_tanh_1M", |rng| {
        let x = Var::leaf(normal([1_000_000], rng));
        move || {
            black_box((&x * 2.0 + 1.0).tanh().sum(..).backward());
        }
    });
    b.run("W9_bcast_add_4096x1000", |rng| {
        let (x, bias, gy) = (normal([4096, 1000], rng), normal([1000], rng), normal([4096, 1000], rng));
        let (x, bias) = (Var::leaf(x), Var::leaf(bias));
        move || {
            black_box((&x + &bias).backward_with(gy.clone()));
        }
    });
}

fn activations(b: &Bench) {
    type Function = fn(&Var) -> Var;
    let functions: [(&str, Function); 4] =
        [("gelu", |x| x.gelu()), ("relu", |x| x.relu()), ("sigmoid", |x| x.sigmoid()), ("silu", |x| x.silu())];
    for (name, f) in functions {
        b.run(&format!("i_{name}_1M"), |rng| both_passes(move |[x]| f(x), [normal([1_000_000], rng)], rng));
    }
    b.run("i_dropout_4M", |rng| {
        let mut draws = rng.split();
        both_passes(move |[x]| x.dropout(0.5, &mut draws), [normal([4_000_000], rng)], rng)
    });
}
