//! The absolute value, with its rule at the kink.

use crate::calculus::Calculus;
use crate::op::{Pull, op};
use crate::ops::limits;
use crate::ops::no_nan::times_gradient;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::{Float, Real};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `|x|`, `dx = sign(x) dy`, 0 at 0.
    ///
    /// The second derivative of a function of it is right at 0 where that function is smooth there, as `|x|²` is; where it is
    /// not, as `|x|` itself, it is 0.
    #[track_caller]
    pub fn abs(&self) -> Var<T> {
        let x = self.clone();
        op("abs", [self], self.value().abs(), move |p| [Some(pull(p, &x))]).symmetric()
    }
}

fn pull<T: Float>(p: &mut Pull<'_, T>, x: &Var<T>) -> Var<T> {
    if !p.is_differentiable() {
        let d = |g: T, v: T| times_gradient(v.sign(), g);
        return Var::constant(p.take_gy().into_value().zip_map_into("abs", x.value(), d));
    }
    let product = Calculus::sign(x).mul_no_nan(p.gy());
    if p.gy().id().is_none() {
        return product;
    }
    let kink = x.value().zip_map("abs", p.gy().value(), |x, g| x == T::zero() && g == T::zero());
    if !kink.any() {
        return product;
    }
    // f'(|x|) sign x is f''(0) x to first order.
    let y = p.y_of_value(x.value().abs());
    match limits::slope(p.gy(), &y, &kink) {
        Some(slope) => slope.mul_no_nan(x).where_(&kink, &product),
        None => product,
    }
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![OpSample::new("abs", |rng| {
        let domain = [0.2..3.0, -3.0..-0.2][rng.below(2)].clone();
        Case::new([draw::tensor(rng, domain)], |v| v[0].abs()).with_dual(Real::abs)
    })]
}
