//! Which vectors an element type has.

use super::vector::Vector;
use crate::scalar::Scalar;

/// The vectors of an element type, by instruction set.
pub trait Lanes: Scalar {
    #[cfg(target_arch = "x86_64")]
    type V512: Vector<Self>;
    #[cfg(target_arch = "x86_64")]
    type V256: Vector<Self>;
    /// What every processor of the target has.
    type Portable: Vector<Self>;
}

macro_rules! lanes {
    ($($t:ty, $lanes:literal;)*) => {$(
        impl Lanes for $t {
            #[cfg(target_arch = "x86_64")]
            type V512 = super::x86::V512<$t>;
            #[cfg(target_arch = "x86_64")]
            type V256 = super::x86::V256<$t>;
            #[cfg(target_arch = "x86_64")]
            type Portable = super::x86::V128<$t>;
            #[cfg(not(target_arch = "x86_64"))]
            type Portable = [$t; $lanes];
        }
    )*};
}
lanes! { f32, 4; f64, 2; }
