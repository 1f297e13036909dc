//! A test binary of its own: the process' account of memory is held against the profile's.

use gradus_autograd::{Var, profile};
use gradus_tensor::{Tensor, memory_stats, reset_peak};

#[test]
fn the_profile_agrees_with_the_process() {
    let (x, w) = (Var::leaf(Tensor::<f32>::ones([256, 64])), Var::leaf(Tensor::<f32>::ones([64, 512])));
    for _ in 0..2 {
        let before = memory_stats().live_bytes;
        reset_peak();
        let (loss, profile) = profile(|| (x.matmul(&w).tanh().square() * 0.5).sum(..));
        assert_eq!(memory_stats().peak_bytes - before, profile.peak_bytes());
        let kept: usize = loss.tape().iter().filter_map(|e| e.kept).sum();
        assert_eq!(memory_stats().live_bytes - before, kept);
        assert!(kept > 0);
        drop(loss);
        assert_eq!(memory_stats().live_bytes, before);
    }
    let before = memory_stats().live_bytes;
    reset_peak();
    let (grads, whole) = profile(|| (x.matmul(&w).tanh().square() * 0.5).sum(..).backward());
    assert_eq!(memory_stats().peak_bytes - before, whole.peak_bytes());
    let at_peak: usize = whole.by_op().iter().map(|r| r.bytes_at_peak).sum();
    // The seed of the walk, a single number, has no buffer; all the rest is some op's.
    assert_eq!(at_peak, whole.peak_bytes());
    drop(grads);
    assert_eq!(memory_stats().live_bytes, before);
}
