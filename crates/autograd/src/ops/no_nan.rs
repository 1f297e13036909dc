//! Products of a slope and a gradient, which are 0 where the gradient is, be the slope infinite or NaN: what
//! [`Var::where_`] left out at a singular point does not come back as `0 · ∞`.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::mode::is_grad_enabled;
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};

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

#[track_caller]
fn product<T: Float>(a: &Var<T>, b: &Var<T>, either: bool) -> Var<T> {
    apply(MulNoNan { either }, &[a, b])
}

/// `a · b`, but 0 where `b` is, and, with `either`, where `a` is.
///
/// Where `b` is 0 this does not depend on `a`: its derivative there is 0, whatever gradient comes in. So `da` is 0 where
/// either of its factors is. The derivative by `b` is `a`, also where `b` is 0.
pub(crate) struct MulNoNan {
    either: bool,
}

impl<T: Float> Op<T> for MulNoNan {
    fn name(&self) -> &'static str {
        "mul_no_nan"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("either", self.either)
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (a, b) = (cx.input(0), cx.input(1));
        if self.either {
            let absorbed = |a: T, b: T| if a == T::zero() { a } else { times_gradient(a, b) };
            a.zip_map("mul_no_nan", b, absorbed)
        } else {
            a.zip_map("mul_no_nan", b, times_gradient)
        }
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let da = cx.needs(0).then(|| product(&cx.input(1), cx.gy(), true).sum_to(cx.shape(0)));
        let db = cx.needs(1).then(|| product(&cx.input(0), cx.gy(), self.either).sum_to(cx.shape(1)));
        [da, db].into()
    }
}

/// A gradient over `b`, and 0 where it is 0.
pub(super) fn quotient<T: Float>(g: &Var<T>, b: &Var<T>) -> Var<T> {
    if is_grad_enabled() {
        return b.recip().mul_no_nan(g);
    }
    let over = |g: T, b: T| if g == T::zero() { g } else { g / b };
    Var::constant(g.value().zip_map("div", b.value(), over))
}

impl<T: Float> Sampled<T> for MulNoNan {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("mul_no_nan", |rng| {
                let (a, b) = draw::broadcast_pair(rng, -2.0..2.0, -2.0..2.0);
                Case::new([a, b], |v| v[0].mul_no_nan(&v[1]))
            })
            .elementwise(),
        ]
    }
}
