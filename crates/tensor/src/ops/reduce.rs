//! Reductions over any set of axes.

use crate::compiled_once::compiled_once;
use crate::element::{Element, Num};
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::reduce::{self, Fold, Max, Min, Prod, Sum};
use crate::parallel::{Parts, chunks, chunks_mut};
use crate::shape::{Axes, Axis, AxisList, Shape, reduced_shape};
use crate::tensor::Tensor;

/// Rows whose running sums are taken side by side.
const ROWS: usize = 8;

/// The running sum of each row of `n`, of [`ROWS`] rows or fewer. An addition waits for the one before it in its row, so that rows side by
/// side take no longer than one.
fn running_sums<T: Num>(rows: &mut [T], n: usize) {
    let mut totals = [T::zero(); ROWS];
    if rows.len() == ROWS * n {
        for i in 0..n {
            for (r, total) in totals.iter_mut().enumerate() {
                *total = total.add_wrapping(rows[r * n + i]);
                rows[r * n + i] = *total;
            }
        }
        return;
    }
    for row in rows.chunks_exact_mut(n) {
        let mut total = T::zero();
        for v in row {
            total = total.add_wrapping(*v);
            *v = total;
        }
    }
}

#[compiled_once]
impl<T: Element> Tensor<T> {
    /// Folds the (sorted, resolved) axes, runs of neighbours at a time, the innermost run first.
    #[track_caller]
    fn fold<F: Fold<T>>(&self, op: &'static str, axes: &[usize], keep: bool, f: F) -> Self {
        let shape = reduced_shape(&self.shape, axes, keep);
        if axes.is_empty() {
            return self.clone();
        }
        let mut x = self.contiguous();
        let mut end = axes.len();
        while end > 0 {
            let mut start = end - 1;
            while start > 0 && axes[start - 1] + 1 == axes[start] {
                start -= 1;
            }
            let (first, last) = (axes[start], axes[end - 1]);
            let n = x.shape[first..=last].iter().product();
            let inner = x.shape[last + 1..].iter().product();
            let kept = reduced_shape(&x.shape, &axes[start..end], true);
            let data = x.as_slice().expect("contiguous");
            x = Tensor::build_for(op, kept, |out| reduce::middle(data, n, inner, out, f));
            end = start;
        }
        x.reshaped(op, shape)
    }
}

#[compiled_once]
impl<T: Num> Tensor<T> {
    /// The sum over `axes`, which go; `..` for all.
    ///
    /// # Panics
    /// When a sum of integers overflows their type: `cast::<i64>()` bytes first.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]);
    /// assert_eq!(x.sum(..).item(), 10.0);
    /// assert_eq!(x.sum(0).to_vec(), [4.0, 6.0]);
    /// assert_eq!(*x.sum_keep([-1]).shape(), [2, 1]);
    /// ```
    #[track_caller]
    pub fn sum(&self, axes: impl Axes) -> Self {
        self.total("sum", axes, false, Sum, Sum)
    }

    /// The sum over `axes`, which stay with size 1.
    #[doc(alias("keepdim", "keepdims"))]
    #[track_caller]
    pub fn sum_keep(&self, axes: impl Axes) -> Self {
        self.total("sum", axes, true, Sum, Sum)
    }

    /// The product over `axes`, which go.
    #[track_caller]
    pub fn prod(&self, axes: impl Axes) -> Self {
        self.total("prod", axes, false, Prod, Prod)
    }

    /// The product over `axes`, which stay with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn prod_keep(&self, axes: impl Axes) -> Self {
        self.total("prod", axes, true, Prod, Prod)
    }

    /// A sum or product, and a panic when that of integers overflows.
    #[track_caller]
    fn total(&self, op: &'static str, axes: impl Axes, keep: bool, f: impl Fold<T>, of_f64: impl Fold<f64>) -> Self {
        let axes = axes.resolve_all(op, self.rank()).or_panic();
        let y = self.fold(op, &axes, keep, f);
        if T::INTEGER {
            y.check_wrapped(op, &self.map_for(op, Num::to_f64).fold(op, &axes, keep, of_f64));
        }
        y
    }

    /// A panic unless these integers, computed modulo the size of their type, are the true ones. `about` computes them in floating
    /// point: a result that wrapped around is off by at least the size of the type.
    #[track_caller]
    fn check_wrapped(&self, op: &'static str, about: &Tensor<f64>) {
        let half = (T::HIGHEST.to_f64() - T::LOWEST.to_f64()) / 2.0;
        // NaN is 0 times an infinity, where the true product is 0.
        let right = self.zip_map(op, about, move |y, about| about.is_nan() || (about - y.to_f64()).abs() < half);
        if !right.all() {
            let dtype = format!("{:?}", T::DTYPE).to_lowercase();
            let detail = format!("the result overflows {dtype}; convert first, as with cast::<i64>() or cast::<f64>()");
            Err(ShapeError::new(op, detail)).or_panic()
        }
    }

    /// The largest element over `axes`, which go; NaN if any is.
    ///
    /// # Panics
    /// When a reduced axis has size 0.
    #[doc(alias = "amax")]
    #[track_caller]
    pub fn max(&self, axes: impl Axes) -> Self {
        self.extreme("max", axes, false, Max)
    }

    /// As [`max`](Self::max), the axes staying with size 1.
    #[doc(alias("keepdim", "keepdims"))]
    #[track_caller]
    pub fn max_keep(&self, axes: impl Axes) -> Self {
        self.extreme("max", axes, true, Max)
    }

    /// The smallest element over `axes`, which go; NaN if any is.
    ///
    /// # Panics
    /// When a reduced axis has size 0.
    #[doc(alias = "amin")]
    #[track_caller]
    pub fn min(&self, axes: impl Axes) -> Self {
        self.extreme("min", axes, false, Min)
    }

    /// As [`min`](Self::min), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn min_keep(&self, axes: impl Axes) -> Self {
        self.extreme("min", axes, true, Min)
    }

    #[track_caller]
    fn extreme<F: Fold<T>>(&self, op: &'static str, axes: impl Axes, keep: bool, f: F) -> Self {
        let axes = axes.resolve_all(op, self.rank()).or_panic();
        if axes.iter().any(|&a| self.shape[a] == 0) {
            Err(ShapeError::new(op, format!("no element along axes {axes:?} of shape {}", self.shape))).or_panic()
        }
        self.fold(op, &axes, keep, f)
    }

    /// The index of the largest element along one axis, which goes; the first of equals, and a NaN
    /// before any number.
    ///
    /// # Panics
    /// When the axis has size 0.
    #[track_caller]
    pub fn argmax(&self, axis: impl Axis) -> Tensor<i64> {
        self.arg_extreme("argmax", axis, Max)
    }

    /// The index of the smallest element along one axis, which goes; the first of equals, and a NaN
    /// before any number.
    ///
    /// # Panics
    /// When the axis has size 0.
    #[track_caller]
    pub fn argmin(&self, axis: impl Axis) -> Tensor<i64> {
        self.arg_extreme("argmin", axis, Min)
    }

    #[track_caller]
    fn arg_extreme<F: Fold<T>>(&self, op: &'static str, axis: impl Axis, f: F) -> Tensor<i64> {
        let axis = axis.resolve(op, self.rank()).or_panic();
        let n = self.shape[axis];
        if n == 0 {
            Err(ShapeError::new(op, format!("no element along axis {axis} of shape {}", self.shape))).or_panic()
        }
        let order: AxisList = (0..self.rank()).filter(|&a| a != axis).chain([axis]).collect();
        let rows = self.permute(&order).contiguous();
        // A NaN is every extreme's value, so the first element that is either is the one.
        let first = |row: &[T]| {
            let best = reduce::all(row, f);
            row.iter().position(|&v| v == best || v.is_nan()).expect("the extreme is an element") as i64
        };
        let rows = chunks(rows.as_slice().expect("contiguous"), n);
        let found = rows.map_at_least((1 << 14) / n, |_, row| first(row));
        Tensor::from_vec(found, reduced_shape(&self.shape, &[axis], false))
    }

    /// The running sum along one axis.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([1i64, 2, 3]).cumsum(0).to_vec(), [1, 3, 6]);
    /// ```
    #[track_caller]
    pub fn cumsum(&self, axis: impl Axis) -> Self {
        let axis = axis.resolve("cumsum", self.rank()).or_panic();
        let (n, inner) = (self.shape[axis], self.shape[axis + 1..].iter().product::<usize>());
        let mut out = self.copy_for("cumsum");
        if let Some(least) = (1usize << 14).checked_div(n * inner) {
            if inner == 1 {
                // Few rows are better shared among threads.
                let rows = if out.numel() / n < 2 * ROWS { 1 } else { ROWS };
                chunks_mut(out.as_mut_slice(), rows * n).each_at_least(least / rows, |_, rows| running_sums(rows, n));
            } else {
                chunks_mut(out.as_mut_slice(), n * inner).each_at_least(least, |_, plane| {
                    for i in inner..plane.len() {
                        let before = plane[i - inner];
                        plane[i] = plane[i].add_wrapping(before);
                    }
                });
            }
        }
        if T::INTEGER {
            out.check_wrapped("cumsum", &self.map_for("cumsum", Num::to_f64).cumsum(axis));
        }
        out
    }
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The arithmetic mean over `axes`, which go; NaN over none.
    #[track_caller]
    pub fn mean(&self, axes: impl Axes) -> Self {
        let axes = axes.resolve_all("mean", self.rank()).or_panic();
        self.fold("mean", &axes, false, Sum).over("mean", self.count(&axes))
    }

    /// As [`mean`](Self::mean), the axes staying with size 1.
    #[doc(alias("keepdim", "keepdims"))]
    #[track_caller]
    pub fn mean_keep(&self, axes: impl Axes) -> Self {
        let axes = axes.resolve_all("mean", self.rank()).or_panic();
        self.fold("mean", &axes, true, Sum).over("mean", self.count(&axes))
    }

    /// This divided by a number.
    #[track_caller]
    fn over(self, op: &'static str, n: f64) -> Self {
        let n = T::from_f64(n);
        self.map_into_for(op, move |v| v / n)
    }

    fn count(&self, axes: &[usize]) -> f64 {
        axes.iter().map(|&a| self.shape[a]).product::<usize>() as f64
    }

    /// The variance over `axes`, which go: `sum (x - mean)^2 / (n - correction)`, in two passes.
    /// `correction` 1 is PyTorch's default (unbiased), 0 the population's.
    #[doc(alias("unbiased", "correction", "ddof"))]
    #[track_caller]
    pub fn var(&self, axes: impl Axes, correction: usize) -> Self {
        let axes = axes.resolve_all("var", self.rank()).or_panic();
        let kept = self.var_resolved(&axes, correction);
        kept.reshaped("var", reduced_shape(&self.shape, &axes, false))
    }

    /// As [`var`](Self::var), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn var_keep(&self, axes: impl Axes, correction: usize) -> Self {
        self.var_resolved(&axes.resolve_all("var", self.rank()).or_panic(), correction)
    }

    #[track_caller]
    fn var_resolved(&self, axes: &[usize], correction: usize) -> Self {
        let mean = self.fold("var", axes, true, Sum).over("var", self.count(axes));
        let squares = self.zip_map("var", &mean, |x, m| (x - m) * (x - m));
        squares.fold("var", axes, true, Sum).over("var", (self.count(axes) - correction as f64).max(0.0))
    }

    /// `ln(sum(e^x))` over `axes`, which go, without overflow.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Axes) -> Self {
        let axes = axes.resolve_all("logsumexp", self.rank()).or_panic();
        self.logsumexp_keep(&axes).reshape(reduced_shape(&self.shape, &axes, false))
    }

    /// As [`logsumexp`](Self::logsumexp), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn logsumexp_keep(&self, axes: impl Axes) -> Self {
        let [largest, sums] = self.log_sums(axes);
        largest + sums
    }

    /// This tensor summed down to `shape`: the adjoint of broadcasting from `shape` to this one.
    ///
    /// # Panics
    /// When `shape` does not broadcast to this tensor's.
    #[track_caller]
    pub fn sum_to(&self, shape: impl Into<Shape>) -> Self {
        if self.shape == shape {
            return self.clone();
        }
        let new = self.rank().checked_sub(shape.rank());
        let fits = new.is_some_and(|k| shape.iter().zip(&self.shape[k..]).all(|(&a, &b)| a == b || a == 1));
        let Some(new) = new.filter(|_| fits) else {
            Err(ShapeError::new("sum_to", format!("{shape} does not broadcast to {}", self.shape))).or_panic()
        };
        let axes: AxisList = (0..self.rank()).filter(|&i| i < new || (shape[i - new] == 1 && self.shape[i] != 1)).collect();
        self.fold("sum_to", &axes, true, Sum).reshaped("sum_to", shape)
    }
}
