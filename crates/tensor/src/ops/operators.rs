//! `+ - * /` between tensors, by value and by reference, and with numbers on either side.

use crate::element::{Float, Num};
use crate::error::{OrPanic, ShapeError};
use crate::shape::broadcast_shapes;
use crate::tensor::Tensor;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Sub, SubAssign};

macro_rules! operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign:ident, $op:tt) => {
        impl<T: Num> $trait<&Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip_map(stringify!($method), other, |a, b| a $op b)
            }
        }

        impl<T: Num> $trait<&Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                self.zip_map_into(stringify!($method), other, |a, b| a $op b)
            }
        }

        impl<T: Num> $trait<Tensor<T>> for &Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(self, mut other: Tensor<T>) -> Tensor<T> {
                if other.numel() >= self.numel() && other.is_writable() {
                    // The roles are exchanged, and an error has to name the operands in their order.
                    broadcast_shapes(stringify!($method), &self.shape, &other.shape).or_panic();
                    return other.zip_map_into(stringify!($method), self, |b, a| a $op b);
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
            fn $method(self, other: f64) -> Tensor<T> {
                let b = T::from_f64(other);
                self.map(move |a| a $op b)
            }
        }

        impl<T: Num> $trait<f64> for Tensor<T> {
            type Output = Tensor<T>;
            fn $method(self, other: f64) -> Tensor<T> {
                let b = T::from_f64(other);
                self.map_into(move |a| a $op b)
            }
        }

        impl<T: Num> $trait<&Tensor<T>> for f64 {
            type Output = Tensor<T>;
            fn $method(self, other: &Tensor<T>) -> Tensor<T> {
                let a = T::from_f64(self);
                other.map(move |b| a $op b)
            }
        }

        impl<T: Num> $trait<Tensor<T>> for f64 {
            type Output = Tensor<T>;
            fn $method(self, other: Tensor<T>) -> Tensor<T> {
                let a = T::from_f64(self);
                other.map_into(move |b| a $op b)
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
                *self = self.take().zip_map_into(op, other, |a, b| a $op b);
            }
        }

        impl<T: Num> $assign_trait<f64> for Tensor<T> {
            fn $assign(&mut self, other: f64) {
                *self = self.take() $op other;
            }
        }
    };
}

operator!(Add, add, AddAssign, add_assign, +);
operator!(Sub, sub, SubAssign, sub_assign, -);
operator!(Mul, mul, MulAssign, mul_assign, *);
operator!(Div, div, DivAssign, div_assign, /);

impl<T: Float> Neg for &Tensor<T> {
    type Output = Tensor<T>;
    fn neg(self) -> Tensor<T> {
        self.map(|v| -v)
    }
}

impl<T: Float> Neg for Tensor<T> {
    type Output = Tensor<T>;
    fn neg(self) -> Tensor<T> {
        self.map_into(|v| -v)
    }
}
