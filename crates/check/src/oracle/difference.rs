//! Central differences that pick their own step and know their own error.

/// A derivative by differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Estimate {
    pub value: f64,
    /// How far the truth may be away: truncation as the extrapolation shows it, and round-off.
    pub error: f64,
    /// How steep the way to the farthest neighbours is: what size of slope to expect where the slope itself is 0.
    pub steep: f64,
    /// Whether the one-sided slopes differ by something that does not shrink with the step.
    pub bent: bool,
}

/// The largest step, for an argument of size 1 or less.
const FIRST_STEP: f64 = 0.02;
/// Each step is half of the one before.
const LEVELS: usize = 10;
/// Terms of the error's series that extrapolation removes.
const DEPTH: usize = 5;

/// The derivative at 0 of each component of `phi`, which moves an argument whose size is `scale`.
///
/// Ridders (1982), "Accurate computation of F'(x) and F'(x) F''(x)": central differences at halved steps,
/// extrapolated to step 0 by Richardson's scheme; of all entries of the tableau, the one that differs least from its
/// neighbours is taken, and that difference is its error. Steps where `phi` is not finite are passed over, so that the
/// edge of a domain may be near.
pub(crate) fn derivative(
    phi: &mut dyn FnMut(f64) -> Result<Vec<f64>, String>,
    at: &[f64],
    scale: f64,
) -> Result<Vec<Estimate>, String> {
    let mut columns: Vec<Column> = at.iter().map(|&v| Column::new(v)).collect();
    let mut h = FIRST_STEP * scale.max(1.0);
    for level in 0..LEVELS {
        let (up, down) = (phi(h)?, phi(-h)?);
        if up.len() != at.len() || down.len() != at.len() {
            return Err(format!("the result has {} elements at one place and {} at another", at.len(), up.len()));
        }
        for ((column, &up), &down) in columns.iter_mut().zip(&up).zip(&down) {
            column.add(h, up, down);
        }
        let largest = columns.iter().map(|c| c.best.value.abs()).fold(0.0, f64::max);
        if level >= 3 && columns.iter().all(|c| c.best.error <= 1e-10 * largest || c.best.error == 0.0) {
            break;
        }
        h /= 2.0;
    }
    Ok(columns.into_iter().map(Column::finish).collect())
}

/// The tableau of one component; only its last row is kept.
struct Column {
    at: f64,
    row: Vec<f64>,
    best: Estimate,
    /// The difference of the one-sided slopes, and its round-off, at each step so far.
    gaps: Vec<(f64, f64)>,
    moved: bool,
}

impl Column {
    fn new(at: f64) -> Self {
        let best = Estimate { value: f64::NAN, error: f64::INFINITY, steep: 0.0, bent: false };
        Self { at, row: Vec::new(), best, gaps: Vec::new(), moved: false }
    }

    fn add(&mut self, h: f64, up: f64, down: f64) {
        if !(up.is_finite() && down.is_finite() && self.at.is_finite()) {
            return;
        }
        self.moved |= up != self.at || down != self.at;
        if self.best.steep == 0.0 {
            self.best.steep = (up - self.at).abs().max((down - self.at).abs()) / h;
        }
        let noise = f64::EPSILON * up.abs().max(down.abs()).max(self.at.abs()) / h;
        self.gaps.push(((up - 2.0 * self.at + down) / h, 4.0 * noise));
        let mut row = vec![(up - down) / (2.0 * h)];
        let mut power = 1.0;
        for (k, &above) in self.row.iter().enumerate().take(DEPTH) {
            power *= 4.0;
            let before = row[k];
            let better = before + (before - above) / (power - 1.0);
            let error = (better - before).abs().max((better - above).abs()).max(2.0 * noise);
            if error < self.best.error {
                self.best = Estimate { value: better, error, ..self.best };
            }
            row.push(better);
        }
        self.row = row;
    }

    fn finish(self) -> Estimate {
        if !self.moved && !self.gaps.is_empty() {
            return Estimate { value: 0.0, error: 0.0, steep: 0.0, bent: false };
        }
        Estimate { bent: is_bent(&self.gaps, self.best), ..self.best }
    }
}

/// A smooth function's one-sided slopes differ by `h f''`, which halves with the step; at a kink the difference stays,
/// and at a jump it grows.
fn is_bent(gaps: &[(f64, f64)], best: Estimate) -> bool {
    let [.., (before, _), (last, noise)] = gaps else { return false };
    let visible = last.abs() > 10.0 * noise + 1e-5 * best.value.abs();
    visible && last.abs() > 0.75 * before.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(f: impl Fn(f64) -> f64, x: f64) -> Estimate {
        derivative(&mut |h| Ok(vec![f(x + h)]), &[f(x)], x.abs()).unwrap()[0]
    }

    #[test]
    fn the_error_estimate_bounds_the_error_and_is_small() {
        type F = fn(f64) -> f64;
        let cases: [(F, F, f64); 8] = [
            (f64::sin, f64::cos, 0.7),
            (f64::exp, f64::exp, 2.0),
            (f64::exp, f64::exp, -9.0),
            (f64::ln, f64::recip, 0.03),
            (|x| 1.0 / x, |x| -1.0 / (x * x), 0.05),
            (|x| x.powi(7), |x| 7.0 * x.powi(6), 3.0),
            (|x| 1e9 + x * x, |x| 2.0 * x, 1.0),
            (|x| (40.0 * x).sin(), |x| 40.0 * (40.0 * x).cos(), 0.3),
        ];
        for (f, d, x) in cases {
            let estimate = of(f, x);
            let off = (estimate.value - d(x)).abs();
            assert!(off <= 4.0 * estimate.error, "at {x}: {estimate:?}, off by {off:e}");
            let noise = 1e-13 * f(x).abs();
            assert!(estimate.error <= 1e-8 * d(x).abs() + noise / 1e-4, "at {x}: {estimate:?} of {}", d(x));
            assert!(!estimate.bent, "at {x}: {estimate:?}");
        }
    }

    #[test]
    fn the_edge_of_a_domain_may_be_near() {
        let estimate = of(f64::sqrt, 1e-3);
        assert!((estimate.value - 0.5 / 1e-3f64.sqrt()).abs() < 1e-6, "{estimate:?}");
    }

    #[test]
    fn bends_are_seen() {
        assert!(of(f64::abs, 0.0).bent);
        assert!(of(|x| x.max(0.0), 0.0).bent);
        assert!(of(|x| if x < 0.0 { 0.0 } else { 1.0 }, 0.0).bent);
        assert!(!of(f64::abs, 0.01).bent);
        assert!(!of(|_| 3.0, 0.5).bent);
        assert_eq!(of(|_| 3.0, 0.5), Estimate { value: 0.0, error: 0.0, steep: 0.0, bent: false });
    }
}
