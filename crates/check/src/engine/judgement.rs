//! What comes of one claimed slope beside its estimate.

use super::{Claim, Engine, Outcome, Slope, dot};
use crate::array::Array;
use crate::checker::Convention;
use crate::oracle::kink::{Shape, shape};
use crate::report::{Coverage, Entry, Fault, Finding, Report};

impl Engine<'_> {
    /// Holds a claimed slope against an estimate.
    pub(super) fn judge(
        &self,
        Slope { estimate, analytic, scale }: Slope,
        along: &[(usize, Vec<f64>)],
        claim: &Claim,
        y: &Array,
        single: bool,
    ) -> Result<Outcome, String> {
        let larger = analytic.abs().max(estimate.value.abs());
        let off = (analytic - estimate.value).abs();
        // What a claim may be off by for the round-off of its own computation.
        let error = 4.0 * estimate.error + 1e-12 * scale;
        let resolved = error <= (1e-4 * larger).max(1e-7 * scale);
        if resolved && !estimate.bent && off <= self.checker.relative * larger + error {
            return Ok(Outcome::Right);
        }
        if (self.checker.absolute > 0.0 && off <= self.checker.absolute) || !y.data().iter().all(|v| v.is_finite()) {
            return Ok(Outcome::Open);
        }
        if resolved && !estimate.bent && analytic.is_finite() {
            return Ok(Outcome::Wrong(Fault::Wrong));
        }
        if !analytic.is_finite() {
            return Ok(if resolved { Outcome::Wrong(Fault::Wrong) } else { Outcome::Open });
        }
        let phi = |t: f64| Ok(dot(&self.moved(along, t)?, claim.gy.data()));
        let reach = along.iter().flat_map(|(input, d)| self.inputs[*input].data().iter().zip(d));
        let reach = reach.filter(|(_, d)| **d != 0.0).fold(0.0f64, |m, (x, _)| m.max(x.abs()));
        Ok(match shape(&mut { phi }, dot(y.data(), claim.gy.data()), reach)? {
            Shape::Kink { left, right, error } => {
                let tolerance = error + self.checker.relative * left.abs().max(right.abs());
                if self.fits_kink(analytic, left, right, tolerance, single) {
                    Outcome::Bent
                } else {
                    Outcome::Wrong(Fault::OutsideKink { left, right })
                }
            }
            Shape::Smooth if resolved && off > self.checker.relative * larger + error => Outcome::Wrong(Fault::Wrong),
            Shape::Smooth if resolved => Outcome::Right,
            _ => Outcome::Open,
        })
    }

    fn fits_kink(&self, analytic: f64, left: f64, right: f64, tolerance: f64, single: bool) -> bool {
        let between = analytic >= left.min(right) - tolerance && analytic <= left.max(right) + tolerance;
        let near = |v: f64| (analytic - v).abs() <= tolerance;
        // A projection sums several kinks, of which each may go another way.
        let convention = if single { self.checker.convention } else { Convention::Between };
        match convention {
            Convention::Between => between,
            Convention::Smaller => near(if left.abs() < right.abs() { left } else { right }),
            Convention::Larger => near(if left.abs() > right.abs() { left } else { right }),
            Convention::Mean => near(0.5 * (left + right)),
        }
    }

    /// Writes down what came of one number, that of an element of an input, or of a whole direction.
    pub(super) fn note(
        &self,
        outcome: Outcome,
        slope: Slope,
        (input, index): (usize, Vec<usize>),
        of: Option<Entry>,
        coverage: &mut Coverage,
        report: &mut Report,
    ) {
        match outcome {
            Outcome::Right => coverage.checked += 1,
            Outcome::Bent => coverage.kinks += 1,
            Outcome::Open => coverage.unchecked += 1,
            Outcome::Wrong(fault) => report.failures.push(Finding {
                order: self.order,
                input,
                input_name: self.input_name(input),
                index,
                of,
                analytic: slope.analytic,
                numeric: slope.estimate.value,
                numeric_error: slope.estimate.error,
                fault,
            }),
        }
    }
}
