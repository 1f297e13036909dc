//! Reverse mode: gradients and vector-Jacobian products.

use super::recorded::record;
use super::vars::{Vars, check_like};
use crate::var::Var;
use gradus_tensor::Tensor;

/// The value of a scalar function `f` at `x`, and its gradient: one forward and one backward pass.
///
/// For gradients with respect to variables at hand, as a model's parameters, use [`Var::backward`] or
/// [`grad`](crate::grad).
///
/// # Panics
/// When `f` gives more than one element, or none.
///
/// ```
/// use gradus_autograd::{Var, value_and_grad};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let (y, gradient) = value_and_grad(|x| x.powf(3.0).sum(..), &x);
/// assert_eq!((y.item(), gradient.value().to_vec()), (9.0, vec![3.0, 12.0]));
/// ```
#[doc(alias = "GradientTape")]
#[track_caller]
pub fn value_and_grad<X: Vars>(f: impl FnOnce(&X) -> Var<X::Elem>, x: &X) -> (Var<X::Elem>, X) {
    let (y, recorded) = record(f, x);
    check_scalar("value_and_grad", &y);
    let one = Var::constant(Tensor::ones(y.shape().clone()));
    let gradient = x.with_vars(recorded.pull_all(&[one]));
    (y, gradient)
}

#[track_caller]
pub(super) fn check_scalar<T: gradus_tensor::Float>(what: &str, y: &Var<T>) {
    assert!(y.value().numel() == 1, "{what}: the function gave shape {}; a scalar is wanted (sum or average it)", y.shape());
}

/// The value of `f` at `x`, and its pullback: the function that multiplies the transposed Jacobian, `v ↦ vᵀJ`. Each call
/// of the pullback is one backward pass over what one forward pass recorded.
///
/// # Panics
/// The pullback panics when `v` has not the shape of `f(x)`.
///
/// ```
/// use gradus_autograd::{Var, vjp};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let (y, pullback) = vjp(|x| x.square(), &x);
/// let v = Var::from(gradus_tensor::Tensor::from([1.0, 10.0]));
/// assert_eq!((y.value().to_vec(), pullback(&v).value().to_vec()), (vec![1.0, 4.0], vec![2.0, 40.0]));
/// ```
#[track_caller]
pub fn vjp<X, Y, F>(f: F, x: &X) -> (Y, impl Fn(&Y) -> X + use<X, Y, F>)
where
    X: Vars,
    Y: Vars<Elem = X::Elem>,
    F: FnOnce(&X) -> Y,
{
    let (y, recorded) = record(f, x);
    let like = x.clone();
    let pullback = move |v: &Y| {
        check_like("vjp", &recorded.outputs, v.as_vars());
        like.with_vars(recorded.pull_all(v.as_vars()))
    };
    (y, pullback)
}
