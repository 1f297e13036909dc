//! A right side that many products share, packed once.

use super::Mat;
use super::micro::{Left, Right, Target, micro, tiles};
use super::pack::PackRight;
use crate::buffer::Buffer;
use crate::element::Float;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};

/// A matrix `[k, n]` in the order in which a product reads it. It is not cut into blocks of terms, so it is for products
/// of few rows.
pub struct Packed<T: Float> {
    k: usize,
    n: usize,
    data: Buffer<T>,
}

impl<T: Float> Packed<T> {
    pub fn new(b: Mat<'_, T>, k: usize, n: usize) -> Self {
        let mut data = Buffer::stale(k * n.next_multiple_of(2 * widths::<T>().0));
        with_vectors(PackRight { b, k, n, out: data.as_mut_slice() });
        Self { k, n, data }
    }

    /// `c <- a B + plus`, or `c <- a B`, for `m` rows of `a`, `c` and `plus`, all row-major and without gaps.
    pub fn multiply(&self, m: usize, a: &[T], plus: Option<&[T]>, c: &mut [T]) {
        assert!(plus.is_none_or(|plus| plus.len() >= m * self.n));
        self.run(Multiply { b: self, m, a, beta: T::zero(), plus, c });
    }

    /// `c <- a B + c`, as [`multiply`](Self::multiply).
    pub fn multiply_add(&self, m: usize, a: &[T], c: &mut [T]) {
        self.run(Multiply { b: self, m, a, beta: T::one(), plus: None, c });
    }

    fn run(&self, product: Multiply<'_, T>) {
        assert!(product.a.len() >= product.m * self.k && product.c.len() >= product.m * self.n);
        with_vectors(product);
    }
}

struct Multiply<'a, T: Float> {
    b: &'a Packed<T>,
    m: usize,
    a: &'a [T],
    /// How often what is in `c` counts, if there is nothing to add.
    beta: T,
    /// As large as `c`.
    plus: Option<&'a [T]>,
    c: &'a mut [T],
}

impl<T: Float> VectorKernel<T> for Multiply<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { b: &Packed { k, n, ref data }, m, a, beta, plus, c } = self;
        debug_assert!(data.as_slice().len() >= k * n.next_multiple_of(2 * V::LANES));
        let c = c.as_mut_ptr();
        for left in (0..n).step_by(2 * V::LANES) {
            let cols = (2 * V::LANES).min(n - left);
            for (i, height) in tiles(m, V::ROWS) {
                // SAFETY: panels have `k` rows of two vectors; `a`, `c` and `plus` have `m` rows, as is asserted.
                unsafe {
                    let at = i * n + left;
                    let a = Left { at: a.as_ptr().add(i * k), row: k as isize, col: 1 };
                    let b = Right { at: data.as_slice().as_ptr().add(left * k), row: 2 * V::LANES as isize };
                    let (plus, beta) = plus.map_or((c.cast_const(), beta), |plus| (plus.as_ptr(), T::one()));
                    let to = Target::side_by_side(c.add(at), n, V::LANES, cols, (plus.add(at), n, beta));
                    micro::<T, V>(height, k, a, b, to);
                }
            }
        }
    }
}
