//! What a vector of outputs sees of a plane of inputs, which is read where it lies, under masks of the lanes inside it: a padded
//! copy would cost as much as the sums.

use crate::kernels::conv::geometry::Geometry;
use crate::kernels::simd::{Vector, prefetch_run};
use crate::scalar::Scalar;

/// Rows of outputs at a time.
pub const ROWS: usize = 4;
/// Rows of inputs that so many of outputs see, at most.
const MOST: usize = ROWS + 4;

/// For each vector of a row of outputs, and each column of taps, the lanes whose input lies in the plane.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
unsafe fn masks<T: Scalar, V: Vector<T>, const K: usize>(g: &Geometry) -> Vec<[V::Mask; K]> {
    let (width, out_width, padding) = (g.input[1], g.output[1], g.before()[1]);
    let mask = |left: usize, b: usize| {
        let lanes = V::LANES.min(out_width - left);
        let lane = |column: usize| (padding + column).saturating_sub(left + b).min(lanes);
        // SAFETY: the caller's promise, and no lane is above their number.
        unsafe { V::mask(lane(0), lane(width)) }
    };
    (0..out_width).step_by(V::LANES).map(|left| std::array::from_fn(|b| mask(left, b))).collect()
}

/// What all planes of one kind have in common.
pub struct Kind<M, T, const K: usize> {
    /// Of the planes that are read, and of those that are written.
    pub input: [usize; 2],
    pub output: [usize; 2],
    /// Before the first row and column.
    padding: [usize; 2],
    pub masks: Vec<[M; K]>,
    /// A row of inputs outside the plane.
    zeros: Vec<T>,
}

impl<M: Copy, T: Scalar, const K: usize> Kind<M, T, K> {
    /// # Safety
    /// The processor must have V's instructions.
    #[inline(always)]
    pub unsafe fn new<V: Vector<T, Mask = M>>(g: &Geometry) -> Self {
        // SAFETY: the caller's promise.
        let masks = unsafe { masks::<T, V, K>(g) };
        Self { input: g.input, output: g.output, padding: g.before(), masks, zeros: vec![T::zero(); g.input[1]] }
    }
}

/// A plane of inputs, looked at from outputs.
#[derive(Clone, Copy)]
pub struct View<'a, M, T, const K: usize> {
    pub kind: &'a Kind<M, T, K>,
    pub x: &'a [T],
    /// How far behind this plane the one lies that will be wanted next.
    pub next: usize,
}

impl<M: Copy, T: Scalar, const K: usize> View<'_, M, T, K> {
    /// For rows of outputs from `row` on: the rows of inputs that they see.
    #[inline(always)]
    pub fn rows(&self, row: usize) -> [*const T; MOST] {
        let ([height, width], [top, _]) = (self.kind.input, self.kind.padding);
        assert!(self.x.len() == height * width && self.kind.zeros.len() == width);
        let mut rows = [self.kind.zeros.as_ptr(); MOST];
        for (i, pointer) in rows.iter_mut().enumerate().take(ROWS + K - 1) {
            let at = (row + i).wrapping_sub(top);
            if at < height {
                *pointer = self.x.as_ptr().wrapping_add(at * width);
            }
        }
        rows
    }

    /// Calls `see(i, b, inputs)` with what vector `vector` of outputs sees in each row and at each of K columns of taps.
    ///
    /// # Safety
    /// The processor must have V's instructions, and the rows be of this plane, or zeros.
    #[inline(always)]
    pub unsafe fn look<V: Vector<T, Mask = M>>(&self, rows: &[*const T], vector: usize, mut see: impl FnMut(usize, usize, V)) {
        let (before, masks) = (self.kind.padding[1], self.kind.masks[vector]);
        let (zeros, x) = (self.kind.zeros.as_ptr_range(), self.x.as_ptr_range());
        debug_assert!(
            rows.iter().all(|&row| row == zeros.start || (row >= x.start && row.wrapping_add(self.kind.input[1]) <= x.end))
        );
        for (i, row) in rows.iter().enumerate() {
            // What lies outside the row is not read.
            let at = row.wrapping_add(vector * V::LANES).wrapping_sub(before);
            for (b, &mask) in masks.iter().enumerate() {
                // SAFETY: the lanes of masks lie in the row.
                see(i, b, unsafe { V::load_masked(at.wrapping_add(b), mask) });
            }
        }
    }

    /// Asks for the part of the next plane that lies where rows `row` to `row + ROWS` of this one do: planes are small, and processors
    /// begin to ask for what is next of their own accord when half of one is through.
    #[inline(always)]
    pub fn prefetch_next(&self, row: usize) {
        let width = self.kind.input[1];
        prefetch_run(self.x.as_ptr().wrapping_add(self.next + row * width), ROWS * width);
    }
}
