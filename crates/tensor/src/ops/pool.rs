//! Two-dimensional pooling.

use super::conv::positions;
use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::pool::{self, Geometry};
use crate::shape::Shape;
use crate::tensor::Tensor;

/// How a pooling window moves over `N` axes: those of a sequence, an image (rows, then columns) or a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolOptions<const N: usize> {
    /// The window.
    pub kernel: [usize; N],
    /// Places from one window to the next.
    pub stride: [usize; N],
    /// Before and after each axis, `[[top, bottom], [left, right]]`: minus infinity to a maximum, zeros to an average. At most
    /// half of the window, gaps included.
    pub padding: [[usize; 2]; N],
    /// Places from one element of the window to the next; for maxima only.
    pub dilation: [usize; N],
    /// Whether windows that reach over the end of an axis count too, unless they start behind it.
    pub ceil_mode: bool,
    /// Whether an average counts the zeros of the padding.
    pub count_include_pad: bool,
}

/// How a pooling window moves over an image.
pub type Pool2dOptions = PoolOptions<2>;

impl<const N: usize> PoolOptions<N> {
    /// Windows of one size along all axes, side by side.
    pub fn new(kernel: usize) -> Self {
        Self::rectangle([kernel; N])
    }

    /// Windows of any size side by side.
    pub fn rectangle(kernel: [usize; N]) -> Self {
        let padding = [[0, 0]; N];
        Self { kernel, stride: kernel, padding, dilation: [1; N], ceil_mode: false, count_include_pad: true }
    }

    /// With another stride.
    #[must_use]
    pub fn stride(self, stride: [usize; N]) -> Self {
        Self { stride, ..self }
    }

    /// With padding: `[[top, bottom], [left, right]]`.
    #[must_use]
    pub fn padding(self, padding: [[usize; 2]; N]) -> Self {
        Self { padding, ..self }
    }
}

/// How many windows there are along one axis, as PyTorch counts them: in ceil mode windows may reach over the end by
/// less than a stride, and one that starts in the padding after the end is left out.
fn windows(lines: &str, size: usize, axis: usize, o: &Pool2dOptions) -> Result<usize, String> {
    let (kernel, stride, dilation, padding) = (o.kernel[axis], o.stride[axis], o.dilation[axis], o.padding[axis]);
    let extra = if o.ceil_mode { stride.saturating_sub(1) } else { 0 };
    let n = positions(lines, size, kernel, stride, padding, dilation, extra)?;
    let reach = dilation * (kernel - 1) + 1;
    if padding.iter().any(|p| p * 2 > reach) {
        return Err(format!("padding {padding:?} of the {lines}; at most half of the window of {reach} is allowed"));
    }
    if size == 0 {
        return Err(format!("0 {lines}; wanted 1 or more"));
    }
    Ok(if o.ceil_mode && (n - 1) * stride >= size + padding[0] { n - 1 } else { n })
}

fn geometry(op: &'static str, x: &[usize], o: &Pool2dOptions) -> Result<Geometry, ShapeError> {
    let &[_, _, height, width] = x else {
        return Err(ShapeError::new(op, format!("input {x:?}; wanted [N, C, H, W]")));
    };
    let wrong = |why: String| ShapeError::new(op, format!("input {x:?}: {why}"));
    if height.checked_mul(width).is_none_or(|plane| i32::try_from(plane).is_err()) {
        return Err(wrong(format!("planes of more than {} pixels", i32::MAX)));
    }
    let g = Geometry {
        height,
        width,
        kernel: o.kernel,
        stride: o.stride,
        dilation: o.dilation,
        padding: [o.padding[0][0], o.padding[1][0]],
        padding_end: [o.padding[0][1], o.padding[1][1]],
        out_height: windows("rows", height, 0, o).map_err(wrong)?,
        out_width: windows("columns", width, 1, o).map_err(wrong)?,
        count_include_pad: o.count_include_pad,
    };
    for (axis, lines) in ["rows", "columns"].into_iter().enumerate() {
        if !g.sees_pixels(axis) {
            return Err(wrong(format!("a window of {lines} sees nothing but padding")));
        }
    }
    Shape::from([x[0], x[1], g.out_height, g.out_width]).checked(op)?;
    Ok(g)
}

/// The shape of a pooling of `[N, C, H, W]`.
///
/// # Errors
/// When the window is larger than the padded picture, the padding larger than half of the window, or a window sees
/// nothing but padding.
pub fn pool2d_shape(x: &[usize], o: &Pool2dOptions) -> Result<Shape, ShapeError> {
    let g = geometry("pool2d", x, o)?;
    Ok(Shape::from([x[0], x[1], g.out_height, g.out_width]))
}

fn average_geometry(op: &'static str, x: &[usize], o: &Pool2dOptions) -> Result<Geometry, ShapeError> {
    if o.dilation != [1, 1] {
        return Err(ShapeError::new(op, format!("dilation {:?}; averages take none", o.dilation)));
    }
    geometry(op, x, o)
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The largest of each window of pictures `[N, C, H, W]`; NaN before any number.
    ///
    /// # Panics
    /// As [`pool2d_shape`] has errors.
    ///
    /// ```
    /// use gradus_tensor::{Pool2dOptions, Tensor};
    /// let x = Tensor::<f32>::from([[[[1., 2., 0., 0.], [3., 4., 0., 9.]]]]);
    /// assert_eq!(x.max_pool2d(Pool2dOptions::new(2)).to_vec(), [4., 9.]);
    /// ```
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn max_pool2d(&self, o: Pool2dOptions) -> Tensor<T> {
        self.max_pool2d_with_indices(o).0
    }

    /// As [`max_pool2d`](Self::max_pool2d), with the place `h · W + w` of each maximum in its plane; of equals the first.
    ///
    /// # Panics
    /// As [`pool2d_shape`] has errors.
    ///
    /// ```
    /// use gradus_tensor::{Pool2dOptions, Tensor};
    /// let x = Tensor::<f32>::from([[[[1., 2., 0., 0.], [3., 4., 0., 9.]]]]);
    /// let (y, index) = x.max_pool2d_with_indices(Pool2dOptions::new(2));
    /// assert_eq!((y.to_vec(), index.to_vec()), (vec![4., 9.], vec![5, 7]));
    /// ```
    #[track_caller]
    pub fn max_pool2d_with_indices(&self, o: Pool2dOptions) -> (Tensor<T>, Tensor<i32>) {
        let g = geometry("max_pool2d", &self.shape, &o).or_panic();
        let shape = [self.shape[0], self.shape[1], g.out_height, g.out_width];
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        let mut y = Tensor::zeros([0]);
        let index = Tensor::build_for("max_pool2d", shape, |index| {
            y = Tensor::build_for("max_pool2d", shape, |y| pool::max(&g, x, y, index));
        });
        (y, index)
    }

    /// Adds this, at the places in `index`, to zeros of `input_shape`: the adjoint of
    /// [`pool_gather`](Self::pool_gather), and the gradient of [`max_pool2d`](Self::max_pool2d).
    ///
    /// # Panics
    /// When the shapes do not belong together, or an index is outside the plane.
    #[track_caller]
    pub fn pool_scatter(&self, index: &Tensor<i32>, input_shape: impl Into<Shape>) -> Tensor<T> {
        let shape = input_shape.checked("pool_scatter").or_panic();
        check_index("pool_scatter", &shape, &self.shape, index).or_panic();
        let (gy, index) = (self.contiguous(), index.contiguous());
        let (gy, index) = (gy.as_slice().expect("contiguous"), index.as_slice().expect("contiguous"));
        let (plane, out_plane) = (shape[2] * shape[3], self.shape[2] * self.shape[3]);
        let mut done = Ok(());
        let gx = Tensor::build_for("pool_scatter", shape, |gx| done = pool::scatter(plane, out_plane, gy, index, gx));
        done.map_err(|index| outside("pool_scatter", index, plane)).or_panic();
        gx
    }

    /// Picks the pixels of each plane at the places in `index`, `[N, C, OH, OW]`.
    ///
    /// # Panics
    /// When the shapes do not belong together, or an index is outside the plane.
    #[track_caller]
    pub fn pool_gather(&self, index: &Tensor<i32>) -> Tensor<T> {
        check_index("pool_gather", &self.shape, &index.shape, index).or_panic();
        let (x, index) = (self.contiguous(), index.contiguous());
        let (x, picks) = (x.as_slice().expect("contiguous"), index.as_slice().expect("contiguous"));
        let (plane, out_plane) = (self.shape[2] * self.shape[3], index.shape[2] * index.shape[3]);
        let mut done = Ok(());
        let y = Tensor::build_for("pool_gather", index.shape.clone(), |y| done = pool::gather(plane, out_plane, x, picks, y));
        done.map_err(|index| outside("pool_gather", index, plane)).or_panic();
        y
    }

    /// The mean of each window of pictures `[N, C, H, W]`.
    ///
    /// # Panics
    /// As [`pool2d_shape`] has errors.
    #[track_caller]
    pub fn avg_pool2d(&self, o: Pool2dOptions) -> Tensor<T> {
        let g = average_geometry("avg_pool2d", &self.shape, &o).or_panic();
        let x = self.contiguous();
        let x = x.as_slice().expect("contiguous");
        Tensor::build_for("avg_pool2d", [self.shape[0], self.shape[1], g.out_height, g.out_width], |y| pool::average(&g, x, y))
    }

    /// The gradient of [`avg_pool2d`](Self::avg_pool2d) with respect to its input, for this gradient of its result.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn avg_pool2d_grad(&self, input_shape: impl Into<Shape>, o: Pool2dOptions) -> Tensor<T> {
        let shape = input_shape;
        let g = average_geometry("avg_pool2d_grad", &shape, &o).or_panic();
        let wanted = [shape[0], shape[1], g.out_height, g.out_width];
        if self.shape != wanted {
            let detail = format!("the gradient has shape {}, the pooling's result {wanted:?}", self.shape);
            Err(ShapeError::new("avg_pool2d_grad", detail)).or_panic()
        }
        let gy = self.contiguous();
        let gy = gy.as_slice().expect("contiguous");
        Tensor::build_for("avg_pool2d_grad", shape, |gx| pool::average_grad(&g, gy, gx))
    }
}

#[cold]
fn outside(op: &'static str, index: i32, plane: usize) -> ShapeError {
    ShapeError::new(op, format!("index {index} is outside a plane of {plane} pixels"))
}

fn check_index(op: &'static str, input: &[usize], output: &[usize], index: &Tensor<i32>) -> Result<(), ShapeError> {
    let fits = input.len() == 4 && output.len() == 4 && input[..2] == output[..2] && index.shape == *output;
    if fits {
        return Ok(());
    }
    let detail =
        format!("input {input:?}, output {output:?}, indices {}; wanted [N, C, H, W] and twice [N, C, OH, OW]", index.shape);
    Err(ShapeError::new(op, detail))
}
