//! `+ - * /` between variables, by value and by reference, and with numbers on either side.

use crate::op::op_scaled;
use crate::samples::{Case, OpSample, draw};
use crate::tape::Factor;
use crate::var::Var;
use gradus_tensor::Float;
use gradus_tensor::once::compiled_once;
use std::ops::{Add, Div, Mul, Neg, Sub};

macro_rules! between_vars {
    ($($trait:ident $f:ident),*) => {$(
        #[compiled_once]
        impl<T: Float> $trait<&Var<T>> for &Var<T> {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, other: &Var<T>) -> Var<T> {
                Var::$f(self, other)
            }
        }
        #[compiled_once]
        impl<T: Float> $trait<Var<T>> for &Var<T> {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, other: Var<T>) -> Var<T> {
                if self.node.is_none() && other.node.is_none() {
                    // Constants: let the tensors reuse the buffer that is handed over.
                    return Var::cut_at($trait::$f(&self.value, other.value), self.cut.or(other.cut));
                }
                Var::$f(self, &other)
            }
        }
        #[compiled_once]
        impl<T: Float> $trait<&Var<T>> for Var<T> {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, other: &Var<T>) -> Var<T> {
                if self.node.is_none() && other.node.is_none() {
                    return Var::cut_at($trait::$f(self.value, &other.value), self.cut.or(other.cut));
                }
                Var::$f(&self, other)
            }
        }
        #[compiled_once]
        impl<T: Float> $trait<Var<T>> for Var<T> {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, other: Var<T>) -> Var<T> {
                if self.node.is_none() && other.node.is_none() {
                    return Var::cut_at($trait::$f(self.value, other.value), self.cut.or(other.cut));
                }
                Var::$f(&self, &other)
            }
        }
    )*};
}
between_vars!(Add add, Sub sub, Mul mul, Div div);

/// Scalar forms: `var op number` and `number op var`, by value and by reference; a number is an `f64` or an integer literal.
macro_rules! with_scalar {
    ($scalar:ty: $trait:ident $f:ident, $right:ident, $left:ident) => {
        #[compiled_once]
        impl<T: Float> $trait<$scalar> for &Var<T> {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, c: $scalar) -> Var<T> {
                $right(self.clone(), c as f64)
            }
        }
        #[compiled_once]
        impl<T: Float> $trait<$scalar> for Var<T> {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, c: $scalar) -> Var<T> {
                $right(self, c as f64)
            }
        }
        #[compiled_once]
        impl<T: Float> $trait<&Var<T>> for $scalar {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, v: &Var<T>) -> Var<T> {
                $left(v.clone(), self as f64)
            }
        }
        #[compiled_once]
        impl<T: Float> $trait<Var<T>> for $scalar {
            type Output = Var<T>;
            #[track_caller]
            fn $f(self, v: Var<T>) -> Var<T> {
                $left(v, self as f64)
            }
        }
    };
    ($trait:ident $f:ident: $right:ident, $left:ident) => {
        with_scalar!(f64: $trait $f, $right, $left);
        with_scalar!(i64: $trait $f, $right, $left);
    };
}
with_scalar!(Add add: add_scalar, add_scalar);
with_scalar!(Sub sub: sub_scalar, scalar_sub);
with_scalar!(Mul mul: mul_scalar, mul_scalar);
with_scalar!(Div div: div_scalar, scalar_div);

#[track_caller]
fn add_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    op_scaled("add_scalar", x, |x| x + c, Factor::One)
}

#[track_caller]
fn sub_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    add_scalar(x, -c)
}

#[track_caller]
fn scalar_sub<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    op_scaled("scalar_sub", x, |x| c - x, Factor::MinusOne)
}

#[track_caller]
fn mul_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    op_scaled("mul_scalar", x, |x| x * c, Factor::Times(c))
}

#[track_caller]
fn div_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    op_scaled("div_scalar", x, |x| x / c, Factor::Over(c))
}

#[track_caller]
fn scalar_div<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    x.recip() * c
}

#[compiled_once]
impl<T: Float> Neg for Var<T> {
    type Output = Var<T>;
    #[track_caller]
    fn neg(self) -> Var<T> {
        op_scaled("neg", self, |x| -x, Factor::MinusOne)
    }
}

#[compiled_once]
impl<T: Float> Neg for &Var<T> {
    type Output = Var<T>;
    #[track_caller]
    fn neg(self) -> Var<T> {
        -self.clone()
    }
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    macro_rules! sample {
        ($name:literal, $f:expr) => {
            OpSample::new($name, |rng| {
                let x = draw::tensor(rng, 0.5..2.0);
                Case::new([x], |v| $f(&v[0]))
            })
        };
    }
    vec![
        sample!("add_scalar", |x: &Var<T>| x + 1.5),
        sample!("add_scalar", |x: &Var<T>| x - 1.5),
        sample!("scalar_sub", |x: &Var<T>| 1.5 - x),
        sample!("mul_scalar", |x: &Var<T>| -2.5 * x),
        sample!("div_scalar", |x: &Var<T>| x / 2.5),
        sample!("mul_scalar", |x: &Var<T>| 2.5 / x),
        sample!("neg", |x: &Var<T>| -x),
    ]
}
