//! Real numbers: what kernels compute with.

use crate::element::Num;
use crate::real::Real;

/// The constants and functions of a real number that a tensor can hold. Kernels are generic over it; what is above them, over
/// [`Float`](crate::Float), which has all of it.
pub trait Scalar: Num + Real + std::iter::Sum {
    /// Positive infinity.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// The distance from 1 to the next larger value.
    const EPSILON: Self;
    /// The smallest positive value that is not denormal.
    const TINY: Self;
    /// The largest finite value.
    const MAX: Self;

    /// Whether this is neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// The largest power of 2 that is at most `|self|`, kept between [`TINY`](Self::TINY) and the largest one of the type.
    ///
    /// Dividing by it is exact, and so keeps the bits of a result whose squares would overflow or vanish:
    /// ```
    /// use gradus_tensor::Scalar;
    /// let x = 3e25f32;
    /// assert_eq!((x * x).sqrt(), f32::INFINITY);
    /// let unit = x.binade();
    /// assert_eq!((x / unit * (x / unit)).sqrt() * unit, x);
    /// ```
    fn binade(self) -> Self;
}

macro_rules! scalar {
    ($($t:ty, $exponent:literal;)*) => {$(
        impl Scalar for $t {
            const INFINITY: Self = <$t>::INFINITY;
            const NAN: Self = <$t>::NAN;
            const EPSILON: Self = <$t>::EPSILON;
            const TINY: Self = <$t>::MIN_POSITIVE;
            const MAX: Self = <$t>::MAX;
            #[inline(always)]
            fn is_finite(self) -> bool {
                <$t>::is_finite(self)
            }
            #[inline(always)]
            fn binade(self) -> Self {
                // The exponent's bits alone; those of infinity and NaN are one above the largest exponent.
                let bits = self.to_bits() & $exponent;
                let bits = bits.max(<$t>::MIN_POSITIVE.to_bits()).min(<$t>::MAX.to_bits() & $exponent);
                <$t>::from_bits(bits)
            }
        }
    )*};
}
scalar! {
    f32, 0x7f80_0000;
    f64, 0x7ff0_0000_0000_0000;
}
