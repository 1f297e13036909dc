//! Picking and adding by index, sorting, selection.

use super::step::both_passes;
use super::{Bench, normal};
use gradus::prelude::*;
use std::hint::black_box;

pub fn bench(b: &Bench) {
    b.run("k_index_select", |rng| {
        let (x, i) = (normal([50_000, 64], rng), Tensor::randint([100_000], 0, 50_000, rng));
        both_passes(move |[x]| x.index_select(0, &i), [x], rng)
    });
    b.run("k_gather", |rng| {
        let (x, i) = (normal([50_000, 64], rng), Tensor::randint([100_000, 64], 0, 50_000, rng));
        both_passes(move |[x]| x.gather(0, &i), [x], rng)
    });
    b.run("k_scatter_add", |rng| {
        let (x, i) = (normal([50_000, 64], rng), Tensor::randint([100_000, 64], 0, 50_000, rng));
        let src = normal([100_000, 64], rng);
        both_passes(move |[x, src]| x.scatter_add(0, &i, src), [x, src], rng)
    });
    b.run("k_embedding_adam", |rng| {
        let (mut table, i) = (Embedding::new(50_000, 128, rng), Tensor::randint([32, 100], 0, 50_000, rng));
        let (mut opt, gy) = (Adam::new(1e-3), normal([32, 100, 128], rng));
        move || {
            let grads = table.embed(&i).backward_with(gy.clone());
            opt.step(&mut table, grads).expect("the table has a gradient");
        }
    });
    b.run("k_sort_1M", |rng| {
        let x = normal([1_000_000], rng);
        move || {
            black_box(x.sort(0, false));
        }
    });
    b.run("k_topk_1M", |rng| {
        let x = normal([1_000_000], rng);
        move || {
            black_box(x.topk(100, 0));
        }
    });
}
