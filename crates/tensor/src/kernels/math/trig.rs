//! Sine and cosine. The argument is reduced in `f64`, counted in turns: `x / 2π = k/4 + t` with
//! `|t| <= 1/8`; minimax polynomials in `r = 2π t` do the rest.
//!
//! A whole `m` times the whole turns of `2^e / 2π` makes whole turns: with `x = 2^e m` only the fraction
//! of `2^e / 2π` counts, and five such fractions cover the range of `f32` (after Payne and Hanek 1983).

use super::poly;

/// The first 256 bits of `1 / 2π` after the point.
const INV_TAU: [u64; 4] = [0x28be60db9391054a, 0x7f09d5f47d4d3770, 0x36d8a5664f10e410, 0x7f9458eaf7aef158];

/// `2^e / 2π mod 1` for `e` = 0, 24, 48, 72, 96: the first 29 bits and the next, whose products with
/// the 24 bits of an `f32` are exact, and the 53 that follow.
const TURNS: [[f64; 3]; 5] = {
    let mut table = [[0.0; 3]; 5];
    let mut i = 0;
    while i < 5 {
        let (word, bit) = (24 * i / 64, 24 * i % 64);
        let wide = (INV_TAU[word] as u128) << 64 | INV_TAU[word + 1] as u128;
        let bits = if bit == 0 { wide } else { wide << bit | (INV_TAU[word + 2] >> (64 - bit)) as u128 };
        let unit = 1.0 / (1u64 << 29) as f64;
        table[i][0] = (bits >> 99) as f64 * unit;
        table[i][1] = (bits << 29 >> 99) as f64 * unit * unit;
        table[i][2] = (bits << 58 >> 75) as f64 * unit * unit / (1u64 << 53) as f64;
        i += 1;
    }
    table
};

/// The number of quarter turns in `x`, and the rest in radians, at most an eighth of a turn.
#[inline(always)]
fn reduce(x: f32) -> (f32, u32) {
    /// What [`super::MAGIC`] is to `f32`.
    const MAGIC: f64 = 6_755_399_441_055_744.0;
    let x = f64::from(x);
    let (mut m, [mut hi, mut mid, mut lo]) = (x, TURNS[0]);
    let mut start = (1u64 << 47) as f64;
    let mut unit = 1.0;
    for turns in &TURNS[1..] {
        let reached = x.abs() >= start;
        start *= 16_777_216.0;
        unit /= 16_777_216.0;
        m = if reached { x * unit } else { m };
        hi = if reached { turns[0] } else { hi };
        mid = if reached { turns[1] } else { mid };
        lo = if reached { turns[2] } else { lo };
    }
    let (a, b, c) = (m * hi, m * mid, m * lo);
    let (a, b) = (a - (a + MAGIC - MAGIC), b - (b + MAGIC - MAGIC));
    let shifted = 4.0 * (a + b + c) + MAGIC;
    let t = a - 0.25 * (shifted - MAGIC) + b + c;
    ((t * std::f64::consts::TAU) as f32, shifted.to_bits() as u32)
}

/// `sin r` in even quadrants, `cos r` in odd ones, negated in the last two.
#[inline(always)]
fn quadrant(r: f32, k: u32) -> f32 {
    let z = r * r;
    let sin = r + r * z * poly(z, [-0.166_666_64, 0.008_332_748, -0.000_195_877_57]);
    let cos = 1.0 - 0.5 * z + z * z * poly(z, [0.041_666_664, -0.001_388_830_2, 0.000_024_547_788]);
    let y = if k & 1 == 0 { sin } else { cos };
    f32::from_bits(y.to_bits() ^ ((k & 2) << 30))
}

/// The sine, to 2 ulp, of any `x`; NaN for infinities.
#[inline(always)]
pub(crate) fn sin(x: f32) -> f32 {
    let (r, k) = reduce(x);
    // Below this the cube is lost in rounding; and -0 must stay -0.
    if x.abs() < 2e-4 { x } else { quadrant(r, k) }
}

/// The cosine, to 2 ulp, of any `x`; NaN for infinities.
#[inline(always)]
pub(crate) fn cos(x: f32) -> f32 {
    let (r, k) = reduce(x);
    quadrant(r, k.wrapping_add(1))
}
