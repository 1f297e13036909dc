//! The vectors of x86-64.

use super::vector::{Vector, VectorKernel, store_transposed_plainly};
use num_traits::Zero;
use std::arch::x86_64::*;

/// The registers of an element type.
pub trait Registers {
    type R512: Copy;
    type R256: Copy;
    type R128: Copy;
}
impl Registers for f32 {
    type R512 = __m512;
    type R256 = __m256;
    type R128 = __m128;
}
impl Registers for f64 {
    type R512 = __m512d;
    type R256 = __m256d;
    type R128 = __m128d;
}

/// 512 bits.
#[derive(Clone, Copy)]
pub struct V512<T: Registers>(T::R512);
/// 256 bits.
#[derive(Clone, Copy)]
pub struct V256<T: Registers>(T::R256);
/// 128 bits, which every processor has.
#[derive(Clone, Copy)]
pub struct V128<T: Registers>(T::R128);

/// The mask of the first `n` lanes of 512 bits.
#[inline(always)]
fn first(n: usize) -> u16 {
    ((1u32 << n) - 1) as u16
}

macro_rules! wide {
    ($t:ty, $lanes:literal, $mask:ty, $transpose:path, $even_odd:path, $interleave:path, $splat:ident $load:ident $load_masked:ident $store:ident $store_first:ident $add:ident $sub:ident $mul:ident $abs:ident $max:ident $fma:ident $compare:ident $compare_masked:ident $blend:ident $total:ident) => {
        impl Vector<$t> for V512<$t> {
            const LANES: usize = $lanes;
            const MR: usize = 14;
            type Mask = $mask;

            // SAFETY, of all: the caller says that there is AVX-512, and what pointers are good for.
            #[inline(never)]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
            unsafe fn call<K: VectorKernel<$t>>(k: K) -> K::Out {
                unsafe { k.run::<Self>() }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                Self(unsafe { $splat(v) })
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                Self(unsafe { $load(p) })
            }
            #[inline(always)]
            unsafe fn mask(from: usize, end: usize) -> $mask {
                debug_assert!(from <= $lanes && end <= $lanes, "lanes {from}..{end} of {}", $lanes);
                (first(end) & !first(from)) as $mask
            }
            #[inline(always)]
            unsafe fn load_masked(p: *const $t, mask: $mask) -> Self {
                Self(unsafe { $load_masked(mask, p) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $t, n: usize) {
                debug_assert!(n <= $lanes, "{n} of {} lanes", $lanes);
                unsafe { $store_first(p, first(n) as $mask, self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, o: Self) -> Self {
                Self(unsafe { $add(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn sub(self, o: Self) -> Self {
                Self(unsafe { $sub(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn mul(self, o: Self) -> Self {
                Self(unsafe { $mul(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn abs(self) -> Self {
                Self(unsafe { $abs(self.0) })
            }
            #[inline(always)]
            unsafe fn max(self, o: Self) -> Self {
                Self(unsafe { $max(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn exceeds(self, o: Self) -> $mask {
                unsafe { $compare_masked::<_CMP_NLE_UQ>($compare::<_CMP_ORD_Q>(o.0, o.0), self.0, o.0) }
            }
            #[inline(always)]
            unsafe fn select(self, mask: $mask, o: Self) -> Self {
                Self(unsafe { $blend(mask, o.0, self.0) })
            }
            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                Self(unsafe { $fma(self.0, a.0, b.0) })
            }
            #[inline(always)]
            unsafe fn total(self) -> $t {
                unsafe { $total(self.0) }
            }
            #[inline(always)]
            unsafe fn even_odd(self, o: Self) -> [Self; 2] {
                unsafe { $even_odd(self.0, o.0) }.map(Self)
            }
            #[inline(always)]
            unsafe fn interleave(self, o: Self) -> [Self; 2] {
                unsafe { $interleave(self.0, o.0) }.map(Self)
            }
            #[inline(always)]
            unsafe fn store_transposed(rows: &[Self], p: *mut $t, step: usize) {
                unsafe { $transpose(rows, p, step) }
            }
        }
    };
}
wide!(f32, 16, u16, transpose_16, even_odd_16, interleave_16, _mm512_set1_ps _mm512_loadu_ps _mm512_maskz_loadu_ps _mm512_storeu_ps _mm512_mask_storeu_ps _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_abs_ps _mm512_max_ps _mm512_fmadd_ps _mm512_cmp_ps_mask _mm512_mask_cmp_ps_mask _mm512_mask_blend_ps _mm512_reduce_add_ps);
wide!(f64, 8, u8, store_transposed_plainly::<f64, Self, 8>, even_odd_8, interleave_8, _mm512_set1_pd _mm512_loadu_pd _mm512_maskz_loadu_pd _mm512_storeu_pd _mm512_mask_storeu_pd _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_abs_pd _mm512_max_pd _mm512_fmadd_pd _mm512_cmp_pd_mask _mm512_mask_cmp_pd_mask _mm512_mask_blend_pd _mm512_reduce_add_pd);

/// All ones, then zeros: the mask of the first n of 8 lanes starts at 8 - n.
static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
/// As [`MASK`], for 4 lanes.
static MASK_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

macro_rules! narrow {
    ($t:ty, $lanes:literal, $masks:ident, $transpose:path, $even_odd:path, $interleave:path, $splat:ident $load:ident $load_masked:ident $store:ident $store_first:ident $add:ident $sub:ident $mul:ident $andnot:ident $max:ident $fma:ident $compare:ident $and:ident $blend:ident $as_integers:ident $as_floats:ident) => {
        impl Vector<$t> for V256<$t> {
            const LANES: usize = $lanes;
            const MR: usize = 6;
            type Mask = __m256i;

            // SAFETY, of all: the caller says that there is AVX2 with FMA, and what pointers are good for. Masks start
            // within their table, as n is not above the number of lanes.
            #[inline(never)]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn call<K: VectorKernel<$t>>(k: K) -> K::Out {
                unsafe { k.run::<Self>() }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                Self(unsafe { $splat(v) })
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                Self(unsafe { $load(p) })
            }
            #[inline(always)]
            unsafe fn mask(from: usize, end: usize) -> __m256i {
                debug_assert!(from <= $lanes && end <= $lanes, "lanes {from}..{end} of {}", $lanes);
                unsafe {
                    let first = |n: usize| _mm256_loadu_si256($masks.as_ptr().add($lanes - n).cast());
                    _mm256_andnot_si256(first(from), first(end))
                }
            }
            #[inline(always)]
            unsafe fn load_masked(p: *const $t, mask: __m256i) -> Self {
                Self(unsafe { $load_masked(p, mask) })
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $t, n: usize) {
                debug_assert!(n <= $lanes, "{n} of {} lanes", $lanes);
                unsafe { $store_first(p, _mm256_loadu_si256($masks.as_ptr().add($lanes - n).cast()), self.0) }
            }
            #[inline(always)]
            unsafe fn add(self, o: Self) -> Self {
                Self(unsafe { $add(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn sub(self, o: Self) -> Self {
                Self(unsafe { $sub(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn mul(self, o: Self) -> Self {
                Self(unsafe { $mul(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn abs(self) -> Self {
                // The sign alone is cleared.
                Self(unsafe { $andnot($splat(-0.0), self.0) })
            }
            #[inline(always)]
            unsafe fn max(self, o: Self) -> Self {
                Self(unsafe { $max(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn exceeds(self, o: Self) -> __m256i {
                unsafe { $as_integers($and($compare::<_CMP_NLE_UQ>(self.0, o.0), $compare::<_CMP_ORD_Q>(o.0, o.0))) }
            }
            #[inline(always)]
            unsafe fn select(self, mask: __m256i, o: Self) -> Self {
                Self(unsafe { $blend(o.0, self.0, $as_floats(mask)) })
            }
            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                Self(unsafe { $fma(self.0, a.0, b.0) })
            }
            #[inline(always)]
            unsafe fn even_odd(self, o: Self) -> [Self; 2] {
                unsafe { $even_odd(self.0, o.0) }.map(Self)
            }
            #[inline(always)]
            unsafe fn interleave(self, o: Self) -> [Self; 2] {
                unsafe { $interleave(self.0, o.0) }.map(Self)
            }
            #[inline(always)]
            unsafe fn store_transposed(rows: &[Self], p: *mut $t, step: usize) {
                unsafe { $transpose(rows, p, step) }
            }
        }
    };
}
narrow!(f32, 8, MASK, transpose_8, even_odd_narrow, interleave_narrow, _mm256_set1_ps _mm256_loadu_ps _mm256_maskload_ps _mm256_storeu_ps _mm256_maskstore_ps _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_andnot_ps _mm256_max_ps _mm256_fmadd_ps _mm256_cmp_ps _mm256_and_ps _mm256_blendv_ps _mm256_castps_si256 _mm256_castsi256_ps);
narrow!(f64, 4, MASK_64, store_transposed_plainly::<f64, Self, 4>, even_odd_4, interleave_4, _mm256_set1_pd _mm256_loadu_pd _mm256_maskload_pd _mm256_storeu_pd _mm256_maskstore_pd _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_andnot_pd _mm256_max_pd _mm256_fmadd_pd _mm256_cmp_pd _mm256_and_pd _mm256_blendv_pd _mm256_castpd_si256 _mm256_castsi256_pd);

/// Functions that pick the lanes of two vectors of 512 bits by number.
macro_rules! pick_lanes {
    ($name:ident, $register:ty, $permute:ident, $index:ty, $load:ident, [$($first:literal)*] [$($second:literal)*]) => {
        /// # Safety
        /// The processor must have AVX-512.
        #[inline(always)]
        unsafe fn $name(a: $register, b: $register) -> [$register; 2] {
            static FIRST: [$index; size_of::<__m512>() / size_of::<$index>()] = [$($first),*];
            static SECOND: [$index; size_of::<__m512>() / size_of::<$index>()] = [$($second),*];
            // SAFETY: the caller's promise; both tables are as long as a vector.
            unsafe { [$permute(a, $load(FIRST.as_ptr()), b), $permute(a, $load(SECOND.as_ptr()), b)] }
        }
    };
}
pick_lanes!(even_odd_16, __m512, _mm512_permutex2var_ps, i32, _mm512_loadu_epi32, [0 2 4 6 8 10 12 14 16 18 20 22 24 26 28 30] [1 3 5 7 9 11 13 15 17 19 21 23 25 27 29 31]);
pick_lanes!(interleave_16, __m512, _mm512_permutex2var_ps, i32, _mm512_loadu_epi32, [0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23] [8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31]);
pick_lanes!(even_odd_8, __m512d, _mm512_permutex2var_pd, i64, _mm512_loadu_epi64, [0 2 4 6 8 10 12 14] [1 3 5 7 9 11 13 15]);
pick_lanes!(interleave_8, __m512d, _mm512_permutex2var_pd, i64, _mm512_loadu_epi64, [0 8 1 9 2 10 3 11] [4 12 5 13 6 14 7 15]);

/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn even_odd_narrow(a: __m256, b: __m256) -> [__m256; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let in_order = |v: __m256| _mm256_castpd_ps(_mm256_permute4x64_pd::<0xd8>(_mm256_castps_pd(v)));
        [in_order(_mm256_shuffle_ps::<0x88>(a, b)), in_order(_mm256_shuffle_ps::<0xdd>(a, b))]
    }
}

/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn interleave_narrow(a: __m256, b: __m256) -> [__m256; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
        [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
    }
}

/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn even_odd_4(a: __m256d, b: __m256d) -> [__m256d; 2] {
    // SAFETY: the caller's promise.
    unsafe { [_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b)].map(|v| _mm256_permute4x64_pd::<0xd8>(v)) }
}

/// # Safety
/// The processor must have AVX2.
#[inline(always)]
unsafe fn interleave_4(a: __m256d, b: __m256d) -> [__m256d; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let (low, high) = (_mm256_unpacklo_pd(a, b), _mm256_unpackhi_pd(a, b));
        [_mm256_permute2f128_pd::<0x20>(low, high), _mm256_permute2f128_pd::<0x31>(low, high)]
    }
}

macro_rules! narrowest {
    ($t:ty, $lanes:literal, $transpose:path, $splat:ident $load:ident $store:ident $add:ident $sub:ident $mul:ident $andnot:ident $max:ident) => {
        impl V128<$t> {
            /// What has no instruction is left to the compiler.
            #[inline(always)]
            fn lanes(self) -> [$t; $lanes] {
                let mut lanes = [0.0; $lanes];
                // SAFETY: every x86-64 processor has the instruction, and there are as many lanes.
                unsafe { self.store(lanes.as_mut_ptr()) };
                lanes
            }
        }
        impl Vector<$t> for V128<$t> {
            const LANES: usize = $lanes;
            const MR: usize = 4;
            type Mask = [bool; $lanes];

            // SAFETY, of all: the caller says what pointers are good for.
            #[inline(never)]
            unsafe fn call<K: VectorKernel<$t>>(k: K) -> K::Out {
                unsafe { k.run::<Self>() }
            }
            #[inline(always)]
            unsafe fn splat(v: $t) -> Self {
                Self(unsafe { $splat(v) })
            }
            #[inline(always)]
            unsafe fn load(p: *const $t) -> Self {
                Self(unsafe { $load(p) })
            }
            #[inline(always)]
            unsafe fn mask(from: usize, end: usize) -> [bool; $lanes] {
                debug_assert!(from <= $lanes && end <= $lanes, "lanes {from}..{end} of {}", $lanes);
                std::array::from_fn(|i| (from..end).contains(&i))
            }
            #[inline(always)]
            unsafe fn load_masked(p: *const $t, mask: [bool; $lanes]) -> Self {
                unsafe { if mask == [true; $lanes] { Self::load(p) } else { load_one_by_one(p, mask) } }
            }
            #[inline(always)]
            unsafe fn store(self, p: *mut $t) {
                unsafe { $store(p, self.0) }
            }
            #[inline(always)]
            unsafe fn store_first(self, p: *mut $t, n: usize) {
                debug_assert!(n <= $lanes, "{n} of {} lanes", $lanes);
                unsafe { if n == $lanes { self.store(p) } else { store_one_by_one(self, p, n) } }
            }
            #[inline(always)]
            unsafe fn add(self, o: Self) -> Self {
                Self(unsafe { $add(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn sub(self, o: Self) -> Self {
                Self(unsafe { $sub(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn mul(self, o: Self) -> Self {
                Self(unsafe { $mul(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn abs(self) -> Self {
                // The sign alone is cleared.
                Self(unsafe { $andnot($splat(-0.0), self.0) })
            }
            #[inline(always)]
            unsafe fn max(self, o: Self) -> Self {
                Self(unsafe { $max(self.0, o.0) })
            }
            #[inline(always)]
            unsafe fn exceeds(self, o: Self) -> [bool; $lanes] {
                unsafe { self.lanes().exceeds(o.lanes()) }
            }
            #[inline(always)]
            unsafe fn select(self, mask: [bool; $lanes], o: Self) -> Self {
                unsafe { Self::load(self.lanes().select(mask, o.lanes()).as_ptr()) }
            }
            #[inline(always)]
            unsafe fn even_odd(self, o: Self) -> [Self; 2] {
                unsafe { self.lanes().even_odd(o.lanes()).map(|v| Self::load(v.as_ptr())) }
            }
            #[inline(always)]
            unsafe fn interleave(self, o: Self) -> [Self; 2] {
                unsafe { self.lanes().interleave(o.lanes()).map(|v| Self::load(v.as_ptr())) }
            }
            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                Self(unsafe { $add($mul(self.0, a.0), b.0) })
            }
            #[inline(always)]
            unsafe fn store_transposed(rows: &[Self], p: *mut $t, step: usize) {
                unsafe { $transpose(rows, p, step) }
            }
        }
    };
}
narrowest!(f32, 4, transpose_4, _mm_set1_ps _mm_loadu_ps _mm_storeu_ps _mm_add_ps _mm_sub_ps _mm_mul_ps _mm_andnot_ps _mm_max_ps);
narrowest!(f64, 2, store_transposed_plainly::<f64, Self, 2>, _mm_set1_pd _mm_loadu_pd _mm_storeu_pd _mm_add_pd _mm_sub_pd _mm_mul_pd _mm_andnot_pd _mm_max_pd);

/// A masked load, for which there is no instruction; rare, and therefore not inlined.
///
/// # Safety
/// As for [`Vector::load_masked`].
#[inline(never)]
unsafe fn load_one_by_one<T: Copy + Zero, V: Vector<T>, const N: usize>(p: *const T, mask: [bool; N]) -> V {
    let mut values = [T::zero(); N];
    for (i, v) in values.iter_mut().enumerate().filter(|&(i, _)| mask[i]) {
        // SAFETY: the caller's promise, for the lanes of the mask.
        *v = unsafe { *p.wrapping_add(i) };
    }
    // SAFETY: there are N lanes.
    unsafe { V::load(values.as_ptr()) }
}

/// As [`load_one_by_one`], of a store.
///
/// # Safety
/// As for [`Vector::store_first`].
#[inline(never)]
unsafe fn store_one_by_one<T: Copy + Zero, V: Vector<T>>(v: V, p: *mut T, n: usize) {
    let mut values = [T::zero(); 4];
    debug_assert!(V::LANES <= values.len() && n <= V::LANES, "{n} of {} lanes", V::LANES);
    // SAFETY: the caller's promise, and values have room for all lanes.
    unsafe {
        v.store(values.as_mut_ptr());
        std::ptr::copy_nonoverlapping(values.as_ptr(), p, n);
    }
}

/// 16 x 16: pairs, then pairs of pairs within each 128 bits, which are put in order last.
///
/// # Safety
/// As for [`Vector::store_transposed`].
#[inline(always)]
unsafe fn transpose_16(rows: &[V512<f32>], p: *mut f32, step: usize) {
    debug_assert!(rows.len() == 16 && step >= 16, "{} rows, {step} apart", rows.len());
    // SAFETY: the caller has AVX-512, 16 rows, and room for 16 rows of 16.
    unsafe {
        let mut r: [__m512; 16] = std::array::from_fn(|i| rows[i].0);
        for i in (0..16).step_by(2) {
            (r[i], r[i + 1]) = (_mm512_unpacklo_ps(r[i], r[i + 1]), _mm512_unpackhi_ps(r[i], r[i + 1]));
        }
        // Of each four rows, column q of every 128 bits.
        let mut quads = [_mm512_setzero_ps(); 16];
        for i in (0..16).step_by(4) {
            let [a, b, c, d] = [r[i], r[i + 1], r[i + 2], r[i + 3]].map(|v| _mm512_castps_pd(v));
            quads[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
            quads[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
            quads[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
            quads[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
        }
        for q in 0..4 {
            let [a, b, c, d] = [quads[q], quads[q + 4], quads[q + 8], quads[q + 12]];
            let (even_ab, odd_ab) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b));
            let (even_cd, odd_cd) = (_mm512_shuffle_f32x4::<0x88>(c, d), _mm512_shuffle_f32x4::<0xdd>(c, d));
            _mm512_storeu_ps(p.add(q * step), _mm512_shuffle_f32x4::<0x88>(even_ab, even_cd));
            _mm512_storeu_ps(p.add((q + 4) * step), _mm512_shuffle_f32x4::<0x88>(odd_ab, odd_cd));
            _mm512_storeu_ps(p.add((q + 8) * step), _mm512_shuffle_f32x4::<0xdd>(even_ab, even_cd));
            _mm512_storeu_ps(p.add((q + 12) * step), _mm512_shuffle_f32x4::<0xdd>(odd_ab, odd_cd));
        }
    }
}

/// 8 x 8, as [`transpose_16`].
///
/// # Safety
/// As for [`Vector::store_transposed`].
#[inline(always)]
unsafe fn transpose_8(rows: &[V256<f32>], p: *mut f32, step: usize) {
    debug_assert!(rows.len() == 8 && step >= 8, "{} rows, {step} apart", rows.len());
    // SAFETY: the caller has AVX2, 8 rows, and room for 8 rows of 8.
    unsafe {
        let mut r: [__m256; 8] = std::array::from_fn(|i| rows[i].0);
        for i in (0..8).step_by(2) {
            (r[i], r[i + 1]) = (_mm256_unpacklo_ps(r[i], r[i + 1]), _mm256_unpackhi_ps(r[i], r[i + 1]));
        }
        let mut quads = [_mm256_setzero_ps(); 8];
        for i in (0..8).step_by(4) {
            let [a, b, c, d] = [r[i], r[i + 1], r[i + 2], r[i + 3]].map(|v| _mm256_castps_pd(v));
            quads[i] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, c));
            quads[i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, c));
            quads[i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(b, d));
            quads[i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(b, d));
        }
        for q in 0..4 {
            let (low, high) = (quads[q], quads[q + 4]);
            _mm256_storeu_ps(p.add(q * step), _mm256_permute2f128_ps::<0x20>(low, high));
            _mm256_storeu_ps(p.add((q + 4) * step), _mm256_permute2f128_ps::<0x31>(low, high));
        }
    }
}

/// 4 x 4, as [`transpose_16`].
///
/// # Safety
/// As for [`Vector::store_transposed`].
#[inline(always)]
unsafe fn transpose_4(rows: &[V128<f32>], p: *mut f32, step: usize) {
    debug_assert!(rows.len() == 4 && step >= 4, "{} rows, {step} apart", rows.len());
    // SAFETY: the caller has 4 rows, and room for 4 rows of 4.
    unsafe {
        let [mut a, mut b, mut c, mut d] = [rows[0].0, rows[1].0, rows[2].0, rows[3].0];
        _MM_TRANSPOSE4_PS(&mut a, &mut b, &mut c, &mut d);
        for (i, row) in [a, b, c, d].into_iter().enumerate() {
            _mm_storeu_ps(p.add(i * step), row);
        }
    }
}
