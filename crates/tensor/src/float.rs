//! Real numbers with all that tensors, layers and derivatives need of them.

use crate::element_functions::{functions, picks};
use crate::kernels::simd::Lanes;
use crate::scalar::Scalar;

/// A real number that a tensor can hold: `f32` or `f64`. Layers and derivatives are generic over it.
///
/// Its constants and functions are those of [`Scalar`], [`Num`](crate::Num) and [`Real`](crate::Real).
pub trait Float: Scalar + Lanes {
    picks!(FloatFn);
}

functions! {
    /// A method of floats.
    FloatFn for Float
}

impl Float for f32 {
    picks!(FloatFn, f32);
}
impl Float for f64 {
    picks!(FloatFn, f64);
}
