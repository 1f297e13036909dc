//! Two-dimensional convolution and its two gradients, over contiguous `[N, C, H, W]` slices.
//!
//! `y[n, f, i, j] = Σ x[n, c, i·s + a·d - p, j·s + b·d - p] · w[f, c, a, b]`, a cross-correlation as in every
//! deep-learning framework. The three functions here choose a kernel by shape; each kernel handles a part of
//! the shapes, `implicit` all of them.

mod depthwise;
mod direct;
mod geometry;
mod implicit;
mod winograd;

pub use geometry::Geometry;

use super::epilogue::Epilogue;
use crate::kernels::simd::Lanes;

impl Geometry {
    /// Elements of the largest array that the kernel needs beside the tensors, if that can be large.
    pub fn work(&self) -> usize {
        let padded = self.unfolded().map_or(usize::MAX, |[padded, _]| padded);
        // Filters of more taps than a block of patches are packed for all its columns at once.
        let patches = self.taps().saturating_mul(implicit::COLUMNS);
        let direct = |width: usize| direct::fits(self, self.group_channels(), width);
        match () {
            _ if winograd::fits(self) => 0,
            _ if self.is_depthwise() => padded / self.channels.max(1),
            _ if direct(self.input[1]) && direct(self.output[1]) => padded,
            _ => patches,
        }
    }
}

/// `y = x * w`, and what the epilogue makes of it; writes all of `y`.
pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    if g.is_depthwise() {
        depthwise::forward(g, x, w, end, y)
    } else if winograd::fits(g) {
        winograd::forward(g, x, w, end, y)
    } else if direct::fits(g, g.group_channels(), g.output[1]) {
        direct::forward(g, x, w, end, y)
    } else {
        implicit::forward(g, x, w, end, y)
    }
}

/// The gradient with respect to `x`; writes all of `gx`.
pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    if gx.is_empty() || gy.is_empty() {
        return gx.fill(T::zero());
    }
    if g.is_depthwise() {
        depthwise::input_grad(g, gy, w, gx)
    } else if winograd::fits(g) {
        winograd::input_grad(g, gy, w, gx)
    } else if direct::fits(g, g.group_channels(), g.input[1]) {
        direct::input_grad(g, gy, w, gx)
    } else {
        implicit::input_grad(g, gy, w, gx)
    }
}

/// The gradient with respect to `w`; writes all of `gw`.
pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    if gw.is_empty() || gy.is_empty() {
        return gw.fill(T::zero());
    }
    if g.is_depthwise() {
        depthwise::weight_grad(g, x, gy, gw)
    } else if winograd::fits(g) {
        winograd::weight_grad(g, x, gy, gw)
    } else if direct::fits(g, g.group_channels(), g.output[1]) {
        direct::weight_grad(g, x, gy, gw)
    } else {
        implicit::weight_grad(g, x, gy, gw)
    }
}

/// The gradients with respect to `x` and `w`; writes all of both.
pub fn grads<T: Lanes>(g: &Geometry, [x, gy, w]: [&[T]; 3], gx: &mut [T], gw: &mut [T]) {
    if g.is_depthwise() && !gy.is_empty() && !gx.is_empty() {
        depthwise::grads(g, [x, gy, w], gx, gw)
    } else {
        input_grad(g, gy, w, gx);
        weight_grad(g, x, gy, gw);
    }
}
