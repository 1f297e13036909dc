//! Strips of padded rows, with the columns of each phase next to each other: what a tap sees from a row of outputs is then one run of
//! numbers, whatever the stride.

use crate::kernels::simd::{Vector, prefetch_run};
use crate::scalar::Scalar;

/// How rows of a plane lie in a strip: padded column `j · phases + q` is element `j` of phase `q`.
#[derive(Clone, Copy)]
pub struct Strip {
    /// The plane's rows and columns.
    pub plane: [usize; 2],
    /// Zeros before the first column.
    pub left: usize,
    /// The stride.
    pub phases: usize,
    /// Elements of a phase; with more than one, room for whole vectors of all columns.
    pub phase: usize,
}

impl Strip {
    /// Elements of a phase with `left` zeros before `width` columns, if `used` of them are read.
    pub fn phase_for(left: usize, width: usize, phases: usize, used: usize, lanes: usize) -> usize {
        let room = left.div_ceil(phases) + width.div_ceil(phases).next_multiple_of(lanes);
        if phases == 1 { used } else { used.max(room) }
    }

    /// Elements of a row.
    pub fn line(&self) -> usize {
        self.phases * self.phase
    }

    /// Elements of so many rows, with the room behind them that is written too.
    pub fn size(&self, lines: usize, lanes: usize) -> usize {
        lines * self.line() + 2 * lanes
    }

    /// Writes `lines` rows of the plane from row `top` on; rows and columns outside of it are 0. Each row overwrites what the one before it
    /// wrote too much. Prefetches the same rows of the plane that lies `ahead` elements behind: planes are small, and the hardware prefetcher
    /// starts anew with each.
    ///
    /// # Safety
    /// The processor must have V's instructions.
    #[inline(always)]
    pub unsafe fn load<T: Scalar, V: Vector<T>>(&self, x: &[T], top: isize, lines: usize, ahead: usize, out: &mut [T]) {
        let ([height, width], line) = (self.plane, self.line());
        assert!(x.len() == height * width && out.len() >= self.size(lines, V::LANES));
        for i in 0..lines {
            let row = top + i as isize;
            // SAFETY: the caller's promise; a row and a vector more lie inside `out`.
            unsafe {
                let to = out.as_mut_ptr().add(i * line);
                if row >= 0 && row < height as isize {
                    let x = x.as_ptr().add(row as usize * width);
                    prefetch_run(x.wrapping_add(ahead), width);
                    self.row::<T, V>(x, to);
                } else {
                    zeros::<T, V>(to, 0, line);
                }
            }
        }
    }

    /// # Safety
    /// As for [`load`](Self::load); `x` must have a row, and `to` room for one and a vector more.
    #[inline(always)]
    unsafe fn row<T: Scalar, V: Vector<T>>(&self, x: *const T, to: *mut T) {
        let &Self { plane: [_, width], left, phases, phase } = self;
        // SAFETY: the caller's promise.
        unsafe {
            let part = |from: usize, end: usize| match end.saturating_sub(from) {
                0 => V::splat(T::zero()),
                n if n < V::LANES => V::load_first(x.add(from), n),
                _ => V::load(x.add(from)),
            };
            match phases {
                1 => {
                    let cols = width.min(phase.saturating_sub(left));
                    zeros::<T, V>(to, 0, left.min(phase));
                    for j in (0..cols).step_by(V::LANES) {
                        part(j, cols).store(to.add(left + j));
                    }
                    zeros::<T, V>(to, left + cols.next_multiple_of(V::LANES), phase);
                }
                2 => {
                    // Phase by phase, as the end of one may write over the beginning of the next.
                    let written = width.div_ceil(2).next_multiple_of(V::LANES);
                    zeros::<T, V>(to, 0, left.div_ceil(2));
                    zeros::<T, V>(to, left / 2 + written, phase + left.div_ceil(2));
                    zeros::<T, V>(to, phase + left / 2 + written, 2 * phase);
                    debug_assert!(left.div_ceil(2) + width.div_ceil(2).next_multiple_of(V::LANES) <= phase);
                    let even = to.add(left % 2 * phase + left / 2);
                    let odd = to.add((left + 1) % 2 * phase + left.div_ceil(2));
                    for j in (0..width.div_ceil(2)).step_by(V::LANES) {
                        let [a, b] = part(2 * j, width).even_odd(part(2 * j + V::LANES, width));
                        a.store(even.add(j));
                        b.store(odd.add(j));
                    }
                }
                _ => {
                    zeros::<T, V>(to, 0, phases * phase);
                    for j in 0..width {
                        let at = left + j;
                        debug_assert!(at / phases < phase);
                        *to.add(at % phases * phase + at / phases) = *x.add(j);
                    }
                }
            }
        }
    }
}

/// Writes zeros in whole vectors to elements `from..end`.
///
/// # Safety
/// The processor must have V's instructions; there must be room for a vector behind them.
#[inline(always)]
unsafe fn zeros<T: Scalar, V: Vector<T>>(to: *mut T, from: usize, end: usize) {
    let mut j = from;
    while j < end {
        // SAFETY: the caller's promise.
        unsafe { V::splat(T::zero()).store(to.add(j)) };
        j += V::LANES;
    }
}

/// Writes a row whose element `j · phases + q` is element `j` of phase `q`, `phase` apart.
///
/// # Safety
/// The processor must have V's instructions.
#[inline(always)]
pub unsafe fn merge<T: Scalar, V: Vector<T>>(parts: &[T], phase: usize, phases: usize, row: &mut [T]) {
    assert!(row.len().div_ceil(phases).next_multiple_of(V::LANES) <= phase && parts.len() >= phases * phase);
    if phases != 2 {
        for (q, part) in parts.chunks_exact(phase).enumerate().take(phases.min(row.len())) {
            row[q..].iter_mut().step_by(phases).zip(part).for_each(|(to, &v)| *to = v);
        }
        return;
    }
    // SAFETY: the caller's promise; whole vectors of both phases can be read, and no more of the row is written than there is.
    unsafe {
        let (even, odd) = (parts.as_ptr(), parts.as_ptr().add(phase));
        for j in (0..row.len()).step_by(2 * V::LANES) {
            let halves = V::load(even.add(j / 2)).interleave(V::load(odd.add(j / 2)));
            for (v, at) in halves.into_iter().zip([j, j + V::LANES]) {
                match row.len().saturating_sub(at) {
                    n if n >= V::LANES => v.store(row.as_mut_ptr().add(at)),
                    n => v.store_first(row.as_mut_ptr().add(at.min(row.len())), n),
                }
            }
        }
    }
}
