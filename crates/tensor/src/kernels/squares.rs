//! Sums of squares in double precision.

use super::parallel::{Parts, chunks};
use super::simd::{Kernel, dispatch};
use crate::scalar::Scalar;

/// What one task adds up.
const CHUNK: usize = 1 << 14;
/// Sums side by side: a single one would wait for itself.
const LANES: usize = 32;

/// `Σ (scale · x)²`.
pub fn sum_of_squares<T: Scalar>(x: &[T], scale: f64) -> f64 {
    chunks(x, CHUNK).map_at_least(4, |_, x| dispatch(Squares { x, scale })).into_iter().sum()
}

struct Squares<'a, T> {
    x: &'a [T],
    scale: f64,
}

impl<T: Scalar> Kernel for Squares<'_, T> {
    type Out = f64;
    #[inline(always)]
    fn run(self) -> f64 {
        let square = |v: T| {
            let v = v.to_f64() * self.scale;
            v * v
        };
        let mut lanes = [0.0; LANES];
        let (blocks, rest) = self.x.as_chunks::<LANES>();
        for block in blocks {
            for (sum, &v) in lanes.iter_mut().zip(block) {
                *sum += square(v);
            }
        }
        for (sum, &v) in lanes.iter_mut().zip(rest) {
            *sum += square(v);
        }
        lanes.iter().sum()
    }
}
