//! One filter a channel: no sum over channels, so nothing for a matrix product to do. Each tap adds a scaled,
//! shifted row to a row of the output, which vectorises and runs at the speed of the first-level cache.

mod plane;
mod square;

use super::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::parallel::{Parts, chunks, chunks_mut};
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Kernel, dispatch};

/// A tap's place: output rows `top..bottom`, columns `left..right`, and the input pixel of the first of them.
struct Tap {
    weight: usize,
    rows: (usize, usize),
    cols: (usize, usize),
    shift: [isize; 2],
}

fn taps(g: &Geometry) -> impl Iterator<Item = Tap> + '_ {
    let [kh, kw] = g.kernel;
    (0..kh * kw).filter_map(move |i| {
        let (a, b) = (i / kw, i % kw);
        let rows = g.inside(0, a);
        let cols = g.inside(1, b);
        let shift = [0, 1].map(|axis| ([a, b][axis] * g.dilation[axis]) as isize - g.padding[axis]);
        (rows.0 < rows.1 && cols.0 < cols.1).then_some(Tap { weight: i, rows, cols, shift })
    })
}

impl Tap {
    /// For each output row: where its first column is in the output, and in the input.
    fn rows(&self, g: &Geometry) -> impl Iterator<Item = (usize, usize)> {
        let (left, stride, width, out_width) = (self.cols.0, g.stride, g.input[1], g.output[1]);
        let [down, right] = self.shift;
        let first = (left * stride[1]) as isize + right;
        (self.rows.0..self.rows.1).map(move |i| {
            let y = (i * stride[0]) as isize + down;
            (i * out_width + left, (y * width as isize + first) as usize)
        })
    }
    fn len(&self) -> usize {
        self.cols.1 - self.cols.0
    }
}

struct Plane<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    w: &'a [T],
    y: &'a mut [T],
}

struct Forward<'a, T>(Plane<'a, T>);

impl<T: Lanes> Kernel for Forward<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Plane { g, x, w, y } = self.0;
        y.fill(T::zero());
        for tap in taps(g) {
            let (w, n, step) = (w[tap.weight], tap.len(), g.stride[1]);
            for (to, from) in tap.rows(g) {
                let to = &mut y[to..to + n];
                if step == 1 {
                    to.iter_mut().zip(&x[from..from + n]).for_each(|(y, &x)| *y += w * x);
                } else {
                    to.iter_mut().zip(x[from..].iter().step_by(step)).for_each(|(y, &x)| *y += w * x);
                }
            }
        }
    }
}

/// With `y` the input's gradient and `x` the output's.
struct InputGrad<'a, T>(Plane<'a, T>);

impl<T: Lanes> Kernel for InputGrad<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Plane { g, x: gy, w, y: gx } = self.0;
        gx.fill(T::zero());
        for tap in taps(g) {
            let (w, n, step) = (w[tap.weight], tap.len(), g.stride[1]);
            for (from, to) in tap.rows(g) {
                let from = &gy[from..from + n];
                if step == 1 {
                    gx[to..to + n].iter_mut().zip(from).for_each(|(x, &y)| *x += w * y);
                } else {
                    gx[to..].iter_mut().step_by(step).zip(from).for_each(|(x, &y)| *x += w * y);
                }
            }
        }
    }
}

/// Adds one picture's share to the gradient of one channel's filter.
struct WeightGrad<'a, T> {
    g: &'a Geometry,
    x: &'a [T],
    gy: &'a [T],
    gw: &'a mut [T],
}

impl<T: Lanes> Kernel for WeightGrad<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        const LANES: usize = 16;
        let Self { g, x, gy, gw } = self;
        for tap in taps(g) {
            let (n, step) = (tap.len(), g.stride[1]);
            let (mut lanes, mut rest) = ([T::zero(); LANES], T::zero());
            for (at, from) in tap.rows(g) {
                let gy = &gy[at..at + n];
                if step != 1 {
                    gy.iter().zip(x[from..].iter().step_by(step)).for_each(|(&y, &x)| rest += x * y);
                    continue;
                }
                let (ys, xs) = (gy.chunks_exact(LANES), x[from..from + n].chunks_exact(LANES));
                ys.remainder().iter().zip(xs.remainder()).for_each(|(&y, &x)| rest += x * y);
                for (y, x) in ys.zip(xs) {
                    for i in 0..LANES {
                        lanes[i] += x[i] * y[i];
                    }
                }
            }
            gw[tap.weight] += lanes.into_iter().sum::<T>() + rest;
        }
    }
}

pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    if square::fits::<3>(g) {
        return square::forward::<T, 3>(g, x, w, end, y);
    }
    if square::fits::<5>(g) {
        return square::forward::<T, 5>(g, x, w, end, y);
    }
    let taps = g.patch();
    chunks_mut(y, g.out_plane()).each(|i, y| {
        let (c, x) = (i % g.channels, &x[i * g.plane()..(i + 1) * g.plane()]);
        dispatch(Forward(Plane { g, x, w: &w[c * taps..(c + 1) * taps], y: &mut *y }));
        end.finish(c, g.out_plane(), y);
    });
}

pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    if square::fits::<3>(g) {
        return square::input_grad::<T, 3>(g, gy, w, gx);
    }
    if square::fits::<5>(g) {
        return square::input_grad::<T, 5>(g, gy, w, gx);
    }
    let taps = g.patch();
    (chunks_mut(gx, g.plane()), chunks(gy, g.out_plane())).each(|i, (gx, gy)| {
        let c = i % g.channels;
        dispatch(InputGrad(Plane { g, x: gy, w: &w[c * taps..(c + 1) * taps], y: gx }));
    });
}

pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    if square::fits::<3>(g) {
        return square::weight_grad::<T, 3>(g, x, gy, gw);
    }
    if square::fits::<5>(g) {
        return square::weight_grad::<T, 5>(g, x, gy, gw);
    }
    chunks_mut(gw, g.patch()).each(|c, gw| {
        gw.fill(T::zero());
        for n in 0..g.batch {
            let plane = n * g.channels + c;
            let (x, gy) = (&x[plane * g.plane()..][..g.plane()], &gy[plane * g.out_plane()..][..g.out_plane()]);
            dispatch(WeightGrad { g, x, gy, gw });
        }
    });
}

/// Whether both gradients can be had in one pass.
pub fn has_grads(g: &Geometry) -> bool {
    square::fits::<3>(g) || square::fits::<5>(g)
}

/// Both gradients in one pass, where it [can be](has_grads).
pub fn grads<T: Lanes>(g: &Geometry, given: [&[T]; 3], gx: &mut [T], gw: &mut [T]) {
    if square::fits::<3>(g) { square::grads::<T, 3>(g, given, gx, gw) } else { square::grads::<T, 5>(g, given, gx, gw) }
}
