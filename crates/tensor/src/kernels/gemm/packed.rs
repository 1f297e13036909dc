//! A right side that many products share: B~, packed once, with kc = k.

use super::micro_kernel::{PanelA, PanelB, TileC, micro_kernel, tiles};
use super::operands::Mat;
use super::pack::PackB;
use crate::buffer::Buffer;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, widths, with_vectors};

/// A matrix `[k, n]` in micro-panels of `nr` columns. `k` is not cut into blocks of `kc`, so it is for products of few rows.
pub struct Packed<T: Lanes> {
    k: usize,
    n: usize,
    data: Buffer<T>,
}

impl<T: Lanes> Packed<T> {
    pub fn new(b: Mat<'_, T>, k: usize, n: usize) -> Self {
        let mut data = Buffer::stale(k * n.next_multiple_of(widths::<T>().nr));
        with_vectors(PackB { b, kc: k, n, out: data.as_mut_slice() });
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

struct Multiply<'a, T: Lanes> {
    b: &'a Packed<T>,
    m: usize,
    a: &'a [T],
    /// The factor of what is in `c`, if there is no `plus`.
    beta: T,
    /// As large as `c`.
    plus: Option<&'a [T]>,
    c: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for Multiply<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { b: &Packed { k, n, ref data }, m, a, beta, plus, c } = self;
        debug_assert!(data.as_slice().len() >= k * n.next_multiple_of(V::NR));
        let c = c.as_mut_ptr();
        // Loops 2 and 1.
        for jr in (0..n).step_by(V::NR) {
            let cols = V::NR.min(n - jr);
            for (ir, mr) in tiles(m, V::MR) {
                // SAFETY: micro-panels have `k` rows of two vectors; `a`, `c` and `plus` have `m` rows, as is asserted.
                unsafe {
                    let at = ir * n + jr;
                    let a = PanelA { at: a.as_ptr().add(ir * k), row: k as isize, col: 1 };
                    let b = PanelB { at: data.as_slice().as_ptr().add(jr * k), row: V::NR as isize };
                    let (plus, beta) = plus.map_or((c.cast_const(), beta), |plus| (plus.as_ptr(), T::one()));
                    let to = TileC::side_by_side(c.add(at), n, V::LANES, cols, (plus.add(at), n, beta));
                    micro_kernel::<T, V>(mr, k, a, b, to);
                }
            }
        }
    }
}
