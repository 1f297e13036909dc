//! Two-dimensional convolution and its two gradients, over contiguous `[N, C, H, W]` slices.
//!
//! `y[n, f, i, j] = Σ x[n, c, i·s + a·d - p, j·s + b·d - p] · w[f, c, a, b]`, a cross-correlation as in every
//! deep-learning framework. The three functions here choose a kernel by shape; each kernel handles a part of
//! the shapes, `im2col` all of them.

mod depthwise;
mod direct;
mod im2col;
mod winograd;

use super::epilogue::Epilogue;
use super::simd::Vector;
use crate::element::Float;

/// The sizes of a convolution, with everything derived that kernels need.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    /// Channels of the input, of one group, and filters of one group.
    pub channels: usize,
    pub group_channels: usize,
    pub group_filters: usize,
    pub groups: usize,
    pub height: usize,
    pub width: usize,
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Before the first row, before the first column.
    pub padding: [usize; 2],
    /// Whether the sum is taken as it is defined.
    pub direct: bool,
    pub out_height: usize,
    pub out_width: usize,
}

impl Geometry {
    pub fn filters(&self) -> usize {
        self.groups * self.group_filters
    }
    /// Elements of one input picture.
    pub fn image(&self) -> usize {
        self.channels * self.height * self.width
    }
    /// Elements of one output picture.
    pub fn out_image(&self) -> usize {
        self.filters() * self.out_plane()
    }
    pub fn plane(&self) -> usize {
        self.height * self.width
    }
    pub fn out_plane(&self) -> usize {
        self.out_height * self.out_width
    }
    /// Elements of one filter: the length of a patch.
    pub fn patch(&self) -> usize {
        self.group_channels * self.kernel[0] * self.kernel[1]
    }
    /// Rows and columns of the padded picture, as far as filters reach into it.
    fn padded(&self) -> [usize; 2] {
        let reach = |axis: usize, out: usize| (out - 1) * self.stride[axis] + (self.kernel[axis] - 1) * self.dilation[axis] + 1;
        [reach(0, self.out_height), reach(1, self.out_width)]
    }
    /// Elements of a padded picture, and of its patches as a matrix; `None` when that overflows.
    pub fn unfolded(&self) -> Option<[usize; 2]> {
        let [height, width] = self.padded();
        let padded = self.channels.checked_mul(height.checked_mul(width)?)?;
        let patches = self.group_channels.checked_mul(self.kernel[0])?.checked_mul(self.kernel[1])?;
        Some([padded, patches.checked_mul(self.out_height.checked_mul(self.out_width)?)?])
    }
    /// Elements of the largest array that the kernel needs beside the tensors, if that can be large.
    pub fn work(&self) -> usize {
        let [padded, patches] = self.unfolded().unwrap_or([usize::MAX; 2]);
        let direct = |width: usize| direct::fits(self, self.channels, width);
        match () {
            _ if self.is_depthwise() || winograd::fits(self) => 0,
            _ if direct(self.width) && direct(self.out_width) => padded,
            _ => padded.max(patches),
        }
    }
    fn is_depthwise(&self) -> bool {
        self.group_channels == 1 && self.group_filters == 1
    }
    /// Whether patches are single pixels, so that the picture itself is the matrix of patches.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.plane() == self.out_plane()
    }
    /// The outputs `lo..hi` along an axis for which tap `tap` falls inside the input of `size`.
    fn inside(&self, axis: usize, tap: usize, size: usize, out: usize) -> (usize, usize) {
        let (s, shift) = (self.stride[axis] as isize, (tap * self.dilation[axis]) as isize - self.padding[axis] as isize);
        let lo = (-shift).max(0).div_euclid(s) + isize::from((-shift).max(0) % s != 0);
        let hi = (size as isize - shift + s - 1).div_euclid(s);
        let hi = hi.clamp(0, out as isize);
        (lo.min(hi) as usize, hi as usize)
    }
}

/// Copies `n` elements, and writes zeros up to a whole vector: for short rows a call costs more than the copy.
///
/// # Safety
/// The processor must have V's instructions; there must be `n` elements to read, and room for whole vectors.
#[inline(always)]
unsafe fn copy_row<T: Float, V: Vector<T>>(from: *const T, to: *mut T, n: usize) {
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

/// `y = x * w`, and what the epilogue makes of it; writes all of `y`.
pub fn forward<T: Float>(g: &Geometry, x: &[T], w: &[T], end: Epilogue<'_, T>, y: &mut [T]) {
    if y.is_empty() {
        return;
    }
    if g.is_depthwise() {
        depthwise::forward(g, x, w, end, y)
    } else if winograd::fits(g) {
        winograd::forward(g, x, w, end, y)
    } else if direct::fits(g, g.channels, g.out_width) {
        direct::forward(g, x, w, end, y)
    } else {
        im2col::forward(g, x, w, end, y)
    }
}

/// The gradient with respect to `x`; writes all of `gx`.
pub fn input_grad<T: Float>(g: &Geometry, gy: &[T], w: &[T], gx: &mut [T]) {
    if gx.is_empty() || gy.is_empty() {
        return gx.fill(T::zero());
    }
    if g.is_depthwise() {
        depthwise::input_grad(g, gy, w, gx)
    } else if winograd::fits(g) {
        winograd::input_grad(g, gy, w, gx)
    } else if direct::fits(g, g.channels, g.width) {
        direct::input_grad(g, gy, w, gx)
    } else {
        im2col::input_grad(g, gy, w, gx)
    }
}

/// The gradient with respect to `w`; writes all of `gw`.
pub fn weight_grad<T: Float>(g: &Geometry, x: &[T], gy: &[T], gw: &mut [T]) {
    if gw.is_empty() || gy.is_empty() {
        return gw.fill(T::zero());
    }
    if g.is_depthwise() {
        depthwise::weight_grad(g, x, gy, gw)
    } else if winograd::fits(g) {
        winograd::weight_grad(g, x, gy, gw)
    } else if direct::fits(g, g.channels, g.out_width) {
        direct::weight_grad(g, x, gy, gw)
    } else {
        im2col::weight_grad(g, x, gy, gw)
    }
}

/// The gradients with respect to `x` and `w`; writes all of both.
pub fn grads<T: Float>(g: &Geometry, [x, gy, w]: [&[T]; 3], gx: &mut [T], gw: &mut [T]) {
    if g.is_depthwise() && depthwise::has_grads(g) && !gy.is_empty() && !gx.is_empty() {
        depthwise::grads(g, [x, gy, w], gx, gw)
    } else {
        input_grad(g, gy, w, gx);
        weight_grad(g, x, gy, gw);
    }
}
