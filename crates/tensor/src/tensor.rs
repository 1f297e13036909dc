//! The tensor itself: a window onto a shared buffer.

use crate::buffer::{Buffer, no_memory};
use crate::compiled_once::compiled_once;
use crate::element::Element;
use crate::error::{OrPanic, ShapeError};
use crate::kernels::strided;
use crate::shape::{Axis, Shape, Strides, checked_numel, copied};
use std::sync::Arc;

/// An n-dimensional array: a shape and strides over a shared buffer.
///
/// Cloning is cheap and shares the buffer, as do views ([`permute`](Self::permute),
/// [`slice`](Self::slice), [`expand`](Self::expand) …). Values behave as values all the same: writing
/// through one tensor never changes another, because a shared buffer is copied before it is written.
///
/// ```
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
/// let y = 2.0 * &x.t() + 1.0;
/// assert_eq!(y, Tensor::from([[3.0, 7.0], [5.0, 9.0]]));
/// ```
pub struct Tensor<T: Element = f32> {
    pub(crate) buffer: Arc<Buffer<T>>,
    pub(crate) shape: Shape,
    pub(crate) strides: Strides,
    pub(crate) offset: usize,
}

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// A tensor of `shape` over `data` in row-major order.
    ///
    /// # Panics
    /// When `data` has not exactly as many elements as the shape.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from_vec(vec![1, 2, 3, 4, 5, 6], [2, 3]);
    /// assert_eq!(x.at([1, 0]), 4);
    /// ```
    #[doc(alias("tensor", "as_tensor", "array", "asarray", "np.array"))]
    #[track_caller]
    pub fn from_vec(data: Vec<T>, shape: impl Into<Shape>) -> Self {
        Self::try_from_vec(data, shape).or_panic()
    }

    /// As [`from_vec`](Self::from_vec), with an error instead of a panic.
    pub fn try_from_vec(data: Vec<T>, shape: impl Into<Shape>) -> Result<Self, ShapeError> {
        let shape = shape.checked("from_vec")?;
        if shape.product() != data.len() {
            return Err(ShapeError::new("from_vec", format!("{} values do not fill the shape {shape}", data.len())));
        }
        Ok(Self::of_buffer(Buffer::from_vec(data), shape))
    }

    pub(crate) fn of_buffer(buffer: Buffer<T>, shape: Shape) -> Self {
        debug_assert_eq!(buffer.as_slice().len(), shape.product());
        let strides = shape.row_major();
        Self { buffer: Arc::new(buffer), shape, strides, offset: 0 }
    }

    /// A new row-major tensor whose elements `fill` must all write; it is handed a slice with
    /// unspecified values.
    ///
    /// # Panics
    /// When the shape is too large for a tensor ([`Shape::MAX_NUMEL`]), or the machine has no memory for it.
    #[inline]
    #[track_caller]
    pub fn build(shape: impl Into<Shape>, fill: impl FnOnce(&mut [T])) -> Self {
        Self::build_for("build", shape, fill)
    }

    /// [`build`](Self::build) on behalf of the operation `op`, which a panic names. Every tensor of a new shape is made
    /// here, so this is where shapes are checked.
    #[inline]
    #[track_caller]
    pub(crate) fn build_for(op: &'static str, shape: impl Into<Shape>, fill: impl FnOnce(&mut [T])) -> Self {
        let (mut buffer, shape) = Self::room(op, shape.into());
        fill(buffer.as_mut_slice());
        Self::of_buffer(buffer, shape)
    }

    #[track_caller]
    fn room(op: &'static str, shape: Shape) -> (Buffer<T>, Shape) {
        let Some(buffer) = checked_numel(&shape).and_then(Buffer::try_stale) else { no_room::<T>(op, &shape) };
        (buffer, shape)
    }

    /// The sizes of the axes.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Elements between neighbours along each axis.
    #[doc(alias = "stride")]
    #[inline]
    pub fn strides(&self) -> &Strides {
        &self.strides
    }

    /// How many axes there are.
    #[doc(alias = "ndim")]
    #[inline]
    pub fn rank(&self) -> usize {
        self.shape.rank()
    }

    /// How many elements there are.
    #[doc(alias = "nelement")]
    #[inline]
    pub fn numel(&self) -> usize {
        self.shape.product()
    }

    /// The size of one axis.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn size(&self, axis: impl Axis) -> usize {
        self.shape[axis.resolve("size", self.rank()).or_panic()]
    }

    /// Whether the elements lie in memory in row-major order without gaps.
    #[inline]
    pub fn is_contiguous(&self) -> bool {
        let mut step = 1isize;
        for (&n, &s) in self.shape.iter().zip(&self.strides).rev() {
            if n == 0 {
                return true;
            }
            if n != 1 {
                if s != step {
                    return false;
                }
                step *= n as isize;
            }
        }
        true
    }

    /// The elements in row-major order, if they lie so in memory.
    #[inline]
    pub fn as_slice(&self) -> Option<&[T]> {
        self.is_contiguous().then(|| &self.buffer.as_slice()[self.offset..self.offset + self.numel()])
    }

    /// This tensor, or a row-major copy of it when it is not row-major in memory.
    #[track_caller]
    pub fn contiguous(&self) -> Self {
        if self.is_contiguous() { self.clone() } else { self.copy_for("contiguous") }
    }

    /// A row-major copy in a buffer of its own.
    #[track_caller]
    pub fn copy(&self) -> Self {
        self.copy_for("copy")
    }

    /// [`copy`](Self::copy) on behalf of the operation `op`.
    #[track_caller]
    pub(crate) fn copy_for(&self, op: &'static str) -> Self {
        Self::build_for(op, self.shape.clone(), |out| strided::gather(self.raw(), &self.shape, &self.strides, self.offset, out))
    }

    /// The whole buffer that this tensor is a window of: index it with `offset` and `strides`.
    #[inline]
    pub(crate) fn raw(&self) -> &[T] {
        self.buffer.as_slice()
    }

    /// The elements in row-major order, in a vector.
    #[doc(alias("tolist", "numpy"))]
    #[track_caller]
    pub fn to_vec(&self) -> Vec<T> {
        match self.as_slice() {
            Some(s) => s.to_vec(),
            None => self.copy_for("to_vec").to_vec(),
        }
    }

    /// The elements in row-major order, for writing; a shared or strided buffer is copied first.
    #[track_caller]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        if !self.is_contiguous() || Arc::get_mut(&mut self.buffer).is_none() {
            *self = self.copy_for("as_mut_slice");
        }
        let (at, n) = (self.offset, self.numel());
        let buffer = Arc::get_mut(&mut self.buffer).expect("a fresh copy is not shared");
        &mut buffer.as_mut_slice()[at..at + n]
    }

    /// Whether this tensor could be written without copying: row-major, and its buffer not shared.
    pub(crate) fn is_writable(&mut self) -> bool {
        self.is_contiguous() && Arc::get_mut(&mut self.buffer).is_some()
    }

    /// This tensor by value, an empty one taking its place.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::replace(self, Self::of_buffer(Buffer::from_vec(vec![]), Shape::from([0])))
    }

    /// The element at `index`.
    ///
    /// # Panics
    /// When the index has not one number an axis, or lies outside.
    #[track_caller]
    pub fn at<const N: usize>(&self, index: [usize; N]) -> T {
        if index.len() != self.rank() || index.iter().zip(self.shape.iter()).any(|(i, n)| i >= n) {
            Err(ShapeError::new("at", format!("index {index:?} of a tensor of shape {}", self.shape))).or_panic()
        }
        let at: isize = index.iter().zip(&self.strides).map(|(&i, &s)| i as isize * s).sum();
        self.raw()[(self.offset as isize + at) as usize]
    }

    /// The only element of a tensor that has just one.
    ///
    /// # Panics
    /// When there are more, or none.
    #[track_caller]
    pub fn item(&self) -> T {
        if self.numel() != 1 {
            Err(ShapeError::new(
                "item",
                format!("a tensor of shape {} has {} elements; wanted exactly 1", self.shape, self.numel()),
            ))
            .or_panic()
        }
        self.raw()[self.offset]
    }

    /// How many bytes the elements take.
    pub fn nbytes(&self) -> usize {
        self.numel() * std::mem::size_of::<T>()
    }

    /// Whether both share one buffer, as a tensor and its view do.
    pub fn shares_buffer_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.buffer, &other.buffer)
    }

    /// How many views, this one included, share the buffer.
    pub fn buffer_owners(&self) -> usize {
        Arc::strong_count(&self.buffer)
    }
}

#[cold]
#[track_caller]
fn no_room<T>(op: &'static str, shape: &Shape) -> ! {
    let err = match checked_numel(shape) {
        None => shape.too_large(op),
        Some(n) => ShapeError::new(op, format!("a tensor of shape {shape}: {}", no_memory::<T>(n))),
    };
    Err(err).or_panic()
}

impl<T: Element> Clone for Tensor<T> {
    #[inline]
    fn clone(&self) -> Self {
        Self { buffer: self.buffer.clone(), shape: self.shape.clone(), strides: copied(&self.strides), offset: self.offset }
    }
}

/// Equal shapes and equal elements.
impl<T: Element> PartialEq for Tensor<T> {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        if self.shape != other.shape {
            return false;
        }
        let (a, b) = (self.contiguous(), other.contiguous());
        a.as_slice() == b.as_slice()
    }
}
