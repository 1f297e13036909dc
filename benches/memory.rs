//! What does a training step hold in memory at most, and what does checkpointing save?
//!
//! `cargo bench --bench memory` prints one JSON line for each number of segments:
//! `{"net": "...", "segments": "...", "peak_mib": x, "ms_median": x}`. The peak is that of all tensors over forward and
//! backward pass, less what was there before (parameters and input).

use gradus::prelude::*;
use gradus::tensor::{memory_stats, reset_peak};
use std::time::Instant;

const BLOCKS: usize = 18;

/// Convolutions of 32 channels with ReLU, and a classifier.
fn net(rng: &mut Rng) -> Sequential {
    let first = Sequential::new().add(Conv2d::new(3, 32, 3, rng).same()).add(ReLU);
    let blocks = (1..BLOCKS).fold(first, |net, _| net.add(Conv2d::new(32, 32, 3, rng).same()).add(ReLU));
    blocks.add(GlobalAvgPool2d).add(Linear::new(32, 10, rng))
}

fn measure(segments: &str, net: Sequential) {
    let rng = &mut Rng::seed(1);
    let x = Var::constant(Tensor::normal([32, 3, 32, 32], 0.0, 1.0, rng));
    let labels = Tensor::from_vec((0..32).map(|i| i % 10).collect::<Vec<i64>>(), [32]);
    let (mut peak, mut times) = (0, Vec::new());
    for _ in 0..6 {
        let before = memory_stats().live_bytes;
        reset_peak();
        let start = Instant::now();
        let loss = net.forward(&x, &mut Mode::Train(rng)).cross_entropy(&labels);
        let grads = loss.backward();
        times.push(start.elapsed().as_secs_f64() * 1e3);
        peak = peak.max(memory_stats().peak_bytes - before);
        drop(grads);
    }
    times.sort_by(f64::total_cmp);
    let (mib, ms) = (peak as f64 / f64::from(1 << 20), times[times.len() / 2]);
    println!(
        r#"{{"net": "{BLOCKS} x (Conv2d 32, ReLU), batch 32 of 32x32", "segments": "{segments}", "peak_mib": {mib:.1}, "ms_median": {ms:.1}}}"#
    );
}

fn main() {
    let net = || net(&mut Rng::seed(0));
    measure("1, all kept", net());
    for segments in [2, 3, 4, 6, 9, 12, 18] {
        measure(&segments.to_string(), net().checkpoint_segments(segments));
    }
    measure("square root", net().checkpointed());
}
