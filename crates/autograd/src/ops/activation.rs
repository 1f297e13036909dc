//! Activations: the part of the table of functions of one element (`unary.rs`) that is made for networks.

use crate::attributes::Attributes;
use crate::calculus::{Calculus, Val};
use crate::context::VjpContext;
use crate::ops::listed::{Listed, apply};
use crate::ops::no_nan::times_gradient;
use crate::ops::unary::{Unary, reads, unary};
use crate::ops::unary_rule::{Reads, UnaryRule};
use crate::sampling::{Case, ListedOp, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::functions::{self, FAR, GELU_CUBE, GELU_TANH, SELU_ALPHA, SELU_SCALE};
use gradus_tensor::{Float, Real, Tensor};

/// `x` within `-FAR..=FAR`.
#[inline(always)]
fn near<S: Calculus>(x: &S) -> S {
    x.clamp(-FAR, FAR)
}

/// `min(x, 0)`.
#[inline(always)]
fn negative<S: Calculus>(x: &S) -> S {
    x.clamp(f64::NEG_INFINITY, 0.0)
}

/// The gradient before `max(x, 0)`, for an op that ends with it and keeps its output; the same as that of [`Var::relu`].
pub(super) fn relu_gradient<T: Float>(p: &mut VjpContext<'_, T>) -> Var<T> {
    let y = p.y();
    if p.is_differentiable() {
        return Calculus::step(&y).mul_no_nan(p.gy());
    }
    let d = |g: T, y: T| times_gradient(Val(y).step().0, g);
    Var::constant(p.take_gy().into_value().zip_map_into("relu", y.value(), d))
}

unary! {
    /// `max(x, 0)`; the derivative at 0 is 0, and 1 at NaN, as in PyTorch.
    relu on 0.2..3.0, -3.0..-0.2 => d(_, y) = y.step();
    /// `min(max(x, 0), 6)`; the derivative at 0 and at 6 is 0, and 1 at NaN (Howard et al. 2017).
    relu6 on 0.2..5.0, -3.0..-0.2, 6.5..9.0 => d(_, y) = y.step() * (S::lit(6.0) - y.clone()).step();
    /// `x` for `x > 0`, `slope · x` elsewhere (Maas et al. 2013).
    leaky_relu(slope: f64 = 0.1) on 0.2..3.0, -3.0..-0.2 => d(x, _) = x.step() * S::lit(1.0 - slope) + S::lit(slope);
    /// `x` for `x > 0`, `alpha (e^x - 1)` elsewhere (Clevert et al. 2016).
    elu(alpha: f64 = 1.3) on 0.2..3.0, -3.0..-0.2 =>
        d(x, _) = x.step() + (S::lit(1.0) - x.step()) * S::lit(alpha) * negative(x).exp();
    /// `x Φ(x)`, the Gaussian error linear unit in its exact form (Hendrycks and Gimpel 2016). `Φ` is exact to the precision of
    /// 1, so values below -3 are exact to that times `x`, as in PyTorch.
    gelu on -3.0..3.0 =>
        d(x, _) = S::lit(0.5) * (S::lit(1.0) + (x.clone() * S::lit(std::f64::consts::FRAC_1_SQRT_2)).erf())
            + near(x) * (near(x).square() * S::lit(-0.5)).exp() * S::lit(0.398_942_280_401_432_7);
    /// `x · sigmoid(x)`, also called swish (Elfwing et al. 2018).
    #[doc(alias = "swish")]
    silu on -4.0..4.0 => d(x, _) = x.sigmoid() * (S::lit(1.0) + near(x) * (S::lit(1.0) - x.sigmoid()));
    /// `ln(1 + e^x)`, without overflow; `dx = sigmoid(x) dy`.
    softplus on -4.0..4.0 => d(x, _) = x.sigmoid();
    /// `scale · x` for `x > 0`, `scale · alpha (e^x - 1)` elsewhere, with the constants that keep mean 0 and variance 1
    /// (Klambauer et al. 2017).
    selu on 0.2..3.0, -3.0..-0.2 =>
        d(x, _) = S::lit(SELU_SCALE)
            * (x.step() + (S::lit(1.0) - x.step()) * S::lit(SELU_ALPHA) * negative(x).exp());
    /// `x` for `x > 0`, `alpha (e^(x / alpha) - 1)` elsewhere: its slope is continuous for any `alpha` (Barron 2017).
    celu(alpha: f64 = 1.3) on 0.2..3.0, -3.0..-0.2 =>
        d(x, _) = x.step() + (S::lit(1.0) - x.step()) * (negative(x) * S::lit(1.0 / alpha)).exp();
    /// `x · sigmoid(2 √(2/π) (x + 0.044715 x³))`: [`gelu`](Self::gelu) with `tanh` in the place of the error function
    /// (PyTorch's `approximate="tanh"`; Hendrycks and Gimpel 2016).
    gelu_tanh on -3.0..3.0 =>
        d(x, _) = {
            let x = &near(x);
            let s = (S::lit(2.0 * GELU_TANH) * (x.clone() + S::lit(GELU_CUBE) * x.powf(3.0))).sigmoid();
            let inner = S::lit(2.0 * GELU_TANH) * (S::lit(1.0) + S::lit(3.0 * GELU_CUBE) * x.square());
            s.clone() * (S::lit(1.0) + x.clone() * (S::lit(1.0) - s) * inner)
        };
    /// `x · tanh(ln(1 + e^x))` (Misra 2020).
    mish on -4.0..4.0 =>
        d(x, _) = {
            let (s, q) = (x.sigmoid(), (-x.clone()).sigmoid().square());
            let t = s.clone() * (S::lit(2.0) - s.clone()) / (S::lit(1.0) + q.clone());
            t + near(x) * s * S::lit(4.0) * q.clone() / (S::lit(1.0) + q).square()
        };
    /// `x / (1 + |x|)`, `dx = dy / (1 + |x|)²`.
    softsign on 0.2..3.0, -3.0..-0.2 => d(x, _) = (S::lit(1.0) + x.clone() * x.sign()).recip().square();
    /// `ln sigmoid(x)`, without overflow; `dx = sigmoid(-x) dy`.
    log_sigmoid on -4.0..4.0 => d(x, _) = (-x.clone()).sigmoid();
    /// `min(max(x, low), high)`; the derivative at `low` and at `high` is 0, as that of [`clamp`](Self::clamp), and 1 at NaN.
    hardtanh(low: f64 = -1.25, high: f64 = 1.5) on -1.0..1.2, 1.7..3.0, -3.0..-1.5 =>
        d(x, _) = (x.clone() - S::lit(low)).step() * (S::lit(high) - x.clone()).step();
    /// `min(max(x + 3, 0), 6) / 6` (Courbariaux et al. 2015, in PyTorch's form); the derivative at -3 and at 3 is 0.
    hardsigmoid on -2.8..2.8, 3.2..5.0, -5.0..-3.2 =>
        d(x, _) = (x.clone() + S::lit(3.0)).step() * (S::lit(3.0) - x.clone()).step() * S::lit(1.0 / 6.0);
    /// `x · min(max(x + 3, 0), 6) / 6` (Howard et al. 2019); the derivative at -3 is 0, at 3 it is 1.
    hardswish on -2.8..2.8, 3.2..5.0, -5.0..-3.2 =>
        d(x, _) = {
            let below = (S::lit(3.0) - x.clone()).step();
            let slope = near(x) * S::lit(1.0 / 3.0) + S::lit(0.5);
            (x.clone() + S::lit(3.0)).step() * (below.clone() * slope + S::lit(1.0) - below)
        };
    /// `x - tanh x`, exact near 0 too; `dx = tanh² x dy`.
    tanhshrink on -3.0..3.0 => d(x, _) = x.tanh().square();
    /// `x` for `x > threshold`, `value` elsewhere.
    threshold(threshold: f64 = 0.5, value: f64 = -2.0) on 0.7..3.0, -3.0..0.3 =>
        d(x, _) = (x.clone() - S::lit(threshold)).step();
    /// `x - lambda` for `x > lambda`, `x + lambda` for `x < -lambda`, 0 between.
    softshrink(lambda: f64 = 0.5) on 0.7..3.0, -3.0..-0.7, -0.4..0.4 => d(x, _) = S::lit(1.0) - x.within(-lambda, lambda);
    /// `x` outside of `-lambda..=lambda`, 0 inside.
    hardshrink(lambda: f64 = 0.5) on 0.7..3.0, -3.0..-0.7, -0.4..0.4 => d(x, _) = S::lit(1.0) - x.within(-lambda, lambda);
}
