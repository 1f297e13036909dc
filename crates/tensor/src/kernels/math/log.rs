//! Logarithms: `x = 2^k m` with `m` in `[sqrt(1/2), sqrt(2))`, and with `f = m - 1`, `s = f / (2 + f)`
//! `ln m = f - f²/2 + s (f²/2 + R(s²))`. The method and the polynomial R are those of Sun's fdlibm in
//! the single-precision form of FreeBSD's msun.

use std::f32::consts::SQRT_2;

const LN2_HI: f32 = 0.693_138_1;
const LN2_LO: f32 = 9.058_001e-6;
/// The bits of sqrt(1/2), the lower end of `m`.
const LOWER: u32 = 0x3f35_04f3;

/// `k` and `m` of a positive, normal `x = 2^k m`.
#[inline(always)]
fn split(x: f32) -> (i32, f32) {
    let bits = x.to_bits().wrapping_sub(LOWER);
    ((bits as i32) >> 23, f32::from_bits((bits & 0x007f_ffff).wrapping_add(LOWER)))
}

/// As [`split`], for denormal `x` too.
#[inline(always)]
fn split_any(x: f32) -> (f32, f32) {
    let small = x < f32::MIN_POSITIVE;
    let (k, m) = split(if small { x * 33_554_432.0 } else { x });
    ((if small { k - 25 } else { k }) as f32, m)
}

/// `f²/2` and `s (f²/2 + R)`, which with `f` make up `ln(1 + f)`.
#[inline(always)]
fn parts(f: f32) -> (f32, f32) {
    let s = f / (2.0 + f);
    let z = s * s;
    let w = z * z;
    let r = z * (0.666_666_6 + w * 0.284_987_87) + w * (0.400_009_72 + w * 0.242_790_79);
    let half = 0.5 * f * f;
    (half, s * (half + r))
}

/// `y`, but what a logarithm of `x` is where `x` has no finite one.
#[inline(always)]
fn edges(x: f32, y: f32) -> f32 {
    let y = if x < f32::INFINITY { y } else { x };
    let y = if x == 0.0 { f32::NEG_INFINITY } else { y };
    if x < 0.0 { f32::NAN } else { y }
}

/// The natural logarithm, to 1 ulp.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let (k, m) = split_any(x);
    let f = m - 1.0;
    let (half, rest) = parts(f);
    edges(x, rest + k * LN2_LO - half + f + k * LN2_HI)
}

/// `ln(1 + x)`, to 2 ulp.
#[inline(always)]
pub(crate) fn ln_1p(x: f32) -> f32 {
    let u = 1.0 + x;
    let (k, m) = split(u);
    // What rounding took from 1 + x, relative to it; with k = 0 nothing is taken, as f is x itself.
    let lost = (if k > 0 { 1.0 - (u - x) } else { x - (u - 1.0) }) / u;
    let near = x > SQRT_2 / 2.0 - 1.0 && x < SQRT_2 - 1.0;
    let (f, k, lost) = if near { (x, 0.0, 0.0) } else { (m - 1.0, k as f32, lost) };
    let (half, rest) = parts(f);
    let y = edges(u, rest + (k * LN2_LO + lost) - half + f + k * LN2_HI);
    if x.abs() < 2.9e-8 { x } else { y }
}

/// `f` and the rest of `ln(1 + f)` rounded so that the first has 12 bits: products with constants of
/// as many are exact.
#[inline(always)]
fn two_parts(m: f32) -> (f32, f32) {
    let f = m - 1.0;
    let (half, rest) = parts(f);
    let hi = f32::from_bits((f - half).to_bits() & 0xffff_f000);
    (hi, f - hi - half + rest)
}

/// The logarithm to base 2, to 1 ulp; exact for powers of 2.
#[inline(always)]
pub(crate) fn log2(x: f32) -> f32 {
    const INV_HI: f32 = 1.442_871_1;
    const INV_LO: f32 = -1.760_528_5e-4;
    let (k, m) = split_any(x);
    let (hi, lo) = two_parts(m);
    edges(x, (lo + hi) * INV_LO + lo * INV_HI + hi * INV_HI + k)
}

/// The logarithm to base 10, to 1 ulp.
#[inline(always)]
pub(crate) fn log10(x: f32) -> f32 {
    const INV_HI: f32 = 0.434_326_17;
    const INV_LO: f32 = -3.168_997e-5;
    const LOG2_HI: f32 = 0.301_029_2;
    const LOG2_LO: f32 = 7.903_415e-7;
    let (k, m) = split_any(x);
    let (hi, lo) = two_parts(m);
    edges(x, k * LOG2_LO + (lo + hi) * INV_LO + lo * INV_HI + hi * INV_HI + k * LOG2_HI)
}
