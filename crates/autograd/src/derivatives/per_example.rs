//! Each example's own gradient.

use super::jacobian::stacked;
use super::vars::Vars;
use super::vjp::value_and_grad;
use crate::var::Var;

/// The gradient of each example's loss: `loss(x, i)` is that of example `i` of `n`, and the gradients of a variable of
/// shape `S` come as one of shape `[n, S..]`. One forward and backward pass an example, so `loss` may treat its example
/// as it likes.
///
/// Where the examples act on each other, as through batch normalisation in training, this is the
/// [`jacobian`](crate::jacobian) of the vector of all losses.
///
/// # Panics
/// When `loss` gives more than one element, or none.
///
/// ```
/// use gradus_autograd::{Var, per_example_grads};
/// use gradus_tensor::Tensor;
/// let examples = Var::from(Tensor::from([[1.0f64, 2.0], [3.0, 4.0]]));
/// let w = Var::from(Tensor::from([1.0f64, 1.0]));
/// let grads = per_example_grads(|w, i| (examples.select(0, i) * w).sum(..).square(), &w, 2);
/// assert_eq!(grads.value().to_vec(), [6.0, 12.0, 42.0, 56.0]);
/// ```
#[track_caller]
pub fn per_example_grads<X: Vars>(loss: impl Fn(&X, usize) -> Var<X::Elem>, x: &X, n: usize) -> X {
    let mut parts: Vec<Vec<Option<Var<X::Elem>>>> = x.as_vars().iter().map(|_| Vec::with_capacity(n)).collect();
    for i in 0..n {
        let (_, gradient) = value_and_grad(|x| loss(x, i), x);
        for (part, g) in parts.iter_mut().zip(gradient.as_vars()) {
            part.push(Some(g.clone()));
        }
    }
    x.with_vars(parts.iter().zip(x.as_vars()).map(|(part, x)| stacked(part, x.shape(), 0)).collect())
}
