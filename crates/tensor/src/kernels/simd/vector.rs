//! What kernels need of a register full of numbers.

use num_traits::Zero;

/// A loop over vectors in registers. As for `Kernel`, everything that it calls must be `#[inline(always)]`.
pub trait VectorKernel<T: Copy> {
    type Out;

    /// # Safety
    /// The processor must have the instructions of `V`.
    unsafe fn run<V: Vector<T>>(self) -> Self::Out;
}

/// A register full of numbers. Every function is `#[inline(always)]`, and compiles to one instruction or two.
///
/// # Safety
/// Everything here asks that the processor has the instructions. Pointers must be good for as many elements as are said
/// to be read or written; they need not be aligned.
pub trait Vector<T: Copy>: Copy {
    const LANES: usize;
    /// Rows of a matrix product's micro-tile, of two vectors each, that registers have room for.
    const MR: usize;
    /// Columns of a micro-tile.
    const NR: usize = 2 * Self::LANES;
    /// A choice of lanes.
    type Mask: Copy;

    /// Runs `k` in a function of its own, which all who call it share: for what is much code, and called from many places.
    unsafe fn call<K: VectorKernel<T>>(k: K) -> K::Out;
    unsafe fn splat(v: T) -> Self;
    unsafe fn load(p: *const T) -> Self;
    /// The first `n` elements, of `LANES` at most, then zeros; no more than `n` are read.
    #[inline(always)]
    unsafe fn load_first(p: *const T, n: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::load_masked(p, Self::mask(0, n)) }
    }
    /// The lanes from `first` up to `end`, of `LANES` at most.
    unsafe fn mask(first: usize, end: usize) -> Self::Mask;
    /// The elements that `p` points to in the lanes of `mask`, and zeros in the others, whose elements need not be there.
    unsafe fn load_masked(p: *const T, mask: Self::Mask) -> Self;
    unsafe fn store(self, p: *mut T);
    /// Writes the first `n` elements, of `LANES` at most.
    unsafe fn store_first(self, p: *mut T, n: usize);
    unsafe fn add(self, o: Self) -> Self;
    unsafe fn sub(self, o: Self) -> Self;
    unsafe fn mul(self, o: Self) -> Self;
    unsafe fn abs(self) -> Self;
    /// The larger of two; the second if either is NaN.
    unsafe fn max(self, o: Self) -> Self;
    /// The lanes that are larger than those of `o`: NaN is larger than any number, and nothing is larger than NaN.
    unsafe fn exceeds(self, o: Self) -> Self::Mask;
    /// The lanes of `self` where `mask` has them, and those of `o` elsewhere.
    unsafe fn select(self, mask: Self::Mask, o: Self) -> Self;
    /// `self · a + b`, rounded once where there is an instruction for it.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// The sum of all lanes, pairwise.
    #[inline(always)]
    unsafe fn total(self) -> T
    where
        T: Zero,
    {
        let mut lanes: [T; 16] = std::array::from_fn(|_| T::zero());
        // SAFETY: no vector has more lanes.
        unsafe { self.store(lanes.as_mut_ptr()) }
        let mut width = Self::LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = lanes[i] + lanes[i + width];
            }
            width /= 2;
        }
        lanes[0]
    }
    /// The elements at even and at odd places of `self` and `o`, one behind the other.
    unsafe fn even_odd(self, o: Self) -> [Self; 2];
    /// The inverse of [`even_odd`](Self::even_odd): elements of `self` and `o` in turn.
    unsafe fn interleave(self, o: Self) -> [Self; 2];
    /// Writes the transpose of the `LANES` x `LANES` matrix whose rows are `rows`, with `step` from one row to the next.
    unsafe fn store_transposed(rows: &[Self], p: *mut T, step: usize);
}

/// Element by element from row to row, for vectors without a quicker way.
///
/// # Safety
/// As for [`Vector::store_transposed`].
#[inline(always)]
pub unsafe fn store_transposed_plainly<T: Copy + Zero, V: Vector<T>, const N: usize>(rows: &[V], p: *mut T, step: usize) {
    debug_assert!(rows.len() == N && V::LANES == N && step >= N, "{} rows of {N} lanes, {step} apart", rows.len());
    for (j, row) in rows.iter().enumerate() {
        let mut values = [T::zero(); N];
        // SAFETY: there are N lanes, and the caller gives N rows of N elements to write to.
        unsafe {
            row.store(values.as_mut_ptr());
            for (i, &v) in values.iter().enumerate() {
                *p.add(i * step + j) = v;
            }
        }
    }
}

/// Vectors as arrays, which compilers keep in registers where the target has some.
macro_rules! plain {
    ($($t:ty, $lanes:literal;)*) => {$(
        impl Vector<$t> for [$t; $lanes] {
            const LANES: usize = $lanes;
            const MR: usize = 4;
            type Mask = [bool; $lanes];

            #[inline(never)]
            unsafe fn call<K: VectorKernel<$t>>(k: K) -> K::Out {
                // SAFETY: arrays need no instructions beyond the target's.
                unsafe { k.run::<Self>() }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                [v; $lanes]
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                // SAFETY: the caller's promise.
                unsafe { p.cast::<Self>().read_unaligned() }
            }
            #[inline(always)]
            unsafe fn mask(first: usize, end: usize) -> [bool; $lanes] {
                debug_assert!(first <= $lanes && end <= $lanes, "lanes {first}..{end} of {}", $lanes);
                std::array::from_fn(|i| (first..end).contains(&i))
            }
            #[inline(always)]
            unsafe fn load_masked(p: *const $t, mask: [bool; $lanes]) -> Self {
                // SAFETY: the caller's promise, for the lanes of the mask; of the others no pointer is read.
                std::array::from_fn(|i| if mask[i] { unsafe { *p.wrapping_add(i) } } else { 0.0 })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                // SAFETY: the caller's promise.
                unsafe { p.cast::<Self>().write_unaligned(self) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $t, n: usize) {
                debug_assert!(n <= $lanes, "{n} of {} lanes", $lanes);
                for (i, v) in self.into_iter().enumerate().take(n) {
                    // SAFETY: the caller's promise.
                    unsafe { *p.add(i) = v }
                }
            }
            #[inline(always)]
            unsafe fn add(self, o: Self) -> Self {
                std::array::from_fn(|i| self[i] + o[i])
            }
            #[inline(always)]
            unsafe fn sub(self, o: Self) -> Self {
                std::array::from_fn(|i| self[i] - o[i])
            }
            #[inline(always)]
            unsafe fn mul(self, o: Self) -> Self {
                std::array::from_fn(|i| self[i] * o[i])
            }
            #[inline(always)]
            unsafe fn abs(self) -> Self {
                std::array::from_fn(|i| self[i].abs())
            }
            #[inline(always)]
            unsafe fn max(self, o: Self) -> Self {
                std::array::from_fn(|i| if self[i] > o[i] { self[i] } else { o[i] })
            }
            #[inline(always)]
            unsafe fn exceeds(self, o: Self) -> [bool; $lanes] {
                std::array::from_fn(|i| ((self[i] > o[i]) | self[i].is_nan()) & !o[i].is_nan())
            }
            #[inline(always)]
            unsafe fn select(self, mask: [bool; $lanes], o: Self) -> Self {
                std::array::from_fn(|i| if mask[i] { self[i] } else { o[i] })
            }
            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                std::array::from_fn(|i| self[i] * a[i] + b[i])
            }
            #[inline(always)]
            unsafe fn even_odd(self, o: Self) -> [Self; 2] {
                let both = |i: usize| if i < $lanes { self[i] } else { o[i - $lanes] };
                [0, 1].map(|odd| std::array::from_fn(|i| both(2 * i + odd)))
            }
            #[inline(always)]
            unsafe fn interleave(self, o: Self) -> [Self; 2] {
                [0, $lanes].map(|at| std::array::from_fn(|i| [self, o][i % 2][(at + i) / 2]))
            }
            #[inline(always)]
            unsafe fn store_transposed(rows: &[Self], p: *mut $t, step: usize) {
                // SAFETY: the caller's promise.
                unsafe { store_transposed_plainly::<$t, Self, $lanes>(rows, p, step) }
            }
        }
    )*};
}
plain! { f32, 4; f64, 2; }
