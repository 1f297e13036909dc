//! Means and sums of squares, right at every magnitude.
//!
//! A block of elements is summed, and then the squares of their distances from its mean, while it is in the first-level cache; blocks
//! are joined in `f64` (Chan, Golub and LeVeque, *Updating formulae and a pairwise algorithm for computing sample variances*, 1979).
//! Where a variance has overflowed, or is so small that squares have lost bits, it is computed again of elements divided by a power of
//! two near the largest, which is exact.

use super::geometry::{BLOCK, Rect};
use crate::kernels::reduce::{Fold, MaxAbs};
use crate::kernels::simd::{Lanes, Vector, VectorKernel, with_vectors};
use crate::scalar::Scalar;

/// Count, mean and sum of squared distances from the mean of some numbers; or their count, 0 and their sum of squares.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    pub count: f64,
    pub mean: f64,
    pub squares: f64,
}

impl Moments {
    /// Those of all numbers of `parts`, as a mean of means, and the squares of their distances from it.
    pub fn joined(parts: impl Iterator<Item = Self> + Clone) -> Self {
        let count: f64 = parts.clone().map(|m| m.count).sum();
        let mean = parts.clone().map(|m| m.count * m.mean).sum::<f64>() / count;
        let squares = parts.map(|m| m.squares + m.count * (m.mean - mean) * (m.mean - mean)).sum();
        Self { count, mean, squares }
    }

    pub fn variance(&self) -> f64 {
        self.squares / self.count
    }
}

/// What normalises the elements of one statistic: `(x · unit - mean) · scale`, where `unit` is 1 or a power of two that brings the
/// elements to a size whose squares are numbers.
#[derive(Clone, Copy, Debug)]
pub struct Scaling<T> {
    pub mean: T,
    pub scale: T,
    pub unit: T,
}

impl<T: Scalar> Scaling<T> {
    /// The scaling of elements of this mean and variance.
    pub fn of(mean: T, variance: f64, eps: f64) -> Self {
        Self { mean, scale: T::from_f64((variance + eps).sqrt().recip()), unit: T::one() }
    }
    pub fn read(all: &[T], s: usize) -> Self {
        Self { mean: all[3 * s], scale: all[3 * s + 1], unit: all[3 * s + 2] }
    }
    pub fn write(self, to: &mut [T]) {
        to.copy_from_slice(&[self.mean, self.scale, self.unit]);
    }
}

/// A statistic's scaling, and the mean and variance of the elements as they are.
#[derive(Clone, Copy)]
pub struct Found<T> {
    pub scaling: Scaling<T>,
    pub mean: T,
    pub variance: T,
}

/// Whether squares overflowed, or are so small, even with `eps` added, that they have lost bits.
pub fn is_lost<T: Scalar>(m: &Moments, eps: f64) -> bool {
    let variance = T::from_f64(m.variance());
    m.count > 0.0 && !(variance < T::INFINITY && variance + T::from_f64(eps) >= T::TINY / T::EPSILON)
}

impl<T: Scalar> Found<T> {
    pub fn of(m: &Moments, eps: f64) -> Self {
        let (mean, variance) = (T::from_f64(m.mean), m.variance());
        Self { scaling: Scaling::of(mean, variance, eps), mean, variance: T::from_f64(variance) }
    }

    /// The same, of moments of elements that were multiplied by `unit`.
    pub fn in_units(m: &Moments, eps: f64, unit: T) -> Self {
        let size = unit.recip();
        let eps = eps * unit.to_f64() * unit.to_f64();
        let found = Self::of(m, eps);
        Self { scaling: Scaling { unit, ..found.scaling }, mean: found.mean * size, variance: found.variance * size * size }
    }
}

/// The power of two to multiply by of elements whose largest size is this.
pub fn unit_for<T: Scalar>(largest: T) -> T {
    largest.binade().recip()
}

/// The largest size of an element; NaN if one is.
pub fn largest<T: Scalar>(x: &[T], rect: Rect) -> T {
    let rows = (0..rect.rows).flat_map(|k| &x[rect.row(k)..][..rect.n]);
    rows.fold(T::zero(), |most, v| MaxAbs.join(most, v.abs()))
}

/// The moments of the elements of `rect`, times `unit`.
pub fn of_rect<T: Lanes>(x: &[T], rect: Rect, unit: T, centred: bool) -> Moments {
    // Most are one block, which needs no list.
    if rect.rows * rect.n <= BLOCK && rect.rows * rect.n > 0 {
        return of_block(x, rect, unit, centred);
    }
    let parts: Vec<Moments> = rect.blocks(BLOCK).map(|(_, block)| of_block(x, block, unit, centred)).collect();
    Moments::joined(parts.iter().copied())
}

/// The moments of one block of [`Rect::blocks`].
pub fn of_block<T: Lanes>(x: &[T], rect: Rect, unit: T, centred: bool) -> Moments {
    assert!(rect.lies_in(x.len()));
    let count = (rect.rows * rect.n) as f64;
    let [mean, squares] = with_vectors(Block { x, rect, unit, centred, count });
    Moments { count, mean: mean.to_f64(), squares: squares.to_f64() }
}

struct Block<'a, T> {
    x: &'a [T],
    rect: Rect,
    unit: T,
    centred: bool,
    count: f64,
}

impl<T: Lanes> VectorKernel<T> for Block<'_, T> {
    type Out = [T; 2];

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) -> [T; 2] {
        let Self { x, rect, unit, centred, count } = self;
        let x = x.as_ptr();
        // SAFETY: the caller has V's instructions, and `rect` lies in `x`.
        unsafe {
            let mean = if centred { fold::<T, V, false>(x, rect, unit, T::zero()) / T::from_f64(count) } else { T::zero() };
            [mean, fold::<T, V, true>(x, rect, unit, -mean)]
        }
    }
}

/// The sum of `x · unit`, or with `SQUARES` that of `(x · unit + shift)²`.
///
/// # Safety
/// The processor must have V's instructions, and `rect` lie in `x`.
#[inline(always)]
unsafe fn fold<T: Lanes, V: Vector<T>, const SQUARES: bool>(x: *const T, rect: Rect, unit: T, shift: T) -> T {
    // SAFETY: the caller's promise.
    unsafe {
        let mask = V::mask(0, rect.n % V::LANES);
        // Lanes beyond a row add nothing.
        let (unit, inside) = (V::splat(unit), V::load_masked([shift; 16].as_ptr(), mask));
        let shift = V::splat(shift);
        let mut sums = [V::splat(T::zero()); 4];
        for k in 0..rect.rows {
            let (p, mut i) = (x.add(rect.row(k)), 0);
            while i + 4 * V::LANES <= rect.n {
                for (j, sum) in sums.iter_mut().enumerate() {
                    *sum = taken::<T, V, SQUARES>(V::load(p.add(i + j * V::LANES)), unit, shift, *sum);
                }
                i += 4 * V::LANES;
            }
            while i + V::LANES <= rect.n {
                sums[0] = taken::<T, V, SQUARES>(V::load(p.add(i)), unit, shift, sums[0]);
                i += V::LANES;
            }
            if i < rect.n {
                sums[1] = taken::<T, V, SQUARES>(V::load_masked(p.add(i), mask), unit, inside, sums[1]);
            }
        }
        sums[0].add(sums[1]).add(sums[2].add(sums[3])).total()
    }
}

/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn taken<T: Lanes, V: Vector<T>, const SQUARES: bool>(x: V, unit: V, shift: V, sum: V) -> V {
    // SAFETY: the caller's promise.
    unsafe {
        if !SQUARES {
            return x.mul_add(unit, sum);
        }
        let d = x.mul_add(unit, shift);
        d.mul_add(d, sum)
    }
}
