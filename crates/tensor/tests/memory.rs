//! The account of memory. A test binary of its own: other tests' tensors would be counted too.

use gradus_tensor::{Tensor, memory_stats, reset_peak};

const MIB: usize = 1 << 20;

#[test]
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
