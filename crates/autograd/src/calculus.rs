//! The arithmetic in which derivatives are written, once for numbers and for variables.

use gradus_tensor::{Float, functions};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// What a derivative formula may use. Numbers ([`Val`]) implement it, and so do variables
/// ([`Var`](crate::Var)): a formula generic over `Calculus` is a fused loop over numbers, and a
/// differentiable expression over variables, and the two cannot disagree.
///
/// ```
/// use gradus_autograd::{Calculus, Val};
/// /// The derivative of tanh, from its output.
/// fn d_tanh<S: Calculus>(y: &S) -> S {
///     S::lit(1.0) - y.square()
/// }
/// assert_eq!(d_tanh(&Val(0.5)), Val(0.75));
/// ```
pub trait Calculus:
    Clone + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// A constant.
    fn lit(v: f64) -> Self;
    /// `1/x`.
    fn recip(&self) -> Self;
    /// `x * x`.
    fn square(&self) -> Self;
    /// Square root.
    fn sqrt(&self) -> Self;
    /// `e^x`.
    fn exp(&self) -> Self;
    /// Natural logarithm.
    fn ln(&self) -> Self;
    /// Sine.
    fn sin(&self) -> Self;
    /// Cosine.
    fn cos(&self) -> Self;
    /// Hyperbolic sine.
    fn sinh(&self) -> Self;
    /// Hyperbolic cosine.
    fn cosh(&self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(&self) -> Self;
    /// `1 / (1 + e^-x)`.
    fn sigmoid(&self) -> Self;
    /// The error function.
    fn erf(&self) -> Self;
    /// `x^p`.
    fn powf(&self, p: f64) -> Self;
    /// 1, -1 or 0 by the sign; a constant to further derivatives.
    fn sign(&self) -> Self;
    /// 1 where `low <= x <= high`, 0 elsewhere; a constant to further derivatives.
    fn within(&self, low: f64, high: f64) -> Self;
    /// 1 where `low < x < high`, 0 elsewhere; a constant to further derivatives.
    fn between(&self, low: f64, high: f64) -> Self;
    /// 0 where `x <= 0`, 1 elsewhere, so that a NaN lets gradients pass; a constant to further derivatives.
    fn step(&self) -> Self;
    /// `min(max(x, low), high)`; its own derivative is 1 between the two and 0 elsewhere. It keeps infinities out of products
    /// with 0: `e^min(x, 0)` instead of a masked `e^x`.
    fn clamp(&self, low: f64, high: f64) -> Self;
}

/// A number in a derivative formula.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Val<T>(pub T);

macro_rules! operators {
    ($($trait:ident $f:ident $op:tt),*) => {$(
        impl<T: Float> $trait for Val<T> {
            type Output = Self;
            #[inline(always)]
            fn $f(self, other: Self) -> Self {
                Val(self.0 $op other.0)
            }
        }
    )*};
}
operators!(Add add +, Sub sub -, Mul mul *, Div div /);

impl<T: Float> Neg for Val<T> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Val(-self.0)
    }
}

macro_rules! functions {
    ($($f:ident),*) => {$(
        #[inline(always)]
        fn $f(&self) -> Self {
            Val(self.0.$f())
        }
    )*};
}

impl<T: Float> Calculus for Val<T> {
    functions!(recip, sqrt, exp, ln, sin, cos, sinh, cosh, tanh, sigmoid, erf, sign);

    #[inline(always)]
    fn lit(v: f64) -> Self {
        Val(T::lit(v))
    }
    #[inline(always)]
    fn square(&self) -> Self {
        Val(self.0 * self.0)
    }
    #[inline(always)]
    fn powf(&self, p: f64) -> Self {
        Val(functions::powf(self.0, p))
    }
    #[inline(always)]
    fn within(&self, low: f64, high: f64) -> Self {
        Val(if self.0 >= T::lit(low) && self.0 <= T::lit(high) { T::one() } else { T::zero() })
    }
    #[inline(always)]
    fn between(&self, low: f64, high: f64) -> Self {
        Val(if self.0 > T::lit(low) && self.0 < T::lit(high) { T::one() } else { T::zero() })
    }
    #[inline(always)]
    fn step(&self) -> Self {
        Val(if self.0 <= T::zero() { T::zero() } else { T::one() })
    }
    #[inline(always)]
    fn clamp(&self, low: f64, high: f64) -> Self {
        Val(functions::clamp(self.0, low, high))
    }
}
