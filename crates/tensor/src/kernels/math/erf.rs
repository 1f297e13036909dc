//! The error function.

use super::exp::exp;
use super::{poly, with_sign};

/// `erf(x) = 2/sqrt(pi) * integral of e^(-t²) from 0 to x`, to 2 ulp: `x + x p(x²)` near 0, and
/// `1 - e^(-t - t q(t))` with `t = |x|` further out, both with minimax polynomials.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let z = x * x;
    let near =
        poly(z, [0.128_379_17, -0.376_126_32, 0.112_836_86, -0.026_858_851, 0.005_199_6, -0.000_812_580_75, 0.000_082_966_13]);
    let t = x.abs();
    let t = if t > 4.0 { 4.0 } else { t };
    let q = poly(t, [0.128_658_52, 0.635_110_8, 0.106_303_66, -0.023_819_366, 0.003_669_456, -0.000_329_421_5, 0.000_011_890_44]);
    let far = with_sign(1.0 - exp(-t - t * q), x);
    if x.abs() < 0.9375 { x + x * near } else { far }
}
