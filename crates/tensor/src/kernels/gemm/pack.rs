//! Packing: blocks of A and B, copied into the order in which the micro-kernel reads them (A~ and B~ in BLIS' papers).

use super::micro_kernel::Tiles;
use super::operands::Mat;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Vector, VectorKernel, prefetch};
use std::ops::Range;

/// The most lanes that a vector has.
const MOST: usize = 16;
/// Columns of A that are copied for all micro-panels before the next; rows that a copy prefetches ahead.
const AHEAD: usize = 8;

/// `kc` rows of `n` columns of B as micro-panels of `nr` columns, each row of a panel behind the one before it; columns past the
/// last are 0. Panel `j` starts at `j · kc · nr`.
pub struct PackB<'a, T> {
    pub b: Mat<'a, T>,
    pub kc: usize,
    pub n: usize,
    pub out: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for PackB<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { b, kc, n, out } = self;
        let nr = V::NR;
        assert!(b.fits(kc, n) && out.len() >= n.next_multiple_of(nr) * kc);
        for (panel, out) in out.chunks_exact_mut(nr * kc).enumerate().take(n.div_ceil(nr)) {
            let jr = panel * nr;
            let cols = nr.min(n - jr);
            // SAFETY: B has kc rows and `jr + cols` columns, as asserted, and `out` kc rows of `nr`.
            unsafe { panel_of::<T, V>(b.pointer_to(0, jr), (b.row, b.col), (kc, cols), (out.as_mut_ptr(), nr)) }
        }
    }
}

/// Some micro-panels of A: `kc` columns of the rows of some tiles, each column of a panel behind the one before it. A panel whose
/// first row is row `i` of the first tile's starts at `i · kc`.
pub struct PackA<'a, T> {
    pub a: Mat<'a, T>,
    pub tiles: Tiles,
    pub range: Range<usize>,
    pub kc: usize,
    pub out: &'a mut [T],
}

impl<T: Lanes> VectorKernel<T> for PackA<'_, T> {
    type Out = ();
    #[inline(always)]
    unsafe fn run<V: Vector<T>>(self) {
        let Self { a, tiles, range, kc, out } = self;
        let (start, end) = (tiles.at(range.start).0, tiles.at(range.end).0);
        assert!(a.fits(end, kc) && out.len() >= (end - start) * kc);
        // Rows of A that are next to each other share cache lines, of which few stay in the first-level cache at a time.
        let step = if a.row == 1 { AHEAD } else { kc };
        for (p, i) in (0..kc).step_by(step.max(1)).flat_map(|p| range.clone().map(move |i| (p, i))) {
            let (ir, mr) = tiles.at(i);
            let out = &mut out[(ir - start) * kc + p * mr..(ir - start + mr) * kc];
            let (kc, from) = (step.min(kc - p), a.pointer_to(ir, p));
            // SAFETY: A has the rows and columns, as asserted, and `out` kc rows of `mr`.
            unsafe { panel_of::<T, V>(from, (a.col, a.row), (kc, mr), (out.as_mut_ptr(), mr)) }
        }
    }
}

/// Writes `k` rows of `cols` columns, read at the two `steps`, `width` apart; what is beyond `cols` in a row is 0.
///
/// # Safety
/// All elements must exist, and the target be `k · width` elements long.
#[inline(always)]
unsafe fn panel_of<T: Lanes, V: Vector<T>>(
    from: *const T,
    steps: (isize, isize),
    (k, cols): (usize, usize),
    (to, width): (*mut T, usize),
) {
    let lanes = V::LANES;
    debug_assert!(cols <= width && lanes <= MOST, "{cols} columns in panels of {width}");
    // SAFETY: the caller's promise; vectors are read and written only as far as there are columns.
    unsafe {
        match steps {
            (row, 1) => {
                for p in 0..k {
                    let (from, to) = (from.offset(p as isize * row), to.add(p * width));
                    prefetch(from.wrapping_offset(AHEAD as isize * row));
                    prefetch(from.wrapping_offset(AHEAD as isize * row).wrapping_add(width));
                    let mut j = 0;
                    while j < width {
                        let (has, room) = (lanes.min(cols - j.min(cols)), width - j);
                        let v = if has == lanes { V::load(from.add(j)) } else { V::load_first(from.add(j.min(cols)), has) };
                        if room >= lanes {
                            v.store(to.add(j))
                        } else {
                            v.store_first(to.add(j), room)
                        }
                        j += lanes;
                    }
                }
            }
            (1, col) => {
                let (whole, zero) = (k / lanes * lanes, V::splat(T::zero()));
                let (mut rows, mut block) = ([zero; MOST], [zero; MOST]);
                for (j, p) in (0..width).step_by(lanes).flat_map(|j| (0..whole).step_by(lanes).map(move |p| (j, p))) {
                    for (l, v) in rows[..lanes].iter_mut().enumerate() {
                        *v = if j + l < cols { V::load(from.offset(p as isize + (j + l) as isize * col)) } else { zero };
                    }
                    let to = to.add(p * width + j);
                    if width - j >= lanes {
                        V::store_transposed(&rows[..lanes], to, width);
                    } else {
                        V::store_transposed(&rows[..lanes], block.as_mut_ptr().cast(), lanes);
                        for (p, v) in block[..lanes].iter().enumerate() {
                            v.store_first(to.add(p * width), width - j);
                        }
                    }
                }
                each_element(from, steps, (whole..k, cols), (to, width));
            }
            _ => each_element(from, steps, (0..k, cols), (to, width)),
        }
    }
}

/// # Safety
/// As for [`panel_of`].
#[inline(always)]
unsafe fn each_element<T: Lanes>(
    from: *const T,
    steps: (isize, isize),
    (rows, cols): (std::ops::Range<usize>, usize),
    (to, width): (*mut T, usize),
) {
    let to_row = |p: usize| to.wrapping_add(p * width);
    for p in rows {
        for j in 0..width {
            // SAFETY: the caller's promise.
            unsafe {
                *to_row(p).add(j) = if j < cols { *from.offset(p as isize * steps.0 + j as isize * steps.1) } else { T::zero() };
            }
        }
    }
}
