//! Derivatives of other kinds than a training step's.

use super::{Bench, normal};
use gradus::autograd::{hvp, per_example_grads};
use gradus::prelude::*;
use std::hint::black_box;

/// The mean cross-entropy of a network of one hidden layer.
fn loss([w1, b1, w2, b2]: &[Var; 4], x: &Var, labels: &Tensor<i64>) -> Var {
    x.linear(w1, Some(b1)).tanh().linear(w2, Some(b2)).cross_entropy(labels)
}

fn weights(rng: &mut Rng) -> [Var; 4] {
    [normal([256, 784], rng) * 0.03, normal([256], rng), normal([10, 256], rng) * 0.06, normal([10], rng)].map(Var::constant)
}

fn batch(rng: &mut Rng) -> (Var, Tensor<i64>) {
    (Var::constant(normal([64, 784], rng)), Tensor::randint([64], 0, 10, rng))
}

pub fn bench(b: &Bench) {
    b.run("m_hvp", |rng| {
        let (w, v, (x, y)) = (weights(rng), weights(rng), batch(rng));
        move || {
            black_box(hvp(|w| loss(w, &x, &y), &w, &v));
        }
    });
    b.run("m_grad_per_example", |rng| {
        let (w, (x, y)) = (weights(rng), batch(rng));
        move || {
            let of_example = |w: &[Var; 4], i: usize| loss(w, &x.slice(0, i..=i), &y.slice(0, i..=i));
            black_box(per_example_grads(of_example, &w, 64));
        }
    });
    b.run("m_jacobian_64", |rng| {
        let [w1, w2] = [(); 2].map(|()| Var::constant(normal([64, 64], rng) * 0.1));
        let [b1, b2, x] = [(); 3].map(|()| Var::constant(normal([64], rng)));
        move || {
            black_box(jacobian(|x| x.linear(&w1, Some(&b1)).tanh().linear(&w2, Some(&b2)), &x));
        }
    });
}
