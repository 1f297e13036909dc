//! The functions of one real number.

use num_traits::{NumOps, One, Zero};
use std::ops::Neg;

/// A real number and its functions: `f32`, `f64`, and what else computes as they do, such as dual numbers. A formula
/// generic over it serves them all.
///
/// Most functions of `f32` are branch-free, so that loops over them vectorise, and give the same bits on
/// every processor: errors are at most 1 ulp for `exp`, `ln`, `log2`, `log10`, 1.1 for `exp2`, 2 for
/// `exp_m1`, `ln_1p`, `sin`, `cos`, 1.6 for `erf`, and 3 for `tanh`, `sigmoid`. The rest, and those of `f64`,
/// are the standard library's; `erf` of `f64` is by the `libm` crate.
pub trait Real: Copy + PartialOrd + NumOps + Zero + One + Neg<Output = Self> {
    /// `f64` to this type, for literals in generic code: `T::lit(0.5)`.
    fn lit(v: f64) -> Self;
    /// `1/x`.
    fn recip(self) -> Self;
    /// `|x|`.
    fn abs(self) -> Self;
    /// Square root.
    fn sqrt(self) -> Self;
    /// `e^x`.
    fn exp(self) -> Self;
    /// `e^x - 1`, exact near 0.
    fn exp_m1(self) -> Self;
    /// `2^x`.
    fn exp2(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + x)`, exact near 0.
    fn ln_1p(self) -> Self;
    /// Logarithm to base 2.
    fn log2(self) -> Self;
    /// Logarithm to base 10.
    fn log10(self) -> Self;
    /// Sine.
    fn sin(self) -> Self;
    /// Cosine.
    fn cos(self) -> Self;
    /// Tangent.
    fn tan(self) -> Self;
    /// Inverse sine.
    fn asin(self) -> Self;
    /// Inverse cosine.
    fn acos(self) -> Self;
    /// Inverse tangent.
    fn atan(self) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2(self, x: Self) -> Self;
    /// Hyperbolic sine.
    fn sinh(self) -> Self;
    /// Hyperbolic cosine.
    fn cosh(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `self^p`.
    fn powf(self, p: Self) -> Self;
    /// `self^n` for a whole `n`.
    fn powi(self, n: i32) -> Self;
    /// Down to a whole number.
    fn floor(self) -> Self;
    /// Up to a whole number.
    fn ceil(self) -> Self;
    /// To the nearest whole number, halves to even.
    fn round(self) -> Self;
    /// Towards zero to a whole number.
    fn trunc(self) -> Self;
    /// The larger of two; NaN if either is, as in NumPy.
    fn maximum(self, o: Self) -> Self;
    /// The smaller of two; NaN if either is, as in NumPy.
    fn minimum(self, o: Self) -> Self;
    /// 1 for positive, -1 for negative, 0 for zero, NaN for NaN.
    #[inline(always)]
    fn sign(self) -> Self {
        if self > Self::zero() {
            Self::one()
        } else if self < Self::zero() {
            -Self::one()
        } else {
            self + Self::zero() // NaN, and zero without its sign
        }
    }
}

/// Forwards to the standard library's method of the same name.
macro_rules! by_std {
    ($t:ty: $($f:ident),*) => {$(
        #[inline(always)]
        fn $f(self) -> Self {
            <$t>::$f(self)
        }
    )*};
}

/// Forwards to the function of this name in [`crate::kernels::math`].
macro_rules! by_kernel {
    ($($file:ident::$f:ident),*) => {$(
        #[inline(always)]
        fn $f(self) -> Self {
            crate::kernels::math::$file::$f(self)
        }
    )*};
}

/// What `f32` and `f64` share.
macro_rules! common {
    ($t:ty) => {
        #[inline(always)]
        fn lit(v: f64) -> Self {
            v as $t
        }
        #[inline(always)]
        fn maximum(self, o: Self) -> Self {
            if self >= o || self.is_nan() { self } else { o }
        }
        #[inline(always)]
        fn minimum(self, o: Self) -> Self {
            if self <= o || self.is_nan() { self } else { o }
        }
        #[inline]
        fn atan2(self, x: Self) -> Self {
            <$t>::atan2(self, x)
        }
        #[inline(always)]
        fn powi(self, n: i32) -> Self {
            <$t>::powi(self, n)
        }
        #[inline(always)]
        fn round(self) -> Self {
            <$t>::round_ties_even(self)
        }
        by_std!($t: recip, abs, sqrt, tan, asin, acos, atan, sinh, cosh, floor, ceil, trunc);
    };
}

impl Real for f32 {
    common!(f32);
    by_kernel!(exp::exp, exp::exp2, exp::exp_m1, exp::sigmoid, exp::tanh);
    by_kernel!(log::ln, log::ln_1p, log::log2, log::log10, trig::sin, trig::cos, erf::erf);

    #[inline]
    fn powf(self, p: Self) -> Self {
        f32::powf(self, p)
    }
}

impl Real for f64 {
    common!(f64);
    by_std!(f64: exp, exp2, exp_m1, ln, ln_1p, log2, log10, sin, cos, tanh);

    #[inline(always)]
    fn sigmoid(self) -> Self {
        // e^-x would overflow where the result is still a number.
        let e = (-self.abs()).exp();
        (if self < 0.0 { e } else { 1.0 }) / (1.0 + e)
    }
    #[inline]
    fn erf(self) -> Self {
        libm::erf(self)
    }
    #[inline]
    fn powf(self, p: Self) -> Self {
        f64::powf(self, p)
    }
}
