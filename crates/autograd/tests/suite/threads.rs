//! The state of a thread (recording, a profile, a look-out for anomalies, a checkpoint) is that of its own task: kernels wait
//! for their threads without running another task in it.

use gradus_autograd::{
    Var, checkpoint, detect_anomaly, enable_grad, is_checkpointing, is_grad_enabled, no_grad, profile, set_grad_enabled,
};
use gradus_tensor::{Rng, Tensor};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Runs `inside` over and over on one worker, while 600 tasks that come from outside of the pool run `beside`: how many of both
/// failed. A worker with nothing to do takes its share of a kernel before it takes such a task; the kernel's caller, were it to
/// do something else while it waits, would take the task.
fn failures(inside: impl Fn() -> bool + Sync, beside: impl Fn() -> bool + Sync) -> usize {
    let failed = AtomicUsize::new(0);
    let run = |task: &(dyn Fn() -> bool + Sync)| {
        let succeeded = catch_unwind(AssertUnwindSafe(task)).unwrap_or(false);
        failed.fetch_add(usize::from(!succeeded), Ordering::Relaxed);
    };
    for threads in [2, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let left = AtomicUsize::new(600);
        pool.in_place_scope(|scope| {
            scope.spawn(|_| {
                while left.load(Ordering::Acquire) > 0 {
                    run(&inside);
                }
            });
            for _ in 0..600 {
                scope.spawn(|_| {
                    run(&beside);
                    thread::sleep(Duration::from_micros(20));
                    left.fetch_sub(1, Ordering::Release);
                });
            }
        });
    }
    failed.into_inner()
}

/// Whether a small computation is recorded, and its gradient right.
fn records() -> bool {
    let w = Var::leaf(Tensor::<f32>::ones([3, 3]));
    let loss = w.matmul(&w).sum(..);
    is_grad_enabled() && loss.requires_grad() && loss.backward()[&w].to_vec() == [6.0; 9]
}

/// Operands so large that kernels split.
fn large() -> (Var<f32>, Var<f32>) {
    let mut rng = Rng::seed(0);
    let draw = |rng: &mut Rng| Var::leaf(Tensor::uniform([200, 1000], -1.0, 1.0, rng));
    (draw(&mut rng), draw(&mut rng))
}

fn heavy(x: &Var<f32>, y: &Var<f32>) -> Var<f32> {
    ((x * y).tanh().sum_keep(0) + x).matmul(&y.transpose(0, 1)).softmax(-1).sum(..)
}

#[test]
fn tasks_beside_no_grad_record_and_those_inside_do_not() {
    let (x, y) = large();
    let inside = || no_grad(|| !heavy(&x, &y).requires_grad() && !is_grad_enabled());
    assert_eq!(failures(inside, records), 0);
}

#[test]
fn a_backward_pass_that_records_nothing_leaves_tasks_beside_it_alone() {
    let (x, y) = large();
    let inside = || heavy(&x, &y).backward().get(&x).is_some();
    assert_eq!(failures(inside, records), 0);
}

#[test]
fn a_profile_counts_the_ops_of_its_own_task() {
    let (x, y) = large();
    let inside = || {
        let (_, profile) = profile(|| (&x * &y).tanh().sum(..).backward());
        let mut calls: Vec<_> = profile.by_op().into_iter().map(|op| (op.name, op.calls, op.backward_calls)).collect();
        calls.sort();
        calls == [("mul".to_string(), 1, 1), ("sum".to_string(), 1, 1), ("tanh".to_string(), 1, 1)]
    };
    assert_eq!(failures(inside, records), 0);
}

#[test]
fn an_anomaly_of_a_task_beside_is_not_ours() {
    let (x, y) = large();
    let makes_infinity = || {
        let w = Var::leaf(Tensor::<f32>::zeros([3]));
        detect_anomaly(|| w.ln().sum(..).backward()).is_err_and(|found| found.op == "ln") && w.ln().requires_grad()
    };
    assert_eq!(failures(|| detect_anomaly(|| heavy(&x, &y).backward()).is_ok(), makes_infinity), 0);
}

#[test]
fn tasks_beside_a_checkpoint_are_not_in_it() {
    let (x, y) = large();
    let inside = || {
        let y = y.clone();
        let z = checkpoint(move |x| heavy(x, &y), &x);
        let names: Vec<_> = z.tape().iter().map(|e| e.name).collect();
        names == ["leaf", "leaf", "checkpoint"] && z.backward().get(&x).is_some()
    };
    assert_eq!(failures(inside, || !is_checkpointing() && records()), 0);
}

#[test]
fn recording_is_handed_to_the_tasks_of_a_loop() {
    let x = Var::leaf(Tensor::<f32>::ones([4]));
    let in_tasks = || {
        let enabled = is_grad_enabled();
        let ys: Vec<_> = (0..200).into_par_iter().map(|_| set_grad_enabled(enabled, || (&x * 2.0).requires_grad())).collect();
        assert!(ys.iter().all(|&y| y == enabled));
    };
    in_tasks();
    no_grad(in_tasks);
    no_grad(|| enable_grad(in_tasks));
    assert!(!no_grad(|| set_grad_enabled(false, is_grad_enabled)) && is_grad_enabled());
}
