//! What does a training step hold in memory at most, and what does checkpointing save?
//!
//! `cargo bench --bench memory` prints one JSON line for each number of segments, and for each length of a sequence:
//! `{"net": "...", "segments": "...", "peak_mib": x, "ms_median": x}`. The peak is that of all tensors over forward and
//! backward pass, less what was there before (parameters and input).

use gradus::nn::SequenceToOne;
use gradus::prelude::*;
use gradus::tensor::{memory_stats, reset_peak};
use std::time::Instant;

const BLOCKS: usize = 18;

/// Convolutions of 32 channels with ReLU, and a classifier.
fn net(rng: &mut Rng) -> Sequential {
    let first = Sequential::new().add(Conv2d::new(3, 32, 3, rng).same()).add(Relu);
    let blocks = (1..BLOCKS).fold(first, |net, _| net.add(Conv2d::new(32, 32, 3, rng).same()).add(Relu));
    blocks.add(GlobalAvgPool2d).add(Linear::new(32, 10, rng))
}

fn measure(name: &str, segments: &str, net: impl Layer, x: &Tensor) {
    let (rng, batch) = (&mut Rng::seed(1), x.shape()[0] as i64);
    let x = Var::constant(x.clone());
    let labels = Tensor::from_vec((0..batch).map(|i| i % 10).collect::<Vec<i64>>(), [batch as usize]);
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
    println!(r#"{{"net": "{name}", "segments": "{segments}", "peak_mib": {mib:.2}, "ms_median": {ms:.1}}}"#);
}

/// A recurrent network over ever longer sequences.
fn lengths(rng: &mut Rng) {
    for steps in [100, 1000, 10_000] {
        // Large enough for every state to be a buffer that is counted.
        let x = Tensor::normal([32, steps, 16], 0.0, 1.0, rng);
        for how in ["fused", "unrolled", "checkpointed"] {
            let gru = Recurrent::new(Gru::new(16, 32, rng));
            let gru = match how {
                "fused" => gru,
                "unrolled" => gru.unrolled(),
                _ => gru.unrolled().checkpointed(),
            };
            let net: SequenceToOne<Recurrent<Gru>> = SequenceToOne::new(gru, Linear::new(32, 10, rng));
            measure(&format!("GRU of 32 units, batch 32, {steps} steps"), how, net, &x);
        }
    }
}

fn main() {
    let (net, x) = (|| net(&mut Rng::seed(0)), Tensor::normal([32, 3, 32, 32], 0.0, 1.0, &mut Rng::seed(1)));
    let name = format!("{BLOCKS} x (Conv2d 32, Relu), batch 32 of 32x32");
    measure(&name, "1, all kept", net(), &x);
    for segments in [2, 3, 4, 6, 9, 12, 18] {
        measure(&name, &segments.to_string(), net().checkpoint_segments(segments), &x);
    }
    measure(&name, "square root", net().checkpointed(), &x);
    lengths(&mut Rng::seed(2));
}
