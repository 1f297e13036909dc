//! Functions of one number, each with the tensor method that applies it to every element.
//!
//! A formula stands here once. It is generic over [`Real`], so it serves tensors, single numbers, and what else computes as numbers do,
//! such as dual numbers.

mod activation;

pub use activation::*;

use crate::compiled_once::compiled_once;
use crate::float::Float;
use crate::real::Real;
use crate::tensor::Tensor;

/// `name(parameter: type) = |x| formula;`
macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident $(($($p:ident: $pt:ty),+))? = |$v:ident| $f:expr;)*) => {
        $(
            #[doc = concat!("[`Tensor::", stringify!($name), "`](crate::Tensor::", stringify!($name), ") of one number.")]
            #[inline(always)]
            pub fn $name<S: Real>($v: S $($(, $p: $pt)+)?) -> S {
                $f
            }
        )*
        #[compiled_once]
        impl<T: Float> Tensor<T> {$(
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self $($(, $p: $pt)+)?) -> Self {
                self.map_for(stringify!($name), move |v| self::$name(v $($(, $p)+)?))
            }
        )*}
    };
}
use functions;

functions! {
    /// `|x|`.
    #[doc(alias = "absolute")]
    abs = |v| v.abs();
    /// `x²`.
    square = |v| v * v;
    /// `1/x`.
    #[doc(alias = "reciprocal")]
    recip = |v| v.recip();
    /// Square root; NaN below 0.
    sqrt = |v| v.sqrt();
    /// `e^x`.
    exp = |v| v.exp();
    /// `e^x - 1`, exact near 0.
    exp_m1 = |v| v.exp_m1();
    /// `2^x`.
    exp2 = |v| v.exp2();
    /// Natural logarithm.
    #[doc(alias = "log")]
    ln = |v| v.ln();
    /// `ln(1 + x)`, exact near 0.
    #[doc(alias = "log1p")]
    ln_1p = |v| v.ln_1p();
    /// Logarithm to base 2.
    log2 = |v| v.log2();
    /// Logarithm to base 10.
    log10 = |v| v.log10();
    /// Sine of radians.
    sin = |v| v.sin();
    /// Cosine of radians.
    cos = |v| v.cos();
    /// Tangent of radians.
    tan = |v| v.tan();
    /// Inverse sine, in radians.
    #[doc(alias = "arcsin")]
    asin = |v| v.asin();
    /// Inverse cosine, in radians.
    #[doc(alias = "arccos")]
    acos = |v| v.acos();
    /// Inverse tangent, in radians.
    #[doc(alias = "arctan")]
    atan = |v| v.atan();
    /// Hyperbolic sine.
    sinh = |v| v.sinh();
    /// Hyperbolic cosine.
    cosh = |v| v.cosh();
    /// Hyperbolic tangent.
    tanh = |v| v.tanh();
    /// The error function `2/√π ∫ e^(-t²) dt` from 0 to `x`.
    erf = |v| v.erf();
    /// 1 for positive, -1 for negative, 0 for zero, NaN for NaN.
    sign = |v| v.sign();
    /// Down to a whole number.
    floor = |v| v.floor();
    /// Up to a whole number.
    ceil = |v| v.ceil();
    /// To the nearest whole number, halves to even.
    #[doc(alias = "rint")]
    round = |v| v.round();
    /// Towards zero to a whole number.
    #[doc(alias = "fix")]
    trunc = |v| v.trunc();
    /// `min(max(x, low), high)`: values below `low` become `low`, above `high` become `high`; NaN stays. Where `low` is above
    /// `high`, everything becomes `high`, as in PyTorch.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([0.0f32, 1.5, 3.0]);
    /// assert_eq!(x.clamp(1.0, 2.0).to_vec(), [1.0, 1.5, 2.0]);
    /// assert_eq!(x.clamp(2.0, 1.0).to_vec(), [1.0, 1.0, 1.0]);
    /// ```
    #[doc(alias = "clip")]
    clamp(low: f64, high: f64) = |v| {
        let v = if v < S::lit(low) { S::lit(low) } else { v };
        if v > S::lit(high) { S::lit(high) } else { v }
    };
}

/// [`Tensor::powf`] of one number.
#[inline(always)]
pub fn powf<S: Real>(x: S, p: f64) -> S {
    if p.fract() == 0.0 && p.abs() <= 64.0 { x.powi(p as i32) } else { x.powf(S::lit(p)) }
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// `x^p` for a fixed power. Whole powers are products, so they hold for negative `x` too.
    #[doc(alias = "pow")]
    #[track_caller]
    pub fn powf(&self, p: f64) -> Self {
        if p == 2.0 {
            return self.map_for("powf", square); // the same number, and a loop that vectorises
        }
        self.map_for("powf", move |v| powf(v, p))
    }
}
