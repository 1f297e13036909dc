//! One loop, compiled for several instruction sets, the best of which is picked at run time.
//!
//! Loops that the compiler vectorises by itself are a `Kernel`; those that hold vectors in registers by hand are a
//! [`VectorKernel`], written once over the [`Vector`] that it is given.

mod lanes;
#[cfg(test)]
mod tests;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use lanes::Lanes;
pub use vector::{Vector, VectorKernel};

use std::sync::atomic::{AtomicU8, Ordering};

/// The instruction sets that kernels are compiled for, from the narrowest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Simd {
    /// What every processor of the target has.
    Portable,
    /// AVX2 and fused multiply-add: 256 bits.
    Avx2,
    /// AVX-512 F, VL, DQ and BW: 512 bits.
    Avx512,
}

impl Simd {
    /// The widest that this processor has.
    fn of_processor() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let wide = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            return if wide { Self::Avx512 } else { Self::Avx2 };
        }
        Self::Portable
    }

    fn from_name(name: &str) -> Option<Self> {
        [("portable", Self::Portable), ("avx2", Self::Avx2), ("avx512", Self::Avx512)]
            .into_iter()
            .find_map(|(known, simd)| (known == name).then_some(simd))
    }
}

/// The instruction set that kernels use: the widest that this processor has, but none wider than the environment variable
/// `GRADUS_SIMD` (`portable`, `avx2` or `avx512`) says when it is first asked for.
///
/// # Panics
/// When the variable says something else.
///
/// ```
/// use gradus_tensor::{Simd, simd};
/// assert!(simd() >= Simd::Portable);
/// ```
#[inline]
pub fn simd() -> Simd {
    match CHOSEN.load(Ordering::Relaxed) {
        PORTABLE => Simd::Portable,
        AVX2 => Simd::Avx2,
        AVX512 => Simd::Avx512,
        _ => choose(),
    }
}

/// What [`simd`] says, as a number; 0 before it was first asked.
static CHOSEN: AtomicU8 = AtomicU8::new(0);
const PORTABLE: u8 = 1;
const AVX2: u8 = 2;
const AVX512: u8 = 3;

#[cold]
fn choose() -> Simd {
    let most = match std::env::var("GRADUS_SIMD") {
        Err(_) => Simd::Avx512,
        Ok(name) => Simd::from_name(&name)
            .unwrap_or_else(|| panic!("GRADUS_SIMD is {name:?}; it may be \"portable\", \"avx2\" or \"avx512\"")),
    };
    let simd = Simd::of_processor().min(most);
    let number = match simd {
        Simd::Portable => PORTABLE,
        Simd::Avx2 => AVX2,
        Simd::Avx512 => AVX512,
    };
    CHOSEN.store(number, Ordering::Relaxed);
    simd
}

/// Has the line that `p` points to brought into the first-level cache, where there is an instruction for it. Any pointer will do.
#[inline(always)]
pub(crate) fn prefetch<T>(p: *const T) {
    // SAFETY: every x86-64 processor has the instruction, which never faults.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = p;
}

/// As [`prefetch`], of the `n` elements from `p` on: for what a processor does not see coming by itself, which asks ahead only within
/// a run of lines that it has seen the beginning of.
#[inline(always)]
pub(crate) fn prefetch_run<T>(p: *const T, n: usize) {
    for line in (0..n).step_by((64 / size_of::<T>()).max(1)) {
        prefetch(p.wrapping_add(line));
    }
}

/// A loop to be compiled per instruction set. `run` must be `#[inline(always)]`, as must what it calls:
/// only code that is inlined into the instruction set's own function is compiled for it.
pub(crate) trait Kernel {
    type Out;
    fn run(self) -> Self::Out;
}

/// Runs `k` as compiled for the widest vectors of this processor.
#[inline]
pub(crate) fn dispatch<K: Kernel>(k: K) -> K::Out {
    // Each is a function of its own, so that what calls this has none of the code.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
    fn v4<K: Kernel>(k: K) -> K::Out {
        k.run()
    }
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn v3<K: Kernel>(k: K) -> K::Out {
        k.run()
    }
    #[inline(never)]
    fn portable<K: Kernel>(k: K) -> K::Out {
        k.run()
    }
    match simd() {
        // SAFETY: the processor has all features that `v4` is compiled for: `simd` has tested them.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => unsafe { v4(k) },
        // SAFETY: as above, for `v3`.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => unsafe { v3(k) },
        _ => portable(k),
    }
}

/// Runs `k` with the widest vectors of this processor.
#[inline]
pub(crate) fn with_vectors<T: Lanes, K: VectorKernel<T>>(k: K) -> K::Out {
    match simd() {
        // SAFETY: the processor has all features that these vectors need: `simd` has tested them.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx512 => unsafe { T::V512::call(k) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Simd::Avx2 => unsafe { T::V256::call(k) },
        // SAFETY: these vectors need no instructions beyond the target's.
        _ => unsafe { T::Portable::call(k) },
    }
}

/// The sizes of the widest vectors of this processor, and of a matrix product's micro-tile in them.
#[derive(Clone, Copy)]
pub(crate) struct Widths {
    pub lanes: usize,
    /// Rows and columns of a micro-tile.
    pub mr: usize,
    pub nr: usize,
}

pub(crate) fn widths<T: Lanes>() -> Widths {
    struct Ask;
    impl<T: Lanes> VectorKernel<T> for Ask {
        type Out = Widths;
        #[inline(always)]
        unsafe fn run<V: Vector<T>>(self) -> Widths {
            Widths { lanes: V::LANES, mr: V::MR, nr: V::NR }
        }
    }
    with_vectors::<T, Ask>(Ask)
}
