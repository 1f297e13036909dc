//! Columns of a batch: each lane has statistics of its own, over rows of memory.

use super::geometry::Rect;
use crate::kernels::shared::Shared;
use crate::kernels::simd::{Lanes, Vector, VectorKernel};

/// Vectors side by side, whose rows are read twice while they are in the first-level cache.
const WIDE: usize = 4;

/// The mean of each column of `rect`, and the sum of squared distances from it; or 0, and the sum of squares. Elements are multiplied
/// by their column's `unit` first.
pub struct Moments<'a, T> {
    pub x: &'a [T],
    pub rect: Rect,
    pub unit: &'a [T],
    pub centred: bool,
    pub mean: &'a mut [T],
    pub squares: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for Moments<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, rect, unit, centred, mean, squares } = self;
        assert!(rect.lies_in(x.len()) && [unit.len(), mean.len(), squares.len()] == [rect.n; 3]);
        let each = T::one() / T::from_f64(rect.rows as f64);
        let (x, units) = (x.as_ptr(), unit.as_ptr());
        let (mean, squares) = (mean.as_mut_ptr(), squares.as_mut_ptr());
        // SAFETY: the caller has V's instructions; columns lie in `x` and in the slices.
        unsafe {
            let (zero, each) = (V::splat(T::zero()), V::splat(if centred { each } else { T::zero() }));
            let mut left = 0;
            while left < rect.n {
                let wide = WIDE.min((rect.n - left).div_ceil(V::LANES));
                let some = |j: usize| V::LANES.min(rect.n - left - j * V::LANES);
                let mut masks = [V::mask(0, 0); WIDE];
                let (mut unit, mut sums) = ([zero; WIDE], [zero; WIDE]);
                for j in 0..wide {
                    masks[j] = V::mask(0, some(j));
                    unit[j] = V::load_masked(units.add(left + j * V::LANES), masks[j]);
                }
                let at = |k: usize, j: usize| x.wrapping_add(rect.row(k) + left + j * V::LANES);
                let whole = rect.n - left >= WIDE * V::LANES;
                for k in 0..rect.rows {
                    if whole {
                        for j in 0..WIDE {
                            sums[j] = V::load(at(k, j)).mul_add(unit[j], sums[j]);
                        }
                    } else {
                        for j in 0..wide {
                            sums[j] = V::load_masked(at(k, j), masks[j]).mul_add(unit[j], sums[j]);
                        }
                    }
                }
                let (mut shift, mut total) = ([zero; WIDE], [zero; WIDE]);
                for j in 0..wide {
                    let m = sums[j].mul(each);
                    m.store_first(mean.add(left + j * V::LANES), some(j));
                    shift[j] = zero.sub(m);
                }
                for k in 0..rect.rows {
                    if whole {
                        for j in 0..WIDE {
                            let d = V::load(at(k, j)).mul_add(unit[j], shift[j]);
                            total[j] = d.mul_add(d, total[j]);
                        }
                    } else {
                        for j in 0..wide {
                            let d = V::load_masked(at(k, j), masks[j]).mul_add(unit[j], shift[j]);
                            total[j] = d.mul_add(d, total[j]);
                        }
                    }
                }
                for (j, total) in total.iter().enumerate().take(wide) {
                    total.store_first(squares.add(left + j * V::LANES), some(j));
                }
                left += WIDE * V::LANES;
            }
        }
    }
}

/// What normalises each column.
#[derive(Clone, Copy)]
pub struct By<'a, T> {
    pub mean: &'a [T],
    pub scale: &'a [T],
    pub unit: &'a [T],
}

impl<T> By<'_, T> {
    /// Those of the `n` columns from `left` on.
    pub fn part(self, left: usize, n: usize) -> Self {
        let [mean, scale, unit] = [self.mean, self.scale, self.unit].map(|all| &all[left..][..n]);
        Self { mean, scale, unit }
    }
    fn pointers(&self, n: usize) -> [*const T; 3] {
        assert!([self.mean.len(), self.scale.len(), self.unit.len()] == [n; 3]);
        [self.mean.as_ptr(), self.scale.as_ptr(), self.unit.as_ptr()]
    }
}

/// `out = (x · unit - mean) · scale + bias`, where `scale` has the weight in it.
pub struct Apply<'a, T> {
    pub x: &'a [T],
    pub out: Shared<T>,
    pub rect: Rect,
    pub by: By<'a, T>,
    pub bias: &'a [T],
}

impl<T: Lanes> VectorKernel<T> for Apply<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, out, rect, by, bias } = self;
        assert!(rect.lies_in(x.len()) && bias.len() == rect.n);
        let ([m, s, u], b) = (by.pointers(rect.n), bias.as_ptr());
        // SAFETY: the caller has V's instructions; columns lie in `x` and the slices, and in `out`, which is as long as `x`, where they
        // are this task's own.
        unsafe {
            let mask = V::mask(0, rect.n % V::LANES);
            for k in 0..rect.rows {
                let (p, y, mut i) = (x.as_ptr().add(rect.row(k)), out.at(rect.row(k), rect.n), 0);
                while i + V::LANES <= rect.n {
                    let v = V::load(p.add(i)).mul(V::load(u.add(i))).sub(V::load(m.add(i)));
                    v.mul_add(V::load(s.add(i)), V::load(b.add(i))).store(y.add(i));
                    i += V::LANES;
                }
                if i < rect.n {
                    let [v, u, m, s, b] = [p, u, m, s, b].map(|p| V::load_masked(p.add(i), mask));
                    v.mul(u).sub(m).mul_add(s, b).store_first(y.add(i), rect.n - i);
                }
            }
        }
    }
}

/// For each column of `rect`: `Σ gy` and `Σ gy · y`, where `y` is the normalised `x`.
pub struct Sums<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    pub rect: Rect,
    pub by: By<'a, T>,
    pub biases: &'a mut [T],
    pub weights: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for Sums<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, gy, rect, by, biases, weights } = self;
        assert!(rect.lies_in(x.len()) && gy.len() == x.len() && [biases.len(), weights.len()] == [rect.n; 2]);
        let [m, s, u] = by.pointers(rect.n);
        let (x, gy) = (x.as_ptr(), gy.as_ptr());
        let (db, dw) = (biases.as_mut_ptr(), weights.as_mut_ptr());
        // SAFETY: the caller has V's instructions; columns lie in `x`, `gy` and the slices.
        unsafe {
            let zero = V::splat(T::zero());
            let mut left = 0;
            while left < rect.n {
                // Two vectors side by side.
                let some = [0, V::LANES].map(|j| V::LANES.min((rect.n - left).saturating_sub(j)));
                let masks = some.map(|some| V::mask(0, some));
                let given = |p: *const T, j: usize| V::load_masked(p.wrapping_add(left + j * V::LANES), masks[j]);
                let by = [0, 1].map(|j| [given(u, j), given(m, j), given(s, j)]);
                let mut sums = [[zero; 2]; 2];
                for k in 0..rect.rows {
                    let row = rect.row(k);
                    for j in 0..2 {
                        let (v, g, [unit, mean, scale]) = (given(x.wrapping_add(row), j), given(gy.wrapping_add(row), j), by[j]);
                        let y = v.mul(unit).sub(mean).mul(scale);
                        sums[j] = [sums[j][0].add(g), g.mul_add(y, sums[j][1])];
                    }
                }
                for j in 0..2 {
                    if some[j] > 0 {
                        sums[j][0].store_first(db.add(left + j * V::LANES), some[j]);
                        sums[j][1].store_first(dw.add(left + j * V::LANES), some[j]);
                    }
                }
                left += 2 * V::LANES;
            }
        }
    }
}

/// `out = (gy + shift) · factor + (x · unit - mean) · scale`, with numbers for each column.
pub struct Gradient<'a, T> {
    pub x: &'a [T],
    pub gy: &'a [T],
    pub out: Shared<T>,
    pub rect: Rect,
    pub by: By<'a, T>,
    pub factor: &'a [T],
    pub shift: &'a [T],
}

impl<T: Lanes> VectorKernel<T> for Gradient<'_, T> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { x, gy, out, rect, by, factor, shift } = self;
        assert!(rect.lies_in(x.len()) && gy.len() == x.len() && [factor.len(), shift.len()] == [rect.n; 2]);
        let ([m, s, u], a, b) = (by.pointers(rect.n), factor.as_ptr(), shift.as_ptr());
        // SAFETY: the caller has V's instructions; columns lie in `x`, `gy` and the slices, and in `out`, which is as long as `x`, where
        // they are this task's own.
        unsafe {
            let mask = V::mask(0, rect.n % V::LANES);
            for k in 0..rect.rows {
                let (p, g, y) = (x.as_ptr().add(rect.row(k)), gy.as_ptr().add(rect.row(k)), out.at(rect.row(k), rect.n));
                let mut i = 0;
                while i + V::LANES <= rect.n {
                    let own = V::load(g.add(i)).add(V::load(b.add(i))).mul(V::load(a.add(i)));
                    let centred = V::load(p.add(i)).mul(V::load(u.add(i))).sub(V::load(m.add(i)));
                    centred.mul_add(V::load(s.add(i)), own).store(y.add(i));
                    i += V::LANES;
                }
                if i < rect.n {
                    let [v, g, m, s, u, a, b] = [p, g, m, s, u, a, b].map(|p| V::load_masked(p.add(i), mask));
                    v.mul(u).sub(m).mul_add(s, g.add(b).mul(a)).store_first(y.add(i), rect.n - i);
                }
            }
        }
    }
}
