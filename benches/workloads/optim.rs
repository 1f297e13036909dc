//! Optimisers and clipping, over many parameters of middling size.

use super::{Bench, normal};
use gradus::optim::clip_grad_norm;
use gradus::prelude::*;
use std::hint::black_box;

/// 200 parameters of 50,000 numbers, and a gradient for each.
fn parameters(rng: &mut Rng) -> (Vec<Param>, Grads) {
    let params: Vec<Param> = (0..200).map(|_| Param::new(normal([50_000], rng))).collect();
    let loss = params.iter().map(|p| p.sum(..)).reduce(|a, b| a + b).expect("there are parameters");
    let mut grads = loss.backward();
    params.iter().for_each(|p| grads.insert(p, normal([50_000], rng)));
    (params, grads)
}

pub fn bench(b: &Bench) {
    b.run("l_adam_10M", |rng| {
        let ((mut params, grads), mut opt) = (parameters(rng), Adam::new(1e-3));
        move || opt.step(&mut params, grads.clone()).expect("every parameter has a gradient")
    });
    b.run("l_clip_10M", |rng| {
        let (params, mut grads) = parameters(rng);
        let mut limit = f64::MAX;
        move || {
            // A little below the norm, as PyTorch scales in any case and this only when the norm is too large.
            limit = 0.999 * clip_grad_norm(&params, &mut grads, limit).expect("finite gradients").min(limit);
            black_box(&grads);
        }
    });
}
