//! Sorting and the largest few.

use crate::element::Num;
use crate::error::{OrPanic, ShapeError};
use crate::shape::{Axis, AxisList};
use crate::tensor::Tensor;
use std::cmp::Ordering;

/// By value; NaN after everything, so that sorting stays well-defined.
fn compare<T: Num>(a: T, b: T) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

impl<T: Num> Tensor<T> {
    /// The elements along one axis in order, and the index that each came from. Equal elements keep their
    /// order; NaN comes last, or first when descending.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (values, from) = Tensor::from([3.0, 1.0, 2.0]).sort(0, false);
    /// assert_eq!(values.to_vec(), [1.0, 2.0, 3.0]);
    /// assert_eq!(from.to_vec(), [1, 2, 0]);
    /// ```
    #[track_caller]
    pub fn sort(&self, axis: impl Axis, descending: bool) -> (Self, Tensor<i64>) {
        let index = self.argsort(axis.resolve("sort", self.rank()).or_panic(), descending);
        (self.gather(axis, &index), index)
    }

    /// The indices that would [`sort`](Self::sort) the elements along one axis.
    #[track_caller]
    pub fn argsort(&self, axis: impl Axis, descending: bool) -> Tensor<i64> {
        let axis = axis.resolve("argsort", self.rank()).or_panic();
        let n = self.shape[axis];
        let to_last: AxisList = (0..self.rank()).filter(|&a| a != axis).chain([axis]).collect();
        let rows = self.permute(&to_last).contiguous();
        let mut order = Vec::with_capacity(self.numel());
        for row in rows.as_slice().expect("contiguous").chunks_exact(n.max(1)) {
            let mut index: Vec<i64> = (0..n as i64).collect();
            index.sort_by(|&i, &j| {
                let (a, b) = (row[i as usize], row[j as usize]);
                if descending { compare(b, a) } else { compare(a, b) }
            });
            order.extend(index);
        }
        let mut back: AxisList = (0..self.rank()).collect();
        back.pop();
        back.insert(axis, self.rank() - 1);
        Tensor::from_vec(order, rows.shape.clone()).permute(&back).contiguous()
    }

    /// The `k` largest elements along one axis, largest first, and their indices; of equals the first.
    ///
    /// # Panics
    /// When the axis has fewer than `k` elements.
    #[track_caller]
    pub fn topk(&self, k: usize, axis: impl Axis) -> (Self, Tensor<i64>) {
        let axis = axis.resolve("topk", self.rank()).or_panic();
        if k > self.shape[axis] {
            Err(ShapeError::new("topk", format!("{k} of axis {axis} of shape {}", self.shape))).or_panic()
        }
        let index = self.argsort(axis, true).slice(axis, ..k).contiguous();
        (self.gather(axis, &index), index)
    }
}
