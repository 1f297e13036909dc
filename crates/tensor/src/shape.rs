//! Shapes, axes, and the rules by which shapes combine.

use crate::error::{OrPanic, ShapeError};
use smallvec::SmallVec;
use std::fmt;
use std::ops::{Deref, DerefMut, RangeFull};

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

/// One axis of any type, as it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnyAxis {
    /// Counted from the front.
    Unsigned(usize),
    /// Counted from the back when negative.
    Signed(isize),
}

impl Axis for AnyAxis {
    #[inline]
    fn index(self, rank: usize) -> Option<usize> {
        match self {
            Self::Unsigned(axis) => axis.index(rank),
            Self::Signed(axis) => axis.index(rank),
        }
    }
    #[inline]
    fn any(self) -> AnyAxis {
        self
    }
}

impl fmt::Display for AnyAxis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsigned(axis) => axis.fmt(f),
            Self::Signed(axis) => axis.fmt(f),
        }
    }
}

/// A set of axes of any type, as it was given.
#[derive(Clone, Debug)]
pub enum AnyAxes {
    /// `..`
    All,
    /// One number, or a list of numbers.
    List(SmallVec<[AnyAxis; 4]>),
}

impl AnyAxes {
    fn list<A: Axis>(list: &[A]) -> Self {
        Self::List(list.iter().map(|axis| axis.any()).collect())
    }
}

impl Axes for AnyAxes {
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        match self {
            Self::All => Ok((0..rank).collect()),
            Self::List(list) => resolve_list(list, op, rank),
        }
    }
    fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }
    fn any(&self) -> AnyAxes {
        self.clone()
    }
}

/// One axis, counted from the front, or from the back when negative.
pub trait Axis: Copy + fmt::Display {
    /// As it was given, in a type that holds axes of every type.
    fn any(self) -> AnyAxis;

    /// The axis as an index below `rank`, if there is such an axis.
    fn index(self, rank: usize) -> Option<usize>;

    /// The axis as an index below `rank`, or an error that names the allowed range.
    #[inline]
    fn resolve(self, op: &'static str, rank: usize) -> Result<usize, ShapeError> {
        self.index(rank).ok_or_else(|| no_such_axis(op, self, rank))
    }
}

#[cold]
fn no_such_axis(op: &'static str, axis: impl fmt::Display, rank: usize) -> ShapeError {
    let allowed = if rank == 0 { "there are none".to_owned() } else { format!("allowed are -{rank} to {}", rank - 1) };
    ShapeError::new(op, format!("axis {axis} of a tensor with {rank} axes; {allowed}"))
}

/// A set of axes: one number, an array or slice of numbers, or `..` for all of them.
pub trait Axes {
    /// As they were given, in a type that holds axes of every type.
    fn any(&self) -> AnyAxes;

    /// The axes as sorted, distinct indices below `rank`.
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError>;

    /// Whether this is `..`.
    fn is_all(&self) -> bool {
        false
    }
}

fn resolve_list<A: Axis>(list: &[A], op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
    let mut axes = AxisList::new();
    for &a in list {
        let axis = a.resolve(op, rank)?;
        if axes.contains(&axis) {
            return Err(ShapeError::new(op, format!("axis {a} is given twice")));
        }
        axes.push(axis);
    }
    axes.sort_unstable();
    Ok(axes)
}

macro_rules! axis_of {
    ($($t:ty, $any:expr, |$axis:ident, $rank:ident| $index:expr;)*) => {$(
        impl Axis for $t {
            #[inline]
            fn any(self) -> AnyAxis {
                $any(self as _)
            }
            #[inline]
            fn index(self, $rank: usize) -> Option<usize> {
                let $axis = self;
                $index.filter(|&i| i < $rank)
            }
        }
        impl Axes for $t {
            fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
                resolve_list(&[*self], op, rank)
            }
            #[inline]
            fn any(&self) -> AnyAxes {
                AnyAxes::list(&[*self])
            }
        }
    )*};
}
axis_of! {
    usize, AnyAxis::Unsigned, |axis, rank| Some(axis);
    isize, AnyAxis::Signed, |axis, rank| if axis < 0 { rank.checked_sub(axis.unsigned_abs()) } else { Some(axis.unsigned_abs()) };
    i32, AnyAxis::Signed, |axis, rank| (axis as isize).index(rank);
}

impl<A: Axis, const N: usize> Axes for [A; N] {
    fn any(&self) -> AnyAxes {
        AnyAxes::list(self)
    }
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        resolve_list(self, op, rank)
    }
}

impl<A: Axis> Axes for &[A] {
    fn any(&self) -> AnyAxes {
        AnyAxes::list(self)
    }
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        resolve_list(self, op, rank)
    }
}

impl Axes for RangeFull {
    fn any(&self) -> AnyAxes {
        AnyAxes::All
    }
    fn resolve_all(&self, _: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        Ok((0..rank).collect())
    }
    fn is_all(&self) -> bool {
        true
    }
}

impl Axes for &AxisList {
    fn any(&self) -> AnyAxes {
        AnyAxes::list(self)
    }
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        resolve_list(self, op, rank)
    }
}

/// The sizes of a reshape as they were given; `None` stands for -1, the size that is left.
pub type DimList = SmallVec<[Option<usize>; 6]>;

/// The target of a reshape, as it was given.
#[derive(Clone, Debug)]
pub struct AnyDims(Result<DimList, isize>);

impl Dims for AnyDims {
    fn dims(&self) -> Result<DimList, isize> {
        self.0.clone()
    }
}

/// The target of a reshape: sizes, of which one may be `-1` for "whatever is left". Lists of `usize` have no `-1`.
pub trait Dims {
    /// The sizes as they were given.
    ///
    /// # Errors
    /// The first size that is negative and not -1.
    fn dims(&self) -> Result<DimList, isize>;

    /// As it was given, in a type that holds targets of every type.
    fn any(&self) -> AnyDims {
        AnyDims(self.dims())
    }

    /// The shape with the elements of `from` that is meant, or an error.
    fn resolve_dims(&self, from: &[usize]) -> Result<Shape, ShapeError> {
        resolve_dims(self.dims(), from)
    }
}

fn resolve_dims(dims: Result<DimList, isize>, from: &[usize]) -> Result<Shape, ShapeError> {
    let numel = checked_numel(from).ok_or_else(|| Shape::from(from).too_large("reshape"))?;
    let dims = dims.map_err(|d| {
        let detail = format!("{from:?} ({numel} elements), size {d}: sizes are 0 or more, or -1 for one of them");
        ShapeError::new("reshape", detail)
    })?;
    let bad = |why: &str| {
        let given: Vec<String> = dims.iter().map(|d| d.map_or("-1".to_owned(), |n| n.to_string())).collect();
        ShapeError::new("reshape", format!("{from:?} ({numel} elements) to [{}]: {why}", given.join(", ")))
    };
    let mut shape: Shape = dims.iter().map(|d| d.unwrap_or(1)).collect();
    let known = checked_numel(&shape).ok_or_else(|| bad("too large"))?;
    let mut free = dims.iter().enumerate().filter(|(_, d)| d.is_none()).map(|(i, _)| i);
    match (free.next(), free.next()) {
        (Some(_), Some(_)) => return Err(bad("only one size may be -1")),
        (Some(i), None) if known > 0 && numel.is_multiple_of(known) => shape[i] = numel / known,
        (Some(_), None) => return Err(bad("the size left open would not be whole")),
        (None, _) if known != numel => return Err(bad("the number of elements must stay the same")),
        (None, _) => {}
    }
    Ok(shape)
}

/// A size of a reshape by its type.
trait Dim: Copy {
    fn dim(self) -> Result<Option<usize>, isize>;
}

impl Dim for usize {
    #[inline]
    fn dim(self) -> Result<Option<usize>, isize> {
        Ok(Some(self))
    }
}

impl Dim for isize {
    #[inline]
    fn dim(self) -> Result<Option<usize>, isize> {
        if self == -1 { Ok(None) } else { usize::try_from(self).map(Some).map_err(|_| self) }
    }
}

impl Dim for i32 {
    #[inline]
    fn dim(self) -> Result<Option<usize>, isize> {
        (self as isize).dim()
    }
}

macro_rules! dims_of {
    ($($t:ty),*) => {$(
        impl<const N: usize> Dims for [$t; N] {
            fn dims(&self) -> Result<DimList, isize> {
                self.iter().map(|d| d.dim()).collect()
            }
        }
        impl Dims for &[$t] {
            fn dims(&self) -> Result<DimList, isize> {
                self.iter().map(|d| d.dim()).collect()
            }
        }
        impl Dims for $t {
            fn dims(&self) -> Result<DimList, isize> {
                [*self].dims()
            }
        }
    )*};
}
dims_of!(i32, isize, usize);

impl Dims for Shape {
    fn dims(&self) -> Result<DimList, isize> {
        (&self[..]).dims()
    }
}

impl Dims for &Shape {
    fn dims(&self) -> Result<DimList, isize> {
        (*self).dims()
    }

    /// A shape that fits is taken as it is: a rule gives its gradient the shape of an operand with each call.
    fn resolve_dims(&self, from: &[usize]) -> Result<Shape, ShapeError> {
        match checked_numel(from) {
            Some(numel) if checked_numel(self) == Some(numel) => Ok((*self).clone()),
            _ => resolve_dims(self.dims(), from),
        }
    }
}

/// The shape two operands share after broadcasting, by NumPy's rule: aligned at the last axis, sizes
/// must be equal or one of them 1.
///
/// # Errors
/// When the sizes do not agree, or the shared shape is too large for a tensor.
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
