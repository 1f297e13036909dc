//! Class labels: which are allowed, and what each counts.

use gradus_tensor::{ShapeError, Tensor};

/// An error unless every label is a class, or `ignored`; it names the first that is not, and its place.
///
/// ```
/// use gradus_nn::check_labels;
/// use gradus_tensor::Tensor;
/// assert!(check_labels("cross_entropy", &Tensor::from([0i64, 2]), 3, None).is_ok());
/// let error = check_labels("cross_entropy", &Tensor::from([0i64, 3]), 3, None).unwrap_err();
/// assert_eq!(error.to_string(), "cross_entropy: label 3 at position 1 is outside the classes 0 to 2");
/// ```
pub fn check_labels(op: &'static str, labels: &Tensor<i64>, classes: usize, ignored: Option<i64>) -> Result<(), ShapeError> {
    let outside = |l: &i64| Some(*l) != ignored && (*l < 0 || *l as usize >= classes);
    match labels.to_vec().iter().enumerate().find(|(_, l)| outside(l)) {
        None => Ok(()),
        Some(_) if classes == 0 => Err(ShapeError::new(op, "there are no classes")),
        Some((at, l)) => {
            Err(ShapeError::new(op, format!("label {l} at position {at} is outside the classes 0 to {}", classes - 1)))
        }
    }
}

/// An error unless the labels have the input's shape without its class axis, and all are classes.
pub(super) fn check_target(op: &'static str, x: &[usize], labels: &Tensor<i64>, ignored: Option<i64>) -> Result<(), ShapeError> {
    if x.len() < 2 {
        return Err(ShapeError::new(op, format!("input {x:?}; wanted [N, C] or [N, C, d…]")));
    }
    let wanted: Vec<usize> = x.iter().enumerate().filter(|(a, _)| *a != 1).map(|(_, &n)| n).collect();
    if labels.shape()[..] != wanted {
        return Err(ShapeError::new(op, format!("labels of shape {} for input {x:?}; wanted {wanted:?}", labels.shape())));
    }
    check_labels(op, labels, x[1], ignored)
}

/// What a label counts in the divisor of a mean: its class' weight, 0 when it is ignored. One that is no class counts, for the check
/// to refuse it.
fn count_of(weight: Option<&[f64]>, ignored: Option<i64>) -> impl Fn(&i64) -> f64 {
    move |label| match weight {
        _ if Some(*label) == ignored => 0.0,
        None => 1.0,
        Some(weight) => usize::try_from(*label).ok().and_then(|l| weight.get(l)).copied().unwrap_or(1.0),
    }
}

/// What the mean over these labels divides by.
pub(super) fn divisor(labels: &Tensor<i64>, weight: Option<&[f64]>, ignored: Option<i64>) -> f64 {
    if weight.is_none() && ignored.is_none() {
        return labels.numel() as f64;
    }
    labels.to_vec().iter().map(count_of(weight, ignored)).sum()
}

/// What each sample adds to the divisor, per label that it has.
pub(super) fn shares(labels: &Tensor<i64>, weight: Option<&[f64]>, ignored: Option<i64>, samples: usize) -> Vec<f64> {
    let each = (labels.numel() / samples.max(1)).max(1);
    let count = count_of(weight, ignored);
    labels.to_vec().chunks(each).map(|labels| labels.iter().map(&count).sum::<f64>() / each as f64).collect()
}
