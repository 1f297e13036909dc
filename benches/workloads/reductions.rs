//! Reductions, softmax and running sums.

use super::step::both_passes;
use super::{Bench, normal};
use gradus::prelude::*;
use std::hint::black_box;

pub fn bench(b: &Bench) {
    first(b);
    softmax(b);
    for axis in [0, 1] {
        b.run(&format!("i_cumsum_ax{axis}"), |rng| both_passes(move |[x]| x.cumsum(axis), [normal([1000, 1000], rng)], rng));
    }
}

fn first(b: &Bench) {
    for axis in [0, 1] {
        b.run(&format!("W9_sum_axis{axis}_fwd"), |rng| {
            let x = normal([1000, 1000], rng);
            move || {
                black_box(x.sum(axis));
            }
        });
        b.run(&format!("W9_sum_axis{axis}_fwdbwd"), |rng| {
            let (x, w) = (Var::leaf(normal([1000, 1000], rng)), Var::constant(normal([1000], rng)));
            move || {
                black_box((x.sum(axis) * &w).sum(..).backward());
            }
        });
    }
    b.run("W9_softmax_ce_4096x1000", |rng| {
        let (x, y) = (Var::leaf(normal([4096, 1000], rng)), Tensor::randint([4096], 0, 1000, rng));
        move || {
            black_box(x.cross_entropy(&y).backward());
        }
    });
}

fn softmax(b: &Bench) {
    b.run("i_softmax_4096x10", |rng| both_passes(|[x]| x.softmax(-1), [normal([4096, 10], rng)], rng));
    b.run("i_softmax_64x12x128x128", |rng| both_passes(|[x]| x.softmax(-1), [normal([64, 12, 128, 128], rng)], rng));
    for columns in [10, 1000] {
        let name = format!("i_logsumexp_4096x{columns}");
        b.run(&name, |rng| both_passes(|[x]| x.logsumexp(-1), [normal([4096, columns], rng)], rng));
    }
}
