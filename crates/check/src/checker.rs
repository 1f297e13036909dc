//! The checker: what is asked of it, and the order of its questions.

use crate::array::Array;
use crate::engine::Engine;
use crate::function::{Function, Pullback};
use crate::hints;
use crate::invariants;
use crate::oracle::Oracle;
use crate::random::Random;
use crate::report::{Failure, Fault, Finding, Report, Verdict};
use crate::shrink;
use std::collections::BTreeMap;

/// Which slope a function documents for its kinks, beside lying between the one-sided slopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Convention {
    /// Anything between, both ends included: a subgradient.
    #[default]
    Between,
    /// The one nearer to 0, as relu's 0 at 0.
    Smaller,
    /// The one farther from 0, as clamp's 1 at its ends.
    Larger,
    /// The mean of both, as the absolute value's 0 at 0.
    Mean,
}

/// How to check. The defaults decide most questions; every field has a setter of its name.
///
/// ```
/// # use gradus_check::{Array, Checker, Function};
/// # struct Square;
/// # impl Function for Square {
/// #     fn value(&self, x: &[Array]) -> Result<Array, String> {
/// #         Ok(Array::new(x[0].shape(), x[0].data().iter().map(|v| v * v).collect()))
/// #     }
/// #     fn vjp(&self, x: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
/// #         Ok(vec![Array::new(x[0].shape(), x[0].data().iter().zip(gy.data()).map(|(v, g)| 2.0 * v * g).collect())])
/// #     }
/// # }
/// let report = Checker::new().order(1).seed(7).check(&Square, &[Array::new([2], vec![0.5, -1.0])]).unwrap();
/// assert_eq!(report.coverage(1).unwrap().checked, 4); // every entry of the 2 x 2 Jacobian
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Checker {
    pub(crate) seed: u64,
    pub(crate) order: usize,
    pub(crate) relative: f64,
    pub(crate) absolute: f64,
    pub(crate) floor: f64,
    pub(crate) full_up_to: usize,
    pub(crate) elements_up_to: usize,
    pub(crate) probes: usize,
    pub(crate) convention: Convention,
    pub(crate) shrink: bool,
}

impl Default for Checker {
    fn default() -> Self {
        Self {
            seed: 0,
            order: 2,
            relative: 1e-6,
            absolute: 0.0,
            floor: 0.75,
            full_up_to: 64,
            elements_up_to: 256,
            probes: 8,
            convention: Convention::Between,
            shrink: true,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $t:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(mut self, $name: $t) -> Self {
            self.$name = $name;
            self
        }
    )*};
}

impl Checker {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// What the random cotangents, directions and layouts depend on: 0 unless said otherwise.
        seed: u64;
        /// Up to which order derivatives are checked: 1 or 2. 2 unless said otherwise; functions without second
        /// derivatives ([`Function::vjp_of_vjp`]) are checked to the first.
        order: usize;
        /// How far a derivative may be off, as a share of it, beside what differences cannot resolve: 1e-6.
        relative: f64;
        /// Derivatives that are off by less than this count as unchecked, whatever their size: 0. It can never turn
        /// a wrong derivative into a pass; too many unchecked ones fail the check.
        absolute: f64;
        /// The share of comparisons that must decide something: 0.75. Below it the check does not pass.
        floor: f64;
        /// Up to this many entries of the Jacobian, every one is compared: 64.
        full_up_to: usize;
        /// Up to this many elements of the inputs, each is moved on its own; with more, random directions are
        /// probed, and a failure is bisected to its element: 256.
        elements_up_to: usize;
        /// How many random directions: 8 an input, Gaussian and Rademacher in turn.
        probes: usize;
        /// What the function documents for its kinks.
        convention: Convention;
        /// Whether a failure is shrunk to the smallest inputs that still fail.
        shrink: bool;
    }

    /// Checks `f` at `inputs`.
    ///
    /// # Errors
    /// When something is wrong, with the smallest inputs found that still show it; or when too little could be checked.
    pub fn check(&self, f: &dyn Function, inputs: &[Array]) -> Result<Report, Failure> {
        let report = self.run(f, inputs);
        match report.verdict() {
            Verdict::Pass => Ok(report),
            Verdict::Fail => {
                let mut smallest = if self.shrink { shrink::shrink(self, f, inputs, report) } else { report };
                let inputs: Vec<Array> = smallest.inputs().cloned().collect();
                if self.shrink {
                    smallest.test = f.test(&inputs, self.seed);
                }
                smallest.hints = hints::hints(&smallest.failures, &inputs);
                let order = smallest.failures.first().map_or(1, |finding| finding.order);
                smallest
                    .hints
                    .extend(f.culprit(&inputs, order).map(|op| format!("the first op on the way whose rule is off: {op}")));
                Err(Failure(Box::new(smallest)))
            }
            Verdict::Unchecked => Err(Failure(Box::new(report))),
        }
    }

    /// One check, without shrinking.
    pub(crate) fn run(&self, f: &dyn Function, inputs: &[Array]) -> Report {
        let mut report = self.blank(f, inputs);
        if let Err(why) = self.examine(f, inputs, &mut report) {
            report.failures.push(refusal(1, why));
        }
        report
    }

    /// A report of nothing yet.
    pub(crate) fn blank(&self, f: &dyn Function, inputs: &[Array]) -> Report {
        Report {
            function: f.name(),
            location: f.location(),
            seed: self.seed,
            inputs: inputs.iter().enumerate().map(|(i, a)| (f.input_name(i), a.clone())).collect(),
            shrunk: 0,
            coverage: BTreeMap::new(),
            opinions: BTreeMap::new(),
            failures: Vec::new(),
            floor: self.floor,
            hints: Vec::new(),
            test: None,
        }
    }

    fn examine(&self, f: &dyn Function, inputs: &[Array], report: &mut Report) -> Result<(), String> {
        let mut random = Random::new(self.seed);
        let y = f.value(inputs)?;
        invariants::examine(f, inputs, &y, &mut random, report)?;
        Engine { checker: self, f, order: 1, inputs, terms: 0.0, random: random.clone() }.examine(&y, report)?;
        // Derivatives at a kink are a convention, and have no derivative themselves.
        let kinked = report.opinions.contains_key(&(1, Oracle::Differences)) && report.coverage[&1].kinks > 0;
        if self.order < 2 || kinked || !report.failures.is_empty() {
            return Ok(());
        }
        let gy = random.probe(&y, 0);
        let with_gy: Vec<Array> = inputs.iter().cloned().chain([gy.clone()]).collect();
        let zeros: Vec<Array> = inputs.iter().map(|x| Array::full(x.shape(), 0.0)).collect();
        let Some(answer) = f.vjp_of_vjp(inputs, &gy, &zeros) else { return Ok(()) };
        let pullback = Pullback { f };
        let second = answer.and_then(|_| pullback.value(&with_gy)).and_then(|g| {
            let terms = invariants::terms(&gy, &y, inputs);
            Engine { checker: self, f: &pullback, order: 2, inputs: &with_gy, terms, random: random.clone() }.examine(&g, report)
        });
        if let Err(why) = second {
            report.failures.push(refusal(2, why));
        } else if report.failures.is_empty() {
            invariants::hessian_is_symmetric(f, inputs, (&y, &gy), &mut random, report)?;
        }
        Ok(())
    }
}

pub(crate) fn refusal(order: usize, why: String) -> Finding {
    Finding { fault: Fault::Refused(why), ..Finding::nowhere(order) }
}

impl Finding {
    /// A finding that is not about one element.
    pub(crate) fn nowhere(order: usize) -> Self {
        Self {
            order,
            input: 0,
            input_name: String::new(),
            index: Vec::new(),
            of: None,
            analytic: f64::NAN,
            numeric: f64::NAN,
            numeric_error: f64::NAN,
            fault: Fault::Wrong,
        }
    }
}
