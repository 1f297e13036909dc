//! Axes, as users name them.

use super::AxisList;
use crate::error::ShapeError;
use smallvec::SmallVec;
use std::fmt;
use std::ops::RangeFull;

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
