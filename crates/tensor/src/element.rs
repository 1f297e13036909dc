//! What a tensor can hold.

use crate::element_functions::{functions, picks};
use num_traits::{NumAssign, NumCast};
use std::cmp::Ordering;
use std::fmt::{Debug, Display};

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

    /// A value that shows where memory is read before it is written.
    #[doc(hidden)]
    const POISON: Self;
    picks!(ElementFn);
}

/// A number: every [`Element`] but `bool`.
pub trait Num: Element + NumAssign + NumCast {
    /// Whether this is a type of whole numbers.
    const INTEGER: bool;
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
    /// The value of this type, or on which side of its range the whole number lies. Floats take the nearest.
    #[doc(hidden)]
    fn from_whole(v: i128) -> Result<Self, Ordering>;
    /// The distance from 1 to the next larger value: 1 for integers.
    #[doc(hidden)]
    fn epsilon() -> f64;
    picks!(NumFn);

    /// The sum; that of integers wraps around at the ends of their range, as in NumPy and PyTorch.
    fn add_wrapping(self, other: Self) -> Self;
    /// The difference; that of integers wraps around.
    fn sub_wrapping(self, other: Self) -> Self;
    /// The product; that of integers wraps around.
    fn mul_wrapping(self, other: Self) -> Self;
    /// The quotient; that of integers is cut off towards 0 and wraps around.
    ///
    /// # Panics
    /// When an integer is divided by 0.
    fn div_wrapping(self, other: Self) -> Self;
}

functions! {
    /// A method of elements.
    ElementFn for Element, other
}
functions! {
    /// A method of numbers.
    NumFn for Num, other
}

macro_rules! element {
    ($($t:ty, $dtype:ident, $poison:expr, $once:ident;)*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$dtype;
            const POISON: Self = $poison;
            picks!(ElementFn, $once);
        }
    )*};
}
element! {
    f32, F32, f32::NAN, f32;
    f64, F64, f64::NAN, f64;
    i32, I32, i32::MIN, other;
    i64, I64, i64::MIN, other;
    u8, U8, 0xa5, other;
    bool, Bool, true, other;
}

macro_rules! num_int {
    ($($t:ty, $once:ident;)*) => {$(
        impl Num for $t {
            const INTEGER: bool = true;
            const LOWEST: Self = <$t>::MIN;
            const HIGHEST: Self = <$t>::MAX;
            picks!(NumFn, $once);
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
            fn from_whole(v: i128) -> Result<Self, Ordering> {
                <$t>::try_from(v).map_err(|_| v.cmp(&0))
            }
            fn epsilon() -> f64 {
                1.0
            }
            #[inline(always)]
            fn add_wrapping(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn sub_wrapping(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn mul_wrapping(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn div_wrapping(self, other: Self) -> Self {
                self.wrapping_div(other)
            }
        }
    )*};
}
num_int! {
    i32, other;
    i64, other;
    u8, other;
}

macro_rules! num_float {
    ($($t:ty, $once:ident;)*) => {$(
        impl Num for $t {
            const INTEGER: bool = false;
            const LOWEST: Self = <$t>::NEG_INFINITY;
            const HIGHEST: Self = <$t>::INFINITY;
            picks!(NumFn, $once);
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
            fn from_whole(v: i128) -> Result<Self, Ordering> {
                Ok(v as $t)
            }
            fn epsilon() -> f64 {
                <$t>::EPSILON.into()
            }
            #[inline(always)]
            fn add_wrapping(self, other: Self) -> Self {
                self + other
            }
            #[inline(always)]
            fn sub_wrapping(self, other: Self) -> Self {
                self - other
            }
            #[inline(always)]
            fn mul_wrapping(self, other: Self) -> Self {
                self * other
            }
            #[inline(always)]
            fn div_wrapping(self, other: Self) -> Self {
                self / other
            }
        }
    )*};
}
num_float! {
    f32, f32;
    f64, f64;
}
