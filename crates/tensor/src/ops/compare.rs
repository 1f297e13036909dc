//! Comparisons, masks, and choosing by a mask.

use crate::element::{Element, Num};
use crate::error::OrPanic;
use crate::kernels::map;
use crate::shape::broadcast_shapes;
use crate::tensor::Tensor;

/// The right-hand side of a comparison: a tensor, or one number for all elements.
pub trait Rhs<T: Num> {
    /// The operand as a tensor.
    fn tensor(&self) -> Tensor<T>;
}

impl<T: Num> Rhs<T> for &Tensor<T> {
    fn tensor(&self) -> Tensor<T> {
        (*self).clone()
    }
}

impl<T: Num> Rhs<T> for f64 {
    fn tensor(&self) -> Tensor<T> {
        Tensor::scalar(T::from_f64(*self))
    }
}

macro_rules! comparisons {
    ($($(#[$doc:meta])* $name:ident $op:tt;)*) => {
        impl<T: Num> Tensor<T> {$(
            $(#[$doc])*
            ///
            /// The right-hand side is a tensor or a number.
            ///
            /// # Panics
            /// When the shapes do not broadcast.
            #[track_caller]
            pub fn $name(&self, other: impl Rhs<T>) -> Tensor<bool> {
                self.zip_map(stringify!($name), &other.tensor(), |a, b| a $op b)
            }
        )*}
    };
}

comparisons! {
    /// Where the elements are equal.
    eq ==;
    /// Where the elements differ.
    ne !=;
    /// Where this is less.
    lt <;
    /// Where this is less or equal.
    le <=;
    /// Where this is greater.
    gt >;
    /// Where this is greater or equal.
    ge >=;
}

impl Tensor<bool> {
    /// `a` where this is true, `b` elsewhere; all three broadcast.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([-1.0f32, 2.0]);
    /// assert_eq!(x.gt(0.0).select_where(&x, &Tensor::scalar(0.0)).to_vec(), [0.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn select_where<T: Element>(&self, a: &Tensor<T>, b: &Tensor<T>) -> Tensor<T> {
        let shape =
            broadcast_shapes("where", &self.shape, &a.shape).and_then(|s| broadcast_shapes("where", &s, &b.shape)).or_panic();
        // An index into the pair (b, a) would need both interleaved; a copy of `b` that `a` overwrites does not.
        let mut out = b.expand(&shape).copy_for("where");
        let (mask, a) = (self.expand(&shape).contiguous(), a.expand(&shape).contiguous());
        let (mask, a) = (mask.as_slice().expect("contiguous"), a.as_slice().expect("contiguous"));
        map::overwrite_where(mask, a, out.as_mut_slice());
        out
    }

    /// Where both are true.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn and(&self, other: &Tensor<bool>) -> Tensor<bool> {
        self.zip_map("and", other, |a, b| a & b)
    }

    /// Where at least one is true.
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn or(&self, other: &Tensor<bool>) -> Tensor<bool> {
        self.zip_map("or", other, |a, b| a | b)
    }

    /// True becomes false and the other way round.
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
        self.map_for("to_num", |v| if v { T::one() } else { T::zero() })
    }
}
