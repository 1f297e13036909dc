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

/// A convolution's geometry: how the filters move, and the sizes that they meet. Every kernel reads this one description.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub batch: usize,
    pub channels: usize,
    pub filters: usize,
    /// Parts that channels and filters are divided into, each seeing only its own.
    pub groups: usize,
    /// Height and width of the input and of the output.
    pub input: [usize; 2],
    pub output: [usize; 2],
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    /// Before the first row and the first column; negative where the first taps meet no pixel.
    pub padding: [isize; 2],
    /// Whether the sum is taken as it is defined.
    pub direct: bool,
}

impl Geometry {
    pub fn group_channels(&self) -> usize {
        self.channels / self.groups
    }
    pub fn group_filters(&self) -> usize {
        self.filters / self.groups
    }
    /// Elements of one input picture.
    pub fn image(&self) -> usize {
        self.channels * self.plane()
    }
    /// Elements of one output picture.
    pub fn out_image(&self) -> usize {
        self.filters * self.out_plane()
    }
    pub fn plane(&self) -> usize {
        self.input[0] * self.input[1]
    }
    pub fn out_plane(&self) -> usize {
        self.output[0] * self.output[1]
    }
    /// Taps of a filter on each channel.
    pub fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }
    /// Elements of one filter: the length of a patch.
    pub fn patch(&self) -> usize {
        self.group_channels() * self.taps()
    }
    /// How far the last tap lies beyond the first along each axis.
    fn reach(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.kernel[axis] - 1) * self.dilation[axis])
    }
    /// The convolution that gives the input's gradient, for a stride of 1: its input is the output's gradient, and its filters are
    /// these with their taps in reverse, and channels and filters exchanged.
    fn transposed(&self) -> Self {
        debug_assert_eq!(self.stride, [1, 1]);
        let reach = self.reach();
        Self {
            channels: self.filters,
            filters: self.channels,
            input: self.output,
            output: self.input,
            padding: [0, 1].map(|axis| reach[axis] as isize - self.padding[axis]),
            ..*self
        }
    }
    /// The padding before the first row and the first column, where it is not negative: in all but some transposed convolutions.
    fn before(&self) -> [usize; 2] {
        self.padding.map(|p| p.max(0) as usize)
    }
    /// Rows and columns of the padded picture, as far as filters reach into it.
    fn padded(&self) -> [usize; 2] {
        let reach = self.reach();
        [0, 1].map(|axis| (self.output[axis] - 1) * self.stride[axis] + reach[axis] + 1)
    }
    /// Elements of a padded picture, and of its patches as a matrix; `None` when that overflows.
    pub fn unfolded(&self) -> Option<[usize; 2]> {
        let [height, width] = self.padded();
        let padded = self.channels.checked_mul(height.checked_mul(width)?)?;
        let patches = self.group_channels().checked_mul(self.kernel[0])?.checked_mul(self.kernel[1])?;
        Some([padded, patches.checked_mul(self.output[0].checked_mul(self.output[1])?)?])
    }
    /// Elements of the largest array that the kernel needs beside the tensors, if that can be large.
    pub fn work(&self) -> usize {
        let [padded, patches] = self.unfolded().unwrap_or([usize::MAX; 2]);
        let direct = |width: usize| direct::fits(self, self.channels, width);
        match () {
            _ if self.is_depthwise() || winograd::fits(self) => 0,
            _ if direct(self.input[1]) && direct(self.output[1]) => padded,
            _ => padded.max(patches),
        }
    }
    fn is_depthwise(&self) -> bool {
        self.channels == self.groups && self.filters == self.groups
    }
    /// Whether filters have `k` x `k` taps next to each other, the stride is 1, and the padding is narrower than the filters.
    fn is_dense(&self, k: usize) -> bool {
        let plain = (self.kernel, self.stride, self.dilation) == ([k, k], [1, 1], [1, 1]);
        plain && self.padding.iter().all(|p| (0..k as isize).contains(p))
    }
    /// Whether patches are single pixels, so that the picture itself is the matrix of patches.
    fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.plane() == self.out_plane()
    }
    /// The outputs `lo..hi` along an axis for which tap `tap` falls inside the input.
    fn inside(&self, axis: usize, tap: usize) -> (usize, usize) {
        let (s, shift) = (self.stride[axis] as isize, (tap * self.dilation[axis]) as isize - self.padding[axis]);
        let lo = (-shift).max(0).div_euclid(s) + isize::from((-shift).max(0) % s != 0);
        let hi = (self.input[axis] as isize - shift + s - 1).div_euclid(s);
        let hi = hi.clamp(0, self.output[axis] as isize);
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
    } else if direct::fits(g, g.channels, g.output[1]) {
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
    } else if direct::fits(g, g.channels, g.input[1]) {
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
    } else if direct::fits(g, g.channels, g.output[1]) {
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
