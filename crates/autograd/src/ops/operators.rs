//! `+ - * /` between variables, by value and by reference, and with numbers on either side.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::{Listed, apply_owned};
use crate::sampling::{Case, ListedOp, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
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
    apply_owned(AddScalar { c }, x)
}

#[track_caller]
fn sub_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    add_scalar(x, -c)
}

#[track_caller]
fn scalar_sub<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    apply_owned(ScalarSub { c }, x)
}

#[track_caller]
fn mul_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    apply_owned(MulScalar { c }, x)
}

#[track_caller]
fn div_scalar<T: Float>(x: Var<T>, c: f64) -> Var<T> {
    apply_owned(DivScalar { c }, x)
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
        apply_owned(Negate {}, self)
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

/// `Type { parameters } name: x => value, g => gradient, samples;`
macro_rules! scalar_table {
    ($($op:ident { $($c:ident)? } $name:ident: |$x:ident| $f:expr, |$g:ident| $dx:expr, [$($sample:expr),+];)*) => {
        $(
            pub(crate) struct $op {
                $($c: f64)?
            }

            impl<T: Float> Op<T> for $op {
                fn name(&self) -> &'static str {
                    stringify!($name)
                }

                fn attributes(&self) -> Attributes {
                    Attributes::new()$(.with("number", self.$c))?
                }

                fn kind(&self) -> OpKind {
                    OpKind::Elementwise
                }

                fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
                    $(let $c = self.$c;)?
                    let $x = cx.take(0);
                    $f
                }

                fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
                    $(
                        let $c = self.$c;
                        let _ = $c; // a sum's rule needs no number
                    )?
                    let $g = cx.take_gy();
                    ($dx).into()
                }

                fn has_symmetric_jacobian(&self) -> bool {
                    true
                }
            }

            impl<T: Float> Sampled<T> for $op {
                fn samples() -> Vec<OpSample<T>> {
                    vec![$(OpSample::new(stringify!($name), |rng| {
                        let x = draw::tensor(rng, 0.5..2.0);
                        let f: fn(&Var<T>) -> Var<T> = $sample;
                        Case::new([x], move |v| f(&v[0]))
                    })
                    .elementwise()),+]
                }
            }
            impl<T: Float> Listed<T> for $op {}
        )*
        /// The table's part of the list of ops.
        pub(crate) fn listed<T: Float>() -> Vec<ListedOp<T>> {
            vec![$(ListedOp::of::<$op>()),*]
        }
    };
}

scalar_table! {
    AddScalar { c } add_scalar: |x| x + c, |g| g, [|x| x + 1.5, |x| x - 1.5];
    ScalarSub { c } scalar_sub: |x| c - x, |g| -g, [|x| 1.5 - x];
    MulScalar { c } mul_scalar: |x| x * c, |g| g * c, [|x| -2.5 * x, |x| 2.5 / x];
    DivScalar { c } div_scalar: |x| x / c, |g| g / c, [|x| x / 2.5];
    Negate {} neg: |x| -x, |g| -g, [|x| -x];
}
