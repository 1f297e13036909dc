//! Softmax, its logarithm, the logarithm of a sum of exponentials, and cross-entropy of class indices.

use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::softmax::{log_sums, log_sums_backward, softmax};
use crate::shape::{Axes, Axis, AxisList, reduced_shape};
use crate::tensor::Tensor;

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// The classes that `labels` `[N]` name, one for each row of these logits `[N, C]`.
    #[track_caller]
    fn classes(&self, labels: &Tensor<i64>) -> Result<Vec<usize>, ShapeError> {
        if self.rank() != 2 || *labels.shape() != self.shape[..1] {
            let detail = format!("logits {} and labels {}; wanted [N, C] and [N]", self.shape, labels.shape());
            return Err(ShapeError::new("cross_entropy", detail));
        }
        let classes = self.shape[1];
        let class = |(at, label): (usize, i64)| match usize::try_from(label) {
            Ok(class) if class < classes => Ok(class),
            _ if classes == 0 => Err(ShapeError::new("cross_entropy", "there are no classes")),
            _ => {
                let detail = format!("label {label} at position {at} is outside the classes 0 to {}", classes - 1);
                Err(ShapeError::new("cross_entropy", detail))
            }
        };
        labels.to_vec().into_iter().enumerate().map(class).collect()
    }

    /// Cross-entropy of each row of logits `[N, C]` with class indices `[N]`, `l - (x[label] - m)`, where `m` is the row's largest
    /// logit and `l = ln Σ e^(x - m)`; and `m` and `l`, which the gradient needs. All are `[N]`. Where the largest is infinite, `m`
    /// is 0.
    ///
    /// # Errors
    /// When the shapes do not fit, or a label is no class.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let logits = Tensor::from([[3.0f64, 3.0], [0.0, f64::NEG_INFINITY]]);
    /// let (losses, [largest, sums]) = logits.cross_entropy(&Tensor::from([0i64, 1]))?;
    /// assert_eq!(losses.to_vec(), [2f64.ln(), f64::INFINITY]);
    /// assert_eq!(largest.to_vec(), [3.0, 0.0]);
    /// assert_eq!(sums.to_vec(), [2f64.ln(), 0.0]);
    /// # Ok::<(), gradus_tensor::ShapeError>(())
    /// ```
    #[track_caller]
    pub fn cross_entropy(&self, labels: &Tensor<i64>) -> Result<(Tensor<T>, [Tensor<T>; 2]), ShapeError> {
        let (x, classes) = (self.contiguous(), self.classes(labels)?);
        let n = [classes.len()];
        let (mut largest, mut sums) = (Tensor::zeros(n), Tensor::zeros(n));
        let data = x.as_slice().expect("contiguous");
        log_sums(data, self.shape[1], largest.as_mut_slice(), sums.as_mut_slice());
        let losses = Tensor::build_for("cross_entropy", n, |out| {
            let [largest, sums] = [&largest, &sums].map(|t| t.as_slice().expect("contiguous"));
            for (r, (loss, class)) in out.iter_mut().zip(&classes).enumerate() {
                *loss = sums[r] - (data[r * self.shape[1] + class] - largest[r]);
            }
        });
        Ok((losses, [largest, sums]))
    }

    /// The gradient of [`cross_entropy`](Self::cross_entropy)'s losses, `g (softmax(x) - one_hot(label))`, from theirs, `g` `[N]`, and
    /// the largest logits and sums that it gave. A row whose `g` is 0 has none, be its logits infinite.
    ///
    /// # Errors
    /// As for [`cross_entropy`](Self::cross_entropy), and when the sums and `g` are not `[N]`.
    #[track_caller]
    pub fn cross_entropy_grad(
        &self,
        labels: &Tensor<i64>,
        [largest, sums]: &[Tensor<T>; 2],
        g: &Tensor<T>,
    ) -> Result<Tensor<T>, ShapeError> {
        let classes = self.classes(labels)?;
        if [largest, sums, g].iter().any(|t| t.shape() != labels.shape()) {
            let detail = format!("sums {} and gradients {} of {} losses", sums.shape(), g.shape(), classes.len());
            return Err(ShapeError::new("cross_entropy", detail));
        }
        let (x, given) = (self.contiguous(), [largest.contiguous(), sums.contiguous(), g.contiguous()]);
        let given = given.each_ref().map(|t| t.as_slice().expect("contiguous"));
        let x = x.as_slice().expect("contiguous");
        Ok(Tensor::build_for("cross_entropy", self.shape.clone(), |out| {
            log_sums_backward(x, self.shape[1], given, Some(&classes), out)
        }))
    }

    /// `e^x / Σ e^x` along one axis, as `e^(x - m) / Σ e^(x - m)` with the largest `m`, which neither overflows nor loses digits to
    /// large logits.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// assert_eq!(Tensor::from([1e7f32, 1e7]).softmax(0).to_vec(), [0.5, 0.5]);
    /// ```
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn softmax(&self, axis: impl Axis) -> Self {
        let axis = axis.resolve("softmax", self.rank()).or_panic();
        self.by_rows("softmax", &[axis], |x, n, out| softmax::<T, false>(x, n, out))
    }

    /// `x - ln Σ e^x` along one axis, as `(x - m) - ln Σ e^(x - m)` with the largest `m`.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn log_softmax(&self, axis: impl Axis) -> Self {
        let axis = axis.resolve("log_softmax", self.rank()).or_panic();
        self.by_rows("log_softmax", &[axis], |x, n, out| softmax::<T, true>(x, n, out))
    }

    /// The largest element `m` over `axes`, and `ln Σ e^(x - m)`; their sum is [`logsumexp`](Self::logsumexp), and apart they keep
    /// the digits that it rounds. The axes stay with size 1. Where the largest is infinite, `m` is 0.
    ///
    /// # Panics
    /// When there is no such axis.
    #[track_caller]
    pub fn log_sums(&self, axes: impl Axes) -> [Self; 2] {
        let axes = axes.resolve_all("logsumexp", self.rank()).or_panic();
        let shape = reduced_shape(&self.shape, &axes, true);
        let (rows, n) = self.rows(&axes);
        let (mut largest, mut sums) = (Tensor::zeros(shape.clone()), Tensor::zeros(shape));
        log_sums(rows.as_slice().expect("contiguous"), n, largest.as_mut_slice(), sums.as_mut_slice());
        [largest, sums]
    }

    /// The gradient of [`logsumexp`](Self::logsumexp), `g softmax(x)`, from its own, `g`, and what [`log_sums`](Self::log_sums) gave,
    /// all three with the axes kept. It is 0 where `g` is, and where all elements are minus infinity.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn logsumexp_grad(&self, axes: impl Axes, [largest, sums]: &[Self; 2], g: &Self) -> Self {
        let axes = axes.resolve_all("logsumexp", self.rank()).or_panic();
        let kept = reduced_shape(&self.shape, &axes, true);
        if [largest, sums, g].iter().any(|t| *t.shape() != kept) {
            let detail = format!("sums {} and gradients {}; expected {kept} twice", sums.shape(), g.shape());
            Err(ShapeError::new("logsumexp", detail)).or_panic()
        }
        let given = [largest.contiguous(), sums.contiguous(), g.contiguous()];
        let given = given.each_ref().map(|t| t.as_slice().expect("contiguous"));
        self.by_rows("logsumexp", &axes, |x, n, out| log_sums_backward(x, n, given, None, out))
    }

    /// The elements with `axes` as rows, one after the other, and how long a row is.
    #[track_caller]
    fn rows(&self, axes: &[usize]) -> (Self, usize) {
        let rows = self.permute(rows_first(self.rank(), axes)).contiguous();
        (rows, axes.iter().map(|&axis| self.shape[axis]).product())
    }

    /// `f(x, n, out)` of the elements with `axes` as rows of `n`, in this tensor's shape.
    #[track_caller]
    fn by_rows(&self, op: &'static str, axes: &[usize], f: impl FnOnce(&[T], usize, &mut [T])) -> Self {
        let (rows, n) = self.rows(axes);
        let y = Tensor::build_for(op, rows.shape.clone(), |out| f(rows.as_slice().expect("contiguous"), n, out));
        let order = rows_first(self.rank(), axes);
        if order.is_sorted() {
            return y;
        }
        let mut inverse: AxisList = order.clone();
        order.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
        y.permute(&inverse).contiguous()
    }
}

/// The order of axes with `axes` last.
fn rows_first(rank: usize, axes: &[usize]) -> AxisList {
    (0..rank).filter(|axis| !axes.contains(axis)).chain(axes.iter().copied()).collect()
}
