//! Sums of squares in double precision.

use super::parallel::{Parts, chunks};
use crate::scalar::Scalar;

/// What one task adds up.
const CHUNK: usize = 1 << 14;
/// Sums side by side: a single one would wait for itself.
const LANES: usize = 8;

/// `Σ (scale · x)²`.
pub fn sum_of_squares<T: Scalar>(x: &[T], scale: f64) -> f64 {
    let parts = match scale {
        1.0 => chunks(x, CHUNK).map_at_least(4, |_, x| squares(x, |v| v)),
        _ => chunks(x, CHUNK).map_at_least(4, |_, x| squares(x, |v| v * scale)),
    };
    parts.into_iter().sum()
}

fn squares<T: Scalar>(x: &[T], scaled: impl Fn(f64) -> f64) -> f64 {
    let square = |v: T| {
        let v = scaled(v.to_f64());
        v * v
    };
    let mut lanes = [0.0; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for block in blocks {
        for (sum, &v) in lanes.iter_mut().zip(block) {
            *sum += square(v);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&v| square(v)).sum::<f64>()
}
