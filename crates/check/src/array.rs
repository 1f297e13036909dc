//! Arrays of `f64` with a wish how they are to be laid out in memory.

use std::fmt;

/// How an array is to be laid out: as this view of a larger or reordered base. A framework that has no such views may
/// ignore the wish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// A base with two axes exchanged, exchanged back.
    Transposed(usize, usize),
    /// Every second index of a base twice as long, whose other elements are NaN.
    Stepped(usize),
    /// A reversed base, reversed back.
    Flipped(usize),
    /// One index of a base, repeated without a copy: only where the values are the same along this axis.
    Expanded(usize),
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            View::Transposed(a, b) => write!(f, "transposed({a}, {b})"),
            View::Stepped(axis) => write!(f, "stepped({axis})"),
            View::Flipped(axis) => write!(f, "flipped({axis})"),
            View::Expanded(axis) => write!(f, "expanded({axis})"),
        }
    }
}

/// Numbers in row-major order, with a shape and the views through which a framework is to see them.
///
/// ```
/// use gradus_check::{Array, View};
/// let a = Array::new([2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).viewed([View::Transposed(0, 1)]);
/// // Stored as its transpose, and transposed back by the framework: the values are the same.
/// assert_eq!(a.base().shape(), [3, 2]);
/// assert_eq!(a.base().data(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    data: Vec<f64>,
    views: Vec<View>,
}

/// How many places an array of `shape` has, if they can be counted.
fn places_of(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |places, &n| places.checked_mul(n))
}

impl Array {
    /// Numbers in row-major order.
    ///
    /// # Panics
    /// When there are not as many numbers as the shape has places.
    #[track_caller]
    pub fn new(shape: impl Into<Vec<usize>>, data: Vec<f64>) -> Self {
        let shape = shape.into();
        let places = places_of(&shape);
        assert!(places == Some(data.len()), "{} numbers for an array of shape {shape:?}; wanted one for each place", data.len());
        Self { shape, data, views: Vec::new() }
    }

    /// The same number everywhere.
    ///
    /// # Panics
    /// When there is no memory for so many.
    #[track_caller]
    pub fn full(shape: impl Into<Vec<usize>>, value: f64) -> Self {
        let shape = shape.into();
        let mut data = vec![];
        let room = places_of(&shape).filter(|&places| data.try_reserve_exact(places).is_ok());
        data.resize(room.unwrap_or_else(|| panic!("full: no memory for an array of shape {shape:?}")), value);
        Self { shape, data, views: Vec::new() }
    }

    /// A single number, of rank 0.
    pub fn scalar(value: f64) -> Self {
        Self::full([], value)
    }

    /// The sizes of the axes.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers in row-major order.
    pub fn data(&self) -> &[f64] {
        &self.data
    }

    /// The numbers, to be changed.
    pub fn data_mut(&mut self) -> &mut [f64] {
        &mut self.data
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The views through which it is to be seen, the innermost first.
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// The same numbers, to be seen through these views.
    ///
    /// # Panics
    /// When a view names an axis that is not there, or expands one along which the numbers differ.
    #[must_use]
    #[track_caller]
    pub fn viewed(mut self, views: impl Into<Vec<View>>) -> Self {
        self.views = views.into();
        let mut seen = self.plain();
        for &view in self.views.iter().rev() {
            let (a, b) = axes_of(view);
            let rank = seen.shape.len();
            assert!(a < rank && b < rank, "the view {view} of an array of shape {:?}", self.shape);
            if matches!(view, View::Expanded(_)) {
                assert!(seen.is_constant_along(a), "the view {view}: the numbers differ along that axis");
            }
            seen = seen.undo(view);
        }
        self
    }

    /// The same numbers, contiguous.
    #[must_use]
    pub fn plain(&self) -> Self {
        Self { shape: self.shape.clone(), data: self.data.clone(), views: Vec::new() }
    }

    /// The same numbers with other values in the same places, contiguous.
    pub(crate) fn with_data(&self, data: Vec<f64>) -> Self {
        Self::new(self.shape.clone(), data)
    }

    /// What to store, so that the views of it, applied in order, are this array.
    #[must_use]
    pub fn base(&self) -> Array {
        self.views.iter().rev().fold(self.plain(), |a, &view| a.undo(view))
    }

    /// Whether all indices of `axis` hold the same numbers.
    pub fn is_constant_along(&self, axis: usize) -> bool {
        let first = self.select(axis, &vec![0; self.shape[axis]]);
        first.data.iter().zip(&self.data).all(|(a, b)| a.to_bits() == b.to_bits())
    }

    /// The array of which this is the `view`.
    fn undo(&self, view: View) -> Self {
        match view {
            View::Transposed(a, b) => {
                let mut shape = self.shape.clone();
                shape.swap(a, b);
                self.rearranged(shape, |at| at.swap(a, b))
            }
            View::Flipped(axis) => {
                let n = self.shape[axis];
                self.rearranged(self.shape.clone(), |at| at[axis] = n - 1 - at[axis])
            }
            View::Stepped(axis) => {
                let mut shape = self.shape.clone();
                shape[axis] *= 2;
                let mut spread = Self::full(shape, f64::NAN);
                for (flat, &value) in self.data.iter().enumerate() {
                    let mut at = unravel(flat, &self.shape);
                    at[axis] *= 2;
                    let to = ravel(&at, &spread.shape);
                    spread.data[to] = value;
                }
                spread
            }
            View::Expanded(axis) => self.select(axis, &[0]),
        }
    }

    /// The array of `shape` whose element at an index is this one's at the index as `source` changes it.
    fn rearranged(&self, shape: Vec<usize>, source: impl Fn(&mut Vec<usize>)) -> Self {
        let places = shape.iter().product();
        let data = (0..places).map(|flat| {
            let mut at = unravel(flat, &shape);
            source(&mut at);
            self.data[ravel(&at, &self.shape)]
        });
        Self { data: data.collect(), views: Vec::new(), shape }
    }

    /// The given indices of one axis, contiguous.
    #[must_use]
    pub fn select(&self, axis: usize, indices: &[usize]) -> Self {
        let mut shape = self.shape.clone();
        shape[axis] = if self.shape[axis] == 0 { 0 } else { indices.len() };
        self.rearranged(shape, |at| at[axis] = indices[at[axis]])
    }
}

fn axes_of(view: View) -> (usize, usize) {
    match view {
        View::Transposed(a, b) => (a, b),
        View::Stepped(a) | View::Flipped(a) | View::Expanded(a) => (a, a),
    }
}

/// The largest finite size.
pub(crate) fn largest(values: &[f64]) -> f64 {
    values.iter().filter(|v| v.is_finite()).fold(0.0, |m, v| m.max(v.abs()))
}

/// The index of the `flat`-th place in row-major order.
pub(crate) fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &n) in index.iter_mut().zip(shape).rev() {
        *i = flat % n;
        flat /= n;
    }
    index
}

fn ravel(index: &[usize], shape: &[usize]) -> usize {
    index.iter().zip(shape).fold(0, |flat, (&i, &n)| flat * n + i)
}
