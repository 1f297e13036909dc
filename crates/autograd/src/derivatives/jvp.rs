//! Forward mode: Jacobian-vector products.

use super::recorded::record;
use super::vars::{Vars, check_like};

/// The value of `f` at `x`, and its derivative along `v`: the Jacobian times `v`, in one forward pass and one walk
/// along the tape that costs about three, and up to six where the network is small.
///
/// # Panics
/// When `v` has not the shape of `x`.
///
/// ```
/// use gradus_autograd::{Var, jvp};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let v = Var::from(gradus_tensor::Tensor::from([1.0, 10.0]));
/// let (y, dy) = jvp(|x| x.square().sum(..), &x, &v);
/// assert_eq!((y.item(), dy.item()), (5.0, 42.0));
/// ```
#[doc(alias = "forward_ad")]
#[track_caller]
pub fn jvp<X: Vars, Y: Vars<Elem = X::Elem>>(f: impl FnOnce(&X) -> Y, x: &X, v: &X) -> (Y, Y) {
    check_like("jvp", x.as_vars(), v.as_vars());
    let (y, recorded) = record(f, x);
    let dy = y.with_vars(recorded.push_all(v.as_vars()));
    (y, dy)
}
