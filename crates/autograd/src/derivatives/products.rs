//! Products with second-derivative matrices, without the matrices.

use super::recorded::record;
use super::vars::{Vars, check_like};
use super::vjp::{check_scalar, value_and_grad, vjp};
use crate::var::Var;

/// The Hessian of a scalar function `f` at `x`, times `v`: a gradient's cost, about twice (Pearlmutter 1994).
///
/// For many products at one point, record the gradient once: `let (gradient, product) = vjp(|x| value_and_grad(f, x).1,
/// &x)`; the Hessian is symmetric, so this pullback multiplies by it.
///
/// # Panics
/// When `f` gives more than one element, or none; when `v` has not the shape of `x`.
///
/// ```
/// use gradus_autograd::{Var, hvp};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let v = Var::from(gradus_tensor::Tensor::from([1.0, 10.0]));
/// let hv = hvp(|x| x.powf(3.0).sum(..), &x, &v);
/// assert_eq!(hv.value().to_vec(), [6.0, 120.0]);
/// ```
#[doc(alias = "vhp")]
#[track_caller]
pub fn hvp<X: Vars>(f: impl FnOnce(&X) -> Var<X::Elem>, x: &X, v: &X) -> X {
    check_like("hvp", x.as_vars(), v.as_vars());
    let (_, product) = vjp(|x| value_and_grad(f, x).1, x);
    product(v)
}

/// `Jᵀ H J v` for a model `f` with Jacobian `J` at `x` and a scalar `loss` of its result with Hessian `H`: the part of
/// the Hessian of `loss(f(x))` that leaves the model's curvature out. Positive semi-definite when the loss is convex
/// (Schraudolph 2002).
///
/// # Panics
/// When `loss` gives more than one element, or none; when `v` has not the shape of `x`.
///
/// ```
/// use gradus_autograd::{Var, gauss_newton_product};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let v = Var::from(gradus_tensor::Tensor::from([1.0, 10.0]));
/// // J = diag(2x), H = 2
/// let gv = gauss_newton_product(|x| x.square(), |y| y.square().sum(..), &x, &v);
/// assert_eq!(gv.value().to_vec(), [8.0, 320.0]);
/// ```
#[track_caller]
pub fn gauss_newton_product<X: Vars, Y: Vars<Elem = X::Elem>>(
    f: impl FnOnce(&X) -> Y,
    loss: impl FnOnce(&Y) -> Var<X::Elem>,
    x: &X,
    v: &X,
) -> X {
    check_like("gauss_newton_product", x.as_vars(), v.as_vars());
    let (y, recorded) = record(f, x);
    let jv = y.with_vars(recorded.push_all(v.as_vars()));
    let checked_loss = |y: &Y| {
        let loss = loss(y);
        check_scalar("gauss_newton_product", &loss);
        loss
    };
    let hjv = hvp(checked_loss, &y, &jv);
    x.with_vars(recorded.pull_all(hjv.as_vars()))
}
