//! Activations: functions of one number that are made for networks.

use super::functions;
use crate::compiled_once::compiled_once;
use crate::float::Float;
use crate::real::Real;
use crate::tensor::Tensor;

/// SELU's constants (Klambauer et al. 2017): the fixed point of mean 0 and variance 1.
pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
/// The other of SELU's constants.
pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
/// `√(2/π)`, the scale of [`gelu_tanh`].
pub const GELU_TANH: f64 = 0.797_884_560_802_865_4;
/// The cube's factor in [`gelu_tanh`].
pub const GELU_CUBE: f64 = 0.044_715;
/// Sigmoids, exponentials and the error function are at their limits long before this. Their products with `x` read it no further
/// out, so that none is `0 · ∞`.
pub const FAR: f64 = 1e4;

/// `x`, but no lower than `-FAR`.
#[inline(always)]
fn above<S: Real>(x: S) -> S {
    if x < S::lit(-FAR) { S::lit(-FAR) } else { x }
}

functions! {
    /// `1 / (1 + e^-x)`.
    #[doc(alias("expit", "logistic"))]
    sigmoid = |v| v.sigmoid();
    /// `max(x, 0)`.
    relu = |v| v.maximum(S::zero());
    /// `min(max(x, 0), 6)` (Howard et al. 2017).
    relu6 = |v| v.maximum(S::zero()).minimum(S::lit(6.0));
    /// `x` for `x > 0`, `slope · x` elsewhere (Maas et al. 2013).
    leaky_relu(slope: f64) = |v| if v > S::zero() { v } else { v * S::lit(slope) };
    /// `x` for `x > 0`, `alpha (e^x - 1)` elsewhere (Clevert et al. 2016).
    elu(alpha: f64) = |v| if v > S::zero() { v } else { S::lit(alpha) * v.exp_m1() };
    /// `x Φ(x)`, the Gaussian error linear unit in its exact form (Hendrycks and Gimpel 2016). `Φ` is exact to the precision of
    /// 1, so values below -3 are exact to that times `x`, as in PyTorch.
    gelu = |v| above(v) * S::lit(0.5) * (S::one() + (v * S::lit(std::f64::consts::FRAC_1_SQRT_2)).erf());
    /// `x · sigmoid(2 √(2/π) (x + 0.044715 x³))`: [`gelu`](Self::gelu) with `tanh` in place of the error function
    /// (PyTorch's `approximate="tanh"`; Hendrycks and Gimpel 2016).
    gelu_tanh = |v| above(v) * (S::lit(2.0 * GELU_TANH) * (v + S::lit(GELU_CUBE) * v * v * v)).sigmoid();
    /// `x · sigmoid(x)`, also called swish (Elfwing et al. 2018).
    #[doc(alias = "swish")]
    silu = |v| above(v) * v.sigmoid();
    /// `ln(1 + e^x)`, without overflow.
    softplus = |v| v.maximum(S::zero()) + (-v.abs()).exp().ln_1p();
    /// `scale · x` for `x > 0`, `scale · alpha (e^x - 1)` elsewhere, with the constants that keep mean 0 and variance 1
    /// (Klambauer et al. 2017).
    selu = |v| S::lit(SELU_SCALE) * if v > S::zero() { v } else { S::lit(SELU_ALPHA) * v.exp_m1() };
    /// `x` for `x > 0`, `alpha (e^(x / alpha) - 1)` elsewhere: its slope is continuous for any `alpha` (Barron 2017).
    celu(alpha: f64) = |v| if v > S::zero() { v } else { S::lit(alpha) * (v * S::lit(1.0 / alpha)).exp_m1() };
    /// `x · tanh(ln(1 + e^x))` (Misra 2020).
    mish = |v| {
        // tanh(ln(1 + e^x)) = s (2 - s) / (1 + (1 - s)²) with s = sigmoid(x), which neither overflows nor cancels.
        let (s, q) = (v.sigmoid(), (-v).sigmoid());
        above(v) * s * (S::lit(2.0) - s) / (S::one() + q * q)
    };
    /// `x / (1 + |x|)`.
    softsign = |v| super::clamp(v, -1e30, 1e30) / (S::one() + v.abs().minimum(S::lit(1e30)));
    /// `ln sigmoid(x)`, without overflow.
    log_sigmoid = |v| v.minimum(S::zero()) - (-v.abs()).exp().ln_1p();
    /// `min(max(x, low), high)`.
    hardtanh(low: f64, high: f64) = |v| v.maximum(S::lit(low)).minimum(S::lit(high));
    /// `min(max(x + 3, 0), 6) / 6` (Courbariaux et al. 2015, in PyTorch's form).
    hardsigmoid = |v| (v + S::lit(3.0)).maximum(S::zero()).minimum(S::lit(6.0)) * S::lit(1.0 / 6.0);
    /// `x · min(max(x + 3, 0), 6) / 6` (Howard et al. 2019).
    hardswish = |v| above(v) * hardsigmoid(v);
    /// `x - tanh x`, exact near 0 too.
    tanhshrink = |v| {
        // x³/3 - 2x⁵/15 + … where the difference would cancel.
        let z = v * v;
        let tail = S::lit(17.0 / 315.0) - z * (S::lit(62.0 / 2835.0) - z * S::lit(1382.0 / 155_925.0));
        let small = v * z * (S::lit(1.0 / 3.0) - z * (S::lit(2.0 / 15.0) - z * tail));
        if v.abs() < S::lit(0.1) { small } else { v - v.tanh() }
    };
    /// `x` for `x > threshold`, `value` elsewhere.
    threshold(threshold: f64, value: f64) = |v| if v <= S::lit(threshold) { S::lit(value) } else { v };
    /// `x - lambda` for `x > lambda`, `x + lambda` for `x < -lambda`, 0 between.
    softshrink(lambda: f64) = |v| v - v.maximum(S::lit(-lambda)).minimum(S::lit(lambda));
    /// `x` outside of `-lambda..=lambda`, 0 inside.
    hardshrink(lambda: f64) = |v| if v >= S::lit(-lambda) && v <= S::lit(lambda) { S::zero() } else { v };
}
