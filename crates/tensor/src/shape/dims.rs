//! The target of a reshape.

use super::{Shape, checked_numel};
use crate::error::ShapeError;
use smallvec::SmallVec;

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
