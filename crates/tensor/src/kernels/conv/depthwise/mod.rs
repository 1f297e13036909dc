//! One filter a channel: no sum over channels, so nothing for a matrix product to do. Taps are multiplied by shifted rows, in vectors over
//! the pixels of a row.
//!
//! `square` has filters of 3 x 3 and 5 x 5 with stride 1, whose weights stay in registers; `any` has all others.

mod any;
mod plane;
mod square;
mod strip;

use super::geometry::Geometry;
use crate::kernels::epilogue::Epilogue;
use crate::kernels::simd::Lanes;

pub fn forward<T: Lanes>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    if square::fits::<3>(g) {
        square::forward::<T, 3>(g, x, w, end, y)
    } else if square::fits::<5>(g) {
        square::forward::<T, 5>(g, x, w, end, y)
    } else {
        any::forward(g, x, w, end, y)
    }
}

pub fn input_grad<T: Lanes>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    if square::fits::<3>(g) {
        square::input_grad::<T, 3>(g, gy, w, gx)
    } else if square::fits::<5>(g) {
        square::input_grad::<T, 5>(g, gy, w, gx)
    } else {
        any::input_grad(g, gy, w, gx)
    }
}

pub fn weight_grad<T: Lanes>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    if square::fits::<3>(g) {
        square::weight_grad::<T, 3>(g, x, gy, gw)
    } else if square::fits::<5>(g) {
        square::weight_grad::<T, 5>(g, x, gy, gw)
    } else {
        any::weight_grad(g, x, gy, gw)
    }
}

/// Both gradients, in one pass over `gy`.
pub fn grads<T: Lanes>(g: &Geometry, given: [&[T]; 3], gx: &mut [T], gw: &mut [T]) {
    if square::fits::<3>(g) {
        square::grads::<T, 3>(g, given, gx, gw)
    } else if square::fits::<5>(g) {
        square::grads::<T, 5>(g, given, gx, gw)
    } else {
        any::grads(g, given, gx, gw)
    }
}
