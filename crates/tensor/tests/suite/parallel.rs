//! Parallel loops: every part once, whoever calls them and from where; and a caller that waits runs nothing else.

use crate::common::panic_of;
use gradus_tensor::parallel::{Parts, chunks, chunks_mut, items, run};
use gradus_tensor::{Rng, Tensor};
use rayon::prelude::*;
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool")
}

/// Asserts that a loop of so many tasks runs each once.
fn runs_each_once(tasks: usize) {
    let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
    run(tasks, &|i| {
        runs[i].fetch_add(1, Ordering::Relaxed);
    });
    assert!(runs.iter().all(|n| n.load(Ordering::Relaxed) == 1), "of {tasks} tasks, some ran more than once, or never");
}

#[test]
fn every_task_runs_once() {
    for threads in [1, 2, 3, 8] {
        pool(threads).install(|| [0, 1, 2, 3, 7, 64, 1000].into_iter().for_each(runs_each_once));
    }
    // A thread of no pool.
    thread::spawn(|| runs_each_once(1000)).join().unwrap();
}

#[test]
fn parts_are_those_of_the_plain_loop() {
    let x: Vec<i64> = (0..1003).collect();
    for (size, least) in [(1, 1), (10, 1), (10, 7), (2000, 3)] {
        let (mut y, mut first) = (vec![0; 1003], vec![0; 1003_usize.div_ceil(size)]);
        let names = items(first.iter().enumerate().map(|(i, _)| i.to_string()));
        (chunks_mut(&mut y, size), chunks(&x, size), chunks_mut(&mut first, 1), names).each_at_least(
            least,
            |i, (y, x, first, name)| {
                assert_eq!(name, i.to_string());
                first[0] = x[0];
                y.copy_from_slice(x);
            },
        );
        assert_eq!(y, x);
        assert_eq!(first, x.chunks(size).map(|c| c[0]).collect::<Vec<_>>());
        let sums = chunks(&x, size).map_at_least(least, |_, x| x.iter().sum::<i64>());
        assert_eq!(sums, x.chunks(size).map(|c| c.iter().sum::<i64>()).collect::<Vec<_>>());
    }
    // As many as the member with the fewest has.
    let mut y = [0; 10];
    [chunks_mut(&mut y[..7], 2)].each(|_, [y]| y.fill(1));
    (chunks_mut(&mut y, 2), 0..3).each(|_, (y, _)| y[0] += 1);
    assert_eq!(y, [2, 1, 2, 1, 2, 1, 1, 0, 0, 0]);
    chunks_mut(&mut [0; 0], 4).each(|_, _| panic!("there is no part"));
}

#[test]
fn loops_nest_and_meet_in_one_pool() {
    let sum_of = |n: usize| {
        let total = AtomicUsize::new(0);
        run(n, &|i| {
            let inner = AtomicUsize::new(0);
            run(i, &|j| {
                inner.fetch_add(j, Ordering::Relaxed);
            });
            total.fetch_add(inner.into_inner(), Ordering::Relaxed);
        });
        total.into_inner()
    };
    let right: usize = (0..40usize).map(|i| i * i.saturating_sub(1) / 2).sum();
    for threads in [2, 3] {
        let pool = pool(threads);
        // From inside the pool's own tasks, and from several threads outside of it.
        assert!(pool.install(|| (0..50).into_par_iter().map(|_| sum_of(40)).all(|s| s == right)));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20).for_each(|_| assert_eq!(pool.install(|| sum_of(40)), right)));
                scope.spawn(|| (0..20).for_each(|_| assert_eq!(sum_of(40), right)));
            }
        });
    }
}

#[test]
fn a_pool_whose_workers_are_all_busy_is_no_obstacle() {
    let pool = pool(2);
    let (done, started) = (AtomicUsize::new(0), AtomicUsize::new(0));
    pool.scope(|scope| {
        // One worker is busy until the other has run many loops, for which it gets no help.
        scope.spawn(|_| {
            started.fetch_add(1, Ordering::Release);
            let begin = Instant::now();
            while done.load(Ordering::Acquire) == 0 {
                assert!(begin.elapsed() < Duration::from_secs(60), "the loops wait for a worker that is busy");
                thread::yield_now();
            }
        });
        scope.spawn(|_| {
            while started.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            (0..2000).for_each(|_| runs_each_once(16));
            done.store(1, Ordering::Release);
        });
    });
}

#[test]
fn a_panic_reaches_the_caller_and_the_loop_can_be_run_again() {
    pool(2).install(|| {
        for bad in [0, 1, 31, 63] {
            let message = panic_of(|| {
                run(64, &|i| {
                    assert!(i != bad, "task {bad} fails");
                    thread::sleep(Duration::from_micros(20));
                });
            });
            assert_eq!(message, format!("task {bad} fails"));
            runs_each_once(64);
        }
    });
}

#[test]
fn a_caller_that_waits_takes_up_no_other_task() {
    thread_local!(static BUSY: Cell<bool> = const { Cell::new(false) });
    let x = Tensor::<f32>::uniform([1 << 18], -1.0, 1.0, &mut Rng::seed(0));
    let [rows, right, filters] = [[400, 300], [300, 40], [16, 16]].map(|n| Tensor::<f32>::ones(n));
    let pictures = Tensor::<f32>::ones([4, 16, 24, 24]);
    let taps = filters.reshape([16, 16, 1, 1]).expand([16, 16, 3, 3]).contiguous();
    let kernels: [&(dyn Fn() + Sync); 7] = [
        &|| drop(x.exp()),
        &|| drop(x.sum(..)),
        &|| drop(rows.matmul(&right)),
        &|| drop(x.reshape([512, 512]).transpose(0, 1).contiguous()),
        &|| drop(x.reshape([512, 512]).sort(1, false)),
        &|| drop(pictures.conv2d(&taps, Default::default())),
        &|| drop(Tensor::<f32>::uniform([1 << 17], 0.0, 1.0, &mut Rng::seed(1))),
    ];
    let (inside, left) = (AtomicUsize::new(0), AtomicUsize::new(600));
    pool(2).in_place_scope(|scope| {
        scope.spawn(|_| {
            BUSY.set(true);
            while left.load(Ordering::Acquire) > 0 {
                kernels.iter().for_each(|kernel| kernel());
            }
            BUSY.set(false);
        });
        // From outside of the pool: a worker with nothing to do takes its share of a kernel before it takes one of these.
        for _ in 0..600 {
            scope.spawn(|_| {
                inside.fetch_add(usize::from(BUSY.get()), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(20));
                left.fetch_sub(1, Ordering::Release);
            });
        }
    });
    assert_eq!(inside.into_inner(), 0, "tasks that ran inside of another's kernel");
}
