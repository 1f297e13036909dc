//! `+ - * /` between tensors, by value and by reference, and with numbers on either side.

use crate::element::{Float, Num};
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
                if self.shape == other.shape && other.is_writable() {
                    return other.zip_map_into(stringify!($method), self, |b, a| a $op b);
                }
                self $op &other
            }
        }

        impl<T: Num> $trait<Tensor<T>> for Tensor<T> {
            type Output = Tensor<T>;
            #[track_caller]
            fn $method(mut self, other: Tensor<T>) -> Tensor<T> {
                if self.is_writable() && self.shape == other.shape { self $op &other } else { &self $op other }
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
                let shape = self.shape.clone();
                let empty = Tensor::from_vec(vec![], [0]);
                let old = std::mem::replace(self, empty);
                *self = if other.shape == shape { old $op other } else { old $op &other.expand(&shape) };
            }
        }

        impl<T: Num> $assign_trait<f64> for Tensor<T> {
            fn $assign(&mut self, other: f64) {
                let empty = Tensor::from_vec(vec![], [0]);
                let old = std::mem::replace(self, empty);
                *self = old $op other;
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
