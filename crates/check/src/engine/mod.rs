//! One order of derivatives: claims and witnesses, entry by entry.

mod judgement;
mod witnesses;

use crate::array::{Array, largest, unravel};
use crate::checker::Checker;
use crate::function::Function;
use crate::oracle::difference::{Estimate, derivative};
use crate::oracle::{Opinion, Oracle};
use crate::random::Random;
use crate::report::{Coverage, Entry, Fault, Finding, Report};

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

/// A claimed slope beside its estimate.
#[derive(Clone, Copy)]
struct Slope {
    estimate: Estimate,
    analytic: f64,
    /// The size of derivatives to expect.
    scale: f64,
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
        let column = |input: usize, flat: usize| {
            let unit = self.unit(input, flat);
            derivative(&mut |t| self.moved(&unit, t), y.data(), self.inputs[input].data()[flat].abs())
        };
        let columns = |(input, x): (usize, &Array)| (0..x.len()).map(|flat| column(input, flat)).collect();
        let columns: Vec<Vec<Vec<Estimate>>> = self.inputs.iter().enumerate().map(columns).collect::<Result<_, String>>()?;
        let size = size_of(y, self.inputs, &columns);
        let mut largest = 0.0f64;
        for (input, (x, columns)) in self.inputs.iter().zip(&columns).enumerate() {
            let scale = scale_of(size, x, columns.iter().flatten()).max(self.terms);
            largest = largest.max(scale);
            let mut bent = Vec::new();
            for (flat, column) in columns.iter().enumerate() {
                for claim in claims {
                    let (estimate, analytic) = (project(column, &claim.gy), claim.grads[input].data()[flat]);
                    let slope = Slope { estimate, analytic, scale };
                    let outcome = self.judge(slope, &self.unit(input, flat), claim, y, full)?;
                    if matches!(outcome, Outcome::Bent) && !bent.contains(&flat) {
                        bent.push(flat);
                    }
                    let of = full.then(|| self.entry(&claim.gy, y)).flatten();
                    self.note(outcome, slope, (input, unravel(flat, x.shape())), of, coverage, report);
                }
            }
            self.ties((input, &bent), size, y, claims, coverage, report)?;
        }
        Ok(largest)
    }

    /// Equal elements at a kink, as of a maximum, move together without one: there the sum of their gradients is known.
    fn ties(
        &self,
        (input, bent): (usize, &[usize]),
        size: f64,
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
            let scale = scale_of(size, x, column.iter()).max(self.terms);
            for claim in claims {
                let analytic = tied.iter().map(|&flat| claim.grads[input].data()[flat]).sum();
                let slope = Slope { estimate: project(&column, &claim.gy), analytic, scale };
                let outcome = self.judge(slope, &along, claim, y, false)?;
                self.note(outcome, slope, (input, unravel(tied[0], x.shape())), None, coverage, report);
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
                    let (slope, outcome) = self.along(input, &direction, y, claim)?;
                    if matches!(outcome, Outcome::Wrong(_)) {
                        let (flat, slope, outcome) = self.bisect(input, direction.clone(), y, claim)?;
                        self.note(outcome, slope, (input, unravel(flat, x.shape())), None, coverage, report);
                        return Ok(());
                    }
                    self.note(outcome, slope, (input, Vec::new()), None, coverage, report);
                }
            }
        }
        Ok(())
    }

    fn along(&self, input: usize, direction: &[f64], y: &Array, claim: &Claim) -> Result<(Slope, Outcome), String> {
        let along = vec![(input, direction.to_vec())];
        let x = &self.inputs[input];
        let reach = x.data().iter().fold(0.0f64, |m, v| m.max(v.abs()));
        let column = derivative(&mut |t| self.moved(&along, t), y.data(), reach)?;
        let estimate = project(&column, &claim.gy);
        let analytic = dot(claim.grads[input].data(), direction);
        let scale = scale_of(largest(y.data()), x, column.iter()).max(self.terms);
        let slope = Slope { estimate, analytic, scale };
        let outcome = self.judge(slope, &along, claim, y, false)?;
        Ok((slope, outcome))
    }

    /// Halves the elements that a wrong direction moves until one is left.
    fn bisect(&self, input: usize, mut direction: Vec<f64>, y: &Array, claim: &Claim) -> Result<(usize, Slope, Outcome), String> {
        loop {
            let support: Vec<usize> = (0..direction.len()).filter(|&i| direction[i] != 0.0).collect();
            let half = |part: &[usize]| {
                let mut d = vec![0.0; direction.len()];
                part.iter().for_each(|&i| d[i] = if support.len() <= 2 { 1.0 } else { direction[i] });
                d
            };
            if support.len() == 1 {
                let (slope, outcome) = self.along(input, &direction, y, claim)?;
                return Ok((support[0], slope, outcome));
            }
            let (left, right) = support.split_at(support.len() / 2);
            let (left, right) = (half(left), half(right));
            // Judged by how far off each half is: both can be wrong, and each by less than one alone would show.
            let off = |d: &[f64]| -> Result<f64, String> {
                let (slope, _) = self.along(input, d, y, claim)?;
                Ok((slope.analytic - slope.estimate.value).abs())
            };
            direction = if off(&left)? >= off(&right)? { left } else { right };
        }
    }

    /// The element of the result that a one-hot cotangent picks; at order 2 the result is the gradients of all inputs.
    fn entry(&self, one_hot: &Array, y: &Array) -> Option<Entry> {
        let mut flat = one_hot.data().iter().position(|&v| v != 0.0)?;
        if self.order < 2 {
            return Some(Entry { name: "the result".into(), index: unravel(flat, y.shape()) });
        }
        for (input, x) in self.inputs.iter().enumerate() {
            if flat < x.len() {
                return Some(Entry { name: self.f.input_name(input), index: unravel(flat, x.shape()) });
            }
            flat -= x.len();
        }
        None
    }

    fn input_name(&self, input: usize) -> String {
        if self.order == 2 && input + 1 == self.inputs.len() { "the gradient gy".into() } else { self.f.input_name(input) }
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

/// The size of the terms that the result is a sum of: its own, or that of what an input contributes, slope times value.
/// Where these cancel, as in the variance of equal elements, the result is their round-off.
fn size_of(y: &Array, inputs: &[Array], columns: &[Vec<Vec<Estimate>>]) -> f64 {
    let slopes = inputs.iter().zip(columns).flat_map(|(x, columns)| x.data().iter().zip(columns));
    let terms = slopes.flat_map(|(x, column)| column.iter().map(move |e| (e.value * x).abs()));
    terms.filter(|v| v.is_finite()).fold(largest(y.data()), f64::max)
}

/// What size of derivative to expect: the largest slope seen, here or on the way to the neighbours, or the `size` of the
/// result's terms over that of the input.
fn scale_of<'a>(size: f64, x: &Array, estimates: impl Iterator<Item = &'a Estimate>) -> f64 {
    let natural = size / largest(x.data()).max(1.0);
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
