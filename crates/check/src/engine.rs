//! One order of derivatives: claims and witnesses, entry by entry.

use crate::array::{Array, unravel};
use crate::checker::{Checker, Convention};
use crate::function::Function;
use crate::oracle::difference::{Estimate, derivative};
use crate::oracle::kink::{Shape, shape};
use crate::oracle::{Opinion, Oracle, taylor};
use crate::random::Random;
use crate::report::{Coverage, Fault, Finding, Report};

/// A check of the first derivatives of `f`, which may be the gradient of another function.
pub(crate) struct Engine<'a> {
    pub checker: &'a Checker,
    pub f: &'a dyn Function,
    /// The order of derivative that this is to the user.
    pub order: usize,
    pub inputs: &'a [Array],
    /// The size of the terms that the values are sums of, where these may have cancelled to round-off.
    pub terms: f64,
    pub random: Random,
}

/// A cotangent and the gradients that `f` claims for it.
struct Claim {
    gy: Array,
    grads: Vec<Array>,
}

/// What comparing one number came to.
enum Outcome {
    Right,
    Open,
    Bent,
    Wrong(Fault),
}

impl Engine<'_> {
    pub fn examine(mut self, y: &Array, report: &mut Report) -> Result<(), String> {
        // Values of another layout may differ by round-off, which next to the moved values would look like a jump.
        let plain: Vec<Array> = self.inputs.iter().map(Array::plain).collect();
        let y = if plain.iter().zip(self.inputs).all(|(p, x)| p == x) { y } else { &self.f.value(&plain)? };
        let elements: usize = self.inputs.iter().map(Array::len).sum();
        let full = y.len() * elements <= self.checker.full_up_to;
        let claims = self.claims(y, full)?;
        let claims = match claims {
            Ok(claims) => claims,
            Err(broken) => {
                report.failures.push(broken);
                return Ok(());
            }
        };
        let mut coverage = Coverage::default();
        let scale = if elements > self.checker.elements_up_to {
            coverage.method = "random projections";
            self.directions(y, &claims, &mut coverage, report)?;
            0.0
        } else {
            coverage.method = if full { "every entry" } else { "every input element, in random projections of the result" };
            self.elements(y, &claims, full, &mut coverage, report)?
        };
        let wrong = report.failures.iter().any(|f| f.order == self.order);
        let opinion = if wrong { Opinion::Disagrees } else { Opinion::Agrees };
        report.opinions.insert((self.order, Oracle::Differences), opinion);
        let undecided = coverage.kinks + coverage.unchecked;
        report.coverage.insert(self.order, coverage);
        self.other_oracles(y, &claims, undecided > 0, scale, report)
    }

    /// One cotangent for each element of the result, or two random ones.
    fn claims(&mut self, y: &Array, full: bool) -> Result<Result<Vec<Claim>, Finding>, String> {
        let cotangents: Vec<Array> = if full {
            let one_hot = |i| {
                let mut gy = Array::full(y.shape(), 0.0);
                gy.data_mut()[i] = 1.0;
                gy
            };
            (0..y.len()).map(one_hot).collect()
        } else {
            (0..2).map(|number| self.random.probe(y, number)).collect()
        };
        let mut claims = Vec::new();
        for gy in cotangents {
            let grads = self.f.vjp(self.inputs, &gy)?;
            if let Some(what) = misshapen(self.inputs, &grads) {
                return Ok(Err(Finding { fault: Fault::Broken(what), ..Finding::nowhere(self.order) }));
            }
            claims.push(Claim { gy, grads });
        }
        Ok(Ok(claims))
    }

    /// The result with the inputs moved along `directions` by `t`.
    fn moved(&self, directions: &[(usize, Vec<f64>)], t: f64) -> Result<Vec<f64>, String> {
        let mut inputs: Vec<Array> = self.inputs.iter().map(Array::plain).collect();
        for (input, direction) in directions {
            for (x, d) in inputs[*input].data_mut().iter_mut().zip(direction) {
                if *d != 0.0 {
                    *x += t * d;
                }
            }
        }
        Ok(self.f.value(&inputs)?.data().to_vec())
    }

    fn unit(&self, input: usize, flat: usize) -> Vec<(usize, Vec<f64>)> {
        let mut direction = vec![0.0; self.inputs[input].len()];
        direction[flat] = 1.0;
        vec![(input, direction)]
    }

    /// Moves each element of each input; gives the size of derivatives to expect.
    fn elements(
        &self,
        y: &Array,
        claims: &[Claim],
        full: bool,
        coverage: &mut Coverage,
        report: &mut Report,
    ) -> Result<f64, String> {
        let mut largest = 0.0f64;
        for (input, x) in self.inputs.iter().enumerate() {
            let columns: Vec<Vec<Estimate>> = (0..x.len())
                .map(|flat| {
                    let unit = self.unit(input, flat);
                    derivative(&mut |t| self.moved(&unit, t), y.data(), x.data()[flat].abs())
                })
                .collect::<Result<_, String>>()?;
            let scale = scale_of(y, x, columns.iter().flatten()).max(self.terms);
            largest = largest.max(scale);
            let mut bent = Vec::new();
            for (flat, column) in columns.iter().enumerate() {
                for claim in claims {
                    let (estimate, analytic) = (project(column, &claim.gy), claim.grads[input].data()[flat]);
                    let along = self.unit(input, flat);
                    let outcome = self.judge(estimate, analytic, scale, &along, claim, y, full)?;
                    if matches!(outcome, Outcome::Bent) && !bent.contains(&flat) {
                        bent.push(flat);
                    }
                    self.note(outcome, input, unravel(flat, x.shape()), estimate, analytic, coverage, report);
                }
            }
            self.ties(input, &bent, y, claims, coverage, report)?;
        }
        Ok(largest)
    }

    /// Equal elements at a kink, as of a maximum, move together without one: there the sum of their gradients is known.
    fn ties(
        &self,
        input: usize,
        bent: &[usize],
        y: &Array,
        claims: &[Claim],
        coverage: &mut Coverage,
        report: &mut Report,
    ) -> Result<(), String> {
        let x = &self.inputs[input];
        let mut values: Vec<f64> = bent.iter().map(|&flat| x.data()[flat]).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        for value in values {
            let tied: Vec<usize> = bent.iter().copied().filter(|&flat| x.data()[flat] == value).collect();
            if tied.len() < 2 {
                continue;
            }
            let mut direction = vec![0.0; x.len()];
            tied.iter().for_each(|&flat| direction[flat] = 1.0);
            let along = vec![(input, direction)];
            let column = derivative(&mut |t| self.moved(&along, t), y.data(), value.abs())?;
            if column.iter().any(|e| e.bent) {
                continue;
            }
            let scale = scale_of(y, x, column.iter()).max(self.terms);
            for claim in claims {
                let estimate = project(&column, &claim.gy);
                let analytic = tied.iter().map(|&flat| claim.grads[input].data()[flat]).sum();
                let outcome = self.judge(estimate, analytic, scale, &along, claim, y, false)?;
                self.note(outcome, input, unravel(tied[0], x.shape()), estimate, analytic, coverage, report);
            }
        }
        Ok(())
    }

    /// Moves each input along random directions; a wrong one is bisected to an element.
    fn directions(&mut self, y: &Array, claims: &[Claim], coverage: &mut Coverage, report: &mut Report) -> Result<(), String> {
        for (input, x) in self.inputs.iter().enumerate() {
            if x.is_empty() {
                continue;
            }
            for number in 0..self.checker.probes {
                let direction = self.random.probe(x, number).data().to_vec();
                for claim in claims {
                    let (estimate, analytic, outcome) = self.along(input, &direction, y, claim)?;
                    if matches!(outcome, Outcome::Wrong(_)) {
                        let (flat, estimate, analytic, outcome) = self.bisect(input, direction.clone(), y, claim)?;
                        self.note(outcome, input, unravel(flat, x.shape()), estimate, analytic, coverage, report);
                        return Ok(());
                    }
                    self.note(outcome, input, Vec::new(), estimate, analytic, coverage, report);
                }
            }
        }
        Ok(())
    }

    fn along(&self, input: usize, direction: &[f64], y: &Array, claim: &Claim) -> Result<(Estimate, f64, Outcome), String> {
        let along = vec![(input, direction.to_vec())];
        let x = &self.inputs[input];
        let reach = x.data().iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let column = derivative(&mut |t| self.moved(&along, t), y.data(), reach)?;
        let estimate = project(&column, &claim.gy);
        let analytic = dot(claim.grads[input].data(), direction);
        let scale = scale_of(y, x, column.iter()).max(self.terms);
        let outcome = self.judge(estimate, analytic, scale, &along, claim, y, false)?;
        Ok((estimate, analytic, outcome))
    }

    /// Halves the elements that a wrong direction moves until one is left.
    fn bisect(
        &self,
        input: usize,
        mut direction: Vec<f64>,
        y: &Array,
        claim: &Claim,
    ) -> Result<(usize, Estimate, f64, Outcome), String> {
        loop {
            let support: Vec<usize> = (0..direction.len()).filter(|&i| direction[i] != 0.0).collect();
            let half = |part: &[usize]| {
                let mut d = vec![0.0; direction.len()];
                part.iter().for_each(|&i| d[i] = if support.len() <= 2 { 1.0 } else { direction[i] });
                d
            };
            if support.len() == 1 {
                let (estimate, analytic, outcome) = self.along(input, &direction, y, claim)?;
                return Ok((support[0], estimate, analytic, outcome));
            }
            let (left, right) = support.split_at(support.len() / 2);
            let (left, right) = (half(left), half(right));
            // Judged by how far off each half is: both can be wrong, and each by less than one alone would show.
            let off = |d: &[f64]| -> Result<f64, String> {
                let (estimate, analytic, _) = self.along(input, d, y, claim)?;
                Ok((analytic - estimate.value).abs())
            };
            direction = if off(&left)? >= off(&right)? { left } else { right };
        }
    }

    /// Holds a claimed slope against an estimate.
    #[allow(clippy::too_many_arguments)] // all of it is what the judgement is about
    fn judge(
        &self,
        estimate: Estimate,
        analytic: f64,
        scale: f64,
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

    #[allow(clippy::too_many_arguments)] // all of it goes into the finding
    fn note(
        &self,
        outcome: Outcome,
        input: usize,
        index: Vec<usize>,
        estimate: Estimate,
        analytic: f64,
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
                analytic,
                numeric: estimate.value,
                numeric_error: estimate.error,
                fault,
            }),
        }
    }

    fn input_name(&self, input: usize) -> String {
        if self.order == 2 && input + 1 == self.inputs.len() { "the gradient gy".into() } else { self.f.input_name(input) }
    }

    fn other_oracles(
        mut self,
        y: &Array,
        claims: &[Claim],
        undecided: bool,
        scale: f64,
        report: &mut Report,
    ) -> Result<(), String> {
        let Some(claim) = claims.first() else { return Ok(()) };
        if self.inputs.iter().all(Array::is_empty) {
            return Ok(());
        }
        let gy = self.random.probe(y, 0);
        let grads = self.f.vjp(self.inputs, &gy)?;
        let claim = Claim { gy, grads: if misshapen(self.inputs, &grads).is_none() { grads } else { claim.grads.clone() } };
        let along: Vec<Array> = self.inputs.iter().map(|x| self.random.probe(x, 0)).collect();
        let taylor = self.taylor(y, &claim, &along, undecided)?;
        self.hear(Oracle::Taylor, taylor, report);
        if let Some(ju) = self.f.jvp(self.inputs, &along) {
            let opinion = self.adjoint(&ju?, &claim, &along, scale);
            self.hear(Oracle::Adjoint, opinion, report);
        }
        if let Some(opinion) = self.dual(y, undecided)? {
            self.hear(Oracle::Dual, opinion, report);
        }
        Ok(())
    }

    fn hear(&self, oracle: Oracle, opinion: Opinion, report: &mut Report) {
        report.opinions.insert((self.order, oracle), opinion);
        if opinion == Opinion::Disagrees && report.failures.is_empty() {
            let what = format!("the oracle `{oracle}` disagrees where differences saw nothing wrong");
            report.failures.push(Finding { fault: Fault::Broken(what), ..Finding::nowhere(self.order) });
        }
    }

    fn taylor(&self, y: &Array, claim: &Claim, along: &[Array], undecided: bool) -> Result<Opinion, String> {
        // Neither a kink nor noise has a rate.
        if undecided {
            return Ok(Opinion::Unresolved);
        }
        let slope: f64 = claim.grads.iter().zip(along).map(|(g, u)| dot(g.data(), u.data())).sum();
        let size = y.data().iter().zip(claim.gy.data()).map(|(y, g)| (y * g).abs()).sum();
        let directions: Vec<(usize, Vec<f64>)> = along.iter().map(|u| u.data().to_vec()).enumerate().collect();
        let mut phi = |t: f64| Ok(dot(&self.moved(&directions, t)?, claim.gy.data()));
        taylor::opinion(&mut phi, dot(y.data(), claim.gy.data()), slope, size)
    }

    /// `scale` is the size of derivatives to expect, where those at hand cancel to round-off.
    fn adjoint(&self, ju: &Array, claim: &Claim, along: &[Array], scale: f64) -> Opinion {
        if ju.len() != claim.gy.len() {
            return Opinion::Disagrees;
        }
        let forward = dot(ju.data(), claim.gy.data());
        let reverse: f64 = claim.grads.iter().zip(along).map(|(g, u)| dot(g.data(), u.data())).sum();
        let terms = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a * b).abs()).sum::<f64>();
        let size = terms(ju.data(), claim.gy.data())
            + claim.grads.iter().zip(along).map(|(g, u)| terms(g.data(), u.data())).sum::<f64>();
        match (forward - reverse).abs() {
            off if !off.is_finite() => Opinion::Unresolved,
            off if off <= 1e-10 * size + 1e-12 * scale => Opinion::Agrees,
            _ => Opinion::Disagrees,
        }
    }

    /// Dual numbers through the forward formula of a function of one element.
    fn dual(&self, y: &Array, undecided: bool) -> Result<Option<Opinion>, String> {
        let [x] = self.inputs else { return Ok(None) };
        let Some(slopes) = x.data().iter().map(|&v| self.f.dual(v)).collect::<Option<Vec<_>>>() else { return Ok(None) };
        if undecided || y.len() != x.len() {
            return Ok(Some(Opinion::Unresolved));
        }
        let claimed = &self.f.vjp(self.inputs, &Array::full(y.shape(), 1.0))?[0];
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || !(a.is_finite() || b.is_finite());
        let right = slopes.iter().zip(claimed.data()).zip(y.data()).all(|((&(v, d), &g), &y)| near(d, g) && near(v, y));
        Ok(Some(if right { Opinion::Agrees } else { Opinion::Disagrees }))
    }
}

/// Which gradient has not its input's shape.
fn misshapen(inputs: &[Array], grads: &[Array]) -> Option<String> {
    if grads.len() != inputs.len() {
        return Some(format!("{} gradients for {} inputs", grads.len(), inputs.len()));
    }
    let (i, (x, g)) = inputs.iter().zip(grads).enumerate().find(|(_, (x, g))| x.shape() != g.shape())?;
    Some(format!("the gradient of input {i} has shape {:?}, the input {:?}", g.shape(), x.shape()))
}

/// What size of derivative to expect: the largest slope seen, here or on the way to the neighbours, or that of the result
/// over that of the input.
fn scale_of<'a>(y: &Array, x: &Array, estimates: impl Iterator<Item = &'a Estimate>) -> f64 {
    let largest = |values: &[f64]| values.iter().filter(|v| v.is_finite()).fold(0.0f64, |m, v| m.max(v.abs()));
    let natural = largest(y.data()) / largest(x.data()).max(1.0);
    estimates.map(|e| e.value.abs().max(e.steep)).filter(|v| v.is_finite()).fold(natural, f64::max)
}

/// The estimate of `<gy, y>` from those of the elements of `y`.
fn project(column: &[Estimate], gy: &Array) -> Estimate {
    let mut sum = Estimate { value: 0.0, error: 0.0, steep: 0.0, bent: false };
    for (e, &w) in column.iter().zip(gy.data()) {
        if w != 0.0 {
            sum.value += w * e.value;
            sum.error += w.abs() * e.error;
            sum.steep += w.abs() * e.steep;
            sum.bent |= e.bent;
        }
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| if *b == 0.0 { 0.0 } else { a * b }).sum()
}
