//! Rows of memory that share their statistics, in which each element has a weight of its own.

use super::moments::Scaling;
use super::planes::Line;
use crate::kernels::simd::{Lanes, Vector, VectorKernel};

/// `out = (x · unit - mean) · scale · weight + bias`, over slices of equal length.
pub struct Apply<'a, T> {
    pub x: &'a [T],
    pub weight: &'a [T],
    pub bias: &'a [T],
    pub out: &'a mut [T],
    pub by: Scaling<T>,
}

impl<T: Lanes> VectorKernel<T> for Apply<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, weight, bias, out, by } = self;
        let n = out.len();
        assert!([x.len(), weight.len(), bias.len()] == [n; 3]);
        let [x, w, b] = [x, weight, bias].map(<[T]>::as_ptr);
        let y = out.as_mut_ptr();
        // SAFETY: the caller has V's instructions, and all slices have `n` elements.
        unsafe {
            let (unit, shift, scale) = (V::splat(by.unit), V::splat(-by.mean), V::splat(by.scale));
            let mut i = 0;
            while i + V::LANES <= n {
                let v = V::load(x.add(i)).mul_add(unit, shift).mul(scale);
                v.mul_add(V::load(w.add(i)), V::load(b.add(i))).store(y.add(i));
                i += V::LANES;
            }
            if i < n {
                let mask = V::mask(0, n - i);
                let v = V::load_masked(x.add(i), mask).mul_add(unit, shift).mul(scale);
                let v = v.mul_add(V::load_masked(w.add(i), mask), V::load_masked(b.add(i), mask));
                v.store_first(y.add(i), n - i);
            }
        }
    }
}

/// `Σ gy · weight` and `Σ gy · weight · y`, where `y` is the normalised `x`; `gy` is added to `biases` and `gy · y` to `weights`. All
/// slices have equal length.
pub struct Sums<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    pub weight: &'a [T],
    pub weights: &'a mut [T],
    pub biases: &'a mut [T],
    pub by: Scaling<T>,
}

impl<T: Lanes> VectorKernel<T> for Sums<'_, T> {
    type Out = [T; 2];

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) -> [T; 2] {
        let Self { x, gy, weight, weights, biases, by } = self;
        let n = x.len();
        assert!([gy.len(), weight.len(), weights.len(), biases.len()] == [n; 4]);
        let [x, g, w] = [x, gy, weight].map(<[T]>::as_ptr);
        let [dw, db] = [weights, biases].map(<[T]>::as_mut_ptr);
        // SAFETY: the caller has V's instructions, and all slices have `n` elements.
        unsafe {
            let by = [by.unit, -by.mean, by.scale].map(|v| V::splat(v));
            let mut sums = [[V::splat(T::zero()); 2]; 2];
            let mut i = 0;
            while i + 2 * V::LANES <= n {
                for (j, sums) in sums.iter_mut().enumerate() {
                    let at = i + j * V::LANES;
                    let (v, g) = (V::load(x.add(at)), V::load(g.add(at)));
                    let (y, gw) = normalised(v, g, V::load(w.add(at)), by);
                    V::load(db.add(at)).add(g).store(db.add(at));
                    g.mul_add(y, V::load(dw.add(at))).store(dw.add(at));
                    *sums = [sums[0].add(gw), gw.mul_add(y, sums[1])];
                }
                i += 2 * V::LANES;
            }
            while i < n {
                let some = V::LANES.min(n - i);
                let mask = V::mask(0, some);
                let [v, g, w, a, b] = [x, g, w, dw, db].map(|p| V::load_masked(p.add(i), mask));
                let (y, gw) = normalised(v, g, w, by);
                b.add(g).store_first(db.add(i), some);
                g.mul_add(y, a).store_first(dw.add(i), some);
                // Lanes beyond the row have no gradient.
                sums[0] = [sums[0][0].add(gw), gw.mul_add(y, sums[0][1])];
                i += some;
            }
            [0, 1].map(|c| sums[0][c].add(sums[1][c]).total())
        }
    }
}

/// The normalised `x`, and `g · w`.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn normalised<T: Lanes, V: Vector<T>>(x: V, g: V, w: V, [unit, shift, scale]: [V; 3]) -> (V, V) {
    // SAFETY: the caller's promise.
    unsafe { (x.mul_add(unit, shift).mul(scale), g.mul(w)) }
}

/// `out = (gy · weight + shift) · factor + (x · unit - mean) · slope`, over slices of equal length.
pub struct Gradient<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    pub weight: &'a [T],
    pub out: &'a mut [T],
    pub by: Scaling<T>,
    pub line: Line<T>,
}

impl<T: Lanes> VectorKernel<T> for Gradient<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, gy, weight, out, by, line } = self;
        let n = out.len();
        assert!([x.len(), gy.len(), weight.len()] == [n; 3]);
        let [x, g, w] = [x, gy, weight].map(<[T]>::as_ptr);
        let y = out.as_mut_ptr();
        // SAFETY: the caller has V's instructions, and all slices have `n` elements.
        unsafe {
            let (unit, centre, factor) = (V::splat(by.unit), V::splat(-by.mean), V::splat(line.factor));
            let (slope, shift) = (V::splat(line.slope), V::splat(line.shift));
            let mut i = 0;
            while i + V::LANES <= n {
                let own = V::load(g.add(i)).mul_add(V::load(w.add(i)), shift).mul(factor);
                V::load(x.add(i)).mul_add(unit, centre).mul_add(slope, own).store(y.add(i));
                i += V::LANES;
            }
            if i < n {
                let mask = V::mask(0, n - i);
                let own = V::load_masked(g.add(i), mask).mul_add(V::load_masked(w.add(i), mask), shift).mul(factor);
                V::load_masked(x.add(i), mask).mul_add(unit, centre).mul_add(slope, own).store_first(y.add(i), n - i);
            }
        }
    }
}
