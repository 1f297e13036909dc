//! What a check found, as text to act on and as JSON.

use crate::array::Array;
use crate::oracle::{Opinion, Oracle};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Enough was checked, and all of it is right.
    Pass,
    /// Something is wrong.
    Fail,
    /// Nothing wrong was found, but too little could be checked: no pass.
    Unchecked,
}

/// What is wrong with a derivative.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// It is not the function's.
    Wrong,
    /// The function has a kink there, with these slopes on the left and the right, and the claim is neither of them nor
    /// between them; or not what the documented convention says.
    OutsideKink {
        /// The slope on the left.
        left: f64,
        /// The slope on the right.
        right: f64,
    },
    /// The gradient is not what the function must give, whatever its values: its shape, its linearity, its bits on a
    /// second run.
    Broken(String),
    /// The function or its derivative refused.
    Refused(String),
}

/// One derivative that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// 1 for first derivatives, 2 for second.
    pub order: usize,
    /// Which input.
    pub input: usize,
    /// That input's name.
    pub input_name: String,
    /// Which element of it; empty for a scalar, and where the fault is not in one place.
    pub index: Vec<usize>,
    /// What is derived: an element of the result, or at order 2 of the gradient with respect to an input. `None` where it is a
    /// random projection of all of them.
    pub of: Option<Entry>,
    /// What the rules say.
    pub analytic: f64,
    /// What differences say.
    pub numeric: f64,
    /// How far differences may be off.
    pub numeric_error: f64,
    /// What is wrong.
    pub fault: Fault,
}

/// An element of what is derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// `the result`, or the name of the input whose gradient it is.
    pub name: String,
    /// Which element.
    pub index: Vec<usize>,
}

/// How much of a Jacobian was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How: `every entry`, `every input element, in random projections of the result`, or `random projections`.
    pub method: &'static str,
    /// Comparisons that differences could decide.
    pub checked: usize,
    /// Comparisons at kinks: the claim was held against the one-sided slopes.
    pub kinks: usize,
    /// Comparisons that noise, or an absolute tolerance, left open.
    pub unchecked: usize,
}

impl Coverage {
    /// The share of comparisons that decided something; 1 when there was nothing to compare.
    pub fn share(&self) -> f64 {
        let decided = self.checked + self.kinks;
        let all = decided + self.unchecked;
        if all == 0 { 1.0 } else { decided as f64 / all as f64 }
    }
}

/// All of a check's results.
#[derive(Clone, Debug)]
pub struct Report {
    pub(crate) function: String,
    pub(crate) location: Option<String>,
    pub(crate) seed: u64,
    pub(crate) inputs: Vec<(String, Array)>,
    pub(crate) shrunk: usize,
    pub(crate) coverage: BTreeMap<usize, Coverage>,
    pub(crate) opinions: BTreeMap<(usize, Oracle), Opinion>,
    pub(crate) failures: Vec<Finding>,
    pub(crate) floor: f64,
    pub(crate) hints: Vec<String>,
    pub(crate) test: Option<String>,
}

impl Report {
    /// How it ended.
    pub fn verdict(&self) -> Verdict {
        if !self.failures.is_empty() {
            Verdict::Fail
        } else if self.coverage.values().any(|c| c.share() < self.floor) {
            Verdict::Unchecked
        } else {
            Verdict::Pass
        }
    }

    /// What is wrong; empty when nothing is.
    pub fn failures(&self) -> &[Finding] {
        &self.failures
    }

    /// How much of the derivatives of an order was compared.
    pub fn coverage(&self, order: usize) -> Option<&Coverage> {
        self.coverage.get(&order)
    }

    /// What an oracle said of the derivatives of an order; `None` when it was not asked.
    pub fn opinion(&self, order: usize, oracle: Oracle) -> Option<Opinion> {
        self.opinions.get(&(order, oracle)).copied()
    }

    /// The inputs of the check; of a failure, the smallest found that still fail.
    pub fn inputs(&self) -> impl Iterator<Item = &Array> {
        self.inputs.iter().map(|(_, a)| a)
    }

    /// What the wrong numbers look like, and which op has the wrong rule, as far as either can be told.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }

    /// A test to paste that fails likewise, if the function can write one.
    pub fn test(&self) -> Option<&str> {
        self.test.as_deref()
    }

    /// The report for other programs.
    pub fn to_json(&self) -> Value {
        let inputs = self.inputs.iter().map(|(name, a)| {
            let views: Vec<String> = a.views().iter().map(ToString::to_string).collect();
            json!({ "name": name, "shape": a.shape(), "values": a.data().iter().map(|&v| number(v)).collect::<Vec<_>>(), "views": views })
        });
        let coverage = self.coverage.iter().map(|(order, c)| {
            json!({ "order": order, "method": c.method, "checked": c.checked, "kinks": c.kinks, "unchecked": c.unchecked })
        });
        let oracles = self
            .opinions
            .iter()
            .map(|((order, oracle), opinion)| json!({ "order": order, "oracle": oracle.name(), "opinion": opinion.name() }));
        json!({
            "function": self.function,
            "location": self.location,
            "verdict": match self.verdict() { Verdict::Pass => "pass", Verdict::Fail => "fail", Verdict::Unchecked => "unchecked" },
            "seed": self.seed,
            "inputs": inputs.collect::<Vec<_>>(),
            "coverage": coverage.collect::<Vec<_>>(),
            "oracles": oracles.collect::<Vec<_>>(),
            "hints": self.hints,
            "failures": self.failures.iter().map(Finding::to_json).collect::<Vec<_>>(),
            "test": self.test,
        })
    }
}

/// JSON has no NaN and no infinities: these become text.
fn number(v: f64) -> Value {
    if v.is_finite() { json!(v) } else { json!(v.to_string()) }
}

impl Finding {
    fn to_json(&self) -> Value {
        let (fault, detail) = match &self.fault {
            Fault::Wrong => ("wrong", Value::Null),
            Fault::OutsideKink { left, right } => ("outside kink", json!({ "left": number(*left), "right": number(*right) })),
            Fault::Broken(what) => ("broken", json!(what)),
            Fault::Refused(why) => ("refused", json!(why)),
        };
        json!({
            "order": self.order, "input": self.input, "input_name": self.input_name, "index": self.index,
            "of": self.of.as_ref().map(|of| json!({ "name": of.name, "index": of.index })),
            "analytic": number(self.analytic), "numeric": number(self.numeric), "numeric_error": number(self.numeric_error),
            "fault": fault, "detail": detail,
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.order == 1 { "first" } else { "second" };
        match &self.fault {
            Fault::Broken(what) => return write!(f, "{order} derivative: {what}"),
            Fault::Refused(why) => return write!(f, "{order} derivative: refused: {why}"),
            _ => {}
        }
        write!(f, "{order} derivative, {} at {:?}", self.input_name, self.index)?;
        if let Some(Entry { name, index }) = self.of.as_ref().filter(|_| self.order > 1) {
            write!(f, ", of the gradient of {name} at {index:?}")?;
        }
        write!(f, ": analytic {:e}, numeric {:e} ± {:.0e}", self.analytic, self.numeric, self.numeric_error)?;
        match self.fault {
            Fault::OutsideKink { left, right } => {
                write!(
                    f,
                    "; a kink: {left:e} on the left, {right:e} on the right, and the convention wants one of them or between"
                )
            }
            _ if self.numeric != 0.0 => write!(f, ", ratio {:.6}", self.analytic / self.numeric),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict() {
            Verdict::Pass => "pass",
            Verdict::Fail => "FAIL",
            Verdict::Unchecked => "UNCHECKED",
        };
        write!(f, "gradient check of `{}`", self.function)?;
        if let Some(at) = &self.location {
            write!(f, " at {at}")?;
        }
        writeln!(f, ": {verdict}")?;
        for finding in self.failures.iter().take(8) {
            writeln!(f, "  {finding}")?;
        }
        if self.failures.len() > 8 {
            writeln!(f, "  … and {} more", self.failures.len() - 8)?;
        }
        for hint in &self.hints {
            writeln!(f, "  {hint}")?;
        }
        for (order, c) in &self.coverage {
            let Coverage { method, checked, kinks, unchecked } = c;
            write!(f, "  order {order}: {checked} checked, {kinks} at kinks, {unchecked} unchecked ({method}); oracles:")?;
            for ((_, oracle), opinion) in self.opinions.iter().filter(|((o, _), _)| o == order) {
                write!(f, " {oracle} {},", opinion.name())?;
            }
            writeln!(f, " floor {:.0} %", 100.0 * self.floor)?;
        }
        let shrunk = if self.shrunk > 0 { format!(", shrunk in {} steps", self.shrunk) } else { String::new() };
        writeln!(f, "  seed {}{shrunk}; inputs:", self.seed)?;
        for (name, a) in &self.inputs {
            write!(f, "    {name}: shape {:?}", a.shape())?;
            for view in a.views() {
                write!(f, ", {view}")?;
            }
            let shown: Vec<String> = a.data().iter().take(12).map(|v| format!("{v:?}")).collect();
            let more = if a.len() > 12 { ", …" } else { "" };
            writeln!(f, ": [{}{more}]", shown.join(", "))?;
        }
        if let Some(test) = &self.test {
            writeln!(f, "  a test to paste:\n\n{test}")?;
        }
        Ok(())
    }
}

/// A check that did not pass: its report.
#[derive(Clone)]
pub struct Failure(pub(crate) Box<Report>);

impl Failure {
    /// The report.
    pub fn report(&self) -> &Report {
        &self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Failure {
    /// As text, for that is what `unwrap` shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{}", self.0)
    }
}

impl std::error::Error for Failure {}
