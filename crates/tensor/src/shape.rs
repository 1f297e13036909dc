//! Shapes, axes, and the rules by which shapes combine.

use crate::error::ShapeError;
use smallvec::SmallVec;
use std::fmt;
use std::ops::{Deref, DerefMut, RangeFull};

/// The sizes of a tensor's axes, outermost first, as in `[N, C, H, W]`.
///
/// Built from arrays, slices and vectors of `usize`; `[]` is the shape of a scalar.
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

impl Shape {
    /// The product of all sizes; 1 for a scalar.
    #[inline]
    pub fn numel(&self) -> usize {
        self.0.iter().product()
    }

    /// How many axes there are.
    #[inline]
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Row-major strides, in elements.
    pub fn strides(&self) -> Strides {
        let (rank, room) = (self.rank(), [1; INLINE]);
        let mut strides = if rank <= room.len() { Strides::from_buf_and_len(room, rank) } else { Strides::from_elem(1, rank) };
        for axis in (1..rank).rev() {
            strides[axis - 1] = strides[axis] * self.0[axis].max(1) as isize;
        }
        strides
    }

    /// Adds an axis of size `n` before axis `at`.
    pub fn insert(&mut self, at: usize, n: usize) {
        self.0.insert(at, n);
    }

    /// Removes axis `at` and returns its size.
    pub fn remove(&mut self, at: usize) -> usize {
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

/// One axis, counted from the front, or from the back when negative.
pub trait Axis: Copy {
    /// The number as it was given.
    fn raw(self) -> isize;

    /// The axis as an index below `rank`, or an error that names the allowed range.
    fn resolve(self, op: &'static str, rank: usize) -> Result<usize, ShapeError> {
        let raw = self.raw();
        let n = rank as isize;
        if (-n..n).contains(&raw) {
            Ok(if raw < 0 { raw + n } else { raw } as usize)
        } else {
            Err(ShapeError::new(op, format!("axis {raw} of a tensor with {rank} axes; allowed are {} to {}", -n, n - 1)))
        }
    }
}

/// A set of axes: one number, an array or slice of numbers, or `..` for all of them.
pub trait Axes {
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
            return Err(ShapeError::new(op, format!("axis {} is given twice", a.raw())));
        }
        axes.push(axis);
    }
    axes.sort_unstable();
    Ok(axes)
}

macro_rules! axis_of {
    ($($t:ty),*) => {$(
        impl Axis for $t {
            #[inline]
            fn raw(self) -> isize {
                self as isize
            }
        }
        impl Axes for $t {
            fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
                resolve_list(&[*self], op, rank)
            }
        }
    )*};
}
axis_of!(i32, isize, usize);

impl<A: Axis, const N: usize> Axes for [A; N] {
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        resolve_list(self, op, rank)
    }
}

impl<A: Axis> Axes for &[A] {
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        resolve_list(self, op, rank)
    }
}

impl Axes for RangeFull {
    fn resolve_all(&self, _: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        Ok((0..rank).collect())
    }
    fn is_all(&self) -> bool {
        true
    }
}

impl Axes for &AxisList {
    fn resolve_all(&self, op: &'static str, rank: usize) -> Result<AxisList, ShapeError> {
        resolve_list(self, op, rank)
    }
}

/// The target of a reshape: sizes, of which one may be `-1` for "whatever is left".
pub trait Dims {
    /// The sizes as they were given.
    fn dims(&self) -> SmallVec<[isize; 6]>;

    /// The shape with `numel` elements that is meant, or an error.
    fn resolve_dims(&self, from: &[usize]) -> Result<Shape, ShapeError> {
        let dims = self.dims();
        let numel: usize = from.iter().product();
        let bad = |why: &str| ShapeError::new("reshape", format!("{from:?} ({numel} elements) to {dims:?}: {why}"));
        let mut known = 1usize;
        let mut free = None;
        for (i, &d) in dims.iter().enumerate() {
            if d == -1 {
                if free.replace(i).is_some() {
                    return Err(bad("only one size may be -1"));
                }
            } else {
                let size = usize::try_from(d).map_err(|_| bad("sizes are 0 or more, or -1 for one of them"))?;
                known = known.checked_mul(size).ok_or_else(|| bad("too large"))?;
            }
        }
        let mut shape: Shape = dims.iter().map(|&d| d.max(0) as usize).collect();
        match free {
            Some(i) if known > 0 && numel.is_multiple_of(known) => shape[i] = numel / known,
            Some(_) => return Err(bad("the size left open would not be whole")),
            None if known != numel => return Err(bad("the number of elements must stay the same")),
            None => {}
        }
        Ok(shape)
    }
}

macro_rules! dims_of {
    ($($t:ty),*) => {$(
        impl<const N: usize> Dims for [$t; N] {
            fn dims(&self) -> SmallVec<[isize; 6]> {
                self.iter().map(|&d| d as isize).collect()
            }
        }
        impl Dims for &[$t] {
            fn dims(&self) -> SmallVec<[isize; 6]> {
                self.iter().map(|&d| d as isize).collect()
            }
        }
        impl Dims for $t {
            fn dims(&self) -> SmallVec<[isize; 6]> {
                SmallVec::from_elem(*self as isize, 1)
            }
        }
    )*};
}
dims_of!(i32, isize, usize);

impl Dims for Shape {
    fn dims(&self) -> SmallVec<[isize; 6]> {
        self.iter().map(|&d| d as isize).collect()
    }
}

impl Dims for &Shape {
    fn dims(&self) -> SmallVec<[isize; 6]> {
        (*self).dims()
    }
}

/// The shape two operands share after broadcasting, by NumPy's rule: aligned at the last axis, sizes
/// must be equal or one of them 1.
pub fn broadcast_shapes(op: &'static str, a: &[usize], b: &[usize]) -> Result<Shape, ShapeError> {
    if a == b {
        return Ok(a.into());
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
    Ok(out)
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
