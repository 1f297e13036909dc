//! The Euclidean norm, and what its derivatives are where it is 0.

use crate::op::{Pull, op_with_output};
use crate::ops::limits;
use crate::ops::no_nan::times_gradient;
use crate::ops::reduce::{Taken, taken};
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::shape::{Axes, AxisList};
use gradus_tensor::{Float, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The Euclidean norm over `axes`, which go; `..` for all: `y = √Σ x²`, `dx = x / y dy`, and 0 where `y` is 0. The squares
    /// neither overflow nor underflow.
    ///
    /// Where `y` is 0, a function `f(y)` has a second derivative if `f'(0)` is 0: it is `f''(0)` times the identity, as for
    /// `y²`. Any other, that of the norm itself among them, is NaN.
    #[track_caller]
    pub fn norm(&self, axes: impl Axes) -> Var<T> {
        let t = taken("norm", self, axes);
        let (x, y) = (self.clone(), self.value().norm(&t.axes));
        op_with_output("norm", [self], y, move |p| {
            [Some(if p.is_differentiable() { differentiable(p, &x, &t) } else { plain(p, &x, &t) })]
        })
    }

    /// As [`norm`](Self::norm), the axes staying with size 1.
    #[track_caller]
    pub fn norm_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("norm", self, axes);
        self.norm(&t.axes).reshape(&t.kept)
    }
}

fn plain<T: Float>(p: &mut Pull<'_, T>, x: &Var<T>, t: &Taken) -> Var<T> {
    let (y, gy) = (p.y().reshape(&t.kept), p.gy().reshape(&t.kept));
    let at_zero = if limits::is_probing() { T::NAN } else { T::zero() };
    // Divided first, for x / y is at most 1, and gy / y may overflow.
    let direction = x.value().zip_map("norm", y.value(), |x, y| if y == T::zero() { at_zero } else { x / y });
    Var::constant(direction.zip_map_into("norm", gy.value(), times_gradient))
}

fn differentiable<T: Float>(p: &mut Pull<'_, T>, x: &Var<T>, t: &Taken) -> Var<T> {
    let (y, gy) = (p.y().reshape(&t.kept), p.gy().reshape(&t.kept));
    let zero = y.value().eq(0.0);
    let regular = (x / y.masked_fill(&zero, 1.0)).mul_no_nan(&gy);
    if !zero.any() {
        return regular;
    }
    // To first order, f'(y) x / y is f''(0) x where f'(0) is 0, and has no derivative where it is not: 0 with the slope NaN.
    let none = Var::constant(Tensor::scalar(T::NAN)).mul_no_nan(&(x + x.sum_keep(&t.axes)));
    let mut singular = none.mul_no_nan(&gy);
    let flat = p.y().value().zip_map("norm", p.gy().value(), |y, g| y == T::zero() && g == T::zero());
    if let Some(slope) = limits::slope_of_one(p.gy(), &p.y(), &flat) {
        singular = singular + slope.reshape(&t.kept).mul_no_nan(x);
    }
    singular.where_(&zero, &regular)
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![OpSample::new("norm", |rng| {
        let x = draw::tensor(rng, 0.4..2.0);
        let signs = Tensor::bernoulli(x.shape().clone(), 0.5, rng).to_num() * 2.0 - 1.0;
        let axes: AxisList = (0..x.rank()).filter(|_| rng.below(2) == 1).collect();
        Case::new([x * &signs], move |v| v[0].norm_keep(&axes) * v[0].norm(..))
    })]
}
