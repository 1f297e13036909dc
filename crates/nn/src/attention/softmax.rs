//! From scores to weights to what is read.

use gradus_autograd::Var;
use gradus_tensor::{Float, Tensor};

/// A score that is as good as none: its weight is 0, and no gradient becomes NaN, as with an infinity.
const NONE: f64 = -1e30;

/// The softmax of scores `[.., S]` over those that the mask allows (true); 0 elsewhere, also where it allows none at all.
pub(super) fn masked_softmax<T: Float>(scores: &Var<T>, mask: Option<&Tensor<bool>>) -> Var<T> {
    let Some(mask) = mask else { return scores.softmax(-1) };
    let hidden = mask.not();
    scores.masked_fill(&hidden, NONE).softmax(-1).masked_fill(&hidden, 0.0)
}

/// `softmax(Q Kᵀ / √d) V` (Vaswani et al. 2017, equation 1), from queries `[.., Q, d]`, keys `[.., S, d]` and values
/// `[.., S, v]`. A query reads only where the mask, which broadcasts to `[.., Q, S]`, is true, and 0 where it is true nowhere.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::scaled_dot_product_attention;
/// use gradus_tensor::Tensor;
/// let values = Var::constant(Tensor::from([[1.0], [3.0]]));
/// let (q, k) = (Var::constant(Tensor::zeros([2, 4])), Var::constant(Tensor::zeros([2, 4])));
/// assert_eq!(scaled_dot_product_attention(&q, &k, &values, None).value().to_vec(), [2.0, 2.0]);
/// let causal = Tensor::from([[true, false], [true, true]]);
/// assert_eq!(scaled_dot_product_attention(&q, &k, &values, Some(&causal)).value().to_vec(), [1.0, 2.0]);
/// ```
///
/// # Panics
/// When the shapes do not fit.
#[track_caller]
pub fn scaled_dot_product_attention<T: Float>(
    queries: &Var<T>,
    keys: &Var<T>,
    values: &Var<T>,
    mask: Option<&Tensor<bool>>,
) -> Var<T> {
    masked_softmax(&scaled_products(queries, keys), mask).matmul(values)
}

/// `Q Kᵀ / √d`.
#[track_caller]
pub(super) fn scaled_products<T: Float>(queries: &Var<T>, keys: &Var<T>) -> Var<T> {
    let width = *queries.shape().last().unwrap_or(&1);
    (queries * (1.0 / (width as f64).sqrt())).matmul(&keys.transpose(-1, -2))
}
