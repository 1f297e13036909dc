//! Matrix products.

use super::step::both_passes;
use super::{Bench, normal};
use gradus::prelude::*;
use std::hint::black_box;

pub fn bench(b: &Bench) {
    products(b);
    forms(b);
    double_precision(b);
}

fn products(b: &Bench) {
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

/// Products of transposed operands, with a vector, and of batches.
fn forms(b: &Bench) {
    b.run("j_matmul_nt_512", |rng| {
        let (x, y) = (normal([512, 512], rng), normal([512, 512], rng));
        move || {
            black_box(x.matmul(&y.t()));
        }
    });
    b.run("j_matmul_tn_512", |rng| {
        let (x, y) = (normal([512, 512], rng), normal([512, 512], rng));
        move || {
            black_box(x.t().matmul(&y));
        }
    });
    b.run("j_matvec_2048", |rng| {
        let (x, y) = (normal([2048, 2048], rng), normal([2048], rng));
        move || {
            black_box(x.matmul(&y));
        }
    });
    b.run("j_bmm_64x128", |rng| {
        let xs = [(); 2].map(|()| normal([64, 128, 128], rng));
        both_passes(|[x, y]| x.matmul(y), xs, rng)
    });
    b.run("j_einsum_qk", |rng| {
        let xs = [(); 2].map(|()| normal([16, 8, 128, 64], rng));
        both_passes(|[q, k]| Var::einsum("bhqd,bhkd->bhqk", &[q, k]), xs, rng)
    });
}

fn double_precision(b: &Bench) {
    for n in [512, 1024] {
        b.run(&format!("j_f64_matmul_{n}"), |rng| {
            let [x, y] = [(); 2].map(|()| Tensor::<f64>::normal([n, n], 0.0, 1.0, rng));
            move || {
                black_box(x.matmul(&y));
            }
        });
    }
}
