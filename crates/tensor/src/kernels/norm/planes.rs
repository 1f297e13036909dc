//! Planes, each of one channel: all elements of a row of a [`Rect`] have the same weight.

use super::geometry::Rect;
use super::moments::Scaling;
use crate::kernels::shared::Shared;
use crate::kernels::simd::{Lanes, Vector, VectorKernel};

/// A number for each row: of row `k` it is `values[k · step]`.
#[derive(Clone, Copy)]
pub struct PerRow<'a, T> {
    pub values: &'a [T],
    pub step: usize,
}

impl<T: Copy> PerRow<'_, T> {
    #[inline(always)]
    fn at(&self, k: usize) -> T {
        self.values[k * self.step]
    }
}

/// `out = (x · unit - mean) · scale · weight + bias`.
pub struct Apply<'a, T> {
    pub x: &'a [T],
    pub out: Shared<T>,
    pub rect: Rect,
    pub by: Scaling<T>,
    pub weight: PerRow<'a, T>,
    pub bias: PerRow<'a, T>,
}

impl<T: Lanes> VectorKernel<T> for Apply<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, out, rect, by, weight, bias } = self;
        assert!(rect.lies_in(x.len()));
        // SAFETY: the caller has V's instructions; rows lie in `x`, and in `out`, which is as long, where they are this task's own.
        unsafe {
            let (unit, shift) = (V::splat(by.unit), V::splat(-by.mean));
            let mask = V::mask(0, rect.n % V::LANES);
            for k in 0..rect.rows {
                let (p, y, mut i) = (x.as_ptr().add(rect.row(k)), out.at(rect.row(k), rect.n), 0);
                let (a, b) = (V::splat(by.scale * weight.at(k)), V::splat(bias.at(k)));
                while i + V::LANES <= rect.n {
                    V::load(p.add(i)).mul_add(unit, shift).mul_add(a, b).store(y.add(i));
                    i += V::LANES;
                }
                if i < rect.n {
                    let v = V::load_masked(p.add(i), mask).mul_add(unit, shift).mul_add(a, b);
                    v.store_first(y.add(i), rect.n - i);
                }
            }
        }
    }
}

/// `Σ gy` and `Σ gy · y`, where `y` is the normalised `x`, added to `sums`: of each row to its own two, or of all to the first two.
pub struct Sums<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    pub rect: Rect,
    pub by: Scaling<T>,
    pub of_each: bool,
    pub sums: &'a mut [[f64; 2]],
}

impl<T: Lanes> VectorKernel<T> for Sums<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, gy, rect, by, of_each, sums } = self;
        assert!(rect.lies_in(x.len()) && gy.len() == x.len());
        // SAFETY: the caller has V's instructions, and rows lie in `x` and `gy`.
        unsafe {
            let by = [by.unit, -by.mean, by.scale].map(|v| V::splat(v));
            let zero = V::splat(T::zero());
            let mask = V::mask(0, rect.n % V::LANES);
            let mut pairs = [[zero; 2]; 4];
            for k in 0..rect.rows {
                let (p, g, mut i) = (x.as_ptr().add(rect.row(k)), gy.as_ptr().add(rect.row(k)), 0);
                while i + 4 * V::LANES <= rect.n {
                    for (j, pair) in pairs.iter_mut().enumerate() {
                        let at = i + j * V::LANES;
                        *pair = taken(V::load(p.add(at)), V::load(g.add(at)), by, *pair);
                    }
                    i += 4 * V::LANES;
                }
                while i + V::LANES <= rect.n {
                    pairs[0] = taken(V::load(p.add(i)), V::load(g.add(i)), by, pairs[0]);
                    i += V::LANES;
                }
                if i < rect.n {
                    let g = V::load_masked(g.add(i), mask);
                    pairs[1] = taken(V::load_masked(p.add(i), mask), g, by, pairs[1]);
                }
                if of_each || k + 1 == rect.rows {
                    let total = |c: usize| pairs[0][c].add(pairs[1][c]).add(pairs[2][c].add(pairs[3][c])).total().to_f64();
                    let to = &mut sums[if of_each { k } else { 0 }];
                    *to = [to[0] + total(0), to[1] + total(1)];
                    pairs = [[zero; 2]; 4];
                }
            }
        }
    }
}

/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn taken<T: Lanes, V: Vector<T>>(x: V, g: V, [unit, shift, scale]: [V; 3], sums: [V; 2]) -> [V; 2] {
    // SAFETY: the caller's promise.
    unsafe { [sums[0].add(g), g.mul_add(x.mul_add(unit, shift).mul(scale), sums[1])] }
}

/// `out = (gy · weight + shift) · factor + (x · unit - mean) · slope`: an element whose gradient is the mean has the last term alone.
pub struct Gradient<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    pub out: Shared<T>,
    pub rect: Rect,
    pub by: Scaling<T>,
    pub weight: PerRow<'a, T>,
    pub line: Line<T>,
}

/// The gradient of the elements of a statistic: that of the result times weight, less its mean, times `factor`, and `slope` times `x`
/// from its mean.
#[derive(Clone, Copy)]
pub struct Line<T> {
    pub factor: T,
    pub slope: T,
    pub shift: T,
}

impl<T: Lanes> VectorKernel<T> for Gradient<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, gy, out, rect, by, weight, line } = self;
        assert!(rect.lies_in(x.len()) && gy.len() == x.len());
        // SAFETY: the caller has V's instructions; rows lie in `x` and `gy`, and in `out`, which is as long, where they are this
        // task's own.
        unsafe {
            let (unit, centre) = (V::splat(by.unit), V::splat(-by.mean));
            let [factor, slope, shift] = [line.factor, line.slope, line.shift].map(|v| V::splat(v));
            let mask = V::mask(0, rect.n % V::LANES);
            for k in 0..rect.rows {
                let (p, g, y) = (x.as_ptr().add(rect.row(k)), gy.as_ptr().add(rect.row(k)), out.at(rect.row(k), rect.n));
                let (w, mut i) = (V::splat(weight.at(k)), 0);
                while i + V::LANES <= rect.n {
                    let own = V::load(g.add(i)).mul_add(w, shift).mul(factor);
                    V::load(p.add(i)).mul_add(unit, centre).mul_add(slope, own).store(y.add(i));
                    i += V::LANES;
                }
                if i < rect.n {
                    let own = V::load_masked(g.add(i), mask).mul_add(w, shift).mul(factor);
                    V::load_masked(p.add(i), mask).mul_add(unit, centre).mul_add(slope, own).store_first(y.add(i), rect.n - i);
                }
            }
        }
    }
}
