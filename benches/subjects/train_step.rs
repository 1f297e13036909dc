//! Whole training steps, by batch and by threads, and the optimiser's part of them.

use super::{normal, on};
use divan::Bencher;
use gradus::models::{LeNet5, cifar};
use gradus::optim::UpdateRule;
use gradus::prelude::*;

fn step(bencher: Bencher, threads: usize, mut net: impl Layer + 'static, x: Tensor) {
    let labels = Tensor::randint([x.shape()[0]], 0, 10, &mut Rng::seed(0));
    let (x, mut rng, mut opt) = (Var::constant(x), Rng::seed(1), Adam::new(1e-3));
    let mut one = move || {
        let loss = net.forward(&x, &mut Mode::Train(&mut rng)).cross_entropy(&labels);
        opt.step(&mut net, loss.backward()).expect("every parameter has a gradient");
    };
    bencher.bench_local(|| on(threads, &mut one));
}

#[divan::bench(args = [1, 8, 32, 128], consts = [1, 2], max_time = 5)]
fn lenet<const THREADS: usize>(bencher: Bencher, batch: usize) {
    step(bencher, THREADS, LeNet5::new(1, [28, 28], 10, &mut Rng::seed(0)), normal([batch, 1, 28, 28]));
}

#[divan::bench(args = [1, 8, 32, 128], consts = [1, 2], max_time = 5)]
fn cifar_deep<const THREADS: usize>(bencher: Bencher, batch: usize) {
    step(bencher, THREADS, cifar::deep(10, &mut Rng::seed(0)), normal([batch, 3, 32, 32]));
}

/// A step of a dense layer of a million parameters on one sample, which is little beside the optimiser's pass.
#[divan::bench(args = ["sgd", "momentum", "rmsprop", "adam"])]
fn optimizer(bencher: Bencher, rule: &str) {
    fn time<R: UpdateRule<f32>>(bencher: Bencher, mut opt: Optimizer<R>) {
        let mut net: Linear = Linear::new(1000, 1000, &mut Rng::seed(0)).bias(false);
        let x = Var::constant(normal([1, 1000]));
        bencher.bench_local(|| {
            let loss = net.forward(&x, &mut Mode::Eval).sum(..);
            opt.step(&mut net, loss.backward()).expect("every parameter has a gradient");
        });
    }
    match rule {
        "sgd" => time(bencher, Sgd::new(1e-3)),
        "momentum" => time(bencher, Sgd::new(1e-3).momentum(0.9)),
        "rmsprop" => time(bencher, RmsProp::new(1e-3)),
        _ => time(bencher, Adam::new(1e-3)),
    }
}
