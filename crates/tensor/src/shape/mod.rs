//! Shapes, axes, and the rules by which shapes combine.

mod axes;
mod dims;

pub use axes::{AnyAxes, AnyAxis, Axes, Axis};
pub use dims::{AnyDims, DimList, Dims};

use crate::error::{OrPanic, ShapeError};
use smallvec::SmallVec;
use std::fmt;
use std::ops::{Deref, DerefMut};

/// The sizes of a tensor's axes, outermost first, as in `[N, C, H, W]`.
///
/// Built from arrays, slices and vectors of `usize`; `[]` is the shape of a scalar.
///
/// A `Shape` is a list of any numbers, but a tensor has no shape that spans more than [`MAX_NUMEL`](Self::MAX_NUMEL)
/// elements, with axes of size 0 counted as 1 (as in NumPy). So sizes, strides and byte counts of tensors never
/// overflow, also where no memory stands behind them: in broadcast tensors, and in empty ones.
///
/// ```
/// use gradus_tensor::Shape;
/// let s = Shape::from([2, 3, 4]);
/// assert_eq!(s.numel(), 24);
/// assert_eq!(s.rank(), 3);
/// assert_eq!(s.strides()[..], [12, 4, 1]);
/// ```
#[derive(Eq, Default)]
pub struct Shape(SmallVec<[usize; INLINE]>);

/// So many axes lie within the shape itself: as many as let a variable stay below 128 bytes, up to which compilers move
/// values without a call.
const INLINE: usize = 5;

/// Steps in elements from one index of an axis to the next; negative after a flip, 0 where broadcast.
pub type Strides = SmallVec<[isize; INLINE]>;

/// A list of axis numbers.
pub type AxisList = SmallVec<[usize; 6]>;

/// The number of elements of a tensor of this shape, or `None` when it is no tensor's shape: when it spans more than
/// [`Shape::MAX_NUMEL`] elements, with axes of size 0 counted as 1.
///
/// ```
/// use gradus_tensor::shape::checked_numel;
/// assert_eq!(checked_numel(&[2, 3]), Some(6));
/// assert_eq!(checked_numel(&[0, 3]), Some(0));
/// assert_eq!(checked_numel(&[1 << 32, 1 << 32]), None);
/// assert_eq!(checked_numel(&[0, 1 << 32, 1 << 32]), None);
/// ```
#[inline]
pub fn checked_numel(shape: &[usize]) -> Option<usize> {
    let (mut span, mut numel) = (1usize, 1);
    for &n in shape {
        span = span.checked_mul(n.max(1))?;
        numel *= n;
    }
    (span <= Shape::MAX_NUMEL).then_some(numel)
}

impl Shape {
    /// The most elements that a tensor spans: as many numbers of 8 bytes as an address space holds, `2^60 - 1`.
    pub const MAX_NUMEL: usize = isize::MAX as usize / 8;

    /// The product of all sizes; 1 for a scalar.
    ///
    /// # Panics
    /// When the shape spans more than [`MAX_NUMEL`](Self::MAX_NUMEL) elements; [`checked_numel`] is the check.
    #[inline]
    #[track_caller]
    pub fn numel(&self) -> usize {
        match checked_numel(self) {
            Some(n) => n,
            None => Err(self.too_large("numel")).or_panic(),
        }
    }

    /// The product of all sizes of a tensor's shape, which is known to fit.
    #[inline]
    pub(crate) fn product(&self) -> usize {
        self.0.iter().product()
    }

    /// This shape, or an error of the operation `op` when it spans more than [`MAX_NUMEL`](Self::MAX_NUMEL) elements.
    ///
    /// ```
    /// use gradus_tensor::Shape;
    /// let err = Shape::from([1 << 62, 4]).checked("zeros").unwrap_err();
    /// assert!(err.to_string().starts_with("zeros: shape [4611686018427387904, 4] is too large"));
    /// ```
    #[inline]
    pub fn checked(self, op: &'static str) -> Result<Self, ShapeError> {
        match checked_numel(&self) {
            Some(_) => Ok(self),
            None => Err(self.too_large(op)),
        }
    }

    #[cold]
    pub(crate) fn too_large(&self, op: &'static str) -> ShapeError {
        let most = Self::MAX_NUMEL;
        ShapeError::new(op, format!("shape {self} is too large; tensors have at most {most} elements, a size of 0 counted as 1"))
    }

    /// How many axes there are.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Row-major strides, in elements.
    ///
    /// # Panics
    /// When the shape spans more than [`MAX_NUMEL`](Self::MAX_NUMEL) elements.
    #[track_caller]
    pub fn strides(&self) -> Strides {
        if checked_numel(self).is_none() {
            Err(self.too_large("strides")).or_panic()
        }
        self.row_major()
    }

    /// [`strides`](Self::strides) of a tensor's shape, which is known to fit.
    pub(crate) fn row_major(&self) -> Strides {
        let (rank, room) = (self.rank(), [1; INLINE]);
        let mut strides = if rank <= room.len() { Strides::from_buf_and_len(room, rank) } else { Strides::from_elem(1, rank) };
        for axis in (1..rank).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis].max(1) as isize;
        }
        strides
    }

    /// Adds an axis of size `n` before axis `at`; `at` may be the number of axes.
    ///
    /// # Panics
    /// When `at` is larger.
    #[track_caller]
    pub fn insert(&mut self, at: usize, n: usize) {
        at.resolve("insert", self.rank() + 1).or_panic();
        self.0.insert(at, n);
    }

    /// Removes axis `at` and returns its size.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn remove(&mut self, at: usize) -> usize {
        at.resolve("remove", self.rank()).or_panic();
        self.0.remove(at)
    }

    /// Adds an innermost axis of size `n`.
    pub fn push(&mut self, n: usize) {
        self.0.push(n);
    }
}

/// A loop of its own: a comparison of few numbers should not call a function.
impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }
}

impl std::hash::Hash for Shape {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl Clone for Shape {
    #[inline]
    fn clone(&self) -> Self {
        Self(copied(&self.0))
    }
}

/// SmallVec's own clone goes by element, and a copy of few numbers should not call a function.
#[inline]
pub(crate) fn copied<T: Copy + Default>(v: &SmallVec<[T; INLINE]>) -> SmallVec<[T; INLINE]> {
    let mut room = [T::default(); INLINE];
    if v.len() > INLINE {
        return SmallVec::from_slice(v);
    }
    for (i, slot) in room.iter_mut().enumerate() {
        if i < v.len() {
            *slot = v[i];
        }
    }
    SmallVec::from_buf_and_len(room, v.len())
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl DerefMut for Shape {
    #[inline]
    fn deref_mut(&mut self) -> &mut [usize] {
        &mut self.0
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[inline]
    fn from(s: [usize; N]) -> Self {
        Self(SmallVec::from_slice(&s))
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    fn from(s: &[usize; N]) -> Self {
        Self(SmallVec::from_slice(s))
    }
}

impl From<&[usize]> for Shape {
    #[inline]
    fn from(s: &[usize]) -> Self {
        Self(SmallVec::from_slice(s))
    }
}

impl From<Vec<usize>> for Shape {
    fn from(s: Vec<usize>) -> Self {
        Self(SmallVec::from_vec(s))
    }
}

impl From<&Shape> for Shape {
    fn from(s: &Shape) -> Self {
        s.clone()
    }
}

impl From<usize> for Shape {
    fn from(n: usize) -> Self {
        Self::from([n])
    }
}

impl FromIterator<usize> for Shape {
    fn from_iter<I: IntoIterator<Item = usize>>(it: I) -> Self {
        Self(it.into_iter().collect())
    }
}

impl PartialEq<[usize]> for Shape {
    fn eq(&self, other: &[usize]) -> bool {
        self.0[..] == *other
    }
}

impl<const N: usize> PartialEq<[usize; N]> for Shape {
    fn eq(&self, other: &[usize; N]) -> bool {
        self.0[..] == other[..]
    }
}

/// The shape two operands share after broadcasting, by NumPy's rule: aligned at the last axis, sizes
/// must be equal or one of them 1.
///
/// # Errors
/// When the sizes do not agree, or the shared shape is too large for a tensor.
#[doc(alias = "broadcast_tensors")]
pub fn broadcast_shapes(op: &'static str, a: &[usize], b: &[usize]) -> Result<Shape, ShapeError> {
    if a == b {
        return Shape::from(a).checked(op);
    }
    let rank = a.len().max(b.len());
    let mut out = Shape(SmallVec::from_elem(1, rank));
    for i in 1..=rank {
        let x = if i <= a.len() { a[a.len() - i] } else { 1 };
        let y = if i <= b.len() { b[b.len() - i] } else { 1 };
        out[rank - i] = match (x, y) {
            _ if x == y => x,
            (1, _) => y,
            (_, 1) => x,
            _ => {
                let detail = format!(
                    "shapes {a:?} and {b:?} do not broadcast: axis -{i} is {x} against {y}; sizes must be equal, or one of them 1"
                );
                return Err(ShapeError::new(op, detail));
            }
        };
    }
    out.checked(op)
}

/// The shape left by reducing `axes` of `shape`; with `keep`, they stay as size 1.
pub fn reduced_shape(shape: &[usize], axes: &[usize], keep: bool) -> Shape {
    shape
        .iter()
        .enumerate()
        .filter_map(|(i, &n)| match (axes.contains(&i), keep) {
            (false, _) => Some(n),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
}

/// `shape` with the axes from `start` on as one; that of a scalar is of size 1.
///
/// # Errors
/// When there is no such axis, or the shape is too large for a tensor; the error is one of the operation `op`.
pub fn flattened(op: &'static str, shape: &[usize], start: impl Axis) -> Result<Shape, ShapeError> {
    let start = start.resolve(op, shape.len().max(1))?;
    let joined = shape[start..].iter().fold(1, |product: usize, &n| product.saturating_mul(n));
    shape[..start].iter().copied().chain([joined]).collect::<Shape>().checked(op)
}
