//! Sorting and the largest few.

use crate::compiled_once::compiled_once;
use crate::element::Num;
use crate::error::{OrPanic, ShapeError};
use crate::kernels::select::{self, compare};
use crate::parallel::{Parts, chunks, chunks_mut};
use crate::shape::{Axis, AxisList};
use crate::tensor::Tensor;
use std::cmp::Ordering;

/// Fewer elements are not worth a second thread.
const SERIAL: usize = 1 << 14;

#[compiled_once]
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
        self.by_row("argsort", axis, self.shape[axis], &|row, out| order_of(row, out, descending))
    }

    /// The `k` largest elements along one axis, largest first, and their indices; of equals the first.
    ///
    /// # Panics
    /// When the axis has fewer than `k` elements.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (values, from) = Tensor::from([1.0, 3.0, 2.0]).topk(2, 0);
    /// assert_eq!(values.to_vec(), [3.0, 2.0]);
    /// assert_eq!(from.to_vec(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn topk(&self, k: usize, axis: impl Axis) -> (Self, Tensor<i64>) {
        let axis = axis.resolve("topk", self.rank()).or_panic();
        if k > self.shape[axis] {
            let detail = format!("{k} of axis {axis}, which has {} (shape {})", self.shape[axis], self.shape);
            Err(ShapeError::new("topk", detail)).or_panic()
        }
        let index = self.by_row("topk", axis, k, &select::largest);
        (self.gather(axis, &index), index)
    }

    /// The `k` indices that `choose` writes for each row along an axis.
    #[track_caller]
    fn by_row(&self, op: &'static str, axis: usize, k: usize, choose: &(dyn Fn(&[T], &mut [i64]) + Sync)) -> Tensor<i64> {
        let n = self.shape[axis];
        let to_last: AxisList = (0..self.rank()).filter(|&a| a != axis).chain([axis]).collect();
        let rows = self.permute(&to_last).contiguous();
        let mut shape = rows.shape.clone();
        shape[self.rank() - 1] = k;
        let order = Tensor::build_for(op, shape, |out| {
            let task = |(row, out): (&[T], &mut [i64])| choose(row, out);
            let rows = rows.as_slice().expect("contiguous");
            let (n, k) = (n.max(1), k.max(1));
            if rows.len() < SERIAL {
                rows.chunks_exact(n).zip(out.chunks_exact_mut(k)).for_each(task);
            } else {
                (chunks(rows, n), chunks_mut(out, k)).each(|_, part| task(part));
            }
        });
        let mut back: AxisList = (0..self.rank() - 1).collect();
        back.insert(axis, self.rank() - 1);
        order.permute(&back).contiguous()
    }

    /// The distinct elements in rising order; for each element of this, the index of its like among them; and how often
    /// each occurs. All NaN count as one, after the others.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let (values, like, counts) = Tensor::from([5, 2, 5]).unique();
    /// assert_eq!(values.to_vec(), [2, 5]);
    /// assert_eq!(like.to_vec(), [1, 0, 1]);
    /// assert_eq!(counts.to_vec(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn unique(&self) -> (Self, Tensor<i64>, Tensor<i64>) {
        let x = self.to_vec();
        let order = self.flatten(0).argsort(0, false);
        let (mut values, mut counts, mut like) = (vec![], vec![], vec![0; x.len()]);
        for i in order.to_vec() {
            let v = x[i as usize];
            if values.last().is_none_or(|&last| compare(last, v) != Ordering::Equal) {
                values.push(v);
                counts.push(0);
            }
            counts[values.len() - 1] += 1;
            like[i as usize] = values.len() as i64 - 1;
        }
        (Tensor::from(values), Tensor::from_vec(like, self.shape.clone()), Tensor::from(counts))
    }
}

/// The indices of a row's elements in order; equal ones by their index.
fn order_of<T: Num>(row: &[T], order: &mut [i64], descending: bool) {
    order.iter_mut().zip(0..).for_each(|(index, i)| *index = i);
    order.sort_unstable_by(|&i, &j| {
        let (a, b) = (row[i as usize], row[j as usize]);
        if descending { compare(b, a) } else { compare(a, b) }.then(i.cmp(&j))
    });
}
