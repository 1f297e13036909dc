//! Products of a slope and a gradient, which are 0 where the gradient is, be the slope infinite or NaN: what
//! [`Var::where_`] left out at a singular point does not come back as `0 · ∞`.

use crate::mode::is_grad_enabled;
use crate::op::Pull;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::Float;
use gradus_tensor::once::compiled_once;

/// A slope times the gradient that came in, and 0 where that is 0.
#[inline(always)]
pub(super) fn times_gradient<T: Float>(slope: T, g: T) -> T {
    let product = slope * g;
    if g == T::zero() { T::zero() } else { product }
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// `a · b`, but 0 where `b` is 0, be `a` infinite or NaN; `tf.math.multiply_no_nan`. It is the product of the chain
    /// rule, of a slope and a gradient: with it, a rule of one's own gives 0 for a gradient of 0 at singular points too.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let slope = Var::constant(Tensor::from([f64::INFINITY, 2.0]));
    /// let gy = Var::constant(Tensor::from([0.0, 3.0]));
    /// assert_eq!(slope.mul_no_nan(&gy).value().to_vec(), [0.0, 6.0]);
    /// ```
    ///
    /// # Panics
    /// When the shapes do not broadcast.
    #[track_caller]
    pub fn mul_no_nan(&self, other: &Var<T>) -> Var<T> {
        product(self, other, false)
    }
}

/// `a · b`, but 0 where `b` is, and, with `either`, where `a` is.
///
/// Where `b` is 0 this does not depend on `a`: its derivative there is 0, whatever gradient comes in. So `da` is 0 where
/// either of its factors is. The derivative by `b` is `a`, also where `b` is 0.
#[track_caller]
fn product<T: Float>(a: &Var<T>, b: &Var<T>, either: bool) -> Var<T> {
    let y = if either {
        let absorbed = |a: T, b: T| if a == T::zero() { a } else { times_gradient(a, b) };
        a.value().zip_map("mul_no_nan", b.value(), absorbed)
    } else {
        a.value().zip_map("mul_no_nan", b.value(), times_gradient)
    };
    let (slope, g) = (a.clone(), b.clone());
    let da = move |p: &mut Pull<'_, T>| product(&g, p.gy(), true);
    let db = move |p: &mut Pull<'_, T>| product(&slope, p.gy(), either);
    super::binary::binary("mul_no_nan", a, b, y, da, db)
}

/// A gradient over `b`, and 0 where it is 0.
pub(super) fn quotient<T: Float>(g: &Var<T>, b: &Var<T>) -> Var<T> {
    if is_grad_enabled() {
        return b.recip().mul_no_nan(g);
    }
    let over = |g: T, b: T| if g == T::zero() { g } else { g / b };
    Var::constant(g.value().zip_map("div", b.value(), over))
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![OpSample::new("mul_no_nan", |rng| {
        let (a, b) = draw::broadcast_pair(rng, -2.0..2.0, -2.0..2.0);
        Case::new([a, b], |v| v[0].mul_no_nan(&v[1]))
    })]
}
