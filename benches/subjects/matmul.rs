//! Matrix products by size, by layout, and by threads.

use super::{normal, on};
use divan::Bencher;
use divan::counter::ItemsCount;
use ndarray::Array2;
use std::hint::black_box;

/// Multiply-adds of `[n, n] x [n, n]`, on one thread and on two.
#[divan::bench(args = [16, 64, 128, 256, 512, 1024, 2048], consts = [1, 2])]
fn square<const THREADS: usize>(bencher: Bencher, n: usize) {
    let (a, b) = (normal([n, n]), normal([n, n]));
    let bencher = bencher.counter(ItemsCount::new(n * n * n));
    bencher.bench_local(|| on(THREADS, &mut || drop(black_box(a.matmul(&b)))));
}

/// The same by `matrixmultiply`, which `ndarray` calls on one thread: the product on targets that have no kernel here.
#[divan::bench(args = [16, 64, 128, 256, 512, 1024, 2048])]
fn square_by_matrixmultiply(bencher: Bencher, n: usize) {
    let matrix = || Array2::from_shape_vec((n, n), normal([n, n]).to_vec()).expect("n times n numbers");
    let (a, b) = (matrix(), matrix());
    bencher.counter(ItemsCount::new(n * n * n)).bench_local(|| a.dot(&b));
}

/// `x wᵀ`, as a dense layer has it, by rows of x.
#[divan::bench(args = [1, 2, 4, 8, 16, 32, 64, 128])]
fn dense_by_batch(bencher: Bencher, rows: usize) {
    let (x, w) = (normal([rows, 1024]), normal([1024, 1024]));
    bencher.counter(ItemsCount::new(rows << 20)).bench(|| x.matmul(&w.t()));
}

/// Many small products.
#[divan::bench(args = [8, 16, 32, 64])]
fn batched(bencher: Bencher, n: usize) {
    let (a, b) = (normal([64, n, n]), normal([64, n, n]));
    bencher.counter(ItemsCount::new(64 * n * n * n)).bench(|| a.matmul(&b));
}
