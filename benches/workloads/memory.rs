//! Start-up and memory.

use super::step::train;
use super::{Bench, normal};
use gradus::models::cifar;
use gradus::prelude::*;
use std::time::Instant;

/// The peak of this process's memory in MiB, where the system tells it.
fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}

/// The CIFAR step at batch 128 in a process that does nothing else: seconds from the start of `main` to the end of the first
/// step, and the peak of memory after 20.
pub fn bench(b: &Bench, start: Instant) {
    if !b.only.starts_with("W10") {
        return;
    }
    let rng = &mut Rng::seed(0);
    let (x, y) = (normal([128, 3, 32, 32], rng), Tensor::randint([128], 0, 10, rng));
    let mut step = train(cifar::deep(10, rng), RmsProp::new(1e-3), x, y, rng.split());
    step();
    let first = start.elapsed().as_secs_f64();
    (1..20).for_each(|_| step());
    let (threads, peak) = (b.threads, peak_mib().map_or("null".to_string(), |mib| format!("{mib:.1}")));
    println!(
        r#"{{"workload": "W10_cifar_b128", "threads": {threads}, "seconds_to_first_step": {first:.3}, "peak_mib": {peak}}}"#
    );
}
