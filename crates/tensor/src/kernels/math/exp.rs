//! The exponential and its kin: `x = n ln 2 + r` with `|r| <= ln 2 / 2`, a minimax polynomial in `r`,
//! and `2^n` by the exponent's bits (Cody and Waite 1980).

use super::{poly, pow2, round, scale, with_sign};

/// ln 2 in two parts; products of the first with whole numbers below 2^14 are exact.
const LN2_HI: f32 = 0.693_359_4;
const LN2_LO: f32 = -2.121_944_4e-4;

/// `n` and `r` of `x = n ln 2 + r`.
#[inline(always)]
fn reduce(x: f32) -> (f32, i32) {
    let (nf, n) = round(x * std::f32::consts::LOG2_E);
    (x - nf * LN2_HI - nf * LN2_LO, n)
}

/// `e^r - 1` for `|r| <= ln 2 / 2`.
#[inline(always)]
fn exp_m1_core(r: f32) -> f32 {
    let q = poly(r, [0.5, 0.166_666_67, 0.041_666_463, 0.008_333_285, 0.001_393_382_3, 0.000_199_078_41]);
    r * r * q + r
}

/// `e^x`, to 1 ulp.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -105.0 { -105.0 } else { x };
    let (r, n) = reduce(x);
    scale(1.0 + exp_m1_core(r), n)
}

/// `2^x`, to 1.1 ulp; exact for whole `x`.
#[inline(always)]
pub(crate) fn exp2(x: f32) -> f32 {
    let x = if x > 129.0 { 129.0 } else { x };
    let x = if x < -152.0 { -152.0 } else { x };
    let (nf, n) = round(x);
    let r = x - nf;
    let q = poly(r, [std::f32::consts::LN_2, 0.240_226_5, 0.055_503_566, 0.009_618_03, 0.001_339_109_7, 0.000_154_700_01]);
    scale(1.0 + r * q, n)
}

/// `e^x - 1`, to 2 ulp.
#[inline(always)]
pub(crate) fn exp_m1(x: f32) -> f32 {
    let v = if x > 89.0 { 89.0 } else { x };
    let v = if v < -30.0 { -30.0 } else { v };
    let (r, n) = reduce(v);
    // 2^n (e^r - 1) + 2^n - 1, at half the size: 2^128 does not exist.
    let half = pow2(n.wrapping_sub(1));
    let y = (exp_m1_core(r) * half + (half - 0.5)) * 2.0;
    if x.abs() < 2.9e-8 { x } else { y }
}

/// `1 / (1 + e^-x)`, to 3 ulp, for large negative `x` too.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}

/// The hyperbolic tangent, `t / (t + 2)` with `t = e^2|x| - 1`, to 3 ulp.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let t = exp_m1(2.0 * if a > 10.0 { 10.0 } else { a });
    with_sign(t / (t + 2.0), x)
}
