//! How long does one step of each workload take?
//!
//! `cargo bench --bench workloads -- --threads 2 --only W3` prints one JSON line for each workload whose name
//! starts with `W3`: `{"workload": "...", "threads": N, "ms_median": x, "ms_min": x, "n": n}`. Warm-up, then at
//! least 10 runs, or 3 seconds.
//!
//! The names that begin with `W` are the first set, those that begin with a small letter and `_` the second. In the second
//! set, an op's row is forward and backward from a given output gradient, a layer's row has the gradients of its parameters
//! too, and a network's row is a whole training step.

mod attention;
mod conv;
mod derivatives;
mod elementwise;
mod index;
mod layers;
mod linear_algebra;
mod memory;
mod networks;
mod optim;
mod recurrent;
mod reductions;
mod step;

use gradus::prelude::*;
use gradus::tensor::Shape;
use std::time::Instant;

/// What is to be timed, and how.
struct Bench {
    threads: usize,
    only: String,
}

impl Bench {
    fn from_args() -> Self {
        let mut bench = Self { threads: 2, only: String::new() };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let mut value = || args.next().unwrap_or_else(|| panic!("{arg} wants a value"));
            match arg.as_str() {
                "--threads" => bench.threads = value().parse().expect("--threads wants a number"),
                "--only" => bench.only = value(),
                "--bench" => {}
                other => panic!("unknown argument {other}; known are --threads N and --only NAME"),
            }
        }
        bench
    }

    /// Times `make()`'s closure, if `name` is wanted.
    fn run<F: FnMut()>(&self, name: &str, make: impl FnOnce(&mut Rng) -> F) {
        if !name.starts_with(&self.only) {
            return;
        }
        let mut step = make(&mut Rng::seed(0));
        let warm = Instant::now();
        let mut done = 0;
        while done < 2 || (done < 5 && warm.elapsed().as_secs_f64() < 0.3) {
            step();
            done += 1;
        }
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3
            || (start.elapsed().as_secs_f64() < 3.0 && (times.len() < 10 || start.elapsed().as_secs_f64() < 1.0))
        {
            let t = Instant::now();
            step();
            times.push(t.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        let (median, min, n) = (times[times.len() / 2], times[0], times.len());
        let threads = self.threads;
        println!(r#"{{"workload": "{name}", "threads": {threads}, "ms_median": {median:.5}, "ms_min": {min:.5}, "n": {n}}}"#);
    }
}

fn normal(shape: impl Into<Shape>, rng: &mut Rng) -> Tensor {
    Tensor::normal(shape, 0.0, 1.0, rng)
}

fn main() {
    let start = Instant::now();
    let bench = Bench::from_args();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(bench.threads).build().expect("a pool of threads");
    pool.install(|| {
        linear_algebra::bench(&bench);
        conv::bench(&bench);
        networks::bench(&bench);
        attention::bench(&bench);
        recurrent::bench(&bench);
        elementwise::bench(&bench);
        reductions::bench(&bench);
        layers::bench(&bench);
        index::bench(&bench);
        optim::bench(&bench);
        derivatives::bench(&bench);
        memory::bench(&bench, start);
    });
}
