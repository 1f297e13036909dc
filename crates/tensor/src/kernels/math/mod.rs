//! Elementary functions of `f32` without a branch, so that a loop over one of them becomes vector
//! code for whichever instruction set the loop is compiled for.
//!
//! All are built from `+ - * /`, comparisons that select, and the bits of the representation. Nothing
//! is fused: `a * b + c` rounds twice everywhere, and the same input gives the same bits on every
//! processor. Errors are in units in the last place (ulp) of the exact result, found by a sweep over
//! the range of `f32` in this crate's tests. NaN gives NaN.

pub(crate) mod erf;
pub(crate) mod exp;
pub(crate) mod log;
pub(crate) mod trig;

/// Adding this to a number below 2^22 in size rounds it to a whole number, halves to even, which then
/// stands in the low bits of the sum.
const MAGIC: f32 = 12_582_912.0;

/// `x` rounded to a whole number: as `f32`, and as `i32`.
#[inline(always)]
fn round(x: f32) -> (f32, i32) {
    let shifted = x + MAGIC;
    (shifted - MAGIC, (shifted.to_bits() as i32).wrapping_sub(MAGIC.to_bits() as i32))
}

/// `2^n` for `n` in -126..=127; anything for other `n`.
#[inline(always)]
fn pow2(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// `y * 2^n` for `n` in -252..=254, rounded once.
#[inline(always)]
fn scale(y: f32, n: i32) -> f32 {
    let half = n >> 1;
    y * pow2(half) * pow2(n.wrapping_sub(half))
}

/// `c[0] + c[1] x + c[2] x² + …`, by Horner's rule.
#[inline(always)]
fn poly<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut y = c[N - 1];
    for i in (0..N - 1).rev() {
        y = y * x + c[i];
    }
    y
}

/// `y` with the sign of `x`, for `y` that is not negative.
#[inline(always)]
fn with_sign(y: f32, x: f32) -> f32 {
    f32::from_bits(y.to_bits() | (x.to_bits() & 0x8000_0000))
}
