//! The three linear maps of minimal filtering along a line of six or eight, and along both axes of a plane.
//!
//! A line of `m` outputs and a filter of `r` taps, `m + r - 1` in all, are evaluated at the points 0, 1, -1, 2, -2, of eight
//! also at 1/2 and -1/2, and at infinity, as polynomials; there the products are taken one by one (Winograd 1980; Lavin and
//! Gray 2015, with the same points). Of their matrices, `A` evaluates outputs, `G` evaluates filters and scales, and `Bᵀ`
//! transforms inputs: its rows are the polynomials `Π (t - p)` over all other points.

use crate::kernels::simd::Vector;
use crate::scalar::Scalar;
use std::array::from_fn;

/// `G`'s factors, what is left of each point's Lagrange polynomial, for so many points.
pub fn scale(points: usize) -> &'static [f64] {
    const SIX: [f64; 6] = [1.0 / 4.0, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0, 1.0];
    const EIGHT: [f64; 8] = [1.0, -2.0 / 9.0, -2.0 / 9.0, 1.0 / 90.0, 1.0 / 90.0, 32.0 / 45.0, 32.0 / 45.0, 1.0];
    if points == 6 { &SIX } else { &EIGHT }
}

/// A linear map from lines of `A` to lines of `B`, of which the longer one is as long as there are points: 6 or 8.
pub trait Line {
    /// # Safety
    /// The processor must have V's instructions.
    unsafe fn line<T: Scalar, V: Vector<T>, const A: usize, const B: usize>(x: [V; A]) -> [V; B];
}

/// `Bᵀ x`.
pub struct Inputs;
/// The values at the points of the polynomial with these coefficients.
pub struct Evaluate;
/// The transpose of [`Evaluate`].
pub struct Combine;

impl Line for Inputs {
    #[inline(always)]
    unsafe fn line<T: Scalar, V: Vector<T>, const A: usize, const B: usize>(x: [V; A]) -> [V; B] {
        // SAFETY: the caller's promise.
        unsafe {
            if B == 6 {
                let y = six_inputs(from_fn(|i| x[i]));
                return from_fn(|i| y[i]);
            }
            let y = eight_inputs(from_fn(|i| x[i]));
            from_fn(|i| y[i])
        }
    }
}

/// # Safety
/// As for [`Line::line`].
#[inline(always)]
unsafe fn six_inputs<T: Scalar, V: Vector<T>>([a, b, c, d, e, f]: [V; 6]) -> [V; 6] {
    // SAFETY: the caller's promise.
    unsafe {
        let [two, four, minus_four, minus_five] = [2.0, 4.0, -4.0, -5.0].map(|v| V::splat(T::lit(v)));
        let (even, odd) = (c.mul_add(minus_four, e), b.mul_add(minus_four, d));
        let (even_2, odd_2) = (e.sub(c), d.sub(b).mul(two));
        [
            a.mul_add(four, c.mul_add(minus_five, e)),
            even.add(odd),
            even.sub(odd),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            b.mul_add(four, d.mul_add(minus_five, f)),
        ]
    }
}

/// # Safety
/// As for [`Line::line`].
#[inline(always)]
unsafe fn eight_inputs<T: Scalar, V: Vector<T>>([a, b, c, d, e, f, g, h]: [V; 8]) -> [V; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let factor = |v: f64| V::splat(T::lit(v));
        // The product over two pairs of points, `t⁴ + q t² + p`, at one of the lines' halves.
        let pairs = |p: f64, q: f64, [x, y, z]: [V; 3]| x.mul_add(factor(p), y.mul_add(factor(q), z));
        let (evens, odds) = ([c, e, g], [b, d, f]);
        let (even, odd) = (pairs(1.0, -4.25, evens), pairs(1.0, -4.25, odds));
        let (even_2, odd_2) = (pairs(0.25, -1.25, evens), pairs(0.25, -1.25, odds).mul(factor(2.0)));
        let (even_h, odd_h) = (pairs(4.0, -5.0, evens), pairs(4.0, -5.0, odds).mul(factor(0.5)));
        [
            e.sub(c).mul_add(factor(5.25), a.sub(g)),
            even.add(odd),
            even.sub(odd),
            even_2.add(odd_2),
            even_2.sub(odd_2),
            even_h.add(odd_h),
            even_h.sub(odd_h),
            d.sub(f).mul_add(factor(5.25), h.sub(b)),
        ]
    }
}

impl Line for Evaluate {
    #[inline(always)]
    unsafe fn line<T: Scalar, V: Vector<T>, const A: usize, const B: usize>(x: [V; A]) -> [V; B] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut y = [x[0]; B];
            for (pair, base) in (1..B - 1).step_by(2).zip([1.0f64, 2.0, 0.5]) {
                let mut parts = [x[0], V::splat(T::zero())];
                for (i, &v) in x.iter().enumerate().skip(1) {
                    let part = &mut parts[i % 2];
                    *part = if base == 1.0 { part.add(v) } else { v.mul_add(power(base, i), *part) };
                }
                let [even, odd] = parts;
                (y[pair], y[pair + 1]) = (even.add(odd), even.sub(odd));
            }
            y[B - 1] = x[A - 1];
            y
        }
    }
}

impl Line for Combine {
    #[inline(always)]
    unsafe fn line<T: Scalar, V: Vector<T>, const A: usize, const B: usize>(x: [V; A]) -> [V; B] {
        // SAFETY: the caller's promise.
        unsafe {
            let pair = |at: usize| [x[at].add(x[at + 1]), x[at].sub(x[at + 1])];
            let (one, two) = (pair(1), pair(3));
            let mut y = [x[0].add(one[0]); B];
            for (i, y) in y.iter_mut().enumerate() {
                let first = if i == 0 { *y } else { one[i % 2] };
                *y = two[i % 2].mul_add(power(2.0, i), first);
                if A == 8 {
                    *y = pair(A - 3)[i % 2].mul_add(power(0.5, i), *y);
                }
            }
            y[B - 1] = y[B - 1].add(x[A - 1]);
            y
        }
    }
}

/// # Safety
/// As for [`Line::line`].
#[inline(always)]
unsafe fn power<T: Scalar, V: Vector<T>>(base: f64, exponent: usize) -> V {
    // SAFETY: the caller's promise.
    unsafe { V::splat(T::lit(base.powi(exponent as i32))) }
}

/// A map along the columns of a plane, then along its rows.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
pub unsafe fn plane<T: Scalar, V: Vector<T>, L: Line, const A: usize, const B: usize>(x: &[[V; A]; A]) -> [[V; B]; B] {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = V::splat(T::zero());
        let (mut half, mut out) = ([[zero; A]; B], [[zero; B]; B]);
        for j in 0..A {
            let column = L::line::<T, V, A, B>(from_fn(|i| x[i][j]));
            for (half, v) in half.iter_mut().zip(column) {
                half[j] = v;
            }
        }
        for (out, half) in out.iter_mut().zip(half) {
            *out = L::line::<T, V, A, B>(half);
        }
        out
    }
}
