//! Padded pictures.

use crate::kernels::conv::geometry::Geometry;
use crate::kernels::simd::Vector;
use crate::scalar::Scalar;

/// Copies `n` elements, and writes zeros up to a whole vector: for short rows a call costs more than the copy.
///
/// # Safety
/// The processor must have V's instructions; there must be `n` elements to read, and room for whole vectors.
#[inline(always)]
unsafe fn copy_row<T: Scalar, V: Vector<T>>(from: *const T, to: *mut T, n: usize) {
    let mut i = 0;
    while i < n {
        // SAFETY: the caller's promise.
        unsafe {
            let v = if n - i >= V::LANES { V::load(from.add(i)) } else { V::load_first(from.add(i), n - i) };
            v.store(to.add(i));
        }
        i += V::LANES;
    }
}

/// `lines` rows of the padded picture from row `top` on, `line` elements each. Rows are written in order and in whole vectors,
/// so that each overwrites what the one before it wrote too much; behind the last there must be room for a vector.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
pub unsafe fn pad<T: Scalar, V: Vector<T>>(g: &Geometry, x: &[T], top: usize, [lines, line]: [usize; 2], out: &mut [T]) {
    let ([height, width], [above, before]) = (g.input, g.padding);
    let (skip, left) = ((-before).max(0) as usize, (before.max(0) as usize).min(line));
    let cols = width.saturating_sub(skip).min(line - left);
    assert!(out.len() >= g.channels * lines * line + V::LANES && x.len() >= g.channels * height * width);
    for (c, i) in (0..g.channels).flat_map(|c| (0..lines).map(move |i| (c, i))) {
        let row = (top + i) as isize - above;
        let inside = row >= 0 && row < height as isize && cols > 0;
        // SAFETY: rows lie inside picture and target, and vectors reach no further than the room behind.
        unsafe {
            let zero = V::splat(T::zero());
            let to = out.as_mut_ptr().add((c * lines + i) * line);
            let zeros = |from: usize, end: usize| {
                let mut j = from;
                while j < end {
                    zero.store(to.add(j));
                    j += V::LANES;
                }
            };
            zeros(0, if inside { left } else { line });
            if inside {
                copy_row::<T, V>(x.as_ptr().add((c * height + row as usize) * width + skip), to.add(left), cols);
                zeros(left + cols.next_multiple_of(V::LANES), line);
            }
        }
    }
}
