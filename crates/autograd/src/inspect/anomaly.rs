//! Finding the op that makes the first NaN or infinity.

use crate::observe::{Observer, Seen, Site, with_observer};
use gradus_tensor::Shape;
use std::cell::RefCell;
use std::fmt;
use std::panic::Location;

thread_local! {
    static FIRST: RefCell<Option<Anomaly>> = const { RefCell::new(None) };
}

/// What the values of a tensor are like.
#[derive(Clone, Debug, PartialEq)]
pub struct ValueRange {
    /// The tensor's shape.
    pub shape: Shape,
    /// The least finite value; infinity when there is none.
    pub min: f64,
    /// The greatest finite value; minus infinity when there is none.
    pub max: f64,
    /// How many values are NaN.
    pub nans: usize,
    /// How many values are infinite, of either sign.
    pub infinities: usize,
}

impl ValueRange {
    fn of(x: &dyn Seen) -> Self {
        let mut range = Self { shape: x.shape().clone(), min: f64::INFINITY, max: f64::NEG_INFINITY, nans: 0, infinities: 0 };
        for v in x.numbers() {
            if v.is_nan() {
                range.nans += 1;
            } else if !v.is_finite() {
                range.infinities += 1;
            } else {
                range.min = range.min.min(v);
                range.max = range.max.max(v);
            }
        }
        range
    }

    /// Whether there is neither a NaN nor an infinity.
    pub fn is_finite(&self) -> bool {
        self.nans + self.infinities == 0
    }
}

impl fmt::Display for ValueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shape {}, ", self.shape)?;
        if self.min <= self.max {
            write!(f, "{:.4e} to {:.4e}", self.min, self.max)?;
        } else {
            f.write_str("no finite value")?;
        }
        if !self.is_finite() {
            write!(f, ", {} NaN, {} infinite", self.nans, self.infinities)?;
        }
        Ok(())
    }
}

/// The way on which an [`Anomaly`] was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// The op's result is not finite; the operands are the op's.
    Forward,
    /// The gradient that the op's rule gave for its input of this number is not finite; the one operand is the
    /// gradient that the rule was given.
    Backward(usize),
}

/// The first NaN or infinity that an op made, as found by [`detect_anomaly`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub struct Anomaly {
    /// The op's name.
    pub op: &'static str,
    /// Where in the user's code the op was called.
    pub at: &'static Location<'static>,
    /// Forward or backward.
    pub pass: Pass,
    /// What the op, or its rule, made.
    pub result: ValueRange,
    /// What it was made of.
    pub operands: Vec<ValueRange>,
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = if self.operands.iter().all(ValueRange::is_finite) { "made" } else { "was handed, and passed on," };
        let what = if self.result.nans > 0 { "NaN" } else { "infinity" };
        let of = if matches!(self.pass, Pass::Forward) { "operand" } else { "gradient of the result" };
        match self.pass {
            Pass::Forward => write!(f, "`{}` called at {} {origin} {what}", self.op, self.at)?,
            Pass::Backward(i) => {
                write!(f, "the rule of `{}` (called at {}) {origin} {what} in the gradient of input {i}", self.op, self.at)?;
            }
        }
        write!(f, "\n  result: {}", self.result)?;
        for (i, operand) in self.operands.iter().enumerate() {
            write!(f, "\n  {of} {i}: {operand}")?;
        }
        Ok(())
    }
}

/// What was found before a [`detect_anomaly`], to come back also after a panic.
struct Restore(Option<Anomaly>);

impl Drop for Restore {
    fn drop(&mut self) {
        FIRST.set(self.0.take());
    }
}

/// Runs `f` and looks at the result of each op, forward and backward; when one is NaN or infinite, the first is the
/// error, with the op, the user's line and the operands' ranges.
///
/// `f` runs to its end all the same: what it changed, as by an optimiser's step, stays changed. Reading every result
/// makes it slower. Only this thread's ops are seen, not those of a parallel loop inside `f` that run on other threads; and not
/// arithmetic on two constants handed over by value. Infinities made on purpose are reported too: mask scores with
/// [`Var::masked_softmax`](crate::Var::masked_softmax), whose result has none.
///
/// # Errors
/// The first anomaly.
///
/// ```
/// use gradus_autograd::{Var, detect_anomaly};
/// let x = Var::leaf([1.0f32, 0.0].into());
/// let found = detect_anomaly(|| (x.ln() * 0.0).sum(..).backward()).unwrap_err();
/// assert_eq!(found.op, "ln");
/// assert_eq!(found.result.infinities, 1);
/// assert!(detect_anomaly(|| x.exp().sum(..).backward()).is_ok());
/// ```
#[doc(alias("set_detect_anomaly", "debug_nans"))]
pub fn detect_anomaly<R>(f: impl FnOnce() -> R) -> Result<R, Box<Anomaly>> {
    let restore = Restore(FIRST.take());
    let result = with_observer(&Anomalies, f);
    let found = FIRST.take();
    drop(restore);
    match found {
        Some(anomaly) => Err(Box::new(anomaly)),
        None => Ok(result),
    }
}

/// Looks for the first.
struct Anomalies;

impl Observer for Anomalies {
    fn reads_values(&self) -> bool {
        true
    }

    fn op_ran(&self, site: Site, operands: &[&dyn Seen], y: &dyn Seen) {
        if y.is_finite() || FIRST.with_borrow(Option::is_some) {
            return;
        }
        let operands = operands.iter().map(|x| ValueRange::of(*x)).collect();
        let Site { op, at } = site;
        FIRST.set(Some(Anomaly { op, at, pass: Pass::Forward, result: ValueRange::of(y), operands }));
    }

    fn rule_ran(&self, site: Site, gy: &dyn Seen, grads: &[Option<&dyn Seen>]) {
        if FIRST.with_borrow(Option::is_some) {
            return;
        }
        let bad = grads.iter().enumerate().find_map(|(i, g)| Some((i, g.filter(|g| !g.is_finite())?)));
        if let Some((i, g)) = bad {
            let (Site { op, at }, operands) = (site, vec![ValueRange::of(gy)]);
            FIRST.set(Some(Anomaly { op, at, pass: Pass::Backward(i), result: ValueRange::of(g), operands }));
        }
    }
}
