//! One loop, compiled for several instruction sets, the best of which is picked at run time.

/// A loop to be compiled per instruction set. `run` must be `#[inline(always)]`, as must what it calls:
/// only code that is inlined into the instruction set's own function is compiled for it.
pub(crate) trait Kernel {
    type Out;
    fn run(self) -> Self::Out;
}

/// Runs `k` as compiled for the widest vectors of this processor.
#[inline]
pub(crate) fn dispatch<K: Kernel>(k: K) -> K::Out {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        fn v4<K: Kernel>(k: K) -> K::Out {
            k.run()
        }
        #[target_feature(enable = "avx2,fma")]
        fn v3<K: Kernel>(k: K) -> K::Out {
            k.run()
        }
        let v4_found = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw");
        let v3_found = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        if v4_found && v3_found {
            // SAFETY: the processor has all features that `v4` is compiled for, as just tested.
            return unsafe { v4(k) };
        }
        if v3_found {
            // SAFETY: the processor has both features that `v3` is compiled for, as just tested.
            return unsafe { v3(k) };
        }
    }
    k.run()
}
