//! Numbers beside tensors: in operators, and as what to fill with.

use crate::element::Num;
use crate::error::ShapeError;

mod sealed {
    pub trait Sealed {}
    impl Sealed for f64 {}
    impl Sealed for i64 {}
}

/// A number beside a tensor: an `f64`, or an `i64`, as integer literals are.
///
/// A float tensor takes the nearest number of its type. An integer tensor takes only numbers that its type holds.
///
/// ```
/// use gradus_tensor::Tensor;
/// assert_eq!(Tensor::from([1.0f32]).pad(&[[1, 0]], 0).to_vec(), [0.0, 1.0]);
/// assert_eq!(Tensor::from([1i64]).pad(&[[1, 0]], -2).to_vec(), [-2, 1]);
/// ```
pub trait Number: sealed::Sealed + Copy + std::fmt::Display + 'static {
    /// Whether a quotient may not be rounded.
    #[doc(hidden)]
    const FRACTIONAL: bool;

    /// This number as an integer type, if that holds it.
    #[doc(hidden)]
    fn integer<T: Num>(self) -> Option<T>;
    /// The nearest number of a float type.
    #[doc(hidden)]
    fn float<T: Num>(self) -> T;

    /// This number as an element.
    ///
    /// # Errors
    /// When the element type is one of integers and does not hold it; the error is one of the operation `op`.
    #[doc(hidden)]
    #[inline]
    #[track_caller]
    fn element<T: Num>(self, op: &'static str) -> Result<T, ShapeError> {
        if !T::INTEGER {
            return Ok(self.float());
        }
        self.integer().ok_or_else(|| {
            let detail =
                format!("{self} is no {}, which the tensor holds; convert it first, as with cast::<f32>()", dtype::<T>());
            ShapeError::new(op, detail)
        })
    }
}

impl Number for f64 {
    const FRACTIONAL: bool = true;
    fn integer<T: Num>(self) -> Option<T> {
        if self.fract() == 0.0 { T::from_whole(self as i128).ok() } else { None }
    }
    #[inline(always)]
    fn float<T: Num>(self) -> T {
        T::from_f64(self)
    }
}

impl Number for i64 {
    const FRACTIONAL: bool = false;
    fn integer<T: Num>(self) -> Option<T> {
        T::from_whole(self.into()).ok()
    }
    #[inline(always)]
    fn float<T: Num>(self) -> T {
        T::from_f64(self as f64)
    }
}

/// The name of an element type, in errors.
pub(crate) fn dtype<T: Num>() -> String {
    format!("{:?}", T::DTYPE).to_lowercase()
}
