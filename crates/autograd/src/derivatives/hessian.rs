//! Second derivatives, whole.

use super::jacobian::jacobian;
use super::vars::Vars;
use super::vjp::value_and_grad;
use crate::var::Var;

/// The Hessian of a scalar function `f` at `x`, of shape `[S.., S..]` for a variable of shape `S`: the Jacobian of the
/// gradient, one walk along the gradient's tape for each element of `x`. For products with it, see [`hvp`](crate::hvp).
///
/// # Panics
/// When `f` gives more than one element, or none.
///
/// ```
/// use gradus_autograd::{Var, hessian};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let h = hessian(|x| x.powf(3.0).sum(..) + x.select(0, 0) * x.select(0, 1), &x);
/// assert_eq!(h.value().to_vec(), [6.0, 1.0, 1.0, 12.0]);
/// ```
#[track_caller]
pub fn hessian<X: Vars>(f: impl FnOnce(&X) -> Var<X::Elem>, x: &X) -> X::Each<X::Each<Var<X::Elem>>> {
    jacobian(|x| value_and_grad(f, x).1, x)
}
