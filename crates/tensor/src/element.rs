//! What a tensor can hold.

use crate::buffer::Pool;
use num_traits::{NumAssign, NumCast};
use std::fmt::{Debug, Display};
use std::ops::Neg;

mod sealed {
    pub trait Sealed {}
}

/// The names of the element types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit floating point.
    F32,
    /// 64-bit floating point.
    F64,
    /// 32-bit signed integer.
    I32,
    /// 64-bit signed integer: indices and class labels.
    I64,
    /// 8-bit unsigned integer: pictures and bytes.
    U8,
    /// Truth values: masks.
    Bool,
}

/// A type that a [`Tensor`](crate::Tensor) can hold: `f32`, `f64`, `i32`, `i64`, `u8` and `bool`.
pub trait Element: sealed::Sealed + Copy + PartialEq + PartialOrd + Debug + Display + Default + Send + Sync + 'static {
    /// This type's name.
    const DTYPE: DType;

    #[doc(hidden)]
    fn pool() -> &'static Pool<Self>;
}

/// A number: every [`Element`] but `bool`.
pub trait Num: Element + NumAssign + NumCast {
    /// The smallest value of the type; minus infinity for floats.
    const LOWEST: Self;
    /// The largest value of the type; infinity for floats.
    const HIGHEST: Self;

    /// The nearest value of this type; integers truncate and saturate.
    fn from_f64(v: f64) -> Self;
    /// The value as `f64`.
    fn to_f64(self) -> f64;
    /// Whether this is not a number; never for integers.
    fn is_nan(self) -> bool;
}

/// A real number: `f32` or `f64`. Layers and derivatives are generic over it.
///
/// Most functions of `f32` are branch-free, so that loops over them vectorise, and give the same bits on
/// every processor: errors are at most 1 ulp for `exp`, `ln`, `log2`, `log10`, 1.1 for `exp2`, 2 for
/// `exp_m1`, `ln_1p`, `sin`, `cos`, `erf`, and 3 for `tanh`, `sigmoid`. The rest, and those of `f64`,
/// are the standard library's; `erf` of `f64` is by the `libm` crate.
pub trait Float: Num + Neg<Output = Self> + std::iter::Sum {
    /// Positive infinity.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// The distance from 1 to the next larger value.
    const EPSILON: Self;

    /// `f64` to this type, for literals in generic code: `T::lit(0.5)`.
    #[inline(always)]
    fn lit(v: f64) -> Self {
        Self::from_f64(v)
    }
    #[doc(hidden)]
    const GEMM: crate::kernels::gemm::RawGemm<Self>;

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
    /// Whether this is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The larger of two; NaN if either is, as in NumPy.
    #[inline(always)]
    fn maximum(self, o: Self) -> Self {
        if self >= o || self.is_nan() { self } else { o }
    }
    /// The smaller of two; NaN if either is, as in NumPy.
    #[inline(always)]
    fn minimum(self, o: Self) -> Self {
        if self <= o || self.is_nan() { self } else { o }
    }
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

macro_rules! element {
    ($($t:ty, $dtype:ident;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            fn pool() -> &'static Pool<Self> {
                static POOL: Pool<$t> = Pool::new();
                &POOL
            }
        }
    )*};
}
element! { f32, F32; f64, F64; i32, I32; i64, I64; u8, U8; bool, Bool; }

macro_rules! num_int {
    ($($t:ty),*) => {$(
        impl Num for $t {
            const LOWEST: Self = <$t>::MIN;
            const HIGHEST: Self = <$t>::MAX;
            #[inline(always)]
            fn from_f64(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                false
            }
        }
    )*};
}
num_int!(i32, i64, u8);

macro_rules! num_float {
    ($($t:ty),*) => {$(
        impl Num for $t {
            const LOWEST: Self = <$t>::NEG_INFINITY;
            const HIGHEST: Self = <$t>::INFINITY;
            #[inline(always)]
            fn from_f64(v: f64) -> Self {
                v as $t
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }
            #[inline(always)]
            fn is_nan(self) -> bool {
                self != self
            }
        }
    )*};
}
num_float!(f32, f64);

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
        const INFINITY: Self = <$t>::INFINITY;
        const NAN: Self = <$t>::NAN;
        const EPSILON: Self = <$t>::EPSILON;
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
        #[inline(always)]
        fn is_finite(self) -> bool {
            <$t>::is_finite(self)
        }
        by_std!($t: recip, abs, sqrt, tan, asin, acos, atan, sinh, cosh, floor, ceil, trunc);
    };
}

impl Float for f32 {
    common!(f32);
    by_kernel!(exp::exp, exp::exp2, exp::exp_m1, exp::sigmoid, exp::tanh);
    by_kernel!(log::ln, log::ln_1p, log::log2, log::log10, trig::sin, trig::cos, erf::erf);

    const GEMM: crate::kernels::gemm::RawGemm<Self> = matrixmultiply::sgemm;
    #[inline]
    fn powf(self, p: Self) -> Self {
        f32::powf(self, p)
    }
}

impl Float for f64 {
    common!(f64);
    by_std!(f64: exp, exp2, exp_m1, ln, ln_1p, log2, log10, sin, cos, tanh);

    const GEMM: crate::kernels::gemm::RawGemm<Self> = matrixmultiply::dgemm;
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
