//! `+ - * /` between tensors, by value and by reference, and with numbers on either side.

use crate::element::{DType, Float, Num};
use crate::error::{OrPanic, ShapeError};
use crate::shape::broadcast_shapes;
use crate::tensor::Tensor;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

/// What may stand on the right of `+`, `-` and `*`: anything.
fn any<T: Num>(x: &Tensor<T>) -> Result<&Tensor<T>, ShapeError> {
    Ok(x)
}

/// What may stand on the right of `/`: floats, and integers other than 0.
fn divisor<T: Num>(x: &Tensor<T>) -> Result<&Tensor<T>, ShapeError> {
    if matches!(T::DTYPE, DType::F32 | DType::F64) {
        return Ok(x);
    }
    let flat = x.contiguous();
    match flat.as_slice().expect("contiguous").iter().position(|v| v.is_zero()) {
        Some(at) => {
            Err(ShapeError::new("div", format!("element {at} of the divisor {} is 0: integers have no quotient", x.shape)))
        }
        None => Ok(x),
    }
}

/// A number on the right of an operator.
fn number<T: Num>(x: f64, check: impl Fn(&Tensor<T>) -> Result<&Tensor<T>, ShapeError>) -> Result<T, ShapeError> {
    let x = T::from_f64(x);
    if !matches!(T::DTYPE, DType::F32 | DType::F64) {
        check(&Tensor::scalar(x))?;
    }
    Ok(x)
}

macro_rules! operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $op:tt, $wrapping:ident, $divisor:ident) => {
        impl<T: Num> $trait<&Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip_map(stringify!($method), $divisor(other).or_panic(), T::$wrapping)
            }
        }

        impl<T: Num> $trait<&Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip_map_into(stringify!($method), $divisor(other).or_panic(), T::$wrapping)
            }
        }

        impl<T: Num> $trait<Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, mut other: Tensor<T>) -> Tensor<T> {
                if other.numel() >= self.numel() && other.is_writable() {
                    $divisor(&other).or_panic();
                    // The roles are exchanged, and an error has to name the operands in their order.
                    broadcast_shapes(stringify!($method), &self.shape, &other.shape).or_panic();
                    return other.zip_map_into(stringify!($method), self, |b, a| a.$wrapping(b));
                }
                self $op &other
            }
        }

        impl<T: Num> $trait<Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(mut self, other: Tensor<T>) -> Tensor<T> {
                // The sum has the shape of the larger one, whose buffer may then serve again.
                if self.numel() >= other.numel() && self.is_writable() { self $op &other } else { &self $op other }
            }
        }

        impl<T: Num> $trait<f64> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: f64) -> Tensor<T> {
                let b = number::<T>(other, $divisor).or_panic();
                self.map_for(stringify!($method), move |a| a.$wrapping(b))
            }
        }

        impl<T: Num> $trait<f64> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: f64) -> Tensor<T> {
                let b = number::<T>(other, $divisor).or_panic();
                self.map_into_for(stringify!($method), move |a| a.$wrapping(b))
            }
        }

        impl<T: Num> $trait<&Tensor<T>> for f64 {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                let a = T::from_f64(self);
                $divisor(other).or_panic();
                other.map_for(stringify!($method), move |b| a.$wrapping(b))
            }
        }

        impl<T: Num> $trait<Tensor<T>> for f64 {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: Tensor<T>) -> Tensor<T> {
                let a = T::from_f64(self);
                $divisor(&other).or_panic();
                other.map_into_for(stringify!($method), move |b| a.$wrapping(b))
            }
        }

        /// In place when nobody else holds the buffer.
        ///
        /// # Panics
        /// When the right-hand side does not broadcast to this shape.
        impl<T: Num> $assign_trait<&Tensor<T>> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: &Tensor<T>) {
                let op = stringify!($assign);
                if broadcast_shapes(op, &self.shape, &other.shape).or_panic() != self.shape {
                    let detail = format!("{} does not broadcast to {}, the shape of the left-hand side", other.shape, self.shape);
                    Err(ShapeError::new(op, detail)).or_panic()
                }
                $divisor(other).or_panic();
                *self = self.take().zip_map_into(op, other, T::$wrapping);
            }
        }

        impl<T: Num> $assign_trait<f64> for Tensor<T> {
            #[track_caller]
            fn $assign(&mut self, other: f64) {
                *self = self.take() $op other;
            }
        }
    };
}

operator!(Add, add, AddAssign, add_assign, +, add_wrapping, any);
operator!(Sub, sub, SubAssign, sub_assign, -, sub_wrapping, any);
operator!(Mul, mul, MulAssign, mul_assign, *, mul_wrapping, any);
operator!(Div, div, DivAssign, div_assign, /, div_wrapping, divisor);

impl<T: Float> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn neg(self) -> Tensor<T> {
        self.map_for("neg", |v| -v)
    }
}

impl<T: Float> Neg for Tensor<T> {
    type Output = Tensor<T>;
    #[track_caller]
    fn neg(self) -> Tensor<T> {
        self.map_into_for("neg", |v| -v)
    }
}
