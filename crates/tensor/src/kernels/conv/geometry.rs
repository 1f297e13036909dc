//! The one description of a convolution that all kernels read.

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
    pub(super) fn reach(&self) -> [usize; 2] {
        [0, 1].map(|axis| (self.kernel[axis] - 1) * self.dilation[axis])
    }
    /// The convolution that gives the input's gradient, for a stride of 1: its input is the output's gradient, and its filters are
    /// these with their taps in reverse, and channels and filters exchanged.
    pub(super) fn transposed(&self) -> Self {
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
    pub(super) fn before(&self) -> [usize; 2] {
        self.padding.map(|p| p.max(0) as usize)
    }
    /// Rows and columns of the padded picture, as far as filters reach into it.
    pub(super) fn padded(&self) -> [usize; 2] {
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
    pub(super) fn is_depthwise(&self) -> bool {
        self.channels == self.groups && self.filters == self.groups
    }
    /// Whether filters have `k` x `k` taps next to each other, the stride is 1, and the padding is narrower than the filters.
    pub(super) fn is_dense(&self, k: usize) -> bool {
        let plain = (self.kernel, self.stride, self.dilation) == ([k, k], [1, 1], [1, 1]);
        plain && self.padding.iter().all(|p| (0..k as isize).contains(p))
    }
    /// Whether patches are single pixels, so that the picture itself is the matrix of patches.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0] && self.plane() == self.out_plane()
    }
    /// The outputs `lo..hi` along an axis for which tap `tap` falls inside the input.
    pub(super) fn inside(&self, axis: usize, tap: usize) -> (usize, usize) {
        let (s, shift) = (self.stride[axis] as isize, (tap * self.dilation[axis]) as isize - self.padding[axis]);
        let lo = (-shift).max(0).div_euclid(s) + isize::from((-shift).max(0) % s != 0);
        let hi = (self.input[axis] as isize - shift + s - 1).div_euclid(s);
        let hi = hi.clamp(0, self.output[axis] as isize);
        (lo.min(hi) as usize, hi as usize)
    }
}
