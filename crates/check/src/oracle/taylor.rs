//! The Taylor remainder test: no step has to be chosen, for the rate is what tells.

use super::Opinion;

/// Compares a claimed slope of `phi` at 0 with its values: `r(h) = |phi(h) - phi(0) - h slope|` falls as `h²` when the
/// slope is right, or is round-off; when it is wrong by `δ`, `r(h) = |δ| h` for small `h`.
///
/// `size` bounds the terms that the values are sums of, and so their round-off.
pub(crate) fn opinion(
    phi: &mut dyn FnMut(f64) -> Result<f64, String>,
    at: f64,
    slope: f64,
    size: f64,
) -> Result<Opinion, String> {
    if !(at.is_finite() && slope.is_finite() && size.is_finite()) {
        return Ok(Opinion::Unresolved);
    }
    let mut h = 0.03;
    let (mut remainders, mut seen) = (Vec::new(), false);
    for _ in 0..24 {
        let value = phi(h)?;
        if value.is_finite() {
            seen = true;
            let floor = 64.0 * f64::EPSILON * (value.abs() + at.abs() + (h * slope).abs() + size);
            let r = (value - at - h * slope).abs();
            if r <= floor {
                break;
            }
            remainders.push(r);
        }
        h /= 2.0;
    }
    // The rate at the smallest steps that stand clear of round-off.
    let [.., a, b, c] = remainders[..] else {
        return Ok(if seen { Opinion::Agrees } else { Opinion::Unresolved });
    };
    let rate = (a / c).log2() / 2.0;
    let steady = ((a / b).log2() - (b / c).log2()).abs() < 0.5;
    Ok(match rate {
        r if r > 1.6 => Opinion::Agrees,
        r if (0.8..1.3).contains(&r) && steady => Opinion::Disagrees,
        _ => Opinion::Unresolved,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(f: impl Fn(f64) -> f64, slope: f64) -> Opinion {
        opinion(&mut |h| Ok(f(h)), f(0.0), slope, 0.0).unwrap()
    }

    #[test]
    fn the_rate_tells_right_from_wrong() {
        assert_eq!(of(|h| (1.0 + h).exp(), 1f64.exp()), Opinion::Agrees);
        assert_eq!(of(|h| (1.0 + h).exp(), 1f64.exp() * 1.001), Opinion::Disagrees);
        assert_eq!(of(|h| 3.0 * h + 2.0, 3.0), Opinion::Agrees);
        assert_eq!(of(|h| 3.0 * h + 2.0, 3.0 + 1e-6), Opinion::Disagrees);
        assert_eq!(of(|_| 5.0, 0.0), Opinion::Agrees);
        assert_eq!(of(|h| h.cos(), 0.0), Opinion::Agrees);
        assert_eq!(of(|h| if h == 0.0 { 1.0 } else { f64::NAN }, 0.0), Opinion::Unresolved);
    }
}
