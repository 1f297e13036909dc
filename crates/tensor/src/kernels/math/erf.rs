//! The error function.

use super::with_sign;

/// Below this, `erf` is `x + x p(x²)`; above, `1 - p(|x|)⁴`.
const NEAR: f32 = 1.125;
/// The polynomial near 0.
const P_NEAR: [f32; 9] = [
    0.128_379_17,
    -0.376_126_38,
    0.112_837_896,
    -0.026_866_024,
    0.005_223_382_3,
    -0.000_853_465_06,
    0.000_118_684_19,
    -0.000_013_402_182,
    0.000_000_940_197,
];
/// The fourth root of `1 - erf` further out.
const P_FAR: [f32; 9] = [
    1.003_934,
    -0.301_518_2,
    -0.077_943_854,
    -0.034_201_708,
    0.054_925_315,
    -0.017_378_137,
    0.001_954_608,
    0.000_010_139_93,
    -0.000_012_045_649,
];

/// `erf(x) = 2/sqrt(pi) * integral of e^(-t²) from 0 to x`, to 1.6 ulp. Both minimax polynomials have the same degree, so that one
/// evaluation serves every `x`, with the coefficients of its part.
#[inline(always)]
pub(crate) fn erf(x: f32) -> f32 {
    let t = x.abs();
    let near = t < NEAR;
    let t = if t > 4.0 { 4.0 } else { t };
    let v = if near { x * x } else { t };
    let mut p = if near { P_NEAR[8] } else { P_FAR[8] };
    for i in (0..8).rev() {
        p = p * v + if near { P_NEAR[i] } else { P_FAR[i] };
    }
    let square = p * p;
    let far = with_sign(1.0 - square * square, x);
    if near { x + x * p } else { far }
}
