//! Dual numbers: a value and its derivative, carried forward together.

use crate::calculus::Calculus;
use gradus_tensor::{Real, functions};
use num_traits::{One, Zero};
use std::cmp::Ordering;
use std::ops::{Add, Div, Mul, Neg, Rem, Sub};

/// `value + slope · ε` with `ε² = 0`: any formula generic over [`Real`] or [`Calculus`] gives its derivative along
/// with its value (Clifford 1873; Griewank and Walther, "Evaluating Derivatives", chapter 3).
///
/// ```
/// use gradus_autograd::Dual;
/// use gradus_tensor::Real;
/// fn f<S: Real>(x: S) -> S {
///     x * x + x.sin()
/// }
/// let y = f(Dual::variable(2.0));
/// assert_eq!(y.slope, 4.0 + 2f64.cos());
/// ```
///
/// Where a function has a kink, the slope is that of the branch that the comparison takes.
#[doc(alias = "dual_number")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dual {
    /// The value.
    pub value: f64,
    /// The derivative.
    pub slope: f64,
}

impl Dual {
    /// The variable itself: its slope is 1.
    pub fn variable(value: f64) -> Self {
        Self { value, slope: 1.0 }
    }

    /// `f(x)`, whose derivative at `x` is `d`.
    #[inline]
    fn chain(self, f: f64, d: f64) -> Self {
        // Not 0 · ∞ where the argument is a constant.
        Self { value: f, slope: if self.slope == 0.0 { 0.0 } else { d * self.slope } }
    }
}

impl PartialOrd for Dual {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.value.partial_cmp(&other.value)
    }
}

impl Neg for Dual {
    type Output = Self;
    fn neg(self) -> Self {
        Self { value: -self.value, slope: -self.slope }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        Self { value: self.value + o.value, slope: self.slope + o.slope }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        Self { value: self.value - o.value, slope: self.slope - o.slope }
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        Self { value: self.value * o.value, slope: self.slope * o.value + self.value * o.slope }
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, o: Self) -> Self {
        let value = self.value / o.value;
        Self { value, slope: (self.slope - value * o.slope) / o.value }
    }
}

impl Rem for Dual {
    type Output = Self;
    fn rem(self, o: Self) -> Self {
        Self { value: self.value % o.value, slope: self.slope - (self.value / o.value).trunc() * o.slope }
    }
}

impl Zero for Dual {
    fn zero() -> Self {
        Self { value: 0.0, slope: 0.0 }
    }
    fn is_zero(&self) -> bool {
        self.value == 0.0
    }
}

impl One for Dual {
    fn one() -> Self {
        Self { value: 1.0, slope: 0.0 }
    }
}

/// `name(v) = derivative;` for functions of one argument, `y` being the value.
macro_rules! functions {
    ($($f:ident |$v:ident, $y:ident| $d:expr;)*) => {$(
        #[inline]
        fn $f(self) -> Self {
            let $v = self.value;
            let $y = Real::$f($v);
            self.chain($y, $d)
        }
    )*};
}

impl Real for Dual {
    fn lit(v: f64) -> Self {
        Self { value: v, slope: 0.0 }
    }
    functions! {
        recip |_v, y| -y * y;
        abs |v, _y| Real::sign(v);
        sqrt |_v, y| 0.5 / y;
        exp |_v, y| y;
        exp_m1 |_v, y| y + 1.0;
        exp2 |_v, y| y * std::f64::consts::LN_2;
        ln |v, _y| 1.0 / v;
        ln_1p |v, _y| 1.0 / (1.0 + v);
        log2 |v, _y| std::f64::consts::LOG2_E / v;
        log10 |v, _y| std::f64::consts::LOG10_E / v;
        sin |v, _y| v.cos();
        cos |v, _y| -v.sin();
        tan |v, _y| v.cos().powi(-2);
        asin |v, _y| 1.0 / (1.0 - v * v).sqrt();
        acos |v, _y| -1.0 / (1.0 - v * v).sqrt();
        atan |v, _y| 1.0 / (1.0 + v * v);
        sinh |v, _y| v.cosh();
        cosh |v, _y| v.sinh();
        tanh |v, _y| v.cosh().powi(-2);
        sigmoid |_v, y| y * (1.0 - y);
        erf |v, _y| std::f64::consts::FRAC_2_SQRT_PI * (-v * v).exp();
        floor |_v, _y| 0.0;
        ceil |_v, _y| 0.0;
        round |_v, _y| 0.0;
        trunc |_v, _y| 0.0;
    }
    fn maximum(self, o: Self) -> Self {
        if self >= o || self.value.is_nan() { self } else { o }
    }
    fn minimum(self, o: Self) -> Self {
        if self <= o || self.value.is_nan() { self } else { o }
    }
    fn atan2(self, x: Self) -> Self {
        let square = self.value * self.value + x.value * x.value;
        Self { value: self.value.atan2(x.value), slope: (self.slope * x.value - self.value * x.slope) / square }
    }
    fn powf(self, p: Self) -> Self {
        let value = self.value.powf(p.value);
        let base = self.chain(value, p.value * self.value.powf(p.value - 1.0));
        let exponent = p.chain(value, value * self.value.ln());
        Self { value, slope: base.slope + exponent.slope }
    }
    fn powi(self, n: i32) -> Self {
        self.chain(self.value.powi(n), f64::from(n) * self.value.powi(n - 1))
    }
}

macro_rules! as_real {
    ($($f:ident),*) => {$(
        fn $f(&self) -> Self {
            Real::$f(*self)
        }
    )*};
}

impl Calculus for Dual {
    as_real!(recip, sqrt, exp, ln, sin, cos, sinh, cosh, tanh, sigmoid, erf);

    fn lit(v: f64) -> Self {
        Real::lit(v)
    }
    fn square(&self) -> Self {
        *self * *self
    }
    fn powf(&self, p: f64) -> Self {
        functions::powf(*self, p)
    }
    fn sign(&self) -> Self {
        Real::lit(Real::sign(self.value))
    }
    fn within(&self, low: f64, high: f64) -> Self {
        Real::lit(if self.value >= low && self.value <= high { 1.0 } else { 0.0 })
    }
    fn between(&self, low: f64, high: f64) -> Self {
        Real::lit(if self.value > low && self.value < high { 1.0 } else { 0.0 })
    }
    fn step(&self) -> Self {
        Real::lit(if self.value > 0.0 { 1.0 } else { 0.0 })
    }
    fn clamp(&self, low: f64, high: f64) -> Self {
        functions::clamp(*self, low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_the_slope_of_its_values() {
        type F = fn(Dual) -> Dual;
        let functions: [(&str, F); 27] = [
            ("recip", Real::recip),
            ("abs", Real::abs),
            ("sqrt", Real::sqrt),
            ("exp", Real::exp),
            ("exp_m1", Real::exp_m1),
            ("exp2", Real::exp2),
            ("ln", Real::ln),
            ("ln_1p", Real::ln_1p),
            ("log2", Real::log2),
            ("log10", Real::log10),
            ("sin", Real::sin),
            ("cos", Real::cos),
            ("tan", Real::tan),
            ("asin", Real::asin),
            ("acos", Real::acos),
            ("atan", Real::atan),
            ("sinh", Real::sinh),
            ("cosh", Real::cosh),
            ("tanh", Real::tanh),
            ("sigmoid", Real::sigmoid),
            ("erf", Real::erf),
            ("atan2", |x| x.atan2(x * x + Dual::one())),
            ("powf", |x| x.powf(x + Dual::one())),
            ("powi", |x| Real::powi(x, -3)),
            ("div", |x| (x + Dual::one()) / (x * x)),
            ("sub", |x| x * x - x),
            ("rem", |x| (x * Real::lit(3.0)) % Real::lit(0.35)),
        ];
        for (name, f) in functions {
            for at in [0.3, 0.8] {
                let (h, slope) = (1e-5, f(Dual::variable(at)).slope);
                let value = |x: f64| f(Dual::variable(x)).value;
                let numeric = (value(at + h) - value(at - h)) / (2.0 * h);
                assert!((slope - numeric).abs() < 1e-7 * slope.abs().max(1.0), "{name} at {at}: {slope} and {numeric}");
            }
        }
    }
}
