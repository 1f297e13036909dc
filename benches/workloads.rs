//! How long does one step of each workload take?
//!
//! `cargo bench --bench workloads -- --threads 2 --only W3` prints one JSON line for each workload whose name
//! starts with `W3`: `{"workload": "...", "threads": N, "ms_median": x, "ms_min": x, "n": n}`. Warm-up, then at
//! least 10 runs, or 3 seconds.

use gradus::models::{LeNet5, Vgg16, cifar};
use gradus::prelude::*;
use std::hint::black_box;
use std::time::Instant;

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

fn matmul(b: &Bench) {
    for (m, k, n) in [(128, 128, 128), (512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (64, 800, 500)] {
        let size = if m == k { format!("{m}") } else { format!("{m}x{k}x{n}") };
        b.run(&format!("W1_matmul_{size}"), |rng| {
            let (x, y) = (normal([m, k], rng), normal([k, n], rng));
            move || {
                black_box(x.matmul(&y));
            }
        });
    }
}

fn conv(b: &Bench) {
    // name, N, C, H = W, filters, kernel, groups
    let shapes = [
        ("a", 64, 1, 28, 20, 5, 1),
        ("b", 64, 20, 14, 50, 5, 1),
        ("c", 64, 3, 32, 32, 3, 1),
        ("d", 64, 32, 32, 32, 3, 1),
        ("e", 64, 64, 16, 64, 3, 1),
        ("f", 32, 96, 32, 96, 3, 1),
        ("g", 8, 256, 28, 256, 3, 1),
        ("h", 32, 128, 28, 128, 3, 128),
    ];
    for (name, n, c, h, f, k, groups) in shapes {
        let options = Conv2dOptions { padding: [[k / 2; 2]; 2], groups, ..Default::default() };
        let make = move |rng: &mut Rng| (normal([n, c, h, h], rng), normal([f, c / groups, k, k], rng) * 0.05);
        b.run(&format!("W2_conv_{name}_fwd"), |rng| {
            let (x, w) = make(rng);
            move || {
                black_box(x.conv2d(&w, options));
            }
        });
        b.run(&format!("W2_conv_{name}_fwdbwd"), |rng| {
            let (x, w) = make(rng);
            let (x, w, gy) = (Var::leaf(x), Var::leaf(w), normal([n, f, h, h], rng));
            move || {
                black_box(x.conv2d(&w, options).backward_with(gy.clone()));
            }
        });
    }
}

/// One training step: forward, mean cross-entropy from logits, backward, optimiser.
fn train_step<R: Rule<f32>>(
    mut net: impl Layer,
    mut opt: Optimizer<R>,
    x: Tensor,
    labels: Tensor<i64>,
    mut rng: Rng,
) -> impl FnMut() {
    let x = Var::constant(x);
    move || {
        let loss = net.forward(&x, &mut Mode::Train(&mut rng)).cross_entropy(&labels);
        opt.step(&mut net, loss.backward()).expect("every parameter has a gradient");
    }
}

fn networks(b: &Bench) {
    b.run("W3_lenet_b128", |rng| {
        let (x, y) = (normal([128, 1, 28, 28], rng), Tensor::randint([128], 0, 10, rng));
        train_step(LeNet5::new(1, [28, 28], 10, rng), Adam::new(1e-3), x, y, rng.split())
    });
    for batch in [32, 128] {
        b.run(&format!("W4_cifar_b{batch}"), |rng| {
            let (x, y) = (normal([batch, 3, 32, 32], rng), Tensor::randint([batch], 0, 10, rng));
            train_step(cifar::deep(10, rng), RmsProp::new(1e-3), x, y, rng.split())
        });
    }
}

/// The layers of All-CNN-C as the bench counts them: filters, kernel, stride; each with a ReLU.
const ALL_CNN: [(usize, usize, usize); 9] =
    [(96, 3, 1), (96, 3, 1), (96, 3, 2), (192, 3, 1), (192, 3, 1), (192, 3, 2), (192, 3, 1), (192, 1, 1), (10, 1, 1)];

fn all_cnn(rng: &mut Rng) -> Sequential {
    let (mut net, mut channels) = (Sequential::new(), 3);
    for (filters, kernel, stride) in ALL_CNN {
        let conv = Conv2d::new(channels, filters, kernel, rng).stride(stride).padding(kernel / 2);
        (net, channels) = (net.add(conv).add(ReLU), filters);
    }
    net.add(GlobalAvgPool2d)
}

fn large_networks(b: &Bench) {
    b.run("W5_allcnn_b32", |rng| {
        let (x, y) = (normal([32, 3, 32, 32], rng), Tensor::randint([32], 0, 10, rng));
        train_step(all_cnn(rng), Sgd::new(0.01).momentum(0.9), x, y, rng.split())
    });
    for batch in [1, 8] {
        b.run(&format!("W6_vgg16_fwd_b{batch}"), |rng| {
            let net = Vgg16::new(1000, rng);
            let x = Var::constant(normal([batch, 3, 224, 224], rng));
            move || {
                black_box(no_grad(|| net.forward(&x, &mut Mode::Eval)));
            }
        });
    }
}

/// A network that says one of 64 classes at each step: `[N, T, 64]` to `[N T, 64]`.
#[derive(Module)]
struct EachStep<R> {
    recurrent: R,
    head: Linear,
}

impl<R: Layer> Layer for EachStep<R> {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let y = self.recurrent.forward(x, mode);
        let rows = y.shape()[0] * y.shape()[1];
        self.head.forward(&y.reshape([rows, y.shape()[2]]), mode)
    }
}

/// A loop over the steps of a cell, as one writes it by hand.
#[derive(Module)]
struct ByHand {
    cell: Elman,
}

impl Layer for ByHand {
    fn forward(&self, x: &Var, _: &mut Mode) -> Var {
        let mut h = self.cell.initial_state(x.shape()[0]);
        let mut outputs = Vec::new();
        for t in 0..x.shape()[1] {
            h = self.cell.step(&x.select(1, t), &h).1;
            outputs.push(h.clone());
        }
        Var::stack(&outputs.iter().collect::<Vec<_>>(), 1)
    }
}

/// One of ten classes, from the last states of both directions.
#[derive(Module)]
struct LastOfBoth {
    recurrent: Bidirectional<Lstm>,
    head: Linear,
}

impl Layer for LastOfBoth {
    fn forward(&self, x: &Var, mode: &mut Mode) -> Var {
        let (_, ((a, _), (b, _))) = self.recurrent.unfold(&x.into(), mode);
        self.head.forward(&Var::concat(&[&a, &b], 1), mode)
    }
}

fn recurrent(b: &Bench) {
    fn each_step<R: Layer + 'static>(
        steps: usize,
        make: impl FnOnce(&mut Rng) -> R,
    ) -> impl FnOnce(&mut Rng) -> Box<dyn FnMut()> {
        move |rng| {
            let (x, y) = (normal([32, steps, 64], rng), Tensor::randint([32 * steps], 0, 64, rng));
            let net = EachStep { recurrent: make(rng), head: Linear::new(128, 64, rng) };
            Box::new(train_step(net, Adam::new(1e-3), x, y, rng.split()))
        }
    }
    for steps in [100, 1000] {
        b.run(&format!("W7_rnn_T{steps}"), each_step(steps, |rng| Recurrent::new(Elman::new(64, 128, rng))));
        b.run(&format!("W7_rnncell_loop_T{steps}"), each_step(steps, |rng| ByHand { cell: Elman::new(64, 128, rng) }));
    }
    b.run("W7_lstm_T100", each_step(100, |rng| Recurrent::new(Lstm::new(64, 128, rng))));
    b.run("W7_gru_T100", each_step(100, |rng| Recurrent::new(Gru::new(64, 128, rng))));
    // How time grows with the length. The loss is that of all steps: one of the last alone has a gradient that vanishes on the
    // way back, and while it does its numbers are denormal, which processors compute with far more slowly than with others.
    for steps in [100, 1000, 10_000] {
        let gru = |rng: &mut Rng| Recurrent::new(Gru::new(64, 128, rng));
        b.run(&format!("length_fused_T{steps}"), each_step(steps, gru));
        b.run(&format!("length_unfolded_T{steps}"), each_step(steps, |rng| gru(rng).unfolded()));
    }
    b.run("W8_bilstm_T100", |rng| {
        let (x, y) = (normal([32, 100, 64], rng), Tensor::randint([32], 0, 10, rng));
        let recurrent = Bidirectional::new(Lstm::new(64, 128, rng), Lstm::new(64, 128, rng));
        train_step(LastOfBoth { recurrent, head: Linear::new(256, 10, rng) }, Adam::new(1e-3), x, y, rng.split())
    });
}

fn elementwise(b: &Bench) {
    b.run("W9_tape_1000", |rng| {
        let x = Var::leaf(normal([16], rng));
        move || {
            let mut y = x.clone();
            for _ in 0..1000 {
                y = y * 1.0001 + 0.001;
            }
            black_box(y.sum(..).backward());
        }
    });
    b.run("W9_tanh_1M", |rng| {
        let x = Var::leaf(normal([1_000_000], rng));
        move || {
            black_box((&x * 2.0 + 1.0).tanh().sum(..).backward());
        }
    });
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
    b.run("W9_bcast_add_4096x1000", |rng| {
        let (x, bias, gy) = (normal([4096, 1000], rng), normal([1000], rng), normal([4096, 1000], rng));
        let (x, bias) = (Var::leaf(x), Var::leaf(bias));
        move || {
            black_box((&x + &bias).backward_with(gy.clone()));
        }
    });
}

/// The peak of this process's memory in MiB, where the system tells it.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// The CIFAR step at batch 128 in a process that does nothing else: seconds from the start of `main` to the end of the first
/// step, and the peak of memory after 20.
fn memory(b: &Bench, start: Instant) {
    if !b.only.starts_with("W10") {
        return;
    }
    let rng = &mut Rng::seed(0);
    let (x, y) = (normal([128, 3, 32, 32], rng), Tensor::randint([128], 0, 10, rng));
    let mut step = train_step(cifar::deep(10, rng), RmsProp::new(1e-3), x, y, rng.split());
    step();
    let first = start.elapsed().as_secs_f64();
    (1..20).for_each(|_| step());
    let (threads, peak) = (b.threads, peak_mib().map_or("null".to_string(), |mib| format!("{mib:.1}")));
    println!(
        r#"{{"workload": "W10_cifar_b128", "threads": {threads}, "seconds_to_first_step": {first:.3}, "peak_mib": {peak}}}"#
    );
}

fn main() {
    let start = Instant::now();
    let bench = Bench::from_args();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(bench.threads).build().expect("a pool of threads");
    pool.install(|| {
        matmul(&bench);
        conv(&bench);
        networks(&bench);
        large_networks(&bench);
        recurrent(&bench);
        elementwise(&bench);
        memory(&bench, start);
    });
}
