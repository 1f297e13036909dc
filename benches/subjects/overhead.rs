//! What the tape costs: ops on so few numbers that the numbers cost nothing.

use super::normal;
use divan::Bencher;
use gradus::prelude::*;

/// A chain of `y * a + b`, forward and back.
#[divan::bench(args = [1, 10, 100, 1000, 10_000])]
fn chain(bencher: Bencher, pairs: usize) {
    let x = Var::leaf(normal([16]));
    bencher.bench_local(|| {
        let mut y = x.clone();
        for _ in 0..pairs {
            y = y * 1.0001 + 0.001;
        }
        y.sum(..).backward()
    });
}

/// The same without a tape.
#[divan::bench(args = [1000])]
fn chain_without_tape(bencher: Bencher, pairs: usize) {
    let x = normal([16]);
    bencher.bench_local(|| {
        let mut y = x.clone();
        for _ in 0..pairs {
            y = y * 1.0001 + 0.001;
        }
        y
    });
}

/// Second derivatives of a chain of sines.
#[divan::bench(args = [10, 100])]
fn second_order(bencher: Bencher, ops: usize) {
    let x = Var::leaf(normal([16]));
    bencher.bench_local(|| {
        let y = (0..ops).fold(x.clone(), |y, _| y.sin()).sum(..);
        let g = grad(&y, &[&x], GradMode::Differentiable).expect("sines are smooth");
        g[0].square().sum(..).backward()
    });
}
