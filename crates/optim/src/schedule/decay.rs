//! Schedules that multiply the base rate by a simple function of time.

use super::Schedule;
use crate::rule::assert_option;

/// The base rate times `factor` before time `total_iters`, and the base rate from then on; with 0, from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantLr {
    factor: f64,
    total_iters: u64,
}

impl ConstantLr {
    /// `factor` until `total_iters`.
    ///
    /// # Panics
    /// When `factor` is negative or not finite.
    #[track_caller]
    pub fn new(factor: f64, total_iters: u64) -> Self {
        assert_option("ConstantLr: factor", factor, 0.0..);
        Self { factor, total_iters }
    }
}

impl Schedule for ConstantLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        if t < self.total_iters { base * self.factor } else { base }
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// Multiplies the rate by `gamma` every `step_size`: `base gamma^floor(t / step_size)`.
#[derive(Clone, Debug, PartialEq)]
pub struct StepLr {
    step_size: u64,
    gamma: f64,
}

impl StepLr {
    /// A fall by `gamma` (PyTorch's default is 0.1) every `step_size`.
    ///
    /// # Panics
    /// When `step_size` is 0, or `gamma` is negative or not finite.
    #[track_caller]
    pub fn new(step_size: u64, gamma: f64) -> Self {
        assert!(step_size > 0, "StepLr: step_size is 0; expected 1 or more");
        assert_option("StepLr: gamma", gamma, 0.0..);
        Self { step_size, gamma }
    }
}

impl Schedule for StepLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        base * self.gamma.powf((t / self.step_size) as f64)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// Multiplies the rate by `gamma` at each of the given times.
#[doc(alias("PiecewiseConstantDecay", "piecewise_constant_schedule"))]
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStepLr {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStepLr {
    /// A fall by `gamma` (PyTorch's default is 0.1) at each of `milestones`, which come in any order. One that is listed
    /// twice counts twice, and one at 0 holds from the start, as in PyTorch.
    ///
    /// # Panics
    /// When `gamma` is negative or not finite.
    #[track_caller]
    pub fn new(milestones: impl Into<Vec<u64>>, gamma: f64) -> Self {
        assert_option("MultiStepLr: gamma", gamma, 0.0..);
        Self { milestones: milestones.into(), gamma }
    }
}

impl Schedule for MultiStepLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        let passed = self.milestones.iter().filter(|&&m| m <= t).count();
        base * self.gamma.powf(passed as f64)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// `base gamma^t`.
#[doc(alias("ExponentialDecay", "exponential_decay"))]
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialLr {
    gamma: f64,
}

impl ExponentialLr {
    /// A fall by `gamma` at every time.
    ///
    /// # Panics
    /// When `gamma` is negative or not finite.
    #[track_caller]
    pub fn new(gamma: f64) -> Self {
        assert_option("ExponentialLr: gamma", gamma, 0.0..);
        Self { gamma }
    }
}

impl Schedule for ExponentialLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        base * self.gamma.powf(t as f64)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// Straight from `base start_factor` at time 0 to `base end_factor` at `total_iters`, and level from there. With 0 iterations
/// the rate is `base end_factor` from the start.
#[doc(alias = "linear_schedule")]
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLr {
    start_factor: f64,
    end_factor: f64,
    total_iters: u64,
}

impl LinearLr {
    /// From `start_factor` to `end_factor` (PyTorch's defaults are 1/3 and 1, in 5).
    ///
    /// # Panics
    /// When a factor is negative or not finite.
    #[track_caller]
    pub fn new(start_factor: f64, end_factor: f64, total_iters: u64) -> Self {
        assert_option("LinearLr: start_factor", start_factor, 0.0..);
        assert_option("LinearLr: end_factor", end_factor, 0.0..);
        Self { start_factor, end_factor, total_iters }
    }

    /// Up to the base rate in `n` equal stairs, of which the first is `base / n` at time 0. With 0 there is no warm-up: the
    /// rate is the base rate from the start.
    #[doc(alias = "warmup_steps")]
    pub fn warm_up(n: u64) -> Self {
        Self::new(1.0 / n.max(1) as f64, 1.0, n.saturating_sub(1))
    }
}

impl Schedule for LinearLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        if t >= self.total_iters {
            return base * self.end_factor;
        }
        base * (self.start_factor + (self.end_factor - self.start_factor) * t as f64 / self.total_iters as f64)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// Falls to 0 at `total_iters`: `base (1 - t / total_iters)^power`. With 0 iterations the rate is 0 from the start.
#[doc(alias = "PolynomialDecay")]
#[derive(Clone, Debug, PartialEq)]
pub struct PolynomialLr {
    total_iters: u64,
    power: f64,
}

impl PolynomialLr {
    /// A fall to 0 in `total_iters`; straight when `power` is 1.
    ///
    /// # Panics
    /// When `power` is not above 0.
    #[track_caller]
    pub fn new(total_iters: u64, power: f64) -> Self {
        assert_option("PolynomialLr: power", power, f64::MIN_POSITIVE..);
        Self { total_iters, power }
    }
}

impl Schedule for PolynomialLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        if t >= self.total_iters {
            return 0.0;
        }
        base * (1.0 - t as f64 / self.total_iters as f64).powf(self.power)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}
