//! Comparisons, masks, and choosing by a mask.

use crate::compiled_once::compiled_once;
use crate::element::{Element, Num};
use crate::error::OrPanic;
use crate::kernels::map;
use crate::shape::broadcast_shapes;
use crate::tensor::Tensor;
use std::cmp::Ordering;

/// A comparison of two numbers.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Comparison {
    fn name(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Ne => "ne",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
        }
    }
}

/// The right-hand side of a comparison: a tensor, or one number for all elements, an `f64` or an `i64`.
///
/// A number is compared as the number that it is: an integer tensor is less than 0.5 where it is 0 or less, whatever the size of its
/// elements. Against a float tensor, it is rounded to the tensor's type first, so that `x.eq(0.1)` finds the `f32` nearest to 0.1.
pub trait Rhs<T: Num> {
    #[doc(hidden)]
    #[track_caller]
    fn compare(&self, x: &Tensor<T>, how: Comparison) -> Tensor<bool>;
}

impl<T: Num> Rhs<T> for &Tensor<T> {
    #[track_caller]
    #[inline]
    fn compare(&self, x: &Tensor<T>, how: Comparison) -> Tensor<bool> {
        x.compared(how, self)
    }
}

impl<T: Num> Rhs<T> for f64 {
    #[track_caller]
    #[inline]
    fn compare(&self, x: &Tensor<T>, how: Comparison) -> Tensor<bool> {
        x.compared_with(how, *self)
    }
}

impl<T: Num> Rhs<T> for i64 {
    #[track_caller]
    #[inline]
    fn compare(&self, x: &Tensor<T>, how: Comparison) -> Tensor<bool> {
        x.compared_with_whole(how, *self)
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    #[track_caller]
    fn compared(&self, how: Comparison, other: &Tensor<T>) -> Tensor<bool> {
        match how {
            Comparison::Eq => self.zip_map(how.name(), other, |a, b| a == b),
            Comparison::Ne => self.zip_map(how.name(), other, |a, b| a != b),
            Comparison::Lt => self.zip_map(how.name(), other, |a, b| a < b),
            Comparison::Le => self.zip_map(how.name(), other, |a, b| a <= b),
            Comparison::Gt => self.zip_map(how.name(), other, |a, b| a > b),
            Comparison::Ge => self.zip_map(how.name(), other, |a, b| a >= b),
        }
    }

    #[track_caller]
    fn compared_with(&self, how: Comparison, c: f64) -> Tensor<bool> {
        if !T::INTEGER {
            return with_number(self, how, T::from_f64(c));
        }
        match how {
            _ if c.is_nan() => self.map_for(how.name(), move |_| how == Comparison::Ne),
            Comparison::Eq | Comparison::Ne if c.fract() != 0.0 => self.map_for(how.name(), move |_| how == Comparison::Ne),
            // The conversion saturates, far outside of every type.
            Comparison::Lt | Comparison::Ge => with_whole(self, how, c.ceil() as i128),
            _ => with_whole(self, how, c.floor() as i128),
        }
    }

    #[track_caller]
    fn compared_with_whole(&self, how: Comparison, c: i64) -> Tensor<bool> {
        with_whole(self, how, i128::from(c))
    }
}

#[track_caller]
fn with_whole<T: Num>(x: &Tensor<T>, how: Comparison, c: i128) -> Tensor<bool> {
    match T::from_whole(c) {
        Ok(c) => with_number(x, how, c),
        Err(side) => {
            let below = matches!(how, Comparison::Ne | Comparison::Lt | Comparison::Le);
            let above = matches!(how, Comparison::Ne | Comparison::Gt | Comparison::Ge);
            let all = if side == Ordering::Greater { below } else { above };
            x.map_for(how.name(), move |_| all)
        }
    }
}

#[track_caller]
fn with_number<T: Num>(x: &Tensor<T>, how: Comparison, c: T) -> Tensor<bool> {
    match how {
        Comparison::Eq => x.map_for(how.name(), move |a| a == c),
        Comparison::Ne => x.map_for(how.name(), move |a| a != c),
        Comparison::Lt => x.map_for(how.name(), move |a| a < c),
        Comparison::Le => x.map_for(how.name(), move |a| a <= c),
        Comparison::Gt => x.map_for(how.name(), move |a| a > c),
        Comparison::Ge => x.map_for(how.name(), move |a| a >= c),
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $how:ident;)*) => {
        impl<T: Num> Tensor<T> {$(
            $(#[$doc])*
            ///
            /// The right-hand side is a tensor or a number; a fraction compares with integers as the number that it is.
            ///
            /// # Panics
            /// When the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Rhs<T>) -> Tensor<bool> {
                other.compare(self, Comparison::$how)
            }
        )*}
    };
}

comparisons! {
    /// Where the elements are equal.
    eq Eq;
    /// Where the elements differ.
    #[doc(alias = "not_equal")]
    ne Ne;
    /// Where this is less.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([0i64, 1]).lt(0.5).to_vec(), [true, false]);
    /// assert_eq!(Tensor::from([0.25f32, 1.0]).lt(1).to_vec(), [true, false]);
    /// ```
    #[doc(alias = "less")]
    lt Lt;
    /// Where this is less or equal.
    #[doc(alias = "less_equal")]
    le Le;
    /// Where this is greater.
    #[doc(alias = "greater")]
    gt Gt;
    /// Where this is greater or equal.
    #[doc(alias = "greater_equal")]
    ge Ge;
}

impl Tensor<bool> {
    /// Where both are true.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[doc(alias("logical_and", "bitwise_and"))]
    #[track_caller]
    pub fn and(&self, other: &Tensor<bool>) -> Tensor<bool> {
        self.zip_map("and", other, |a, b| a & b)
    }

    /// Where at least one is true.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[doc(alias("logical_or", "bitwise_or"))]
    #[track_caller]
    pub fn or(&self, other: &Tensor<bool>) -> Tensor<bool> {
        self.zip_map("or", other, |a, b| a | b)
    }

    /// True becomes false and the other way round.
    #[doc(alias = "logical_not")]
    #[track_caller]
    pub fn not(&self) -> Tensor<bool> {
        self.map_for("not", |a| !a)
    }

    /// Whether every element is true.
    #[track_caller]
    pub fn all(&self) -> bool {
        self.contiguous().as_slice().is_some_and(|s| s.iter().all(|&v| v))
    }

    /// Whether any element is true.
    #[track_caller]
    pub fn any(&self) -> bool {
        self.contiguous().as_slice().is_some_and(|s| s.iter().any(|&v| v))
    }

    /// 1 where true, 0 where false.
    #[track_caller]
    pub fn to_num<T: Num>(&self) -> Tensor<T> {
        Tensor::of_truth(self)
    }
}

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// This where `mask` is true, `other` elsewhere; all three broadcast: `torch.where`.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([-1.0f32, 2.0]);
    /// assert_eq!(x.where_(&x.gt(0.0), &Tensor::scalar(0.0)).to_vec(), [0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn where_(&self, mask: &Tensor<bool>, other: &Tensor<T>) -> Tensor<T> {
        let shape = broadcast_shapes("where", &mask.shape, &self.shape);
        let shape = shape.and_then(|s| broadcast_shapes("where", &s, &other.shape)).or_panic();
        // An index into the pair of them would need both interleaved; a copy of `other` that this overwrites does not.
        let mut out = other.expand(&shape).copy_for("where");
        let (mask, x) = (mask.expand(&shape).contiguous(), self.expand(&shape).contiguous());
        let (mask, x) = (mask.as_slice().expect("contiguous"), x.as_slice().expect("contiguous"));
        map::overwrite_where(mask, x, out.as_mut_slice());
        out
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    #[track_caller]
    fn of_truth(mask: &Tensor<bool>) -> Tensor<T> {
        mask.map_for("to_num", |v| if v { T::one() } else { T::zero() })
    }
}
