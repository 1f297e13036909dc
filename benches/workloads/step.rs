//! What one step of a workload is.

use gradus::optim::UpdateRule;
use gradus::prelude::*;
use std::hint::black_box;

/// One training step: forward, `loss`, backward, optimiser.
pub fn train_by<R: UpdateRule<f32>>(
    mut net: impl Layer,
    mut opt: Optimizer<R>,
    x: Tensor,
    mut rng: Rng,
    loss: impl Fn(&Var) -> Var,
) -> impl FnMut() {
    let x = Var::constant(x);
    move || {
        let loss = loss(&net.forward(&x, &mut Mode::Train(&mut rng)));
        opt.step(&mut net, loss.backward()).expect("every parameter has a gradient");
    }
}

/// One training step with the mean cross-entropy from logits.
pub fn train<R: UpdateRule<f32>>(net: impl Layer, opt: Optimizer<R>, x: Tensor, labels: Tensor<i64>, rng: Rng) -> impl FnMut() {
    train_by(net, opt, x, rng, move |y| y.cross_entropy(&labels))
}

/// `f` forward, and backward to each of `xs` from a random output gradient.
pub fn both_passes<const N: usize>(
    mut f: impl FnMut(&[Var; N]) -> Var + 'static,
    xs: [Tensor; N],
    rng: &mut Rng,
) -> Box<dyn FnMut()> {
    let xs = xs.map(Var::leaf);
    let gy = Tensor::normal(f(&xs).shape().clone(), 0.0, 1.0, rng);
    Box::new(move || {
        black_box(f(&xs).backward_with(gy.clone()));
    })
}

/// `layer` forward in training, and backward to its parameters and to its input.
pub fn layer(layer: impl Layer + 'static, x: Tensor, rng: &mut Rng) -> Box<dyn FnMut()> {
    let mut draws = rng.split();
    both_passes(move |[x]| layer.forward(x, &mut Mode::Train(&mut draws)), [x], rng)
}
