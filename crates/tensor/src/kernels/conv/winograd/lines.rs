//! The three linear maps of minimal filtering along a line of six, and along both axes of a plane.
//!
//! A line of `m` outputs and a filter of `r` taps, `m + r - 1 = 6`, are evaluated at the points 0, 1, -1, 2, -2 and
//! infinity, as polynomials; there the products are taken one by one (Winograd 1980; Lavin and Gray 2015, with the same
//! points). Of their matrices, `A` evaluates outputs, `G` evaluates filters and scales, and `Bᵀ` transforms inputs.

use crate::element::Float;
use crate::kernels::simd::Vector;

/// Points of a line.
pub const POINTS: usize = 6;

/// `G`'s factors: what is left of each point's Lagrange polynomial.
pub const SCALE: [f64; POINTS] = [1.0 / 4.0, -1.0 / 6.0, -1.0 / 6.0, 1.0 / 24.0, 1.0 / 24.0, 1.0];

/// A linear map from lines of `A` to lines of `B`.
pub trait Line<T: Float, V: Vector<T>, const A: usize, const B: usize> {
    /// # Safety
    /// The processor must have V's instructions.
    unsafe fn line(x: [V; A]) -> [V; B];
}

/// `Bᵀ x`.
pub struct Inputs;
/// The values at the six points of the polynomial with these coefficients.
pub struct Evaluate;
/// The transpose of [`Evaluate`].
pub struct Combine;

impl<T: Float, V: Vector<T>> Line<T, V, POINTS, POINTS> for Inputs {
    #[inline(always)]
    unsafe fn line([a, b, c, d, e, f]: [V; POINTS]) -> [V; POINTS] {
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
}

impl<T: Float, V: Vector<T>, const N: usize> Line<T, V, N, POINTS> for Evaluate {
    #[inline(always)]
    unsafe fn line(x: [V; N]) -> [V; POINTS] {
        // SAFETY: the caller's promise.
        unsafe {
            let zero = V::splat(T::zero());
            let (mut even, mut odd, mut even_2, mut odd_2) = (x[0], zero, x[0], zero);
            for (i, &v) in x.iter().enumerate().skip(1) {
                let power = V::splat(T::lit(f64::from(1u32 << i)));
                if i % 2 == 0 {
                    (even, even_2) = (even.add(v), v.mul_add(power, even_2));
                } else {
                    (odd, odd_2) = (odd.add(v), v.mul_add(power, odd_2));
                }
            }
            [x[0], even.add(odd), even.sub(odd), even_2.add(odd_2), even_2.sub(odd_2), x[N - 1]]
        }
    }
}

impl<T: Float, V: Vector<T>, const N: usize> Line<T, V, POINTS, N> for Combine {
    #[inline(always)]
    unsafe fn line([first, a, b, c, d, last]: [V; POINTS]) -> [V; N] {
        // SAFETY: the caller's promise.
        unsafe {
            let (even, odd, even_2, odd_2) = (a.add(b), a.sub(b), c.add(d), c.sub(d));
            let mut y = [first.add(even).add(even_2); N];
            for (i, y) in y.iter_mut().enumerate().skip(1) {
                let power = V::splat(T::lit(f64::from(1u32 << i)));
                *y = if i % 2 == 0 { even_2.mul_add(power, even) } else { odd_2.mul_add(power, odd) };
            }
            y[N - 1] = y[N - 1].add(last);
            y
        }
    }
}

/// A map along the columns of a plane, then along its rows.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
pub unsafe fn plane<T: Float, V: Vector<T>, L: Line<T, V, A, B>, const A: usize, const B: usize>(x: &[[V; A]; A]) -> [[V; B]; B] {
    // SAFETY: the caller's promise.
    unsafe {
        let zero = V::splat(T::zero());
        let (mut half, mut out) = ([[zero; A]; B], [[zero; B]; B]);
        for j in 0..A {
            let mut column = [zero; A];
            for (v, row) in column.iter_mut().zip(x) {
                *v = row[j];
            }
            for (half, v) in half.iter_mut().zip(L::line(column)) {
                half[j] = v;
            }
        }
        for (out, half) in out.iter_mut().zip(half) {
            *out = L::line(half);
        }
        out
    }
}
