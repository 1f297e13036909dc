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

fn normal(shape: impl Into<Shape>) -> Tensor {
    Tensor::normal(shape, 0.0, 1.0, &mut Rng::seed(0))
}

/// Runs `f` on a pool of so many threads.
fn on<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads").install(f)
}

fn main() {
    divan::main();
}
