//! A kink, or a wrong gradient? The one-sided slopes tell.

/// How a function of one number behaves at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// The one-sided slopes meet.
    Smooth,
    /// They do not: the slopes on the left and on the right, and how well they are known.
    Kink { left: f64, right: f64, error: f64 },
    /// They grow without bound as the step shrinks: a jump, or a vertical tangent.
    Jump,
    /// Not enough finite values to tell.
    Unknown,
}

const STEPS: [f64; 4] = [4e-5, 2e-5, 1e-5, 5e-6];

/// The difference of the one-sided slopes scales as `h` where the function is smooth, stays at a kink, and grows as
/// `1/h` at a jump.
pub(crate) fn shape(phi: &mut dyn FnMut(f64) -> Result<f64, String>, at: f64, scale: f64) -> Result<Shape, String> {
    let scale = scale.max(1.0);
    let (mut slopes, mut noise) = (Vec::new(), 0.0f64);
    for h in STEPS.map(|h| h * scale) {
        let (up, down) = (phi(h)?, phi(-h)?);
        if !(up.is_finite() && down.is_finite() && at.is_finite()) {
            return Ok(Shape::Unknown);
        }
        slopes.push(((at - down) / h, (up - at) / h));
        noise = 4.0 * f64::EPSILON * up.abs().max(down.abs()).max(at.abs()) / h;
    }
    let gaps: Vec<f64> = slopes.iter().map(|(left, right)| (right - left).abs()).collect();
    let (first, last) = (gaps[0], gaps[3]);
    if last <= 10.0 * noise || last <= 0.4 * first {
        return Ok(Shape::Smooth);
    }
    if last >= 2.0 * first {
        return Ok(Shape::Jump);
    }
    // One step of extrapolation: the error of a one-sided slope falls as the step.
    let limit = |side: fn(&(f64, f64)) -> f64| 2.0 * side(&slopes[3]) - side(&slopes[2]);
    let (left, right) = (limit(|s| s.0), limit(|s| s.1));
    Ok(Shape::Kink { left, right, error: 4.0 * noise + 1e-7 * left.abs().max(right.abs()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(f: impl Fn(f64) -> f64) -> Shape {
        shape(&mut |h| Ok(f(h)), f(0.0), 1.0).unwrap()
    }

    #[test]
    fn kinks_jumps_and_smooth_places_are_told_apart() {
        assert_eq!(of(|x| (x + 1.0).exp()), Shape::Smooth);
        assert_eq!(of(|x| 100.0 * x * x), Shape::Smooth);
        assert_eq!(of(|_| 2.0), Shape::Smooth);
        let Shape::Kink { left, right, .. } = of(|x| x.max(0.0) * 3.0 + x.sin()) else { panic!() };
        assert!((left - 1.0).abs() < 1e-6 && (right - 4.0).abs() < 1e-6);
        assert_eq!(of(|x| if x > 0.0 { 1.0 } else { 0.0 }), Shape::Jump);
        assert_eq!(of(|x: f64| x.cbrt().abs()), Shape::Jump);
        assert_eq!(of(f64::sqrt), Shape::Unknown);
    }
}
