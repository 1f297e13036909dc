//! Rows of tiles between pictures, `[C, H, W]`, and planes of points, `[P², tiles, C]`, whose vectors run over channels.

use super::lines::{Combine, Evaluate, Inputs, Line, plane};
use super::points::Points;
use crate::kernels::simd::{Vector, prefetch};
use crate::scalar::Scalar;

/// The most lanes that a vector has.
pub const MOST: usize = 16;

/// One picture, or its gradient: `channels` planes.
#[derive(Clone, Copy)]
pub struct Picture<T> {
    pub at: *mut T,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

/// Some lines of a picture with channels innermost, `[lines, width, channels]`, in whole vectors.
pub struct Strip<'a, T> {
    pub data: &'a mut [T],
    pub lines: usize,
    pub width: usize,
    pub channels: usize,
}

impl<T: Scalar> Strip<'_, T> {
    /// How many columns a strip needs so that whole vectors of a picture's columns can be written from column `left` on.
    pub fn width_for(left: usize, width: usize, used: usize, lanes: usize) -> usize {
        used.max(left + width.next_multiple_of(lanes))
    }

    /// Loads the picture's lines from `top` on, at column `left` of the strip; what is outside the picture is 0. The sum of each pixel's
    /// absolute values over channels goes to `sizes`, `[lines, width]`. Prefetches the lines `step` further down, for the next strip: they
    /// lie in as many places as there are channels, which the hardware prefetcher misses.
    ///
    /// # Safety
    /// The processor must have V's instructions, and the picture all its elements. The strip's columns must be as
    /// [`width_for`](Self::width_for) says.
    #[inline(always)]
    pub unsafe fn load<V: Vector<T>>(&mut self, x: Picture<T>, top: isize, left: usize, step: usize, sizes: &mut [T]) {
        let lanes = V::LANES;
        let Self { lines, width, channels, .. } = *self;
        debug_assert!(left + x.width.next_multiple_of(lanes) <= width && self.data.len() >= lines * width * channels);
        debug_assert!(channels.is_multiple_of(lanes) && x.channels <= channels && sizes.len() >= lines * width);
        sizes[..lines * width].fill(T::zero());
        for i in 0..lines {
            let (y, line) = (top + i as isize, &mut self.data[i * width * channels..(i + 1) * width * channels]);
            if y < 0 || y >= x.height as isize {
                line.fill(T::zero());
                continue;
            }
            line[..left * channels].fill(T::zero());
            line[(left + x.width.next_multiple_of(lanes)) * channels..].fill(T::zero());
            // SAFETY: rows and columns lie inside the picture, and are written inside the strip, as asserted.
            unsafe {
                let zero = V::splat(T::zero());
                let from = x.at.add(y as usize * x.width);
                let mut rows = [zero; MOST];
                for c in (0..channels).step_by(lanes) {
                    for col in (0..x.width).step_by(lanes) {
                        let cols = lanes.min(x.width - col);
                        for (l, row) in rows[..lanes].iter_mut().enumerate() {
                            let at = from.wrapping_add((c + l) * x.height * x.width + col);
                            prefetch(at.wrapping_add(step * x.width));
                            *row = if c + l >= x.channels {
                                zero
                            } else if cols == lanes {
                                V::load(at)
                            } else {
                                V::load_first(at, cols)
                            };
                        }
                        let to = sizes.as_mut_ptr().add(i * width + left + col);
                        // Several sums at a time: each addition would wait for the one before.
                        let mut sums = [V::load(to), zero, zero, zero];
                        for (l, row) in rows[..lanes].iter().enumerate() {
                            sums[l % 4] = sums[l % 4].add(row.abs());
                        }
                        sums[0].add(sums[1]).add(sums[2].add(sums[3])).store(to);
                        V::store_transposed(&rows[..lanes], line.as_mut_ptr().add((left + col) * channels + c), channels);
                    }
                }
            }
        }
    }

    /// Writes the strip's first columns as lines `top..` of channels `first..` of a picture, as far as it has them, and asks for those that
    /// the next strip will be written to.
    ///
    /// # Safety
    /// The processor must have V's instructions, and nobody else may have these elements of the picture.
    #[inline(always)]
    pub unsafe fn store<V: Vector<T>>(&self, y: Picture<T>, top: usize, first: usize) {
        let lanes = V::LANES;
        let Self { lines, width, channels, .. } = *self;
        debug_assert!(channels.is_multiple_of(lanes) && top < y.height && first < y.channels);
        debug_assert!(y.width <= width && self.data.len() >= lines * width * channels);
        // SAFETY: reads stay inside the strip, whose columns are whole tiles; writes inside the picture.
        unsafe {
            let mut rows = [V::splat(T::zero()); MOST];
            let mut block = rows;
            for i in 0..lines.min(y.height - top) {
                let line = &self.data[i * width * channels..(i + 1) * width * channels];
                for c in (0..channels.min(y.channels - first)).step_by(lanes) {
                    let has = lanes.min(y.channels - first - c);
                    for col in (0..y.width).step_by(lanes) {
                        let cols = lanes.min(y.width - col);
                        for (l, row) in rows[..cols].iter_mut().enumerate() {
                            *row = V::load(line.as_ptr().add((col + l) * channels + c));
                        }
                        let to = y.at.add(((first + c) * y.height + top + i) * y.width + col);
                        let step = y.height * y.width;
                        (0..has).for_each(|l| prefetch(to.wrapping_add(l * step + lines * y.width)));
                        if has == lanes && cols == lanes {
                            V::store_transposed(&rows[..lanes], to, step);
                        } else {
                            V::store_transposed(&rows[..lanes], block.as_mut_ptr().cast(), lanes);
                            for (l, v) in block[..has].iter().enumerate() {
                                v.store_first(to.add(l * step), cols);
                            }
                        }
                    }
                }
            }
        }
    }

    /// The planes of inputs of `tiles` tiles of P x P every `step` columns, from tile `first` of `to` on.
    ///
    /// # Safety
    /// The processor must have V's instructions, and nobody else may have these tiles.
    #[inline(always)]
    pub unsafe fn inputs<V: Vector<T>, const P: usize>(&self, step: usize, tiles: usize, to: Points<T>, first: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.planes::<V, Inputs, P, P>(step, tiles, to, first) }
    }

    /// The planes of gradients of outputs of tiles of M x M.
    ///
    /// # Safety
    /// As for [`inputs`](Self::inputs).
    #[inline(always)]
    pub unsafe fn gradients<V: Vector<T>, const M: usize, const P: usize>(&self, tiles: usize, to: Points<T>, first: usize) {
        // SAFETY: the caller's promise.
        unsafe { self.planes::<V, Evaluate, M, P>(M, tiles, to, first) }
    }

    #[inline(always)]
    unsafe fn planes<V: Vector<T>, L: Line, const A: usize, const P: usize>(
        &self,
        step: usize,
        tiles: usize,
        to: Points<T>,
        first: usize,
    ) {
        let Self { width, channels, .. } = *self;
        assert!((tiles - 1) * step + A <= width && self.lines >= A && to.channels == channels);
        debug_assert!(self.data.len() >= A * width * channels && channels.is_multiple_of(V::LANES));
        // SAFETY: tiles lie inside the strip, as asserted.
        unsafe {
            for (t, c) in (0..tiles).flat_map(|t| (0..channels).step_by(V::LANES).map(move |c| (t, c))) {
                let from = self.data.as_ptr().add(t * step * channels + c);
                let mut x = [[V::splat(T::zero()); A]; A];
                for (i, row) in x.iter_mut().enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        *v = V::load(from.add((i * width + j) * channels));
                    }
                }
                let y = plane::<T, V, L, A, P>(&x);
                let at = to.at.at((first + t) * to.tile + c, (P * P - 1) * to.point + V::LANES);
                for (i, row) in y.iter().enumerate() {
                    for (j, v) in row.iter().enumerate() {
                        v.store(at.add((i * P + j) * to.point));
                    }
                }
            }
        }
    }

    /// The outputs of `tiles` tiles of M x M, from the products at their points, from tile `first` of `from` on, with each
    /// channel's bias added and, with `relu`, nothing below 0.
    ///
    /// # Safety
    /// The processor must have V's instructions, and these tiles be written.
    #[inline(always)]
    pub unsafe fn outputs<V: Vector<T>, const M: usize, const P: usize>(
        &mut self,
        tiles: usize,
        from: Points<T>,
        first: usize,
        bias: &[T],
        relu: bool,
    ) {
        let Self { width, channels, .. } = *self;
        assert!(tiles * M <= width && self.lines >= M && from.channels == channels && bias.len() >= channels);
        debug_assert!(self.data.len() >= M * width * channels && channels.is_multiple_of(V::LANES));
        // SAFETY: tiles lie inside the strip, as asserted.
        unsafe {
            let zero = V::splat(T::zero());
            for (t, c) in (0..tiles).flat_map(|t| (0..channels).step_by(V::LANES).map(move |c| (t, c))) {
                let at = from.at.at((first + t) * from.tile + c, (P * P - 1) * from.point + V::LANES);
                let mut x = [[zero; P]; P];
                for (i, row) in x.iter_mut().enumerate() {
                    for (j, v) in row.iter_mut().enumerate() {
                        *v = V::load(at.add((i * P + j) * from.point));
                    }
                }
                let y = plane::<T, V, Combine, P, M>(&x);
                let to = self.data.as_mut_ptr().add(t * M * channels + c);
                let bias = V::load(bias.as_ptr().add(c));
                for (i, row) in y.iter().enumerate() {
                    for (j, v) in row.iter().enumerate() {
                        let v = v.add(bias);
                        let v = if relu { zero.max(v) } else { v };
                        v.store(to.add((i * width + j) * channels));
                    }
                }
            }
        }
    }
}
