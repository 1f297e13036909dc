//! The account of memory. A test binary of its own: other tests' tensors would be counted too.

use gradus_tensor::{Tensor, memory_stats, reset_peak};

const MIB: usize = 1 << 20;

/// One test, as all that run at a time share the account.
#[test]
fn memory_is_accounted_for() {
    buffers_are_counted_while_somebody_holds_them();
    only_buffers_of_the_pool_are_kept();
}

/// Vectors of callers are freed, however many sizes there are; of its own buffers the pool keeps one a size class.
fn only_buffers_of_the_pool_are_kept() {
    let before = memory_stats().kept_bytes;
    for n in (1..100).map(|i| i * 10_007) {
        drop(Tensor::from_vec(vec![1f32; n], [n]));
        drop(Tensor::from(vec![1u8; n]));
        // A result that takes over the vector of an operand gives none to the pool either.
        drop(Tensor::from_vec(vec![1i64; n], [n]) * Tensor::from_vec(vec![2i64; 1], [1]));
    }
    assert_eq!(memory_stats().kept_bytes, before);

    let round = || {
        for n in (1..100).map(|i| i * 10_007) {
            drop(Tensor::from_vec(vec![1f64; n], [n]) + &Tensor::<f64>::zeros([n]));
        }
        memory_stats().kept_bytes - before
    };
    let kept = round();
    // Four classes to a doubling, with a quarter of slack: at most 1 + 4/5 + 4/6 + 4/7 + 1/2 + ... of it.
    let largest = 99 * 10_007 * 8;
    assert!(kept >= largest && kept < 7 * largest, "{kept} bytes kept");
    for _ in 0..3 {
        assert_eq!(round(), kept, "steady use keeps no more");
    }
    assert_eq!(memory_stats().live_bytes, 0);
}

fn buffers_are_counted_while_somebody_holds_them() {
    assert_eq!(memory_stats().live_bytes, 0);
    let x = Tensor::<f64>::zeros([MIB / 8]);
    let view = x.reshape([2, MIB / 16]).slice(0, ..1);
    assert_eq!(memory_stats().live_bytes, MIB, "a view is no buffer of its own");
    drop(x);
    assert_eq!(memory_stats().live_bytes, MIB, "the view holds the whole buffer");
    drop(view);
    assert_eq!(memory_stats().live_bytes, 0);
    assert_eq!(memory_stats().peak_bytes, MIB);

    // A buffer from the pool, one handed over as a vector, and one that grows in a shared write.
    let a = Tensor::<f64>::ones([MIB / 8]);
    let b = Tensor::from_vec(vec![1u8; MIB], [MIB]);
    let mut c = a.clone();
    c.as_mut_slice()[0] = 2.0;
    assert_eq!(memory_stats().live_bytes, 3 * MIB);
    let c = c * 2.0;
    assert_eq!(memory_stats().peak_bytes, 3 * MIB, "an operand that is handed over is overwritten in place");
    drop((a, b));
    reset_peak();
    assert_eq!((memory_stats().live_bytes, memory_stats().peak_bytes), (MIB, MIB));
    drop(c);

    let tiny: Vec<_> = (0..1000).map(|_| Tensor::<f32>::zeros([1023])).collect();
    assert_eq!(memory_stats().live_bytes, 0, "buffers below 4 KiB are not counted");
    drop(tiny);

    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| Tensor::<f32>::zeros([MIB / 4]))).collect();
    let tensors: Vec<_> = threads.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(memory_stats().live_bytes, 4 * MIB);
    drop(tensors);
    assert_eq!(memory_stats().live_bytes, 0);
}
