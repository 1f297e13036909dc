//! From scores to weights to what is read.

use gradus_autograd::Var;
use gradus_tensor::{Float, Tensor};

/// Which keys each query sees when no query may see a later key: `[queries, keys]`, true where `j <= i + keys - queries`.
///
/// The last query sees all keys. As many queries as keys give the usual triangle; fewer, as the newest steps of a sequence whose
/// keys and values are cached, stand at its end (`causal_lower_right` of PyTorch, whose `is_causal=True` aligns them to the
/// beginning, and FlashAttention's convention since 2.1). Of more queries than keys, the first see none.
///
/// ```
/// use gradus_nn::causal_mask;
/// assert_eq!(causal_mask(2, 2).to_vec(), [true, false, true, true]);
/// assert_eq!(causal_mask(1, 3).to_vec(), [true, true, true]);
/// assert_eq!(causal_mask(2, 3).to_vec(), [true, true, false, true, true, true]);
/// ```
#[doc(alias("causal_lower_right", "causal_upper_left", "is_causal", "generate_square_subsequent_mask"))]
pub fn causal_mask(queries: usize, keys: usize) -> Tensor<bool> {
    Tensor::from_fn([queries, keys], |at| at[1] + queries <= at[0] + keys)
}

/// The softmax of scores `[.., S]` over those that the mask allows (true); 0 elsewhere, also where it allows none at all.
#[track_caller]
pub(super) fn masked_softmax<T: Float>(scores: &Var<T>, mask: Option<&Tensor<bool>>) -> Var<T> {
    match mask {
        Some(mask) => scores.masked_softmax(mask, -1),
        None => scores.softmax(-1),
    }
}

/// `softmax(Q Kᵀ / √d) V` (Vaswani et al. 2017, equation 1), from queries `[.., Q, d]`, keys `[.., S, d]` and values
/// `[.., S, v]`. A query reads only where the mask, which broadcasts to `[.., Q, S]`, is true: what it does not see may be infinite
/// or NaN, and changes neither results nor gradients. It reads 0 where the mask is true nowhere, as in PyTorch. For the mask of causal
/// attention, see [`causal_mask`].
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{causal_mask, scaled_dot_product_attention};
/// use gradus_tensor::Tensor;
/// let values = Var::constant(Tensor::from([[1.0], [3.0]]));
/// let (q, k) = (Var::constant(Tensor::zeros([2, 4])), Var::constant(Tensor::zeros([2, 4])));
/// assert_eq!(scaled_dot_product_attention(&q, &k, &values, None).value().to_vec(), [2.0, 2.0]);
/// let causal = causal_mask(2, 2);
/// assert_eq!(scaled_dot_product_attention(&q, &k, &values, Some(&causal)).value().to_vec(), [1.0, 2.0]);
/// ```
///
/// # Panics
/// When the shapes do not fit.
#[doc(alias = "dot_product_attention")]
#[track_caller]
pub fn scaled_dot_product_attention<T: Float>(
    queries: &Var<T>,
    keys: &Var<T>,
    values: &Var<T>,
    mask: Option<&Tensor<bool>>,
) -> Var<T> {
    read(&scaled_weights(queries, keys, mask), values, mask)
}

/// `softmax(Q Kᵀ / √d)`, where the mask is true.
#[track_caller]
pub(super) fn scaled_weights<T: Float>(queries: &Var<T>, keys: &Var<T>, mask: Option<&Tensor<bool>>) -> Var<T> {
    match mask {
        Some(mask) => scaled(queries).sampled_matmul(&keys.transpose(-1, -2), mask).masked_softmax(mask, -1),
        None => scaled_products(queries, keys).softmax(-1),
    }
}

/// The values, weighted.
#[track_caller]
pub(super) fn read<T: Float>(weights: &Var<T>, values: &Var<T>, mask: Option<&Tensor<bool>>) -> Var<T> {
    match mask {
        Some(mask) => weights.masked_matmul(mask, values),
        None => weights.matmul(values),
    }
}

/// `Q Kᵀ / √d`.
#[track_caller]
pub(super) fn scaled_products<T: Float>(queries: &Var<T>, keys: &Var<T>) -> Var<T> {
    scaled(queries).matmul(&keys.transpose(-1, -2))
}

/// `Q / √d`.
#[track_caller]
fn scaled<T: Float>(queries: &Var<T>) -> Var<T> {
    let width = *queries.shape().last().unwrap_or(&1);
    queries * (1.0 / (width as f64).sqrt())
}
