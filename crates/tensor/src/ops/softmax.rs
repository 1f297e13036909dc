//! Cross-entropy of class indices.

use crate::element::Float;
use crate::error::ShapeError;
use crate::kernels::softmax::cross_entropy_backward;
use crate::tensor::Tensor;

impl<T: Float> Tensor<T> {
    /// The classes that `labels` `[N]` name, one for each row of these logits `[N, C]`.
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

    /// Cross-entropy of each row of logits `[N, C]` with class indices `[N]`, `ln Σ e^x - x[label]`, and `ln Σ e^x`, both `[N]`.
    ///
    /// # Errors
    /// When the shapes do not fit, or a label is no class.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let logits = Tensor::from([[0.0f64, 0.0], [0.0, f64::NEG_INFINITY]]);
    /// let [losses, sums] = logits.cross_entropy(&Tensor::from([0i64, 1]))?;
    /// assert_eq!(losses.to_vec(), [2f64.ln(), f64::INFINITY]);
    /// assert_eq!(sums.to_vec(), [2f64.ln(), 0.0]);
    /// # Ok::<(), gradus_tensor::ShapeError>(())
    /// ```
    #[track_caller]
    pub fn cross_entropy(&self, labels: &Tensor<i64>) -> Result<[Tensor<T>; 2], ShapeError> {
        let (x, classes) = (self.contiguous(), self.classes(labels)?);
        let (data, sums) = (x.as_slice().expect("contiguous"), x.logsumexp(1));
        let losses = Tensor::build_for("cross_entropy", [classes.len()], |out| {
            let rows = out.iter_mut().zip(sums.as_slice().expect("contiguous"));
            for (r, ((loss, &sum), class)) in rows.zip(&classes).enumerate() {
                *loss = sum - data[r * self.shape[1] + class];
            }
        });
        Ok([losses, sums])
    }

    /// The gradient of [`cross_entropy`](Self::cross_entropy)'s losses, `g (softmax(x) - one_hot(label))`, from theirs, `g` `[N]`, and
    /// the `sums` that it gave. A row whose `g` is 0 has none, be its logits infinite.
    ///
    /// # Errors
    /// As for [`cross_entropy`](Self::cross_entropy), and when `sums` and `g` are not `[N]`.
    #[track_caller]
    pub fn cross_entropy_grad(&self, labels: &Tensor<i64>, sums: &Tensor<T>, g: &Tensor<T>) -> Result<Tensor<T>, ShapeError> {
        let classes = self.classes(labels)?;
        if sums.shape() != labels.shape() || g.shape() != labels.shape() {
            let detail = format!("sums {} and gradients {} of {} losses", sums.shape(), g.shape(), classes.len());
            return Err(ShapeError::new("cross_entropy", detail));
        }
        let [x, sums, g] = [self, sums, g].map(Tensor::contiguous);
        let [x_, sums, g] = [&x, &sums, &g].map(|t| t.as_slice().expect("contiguous"));
        Ok(Tensor::build_for("cross_entropy", self.shape.clone(), |out| {
            cross_entropy_backward(x_, self.shape[1], sums, &classes, g, out)
        }))
    }
}
