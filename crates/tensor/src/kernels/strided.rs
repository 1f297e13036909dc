//! Walking buffers by shape and strides.

use crate::element::Element;
use rayon::prelude::*;
use smallvec::SmallVec;

/// Merges neighbouring axes that one stride describes, for every operand at once, and drops axes of
/// size 1: the fewer axes, the longer the inner loop.
pub fn coalesce<const N: usize>(shape: &[usize], strides: [&[isize]; N]) -> SmallVec<[(usize, [isize; N]); 6]> {
    let mut out: SmallVec<[(usize, [isize; N]); 6]> = SmallVec::new();
    for (i, &n) in shape.iter().enumerate() {
        if n == 1 {
            continue;
        }
        let s: [isize; N] = std::array::from_fn(|k| strides[k][i]);
        match out.last_mut() {
            Some((size, last)) if (0..N).all(|k| last[k] == s[k] * n as isize) => {
                *size *= n;
                *last = s;
            }
            _ => out.push((n, s)),
        }
    }
    if out.is_empty() {
        out.push((1, [1; N]));
    }
    out
}

/// The axes of a loop over two strided operands: an inner row, and the rows' places.
pub struct Dims2(SmallVec<[(usize, [isize; 2]); 6]>);

impl Dims2 {
    pub fn new(shape: &[usize], a: &[isize], b: &[isize]) -> Self {
        Self(coalesce(shape, [a, b]))
    }

    pub fn inner_size(&self) -> usize {
        self.0[self.0.len() - 1].0
    }

    pub fn inner_strides(&self) -> (isize, isize) {
        let [a, b] = self.0[self.0.len() - 1].1;
        (a, b)
    }

    /// Where row number `row` starts in either operand.
    #[inline]
    pub fn row(&self, mut row: usize) -> (isize, isize) {
        let (mut a, mut b) = (0, 0);
        for &(n, [sa, sb]) in self.0[..self.0.len() - 1].iter().rev() {
            let i = (row % n) as isize;
            row /= n;
            a += i * sa;
            b += i * sb;
        }
        (a, b)
    }
}

/// A row of `n` strided elements as a slice: in place when consecutive, of length 1 when all are the
/// same, gathered into `scratch` otherwise.
#[inline]
pub fn row<'a, T: Element>(data: &'a [T], at: isize, stride: isize, n: usize, scratch: &'a mut Vec<T>) -> &'a [T] {
    let at = at as usize;
    match stride {
        1 => &data[at..at + n],
        0 => &data[at..at + 1],
        _ => {
            scratch.clear();
            scratch.extend((0..n as isize).map(|i| data[(at as isize + i * stride) as usize]));
            scratch
        }
    }
}

/// Copies a strided window to `out` in row-major order.
pub fn gather<T: Element>(data: &[T], shape: &[usize], strides: &[isize], offset: usize, out: &mut [T]) {
    if out.is_empty() {
        return;
    }
    let dims = coalesce(shape, [strides]);
    let (n, [step]) = dims[dims.len() - 1];
    // With the inner axis strided and the next one consecutive, a blocked transpose reads whole lines.
    if let [.., (rows, [1]), (cols, [_])] = dims[..] {
        if step != 0 {
            let outer = &dims[..dims.len() - 2];
            let plane = rows * cols;
            let task = |(p, out): (usize, &mut [T])| transpose(data, place(outer, p) + offset as isize, step, rows, cols, out);
            if out.len() < 1 << 16 {
                out.chunks_mut(plane).enumerate().for_each(task);
            } else {
                out.par_chunks_mut(plane).enumerate().for_each(task);
            }
            return;
        }
    }
    let outer = &dims[..dims.len() - 1];
    let rows_per_task = ((1 << 14) / n).max(1);
    let task = |(chunk, out): (usize, &mut [T])| {
        for (i, out) in out.chunks_mut(n).enumerate() {
            let at = place(outer, chunk * rows_per_task + i) + offset as isize;
            match step {
                1 => out.copy_from_slice(&data[at as usize..at as usize + n]),
                0 => out.fill(data[at as usize]),
                _ => out.iter_mut().enumerate().for_each(|(j, y)| *y = data[(at + j as isize * step) as usize]),
            }
        }
    };
    if out.len() < 1 << 16 {
        out.chunks_mut(rows_per_task * n).enumerate().for_each(task);
    } else {
        out.par_chunks_mut(rows_per_task * n).enumerate().for_each(task);
    }
}

fn place(outer: &[(usize, [isize; 1])], mut row: usize) -> isize {
    let mut at = 0;
    for &(n, [s]) in outer.iter().rev() {
        at += (row % n) as isize * s;
        row /= n;
    }
    at
}

/// `out[r, c] = data[at + r + c * step]`, in blocks that fit the first-level cache.
fn transpose<T: Element>(data: &[T], at: isize, step: isize, rows: usize, cols: usize, out: &mut [T]) {
    const B: usize = 16;
    for r0 in (0..rows).step_by(B) {
        let r1 = (r0 + B).min(rows);
        for c0 in (0..cols).step_by(B) {
            for c in c0..(c0 + B).min(cols) {
                let from = (at + c as isize * step) as usize;
                for (r, &v) in (r0..r1).zip(&data[from + r0..from + r1]) {
                    out[r * cols + c] = v;
                }
            }
        }
    }
}
