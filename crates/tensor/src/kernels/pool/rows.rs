//! What the windows of neighbouring outputs see, a vector of outputs and one tap at a time.

use super::{Geometry, Tap};
use crate::kernels::simd::Vector;
use crate::scalar::Scalar;

/// A tap of the windows of a vector of outputs.
struct Seen<M> {
    /// The column that the first output sees, or would.
    start: isize,
    /// The lanes whose column is in the picture; those of the row's two vectors that are read for them, for a stride of 2.
    lanes: M,
    loads: [M; 2],
    range: (usize, usize),
}

/// All taps that meet a pixel, for each vector of a row of outputs.
pub struct Rows<M> {
    stride: usize,
    taps: usize,
    seen: Vec<Seen<M>>,
}

impl<M: Copy> Rows<M> {
    /// # Safety
    /// The processor must have V's instructions.
    #[inline(always)]
    pub unsafe fn new<T: Scalar, V: Vector<T, Mask = M>>(g: &Geometry, taps: &[Tap]) -> Self {
        let stride = g.stride[1];
        let see = |left: usize, tap: &Tap| {
            let clip = |col: usize| col.saturating_sub(left).min(V::LANES);
            let (low, high) = (clip(tap.lo), clip(tap.hi));
            // In columns of the picture.
            let end = if low < high { (high - 1) * stride + 1 } else { 0 };
            let lane = |i: usize, vector: usize| i.min(end).saturating_sub(vector * V::LANES).min(V::LANES);
            // SAFETY: the caller's promise, and no lane is above their number.
            let (lanes, loads) = unsafe { (V::mask(low, high), [0, 1].map(|i| V::mask(lane(low * stride, i), lane(end, i)))) };
            let start = tap.first as isize + (left as isize - tap.lo as isize) * stride as isize;
            Seen { start, lanes, loads, range: (low, high) }
        };
        let seen = (0..g.out_width).step_by(V::LANES).flat_map(|left| taps.iter().map(move |tap| see(left, tap))).collect();
        Self { stride, taps: taps.len(), seen }
    }

    /// Calls `take(column, inputs)` with what vector `vector` of outputs sees at each tap of a row of the picture, and the column that its
    /// first output sees; lanes outside of the row are `outside`.
    ///
    /// # Safety
    /// The processor must have V's instructions, and the row be as long as the picture's.
    #[inline(always)]
    pub unsafe fn look<T: Scalar, V: Vector<T, Mask = M>>(
        &self,
        row: *const T,
        vector: usize,
        outside: V,
        mut take: impl FnMut(isize, V),
    ) {
        for seen in &self.seen[vector * self.taps..][..self.taps] {
            let from = row.wrapping_offset(seen.start);
            // SAFETY: the caller's promise; only what is in the row is read.
            unsafe {
                let v = match self.stride {
                    1 => V::load_masked(from, seen.loads[0]),
                    2 => {
                        let [a, b] = [0, 1].map(|i| V::load_masked(from.wrapping_add(i * V::LANES), seen.loads[i]));
                        a.even_odd(b)[0]
                    }
                    stride => {
                        let mut lanes = [T::zero(); 16];
                        (seen.range.0..seen.range.1).for_each(|l| lanes[l] = *from.wrapping_add(l * stride));
                        V::load(lanes.as_ptr())
                    }
                };
                take(seen.start, v.select(seen.lanes, outside));
            }
        }
    }
}

/// Writes the lanes that there are of a row whose vector `vector` this is.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
pub unsafe fn put<T: Scalar, V: Vector<T>>(v: V, row: &mut [T], vector: usize) {
    let rest = &mut row[vector * V::LANES..];
    // SAFETY: the caller's promise; no more is written than there is.
    unsafe { if rest.len() >= V::LANES { v.store(rest.as_mut_ptr()) } else { v.store_first(rest.as_mut_ptr(), rest.len()) } }
}
