//! Layers of sizes that no tensor has: a message that names the layer or the op, and no hang.

use gradus_autograd::Var;
use gradus_nn::*;
use gradus_tensor::{Rng, Tensor};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn said<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else { return "nothing".into() };
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| (*payload.downcast_ref::<&str>().expect("a text")).to_owned())
}

fn ones(shape: &[usize]) -> Var<f32> {
    Var::constant(Tensor::ones(shape))
}

#[test]
fn layers_of_impossible_sizes_say_so() {
    const MAX: usize = usize::MAX;
    let rng = &mut Rng::seed(0);
    let eval = &mut Mode::Eval;
    let (line, image, volume) = (ones(&[1, 1, 5]), ones(&[1, 1, 5, 5]), ones(&[1, 1, 3, 3, 3]));
    let places = Tensor::<i32>::zeros([1, 1, 5, 5]);
    let conv = |rng: &mut Rng| Conv2d::<f32>::new(1, 1, 3, rng);
    for (op, said) in [
        ("uniform", said(|| Linear::<f32>::new(1 << 62, 4, rng))),
        ("conv2d", said(|| Conv2d::<f32>::new(1 << 40, 1 << 40, 3, rng))),
        ("conv2d", said(|| Conv2d::<f32>::depthwise(4, MAX / 2, 3, rng))),
        ("conv_transpose1d", said(|| ConvTranspose1d::<f32>::new(1 << 32, 1 << 32, MAX, rng))),
        ("lstm", said(|| Lstm::<f32>::new(2, 1 << 62, rng))),
        ("conv2d", said(|| conv(rng).dilation(MAX).same().forward(&image, eval))),
        ("conv2d", said(|| conv(rng).dilation(MAX).forward(&image, eval))),
        ("conv2d", said(|| conv(rng).padding(MAX).forward(&image, eval))),
        ("conv3d", said(|| Conv3d::<f32>::new(1, 1, 2, rng).dilation(MAX).forward(&volume, eval))),
        ("conv_transpose2d", said(|| ConvTranspose2d::<f32>::new(1, 1, 3, rng).stride(MAX).forward(&image, eval))),
        ("conv_transpose2d", said(|| ConvTranspose2d::<f32>::new(1, 1, 3, rng).dilation(MAX).same().forward(&image, eval))),
        ("conv_transpose2d", said(|| ConvTranspose2d::<f32>::new(1, 1, 3, rng).padding(MAX).forward(&image, eval))),
        ("max_pool2d", said(|| MaxPool2d::new(3).dilation(MAX).same().forward(&image, eval))),
        ("zero_pad2d", said(|| ZeroPad2d::new(MAX).forward(&image, eval))),
        ("replication_pad1d", said(|| ReplicationPad1d::sides([[MAX, MAX]]).forward(&line, eval))),
        ("from_fn", said(|| ReplicationPad1d::sides([[1 << 58, 0]]).forward(&line, eval))),
        ("max_unpool2d", said(|| MaxUnpool2d::new(MAX).forward(&image, &places))),
        ("max_unpool2d", said(|| MaxUnpool2d::new(2).forward_to(&image, &places, [1 << 29, 1 << 29]))),
        ("adaptive_avg_pool2d", said(|| AdaptiveAvgPool2d::new(1 << 58).forward(&image, eval))),
        ("taps", said(|| AdaptiveAvgPool1d::new(1 << 58).forward(&line, eval))),
        ("upsample", said(|| Upsample::to([1 << 58, 1 << 58]).forward(&image, eval))),
        ("from_fn", said(|| Upsample::to([1 << 58]).forward(&line, eval))),
        ("taps", said(|| Upsample::new(1e17).linear(false).forward(&line, eval))),
    ] {
        // The layer by its type's name, or the op that it calls.
        let name = said.to_lowercase().replace('_', "");
        assert!(name.starts_with(&op.replace('_', "")) && said.contains(" at crates/nn/tests/suite/sizes.rs:"), "{op}: {said}");
        assert!(said.contains("too large") || said.contains("no memory") || said.contains("padding takes"), "{op}: {said}");
    }
    assert!(said(|| AdaptiveMaxPool2d::new(MAX).forward(&image, eval)).contains("too large"));
    assert!(said(|| metrics::ConfusionMatrix::new(MAX)).contains("no memory"));
    // A stride beyond the input is one step.
    let conv = Conv3d::<f32>::new(1, 1, 2, rng).stride(1 << 60);
    assert_eq!(*conv.forward(&volume, eval).shape(), [1, 1, 1, 1, 1]);
}

#[test]
fn steps_and_parts_of_any_size() {
    let x = Var::leaf(Tensor::<f64>::arange(0.0, 5.0, 1.0));
    let weights = Tensor::from([1.0, 2.0, 3.0, 4.0, 5.0]);
    for shift in [isize::MIN, isize::MIN + 2, -3, 4, isize::MAX] {
        let rolled = x.roll(shift, 0);
        let right: Vec<f64> = (0..5).map(|i| (i - shift as i128).rem_euclid(5) as f64).collect();
        assert_eq!(rolled.value().to_vec(), right);
        // The adjoint rolls back.
        let g = (rolled * Var::constant(weights.clone())).sum(..).backward();
        let back: Vec<f64> = (0..5).map(|i| 1.0 + (i + shift as i128).rem_euclid(5) as f64).collect();
        assert_eq!(g[&x].to_vec(), back, "by {shift}");
    }
    assert_eq!(x.split(usize::MAX, 0).len(), 1);
    assert!(said(|| x.split_sizes(&[usize::MAX, 6], 0)).starts_with("split_sizes at"));
    let m = Var::leaf(Tensor::<f64>::ones([3, 3]));
    for (diagonal, kept) in [(isize::MIN, 0.0), (isize::MAX, 9.0)] {
        assert_eq!(m.tril(diagonal).sum(..).item(), kept);
        assert_eq!(m.triu(diagonal).sum(..).item(), 9.0 - kept);
    }
}
