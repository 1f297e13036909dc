//! `+ - * /` between tensors, by value and by reference, and with numbers on either side.
//!
//! A number is an `f64` or an `i64` ([`Number`]). An integer tensor takes only numbers that its type holds. Its quotients
//! are rounded towards zero where an integer divides; an `f64` promises a fraction, so that its quotients must be whole.

use crate::compiled_once::compiled_once;
use crate::element::Num;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::number::{Number, dtype};
use crate::shape::broadcast_shapes;
use crate::tensor::Tensor;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// What may stand on the right of `+`, `-` and `*`: anything.
fn any<T: Num>(x: &Tensor<T>) -> Result<&Tensor<T>, ShapeError> {
    Ok(x)
}

/// What may stand on the right of `/`: floats, and integers other than 0.
#[track_caller]
fn divisor<T: Num>(x: &Tensor<T>) -> Result<&Tensor<T>, ShapeError> {
    if !T::INTEGER {
        return Ok(x);
    }
    // Of a broadcast axis one index tells all.
    let mut once = x.clone();
    for axis in 0..x.rank() {
        if x.strides[axis] == 0 && x.shape[axis] > 1 {
            once = once.slice(axis, ..1);
        }
    }
    if once.contiguous().as_slice().expect("contiguous").iter().any(|v| v.is_zero()) {
        let detail = format!(
            "an element of the divisor {} is 0: integers have no quotient; convert first, as with cast::<f32>()",
            x.shape
        );
        return Err(ShapeError::new("div", detail));
    }
    Ok(x)
}

/// An error if a quotient of integers by an `f64`, or of an `f64` by integers, is not whole.
#[track_caller]
fn check_whole<T: Num>(a: &Tensor<T>, b: &Tensor<T>) -> Result<(), ShapeError> {
    let [a, b] = [a.contiguous(), b.contiguous()];
    let [a, b] = [&a, &b].map(|t| t.as_slice().expect("contiguous"));
    let mut pairs = (0..a.len().max(b.len())).map(|i| (a[i % a.len()], b[i % b.len()]));
    match pairs.find(|(a, b)| a.div_wrapping(*b).mul_wrapping(*b) != *a) {
        Some((a, b)) => {
            let detail = format!(
                "{a} / {b} is no {}; convert first, as with cast::<f32>(), or divide by an integer, which rounds towards zero",
                dtype::<T>()
            );
            Err(ShapeError::new("div", detail))
        }
        None => Ok(()),
    }
}

macro_rules! with_scalar {
    ($scalar:ty: $trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $op:tt, $wrapping:ident, $divisor:ident) => {
        #[compiled_once]
        impl<T: Num> $trait<$scalar> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: $scalar) -> Tensor<T> {
                if !T::INTEGER && !<$scalar as Number>::FRACTIONAL {
                    return self $op other as f64;
                }
                let b: T = other.element(stringify!($method)).or_panic();
                if T::INTEGER {
                    $divisor(&Tensor::scalar(b)).or_panic();
                    if stringify!($method) == "div" && <$scalar as Number>::FRACTIONAL && self.numel() > 0 {
                        check_whole(self, &Tensor::scalar(b)).or_panic();
                    }
                }
                self.map_for(stringify!($method), move |a| a.$wrapping(b))
            }
        }

        #[compiled_once]
        impl<T: Num> $trait<$scalar> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: $scalar) -> Tensor<T> {
                if T::INTEGER {
                    return &self $op other;
                }
                if !<$scalar as Number>::FRACTIONAL {
                    return self $op other as f64;
                }
                let b: T = other.float();
                self.map_into_for(stringify!($method), move |a| a.$wrapping(b))
            }
        }

        #[compiled_once]
        impl<T: Num> $trait<&Tensor<T>> for $scalar {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                if !T::INTEGER && !<$scalar as Number>::FRACTIONAL {
                    return self as f64 $op other;
                }
                let a: T = self.element(stringify!($method)).or_panic();
                if T::INTEGER {
                    $divisor(other).or_panic();
                    if stringify!($method) == "div" && <$scalar as Number>::FRACTIONAL && other.numel() > 0 {
                        check_whole(&Tensor::scalar(a), other).or_panic();
                    }
                }
                other.map_for(stringify!($method), move |b| a.$wrapping(b))
            }
        }

        #[compiled_once]
        impl<T: Num> $trait<Tensor<T>> for $scalar {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: Tensor<T>) -> Tensor<T> {
                if T::INTEGER {
                    return self $op &other;
                }
                if !<$scalar as Number>::FRACTIONAL {
                    return self as f64 $op other;
                }
                let a: T = self.float();
                other.map_into_for(stringify!($method), move |b| a.$wrapping(b))
            }
        }

        #[compiled_once]
        impl<T: Num> $assign_trait<$scalar> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: $scalar) {
                // A number that is refused leaves the left-hand side.
                *self = if T::INTEGER { &*self $op other } else { self.take() $op other };
            }
        }
    };
}

macro_rules! operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $op:tt, $wrapping:ident, $divisor:ident) => {
        #[compiled_once]
        impl<T: Num> $trait<&Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip_map(stringify!($method), $divisor(other).or_panic(), T::$wrapping)
            }
        }

        #[compiled_once]
        impl<T: Num> $trait<&Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.operate_into(stringify!($method), $divisor(other).or_panic(), T::$wrapping)
            }
        }

        #[compiled_once]
        impl<T: Num> $trait<Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, mut other: Tensor<T>) -> Tensor<T> {
                if other.numel() >= self.numel() && other.is_writable() {
                    $divisor(&other).or_panic();
                    // The roles are exchanged, and an error has to name the operands in their order.
                    broadcast_shapes(stringify!($method), &self.shape, &other.shape).or_panic();
                    return other.operate_into(stringify!($method), self, |b, a| a.$wrapping(b));
                }
                self $op &other
            }
        }

        #[compiled_once]
        impl<T: Num> $trait<Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(mut self, other: Tensor<T>) -> Tensor<T> {
                // The sum has the shape of the larger one, whose buffer may then serve again.
                if self.numel() >= other.numel() && self.is_writable() { self $op &other } else { &self $op other }
            }
        }

        /// In place when nobody else holds the buffer.
        ///
        /// # Panics
        /// When the right-hand side does not broadcast to this shape.
        #[compiled_once]
        impl<T: Num> $assign_trait<&Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: &Tensor<T>) {
                let op = stringify!($assign);
                if broadcast_shapes(op, &self.shape, &other.shape).or_panic() != self.shape {
                    let detail = format!("{} does not broadcast to {}, the shape of the left-hand side", other.shape, self.shape);
                    Err(ShapeError::new(op, detail)).or_panic()
                }
                $divisor(other).or_panic();
                *self = self.take().operate_into(op, other, T::$wrapping);
            }
        }

        with_scalar! { f64: $trait, $method, $assign_trait, $assign, $op, $wrapping, $divisor }
        with_scalar! { i64: $trait, $method, $assign_trait, $assign, $op, $wrapping, $divisor }
    };
}

operator!(Add, add, AddAssign, add_assign, +, add_wrapping, any);
operator!(Sub, sub, SubAssign, sub_assign, -, sub_wrapping, any);
operator!(Mul, mul, MulAssign, mul_assign, *, mul_wrapping, any);
operator!(Div, div, DivAssign, div_assign, /, div_wrapping, divisor);

#[compiled_once]
impl<T: Float> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn neg(self) -> Tensor<T> {
        self.map_for("neg", |v| -v)
    }
}

#[compiled_once]
impl<T: Float> Neg for Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn neg(self) -> Tensor<T> {
        self.map_into_for("neg", |v| -v)
    }
}
