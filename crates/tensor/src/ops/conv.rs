//! Two-dimensional convolution and its two gradients.

use crate::buffer::{has_room, no_memory};
use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::conv::{self, Geometry};
use crate::kernels::epilogue::Epilogue;
use crate::shape::Shape;
use crate::tensor::Tensor;

/// How a convolution is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConvAlgorithm {
    /// The quickest for its shape. For 3 x 3 and 5 x 5 filters of stride 1 over a dozen channels or more that is minimal
    /// filtering (Winograd; Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015), which rounds about
    /// ten times as much as the sum does: outputs are computed in tiles of 4 x 4, and the error of each is about 1e-6 of the
    /// largest product of a pixel and a weight in its tile (in `f32`; 1e-15 in `f64`), not of those that it sees itself.
    ///
    /// Where an output sees less than 1/64 of the tile's largest product (with a pixel's size the sum over its channels, and a
    /// tap's its largest weight), and where a pixel is not finite, the tile is computed as the sum is defined. So an output is
    /// off by less than 1e-3 of the products that it sees; one that sees zeros only is 0; and a NaN reaches its neighbours only.
    /// The filters' gradient is guarded as a whole. Where single channels or filters differ from the others, such as a filter
    /// that sees one channel which is bright in another place than the rest, the error is 1e-6 of that channel's largest
    /// product in the tile.
    #[default]
    Fastest,
    /// The sum as it is defined.
    Direct,
}

/// How a filter moves over `N` axes: those of a sequence, an image (rows, then columns) or a volume.
///
/// ```
/// use gradus_tensor::Conv2dOptions;
/// let o = Conv2dOptions::default().stride([2, 2]).padding([[1, 1], [1, 1]]);
/// assert_eq!(o.stride, [2, 2]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvOptions<const N: usize> {
    /// Places from one position of the filter to the next.
    pub stride: [usize; N],
    /// Zeros before and after each axis: `[[top, bottom], [left, right]]`.
    pub padding: [[usize; 2]; N],
    /// Places from one tap of the filter to the next.
    pub dilation: [usize; N],
    /// Parts that channels and filters are divided into, each seeing only its own.
    pub groups: usize,
    /// How it is computed.
    pub algorithm: ConvAlgorithm,
}

/// How a filter moves over an image.
pub type Conv2dOptions = ConvOptions<2>;

impl<const N: usize> Default for ConvOptions<N> {
    fn default() -> Self {
        Self { stride: [1; N], padding: [[0, 0]; N], dilation: [1; N], groups: 1, algorithm: ConvAlgorithm::Fastest }
    }
}

impl<const N: usize> ConvOptions<N> {
    /// With another stride.
    #[must_use]
    pub fn stride(self, stride: [usize; N]) -> Self {
        Self { stride, ..self }
    }

    /// With zeros before and after each axis: `[[top, bottom], [left, right]]`.
    #[must_use]
    pub fn padding(self, padding: [[usize; 2]; N]) -> Self {
        Self { padding, ..self }
    }

    /// With gaps between the filter's taps.
    #[must_use]
    pub fn dilation(self, dilation: [usize; N]) -> Self {
        Self { dilation, ..self }
    }

    /// With channels and filters in groups.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// Computed in this way.
    #[must_use]
    pub fn algorithm(self, algorithm: ConvAlgorithm) -> Self {
        Self { algorithm, ..self }
    }

    /// With "same" padding for an input of these sizes, as Keras defines it: the output has
    /// `ceil(size / stride)` places along each axis, and an odd number of zeros has the extra one at the end (bottom, right).
    ///
    /// # Panics
    /// When sizes, kernel or dilation are larger than those of any image.
    #[must_use]
    #[track_caller]
    pub fn same(self, sizes: [usize; N], kernel: [usize; N]) -> Self {
        let mut padding = [[0, 0]; N];
        for (a, padding) in padding.iter_mut().enumerate() {
            *padding = same_padding("same", sizes[a], kernel[a], self.stride[a], self.dilation[a]).or_panic();
        }
        Self { padding, ..self }
    }
}

/// The zeros before and after an axis of "same" padding, as Keras defines it: the output has `ceil(size / stride)` places,
/// and an odd number of zeros has the extra one at the end.
///
/// # Errors
/// When a number is larger than that of any picture; the error is one of the operation `op`.
///
/// ```
/// use gradus_tensor::same_padding;
/// assert_eq!(same_padding("conv2d", 5, 4, 1, 1), Ok([1, 2]));
/// assert!(same_padding("conv2d", 5, 3, 1, usize::MAX).is_err());
/// ```
pub fn same_padding(
    op: &'static str,
    size: usize,
    kernel: usize,
    stride: usize,
    dilation: usize,
) -> Result<[usize; 2], ShapeError> {
    let reach = window_reach(op, kernel, dilation)?;
    if size > LARGEST {
        return Err(ShapeError::new(op, format!("a size of {size} is too large")));
    }
    // The last position begins before the end, so this is no larger than both together.
    let (stride, out) = (stride.max(1), size.div_ceil(stride.max(1)));
    let total = (out.saturating_sub(1) * stride + reach).saturating_sub(size);
    Ok([total / 2, total - total / 2])
}

/// How many places a window of `kernel` taps reaches over: `dilation (kernel - 1) + 1`.
///
/// # Errors
/// When it is larger than any picture; the error is one of the operation `op`.
pub fn window_reach(op: &'static str, kernel: usize, dilation: usize) -> Result<usize, ShapeError> {
    let reach = kernel.saturating_sub(1).checked_mul(dilation).filter(|&n| n < LARGEST && dilation <= LARGEST);
    reach.map(|n| n + 1).ok_or_else(|| ShapeError::new(op, format!("a kernel of {kernel} with dilation {dilation} is too large")))
}

/// How many positions a window of `kernel` taps has along the `lines` ("rows" or "columns") of a picture, or what is
/// wrong. `extra` is what the last window may reach over the padded edge.
pub(crate) fn positions(
    lines: &str,
    size: usize,
    kernel: usize,
    stride: usize,
    padding: [usize; 2],
    dilation: usize,
    extra: usize,
) -> Result<usize, String> {
    if kernel == 0 || stride == 0 || dilation == 0 {
        return Err(format!("kernel {kernel}, stride {stride}, dilation {dilation} along the {lines}; each must be 1 or more"));
    }
    let padded = size.checked_add(padding[0]).and_then(|n| n.checked_add(padding[1])).filter(|&n| n <= LARGEST);
    let reach = window_reach("", kernel, dilation).ok();
    let (Some(padded), Some(reach), true) = (padded, reach, stride <= LARGEST) else {
        let window = format!("kernel {kernel}, stride {stride}, dilation {dilation}");
        return Err(format!("{size} {lines} with padding {padding:?}, {window}: too large"));
    };
    if padded + extra < reach {
        return Err(format!("a window of {reach} {lines} is larger than {size} {lines} with padding {padding:?}"));
    }
    Ok((padded + extra - reach) / stride + 1)
}

/// More rows or columns than any picture has, and few enough for sums of them not to overflow.
const LARGEST: usize = isize::MAX as usize / 4;

fn geometry(op: &'static str, x: &[usize], w: &[usize], o: &Conv2dOptions) -> Result<Geometry, ShapeError> {
    let (&[batch, channels, height, width], &[filters, group_channels, kh, kw]) = (x, w) else {
        let detail = format!("input {x:?} and filters {w:?}; wanted [N, C, H, W] and [F, C / groups, KH, KW]");
        return Err(ShapeError::new(op, detail));
    };
    let groups = o.groups;
    if groups == 0 || channels % groups != 0 || filters % groups != 0 {
        let detail = format!(
            "{channels} channels of input {x:?} and {filters} filters {w:?} in {groups} groups: both numbers must divide by \
             the groups"
        );
        return Err(ShapeError::new(op, detail));
    }
    if channels / groups != group_channels {
        let detail = format!(
            "input {x:?} has {channels} channels, filters {w:?} in {groups} group(s) take {}; filters [F, {}, {kh}, {kw}] would \
             fit",
            group_channels.saturating_mul(groups),
            channels / groups
        );
        return Err(ShapeError::new(op, detail));
    }
    let along = |axis: usize| {
        let (lines, size, kernel) = [("rows", height, kh), ("columns", width, kw)][axis];
        positions(lines, size, kernel, o.stride[axis], o.padding[axis], o.dilation[axis], 0)
            .map_err(|why| ShapeError::new(op, format!("input {x:?} and filters {w:?}: {why}")))
    };
    let output = [along(0)?, along(1)?];
    let g = Geometry {
        batch,
        channels,
        filters,
        groups,
        input: [height, width],
        output,
        kernel: [kh, kw],
        // From one position there is no step to another, however wide it is.
        stride: [0, 1].map(|axis| if output[axis] == 1 { 1 } else { o.stride[axis] }),
        dilation: o.dilation,
        // `positions` has checked that they are small.
        padding: o.padding.map(|[before, _]| before as isize),
        direct: o.algorithm == ConvAlgorithm::Direct,
    };
    if g.unfolded().is_none() {
        return Err(ShapeError::new(op, format!("input {x:?} and filters {w:?} with {o:?}: too large")));
    }
    output_shape(&g).checked(op)?;
    Ok(g)
}

fn output_shape(g: &Geometry) -> Shape {
    Shape::from([g.batch, g.filters, g.output[0], g.output[1]])
}

/// An error unless there is memory for what a kernel needs beside the tensors.
fn check_work<T: Float>(op: &'static str, g: &Geometry) -> Result<(), ShapeError> {
    let n = g.work();
    if has_room::<T>(n) {
        return Ok(());
    }
    Err(ShapeError::new(op, format!("the padded picture or its patches: {}", no_memory::<T>(n))))
}

/// The shape of a convolution: `[N, F, OH, OW]` from an input `[N, C, H, W]` and filters `[F, C / groups, KH, KW]`, with
/// `OH = (H + top + bottom - dilation (KH - 1) - 1) / stride + 1`.
///
/// # Errors
/// When channels do not fit the filters and groups, the filter is larger than the padded picture, or the result is too
/// large for a tensor.
pub fn conv2d_shape(x: &[usize], w: &[usize], o: &Conv2dOptions) -> Result<Shape, ShapeError> {
    let g = geometry("conv2d", x, w, o)?;
    Ok(output_shape(&g))
}

/// An error unless `gy` has the shape that the convolution's result has.
fn check_gradient(op: &'static str, gy: &[usize], g: &Geometry) -> Result<(), ShapeError> {
    let wanted = [g.batch, g.filters, g.output[0], g.output[1]];
    if gy == wanted {
        return Ok(());
    }
    Err(ShapeError::new(op, format!("the gradient has shape {gy:?}, the convolution's result {wanted:?}")))
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The convolution of pictures `[N, C, H, W]` with filters `[F, C / groups, KH, KW]`, giving `[N, F, OH, OW]`:
    /// a cross-correlation, as in every deep-learning framework.
    ///
    /// # Panics
    /// As [`conv2d_shape`] has errors.
    ///
    /// ```
    /// use gradus_tensor::{Conv2dOptions, Tensor};
    /// let x = Tensor::<f32>::from([[[[1., 2., 3., 0.], [0., 1., 2., 3.], [3., 0., 1., 2.], [2., 3., 0., 1.]]]]);
    /// let w = Tensor::<f32>::from([[[[2., 0., 1.], [0., 1., 2.], [1., 0., 2.]]]]);
    /// let y = x.conv2d(&w, Conv2dOptions::default());
    /// assert_eq!(y, Tensor::from([[[[15., 16.], [6., 15.]]]]));
    /// ```
    #[doc(alias = "conv_general_dilated")]
    #[track_caller]
    pub fn conv2d(&self, w: &Tensor<T>, o: Conv2dOptions) -> Tensor<T> {
        let g = geometry("conv2d", &self.shape, &w.shape, &o).or_panic();
        self.convolved("conv2d", &g, w, None, false)
    }

    /// `max(x * w + b, 0)`, where `*` is [`conv2d`](Self::conv2d), and `b` of `[F]` is added to each filter's outputs: in one
    /// pass.
    ///
    /// # Panics
    /// As [`conv2d_shape`] has errors, and when there is not one number of `b` for each filter.
    ///
    /// ```
    /// use gradus_tensor::{Conv2dOptions, Tensor};
    /// let (x, w) = (Tensor::<f32>::from([[[[1., 2., 3.]]]]), Tensor::from([[[[2.]]]]));
    /// let y = x.conv2d_relu(&w, Some(&Tensor::from([-3.])), Conv2dOptions::default());
    /// assert_eq!(y, Tensor::from([[[[0., 1., 3.]]]]));
    /// ```
    #[track_caller]
    pub fn conv2d_relu(&self, w: &Tensor<T>, b: Option<&Tensor<T>>, o: Conv2dOptions) -> Tensor<T> {
        let g = geometry("conv2d_relu", &self.shape, &w.shape, &o).or_panic();
        if let Some(b) = b.filter(|b| *b.shape() != [g.filters]) {
            let detail = format!("a bias of shape {} for filters {}; wanted [{}]", b.shape, w.shape, g.filters);
            Err(ShapeError::new("conv2d_relu", detail)).or_panic()
        }
        self.convolved("conv2d_relu", &g, w, b, true)
    }

    #[track_caller]
    fn convolved(&self, op: &'static str, g: &Geometry, w: &Tensor<T>, b: Option<&Tensor<T>>, relu: bool) -> Tensor<T> {
        check_work::<T>(op, g).or_panic();
        let (x, w, b) = (self.contiguous(), w.contiguous(), b.map(|b| b.contiguous()));
        let (x, w) = (x.as_slice().expect("contiguous"), w.as_slice().expect("contiguous"));
        let end = Epilogue { bias: b.as_ref().map(|b| b.as_slice().expect("contiguous")), relu };
        Tensor::build_for(op, output_shape(g), |y| conv::forward(g, x, w, end, y))
    }

    /// The gradient of [`conv2d`](Self::conv2d) with respect to its input, for this gradient of its result: the
    /// transposed convolution.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    #[track_caller]
    pub fn conv2d_input_grad(&self, w: &Tensor<T>, input_shape: impl Into<Shape>, o: Conv2dOptions) -> Tensor<T> {
        let shape = input_shape;
        let g = geometry("conv2d_input_grad", &shape, &w.shape, &o).or_panic();
        check_work::<T>("conv2d_input_grad", &g).or_panic();
        check_gradient("conv2d_input_grad", &self.shape, &g).or_panic();
        let (gy, w) = (self.contiguous(), w.contiguous());
        let (gy, w) = (gy.as_slice().expect("contiguous"), w.as_slice().expect("contiguous"));
        Tensor::build_for("conv2d_input_grad", shape, |gx| conv::input_grad(&g, gy, w, gx))
    }

    /// The gradient of [`conv2d`](Self::conv2d) of this input with respect to the filters, for a gradient `gy` of its
    /// result.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    #[track_caller]
    pub fn conv2d_weight_grad(&self, gy: &Tensor<T>, weight_shape: impl Into<Shape>, o: Conv2dOptions) -> Tensor<T> {
        let shape = weight_shape;
        let g = geometry("conv2d_weight_grad", &self.shape, &shape, &o).or_panic();
        check_work::<T>("conv2d_weight_grad", &g).or_panic();
        check_gradient("conv2d_weight_grad", &gy.shape, &g).or_panic();
        let (x, gy) = (self.contiguous(), gy.contiguous());
        let (x, gy) = (x.as_slice().expect("contiguous"), gy.as_slice().expect("contiguous"));
        Tensor::build_for("conv2d_weight_grad", shape, |gw| conv::weight_grad(&g, x, gy, gw))
    }

    /// The gradients of [`conv2d`](Self::conv2d) of this input with respect to it and to the filters `w`, for a gradient `gy` of
    /// its result: as [`conv2d_input_grad`](Self::conv2d_input_grad) and [`conv2d_weight_grad`](Self::conv2d_weight_grad), in one
    /// pass over `gy` where that is quicker.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    ///
    /// ```
    /// use gradus_tensor::{Conv2dOptions, Tensor};
    /// let (x, w) = (Tensor::from([[[[1.0f32, 2.0, 3.0]]]]), Tensor::from([[[[4.0, 5.0]]]]));
    /// let [gx, gw] = x.conv2d_grads(&w, &Tensor::from([[[[1.0, 10.0]]]]), Conv2dOptions::default());
    /// assert_eq!(gx.to_vec(), [4.0, 45.0, 50.0]);
    /// assert_eq!(gw.to_vec(), [21.0, 32.0]);
    /// ```
    #[track_caller]
    pub fn conv2d_grads(&self, w: &Tensor<T>, gy: &Tensor<T>, o: Conv2dOptions) -> [Tensor<T>; 2] {
        let g = geometry("conv2d_grads", &self.shape, &w.shape, &o).or_panic();
        check_work::<T>("conv2d_grads", &g).or_panic();
        check_gradient("conv2d_grads", &gy.shape, &g).or_panic();
        let given = [self.contiguous(), gy.contiguous(), w.contiguous()];
        let given = given.each_ref().map(|t| t.as_slice().expect("contiguous"));
        let mut gw = Tensor::build_for("conv2d_grads", w.shape.clone(), |_| ());
        let gx = Tensor::build_for("conv2d_grads", self.shape.clone(), |gx| conv::grads(&g, given, gx, gw.as_mut_slice()));
        [gx, gw]
    }
}
