//! The absolute value, with its rule at the kink.

use crate::calculus::Calculus;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::limits;
use crate::ops::listed::apply;
use crate::ops::no_nan::times_gradient;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Real, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `|x|`, `dx = sign(x) dy`, 0 at 0.
    ///
    /// The second derivative of a function of it is right at 0 where that function is smooth there, as `|x|²` is; where it is
    /// not, as `|x|` itself, it is 0.
    #[doc(alias = "absolute")]
    #[track_caller]
    pub fn abs(&self) -> Var<T> {
        apply(Abs, &[self])
    }
}

pub(crate) struct Abs;

impl<T: Float> Op<T> for Abs {
    fn name(&self) -> &'static str {
        "abs"
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).abs()
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let x = cx.input(0);
        pull(cx, &x).into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

fn pull<T: Float>(p: &mut VjpContext<'_, T>, x: &Var<T>) -> Var<T> {
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
    let y = p.y_from_value(x.value().abs());
    match limits::slope(p.gy(), &y, &kink) {
        Some(slope) => slope.mul_no_nan(x).where_(&kink, &product),
        None => product,
    }
}

impl<T: Float> Sampled<T> for Abs {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("abs", |rng| {
                let domain = [0.2..3.0, -3.0..-0.2][rng.below(2)].clone();
                Case::new([draw::tensor(rng, domain)], |v| v[0].abs()).with_dual(Real::abs)
            })
            .elementwise(),
        ]
    }
}
