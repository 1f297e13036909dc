//! Benches by subject: `cargo bench --bench subjects`, or `cargo bench --bench subjects -- conv` for one. What changes from
//! row to row is the argument: how the cost grows with sizes, batch, length and threads. `workloads` has whole workloads,
//! for comparison with other frameworks; `memory` has memory.

mod conv;
mod matmul;
mod overhead;
mod pooling;
mod recurrent;
mod train_step;

use gradus::prelude::*;
use gradus::tensor::Shape;
use std::sync::OnceLock;

fn normal(shape: impl Into<Shape>) -> Tensor {
    Tensor::normal(shape, 0.0, 1.0, &mut Rng::seed(0))
}

/// Runs `f` on a pool of one thread or two. Pools are made once.
fn on(threads: usize, f: &mut (dyn FnMut() + Send)) {
    static POOLS: [OnceLock<rayon::ThreadPool>; 2] = [const { OnceLock::new() }; 2];
    let new = || rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    POOLS[threads - 1].get_or_init(new).install(f);
}

fn main() {
    divan::main();
}
