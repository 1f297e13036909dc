//! Derivatives along a line, of any order.

use super::jvp::jvp;
use super::vars::{Vars, check_like};
use crate::var::Var;
use gradus_tensor::{Float, Tensor};

/// The `order`-th derivative of `f` along `v`: of `t ↦ f(x + t v)` at `t = 0`. Order 1 is what [`jvp`] gives beside the
/// value. Its cost grows as a power of the order.
///
/// # Panics
/// When `v` has not the shape of `x`.
///
/// ```
/// use gradus_autograd::{Var, directional_derivative};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let v = Var::from(gradus_tensor::Tensor::from([1.0, -1.0]));
/// // (1 + t)² + (2 - t)²
/// let second = directional_derivative(|x| x.square().sum(..), &x, &v, 2);
/// assert_eq!(second.item(), 4.0);
/// ```
#[track_caller]
pub fn directional_derivative<X: Vars, Y: Vars<Elem = X::Elem>>(f: impl Fn(&X) -> Y, x: &X, v: &X, order: usize) -> Y {
    check_like("directional_derivative", x.as_vars(), v.as_vars());
    nested(&f, x, v, order)
}

fn nested<X: Vars, Y: Vars<Elem = X::Elem>>(f: &dyn Fn(&X) -> Y, x: &X, v: &X, order: usize) -> Y {
    if order == 0 { f(x) } else { jvp(|x| nested(f, x, v, order - 1), x, v).1 }
}

/// The `n`-th derivative of a function of one variable, at every element of `x`: `f` treats each element for itself, as
/// `|x| x.sin()` does.
///
/// ```
/// use gradus_autograd::{Var, nth_derivative};
/// let x = Var::from(gradus_tensor::Tensor::from([1.0f64, 2.0]));
/// let third = nth_derivative(|x| x.powf(4.0), &x, 3);
/// assert_eq!(third.value().to_vec(), [24.0, 48.0]);
/// ```
#[track_caller]
pub fn nth_derivative<T: Float>(f: impl Fn(&Var<T>) -> Var<T>, x: &Var<T>, n: usize) -> Var<T> {
    // Along the vector of ones every element moves by the same t.
    directional_derivative(f, x, &Var::constant(Tensor::ones(x.shape().clone())), n)
}
