//! Pooling over contiguous planes: `[N·C, H, W]` slices.

use super::simd::{Kernel, dispatch};
use crate::element::Float;
use rayon::prelude::*;

/// The sizes of a pooling.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub height: usize,
    pub width: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Before the first row, before the first column.
    pub padding: [usize; 2],
    /// After the last row, after the last column: where padding counts, it ends there.
    pub padding_end: [usize; 2],
    pub out_height: usize,
    pub out_width: usize,
    pub count_include_pad: bool,
}

impl Geometry {
    pub fn plane(&self) -> usize {
        self.height * self.width
    }
    pub fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }
    fn is_halving(&self) -> bool {
        self.kernel == [2, 2]
            && self.stride == [2, 2]
            && self.dilation == [1, 1]
            && self.padding == [0, 0]
            && self.out_height * 2 <= self.height
            && self.out_width * 2 <= self.width
    }
    /// The input rows or columns that the window at `out` covers, as first, count, and the padded extent that an
    /// average over padding divides by.
    fn window(&self, axis: usize, out: usize) -> (usize, usize, usize) {
        let size = [self.height, self.width][axis] as isize;
        let (step, reach) = (self.dilation[axis] as isize, self.kernel[axis] as isize);
        let start = (out * self.stride[axis]) as isize - self.padding[axis] as isize;
        let skipped = if start < 0 { (-start + step - 1) / step } else { 0 };
        let end = (size - start + step - 1).div_euclid(step).clamp(0, reach);
        let padded = (size + self.padding_end[axis] as isize - start + step - 1).div_euclid(step).clamp(0, reach);
        let count = (end - skipped).max(0);
        ((start + skipped * step).max(0) as usize, count as usize, padded as usize)
    }
}

/// Runs `f` on pairs of planes, over threads when there is enough to do.
fn each_plane<A: Send, B: Sync>(a: &mut [A], size_a: usize, b: &[B], size_b: usize, f: impl Fn(&mut [A], &[B]) + Sync) {
    if a.is_empty() || b.is_empty() {
        return;
    }
    // Several planes a task: one alone is a few microseconds.
    let planes = ((1 << 14) / size_a.max(size_b)).max(1);
    a.par_chunks_mut(size_a * planes)
        .zip(b.par_chunks(size_b * planes))
        .for_each(|(a, b)| a.chunks_mut(size_a).zip(b.chunks(size_b)).for_each(|(a, b)| f(a, b)));
}

/// The largest of each window, and its place in the input plane; of equals the first, and NaN before any number.
pub fn max<T: Float>(g: &Geometry, x: &[T], y: &mut [T], index: &mut [i32]) {
    if y.is_empty() {
        return;
    }
    let planes = ((1 << 14) / g.plane()).max(1);
    let (n, m) = (g.plane() * planes, g.out_plane() * planes);
    x.par_chunks(n).zip(y.par_chunks_mut(m)).zip(index.par_chunks_mut(m)).for_each(|((x, y), index)| {
        for ((x, y), index) in x.chunks(g.plane()).zip(y.chunks_mut(g.out_plane())).zip(index.chunks_mut(g.out_plane())) {
            if g.is_halving() { dispatch(Halve { g, x, y, index }) } else { max_plane(g, x, y, index) }
        }
    });
}

fn max_plane<T: Float>(g: &Geometry, x: &[T], y: &mut [T], index: &mut [i32]) {
    for i in 0..g.out_height {
        let (top, rows, _) = g.window(0, i);
        for j in 0..g.out_width {
            let (left, cols, _) = g.window(1, j);
            let mut best = top * g.width + left;
            for r in 0..rows {
                for c in 0..cols {
                    let at = (top + r * g.dilation[0]) * g.width + left + c * g.dilation[1];
                    if x[at] > x[best] || (x[at].is_nan() && !x[best].is_nan()) {
                        best = at;
                    }
                }
            }
            y[i * g.out_width + j] = x[best];
            index[i * g.out_width + j] = best as i32;
        }
    }
}

/// Windows of 2x2 side by side: comparisons and selections only, which vectorise.
struct Halve<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    y: &'a mut [T],
    index: &'a mut [i32],
}

impl<T: Float> Kernel for Halve<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { g, x, y, index } = self;
        let n = g.out_width;
        for ((i, y), index) in y.chunks_exact_mut(n).enumerate().zip(index.chunks_exact_mut(n)) {
            let first = 2 * i * g.width;
            let upper = x[first..first + 2 * n].chunks_exact(2);
            let lower = x[first + g.width..first + g.width + 2 * n].chunks_exact(2);
            let corner = first as i32;
            for ((((u, l), y), index), j) in upper.zip(lower).zip(y).zip(index).zip(0i32..) {
                let (a, ia) = first_larger(u[0], 0, u[1], 1);
                let (b, ib) = first_larger(l[0], g.width as i32, l[1], g.width as i32 + 1);
                let (m, im) = first_larger(a, ia, b, ib);
                *y = m;
                *index = corner + 2 * j + im;
            }
        }
    }
}

#[inline(always)]
fn first_larger<T: Float>(a: T, ia: i32, b: T, ib: i32) -> (T, i32) {
    let second = b > a || (b.is_nan() & !a.is_nan());
    (if second { b } else { a }, if second { ib } else { ia })
}

/// Adds `gy` to zeros at `index`.
pub fn scatter<T: Float>(plane: usize, out_plane: usize, gy: &[T], index: &[i32], gx: &mut [T]) {
    if gy.is_empty() {
        return gx.fill(T::zero());
    }
    let planes = ((1 << 14) / plane.max(out_plane)).max(1);
    let (n, m) = (plane * planes, out_plane * planes);
    gx.par_chunks_mut(n).zip(gy.par_chunks(m)).zip(index.par_chunks(m)).for_each(|((gx, gy), index)| {
        for ((gx, gy), index) in gx.chunks_mut(plane).zip(gy.chunks(out_plane)).zip(index.chunks(out_plane)) {
            gx.fill(T::zero());
            for (&v, &i) in gy.iter().zip(index) {
                gx[i as usize] += v;
            }
        }
    });
}

/// Picks `x` at `index`.
pub fn gather<T: Float>(plane: usize, out_plane: usize, x: &[T], index: &[i32], y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    y.par_chunks_mut(out_plane).zip(x.par_chunks(plane)).zip(index.par_chunks(out_plane)).for_each(|((y, x), index)| {
        for (y, &i) in y.iter_mut().zip(index) {
            *y = x[i as usize];
        }
    });
}

/// How many elements the window at output `(i, j)` divides by.
fn divisor<T: Float>(g: &Geometry, i: usize, j: usize) -> T {
    let ((_, rows, padded_rows), (_, cols, padded_cols)) = (g.window(0, i), g.window(1, j));
    T::from_f64(if g.count_include_pad { padded_rows * padded_cols } else { rows * cols } as f64)
}

/// The mean of each window.
pub fn average<T: Float>(g: &Geometry, x: &[T], y: &mut [T]) {
    each_plane(y, g.out_plane(), x, g.plane(), |y, x| {
        for i in 0..g.out_height {
            let (top, rows, _) = g.window(0, i);
            for j in 0..g.out_width {
                let (left, cols, _) = g.window(1, j);
                let mut sum = T::zero();
                for r in top..top + rows {
                    for &v in &x[r * g.width + left..r * g.width + left + cols] {
                        sum += v;
                    }
                }
                y[i * g.out_width + j] = sum / divisor(g, i, j);
            }
        }
    });
}

/// The adjoint of [`average`].
pub fn average_grad<T: Float>(g: &Geometry, gy: &[T], gx: &mut [T]) {
    gx.fill(T::zero());
    each_plane(gx, g.plane(), gy, g.out_plane(), |gx, gy| {
        for i in 0..g.out_height {
            let (top, rows, _) = g.window(0, i);
            for j in 0..g.out_width {
                let (left, cols, _) = g.window(1, j);
                let share = gy[i * g.out_width + j] / divisor(g, i, j);
                for r in top..top + rows {
                    for v in &mut gx[r * g.width + left..r * g.width + left + cols] {
                        *v += share;
                    }
                }
            }
        }
    });
}
