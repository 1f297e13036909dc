//! Schedules that multiply the base rate by a simple function of time.

use super::Schedule;
use crate::rule::assert_option;

/// The base rate times `factor` before time `total_iters`, and the base rate from then on.
#[derive(Clone, Debug, PartialEq)]
pub struct ConstantLr {
    factor: f64,
    total_iters: u64,
}

impl ConstantLr {
    /// `factor` until `total_iters`.
    pub fn new(factor: f64, total_iters: u64) -> Self {
        Self { factor, total_iters }
    }
}

impl Schedule for ConstantLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        if t < self.total_iters { base * self.factor } else { base }
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
    /// When `step_size` is 0.
    #[track_caller]
    pub fn new(step_size: u64, gamma: f64) -> Self {
        assert!(step_size > 0, "step_size is 0; wanted 1 or more");
        Self { step_size, gamma }
    }
}

impl Schedule for StepLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        base * self.gamma.powf((t / self.step_size) as f64)
    }
}

/// Multiplies the rate by `gamma` at each of the given times.
#[derive(Clone, Debug, PartialEq)]
pub struct MultiStepLr {
    milestones: Vec<u64>,
    gamma: f64,
}

impl MultiStepLr {
    /// A fall by `gamma` (PyTorch's default is 0.1) at each of `milestones`, in any order.
    pub fn new(milestones: impl Into<Vec<u64>>, gamma: f64) -> Self {
        Self { milestones: milestones.into(), gamma }
    }
}

impl Schedule for MultiStepLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        let passed = self.milestones.iter().filter(|&&m| m <= t).count();
        base * self.gamma.powf(passed as f64)
    }
}

/// `base gamma^t`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExponentialLr {
    gamma: f64,
}

impl ExponentialLr {
    /// A fall by `gamma` at every time.
    pub fn new(gamma: f64) -> Self {
        Self { gamma }
    }
}

impl Schedule for ExponentialLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        base * self.gamma.powf(t as f64)
    }
}

/// Straight from `base start_factor` at time 0 to `base end_factor` at `total_iters`, and level from there.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearLr {
    start_factor: f64,
    end_factor: f64,
    total_iters: u64,
}

impl LinearLr {
    /// From `start_factor` to `end_factor` (PyTorch's defaults are 1/3 and 1, in 5).
    pub fn new(start_factor: f64, end_factor: f64, total_iters: u64) -> Self {
        Self { start_factor, end_factor, total_iters }
    }

    /// Up to the base rate in `n` equal stairs, of which the first is `base / n` at time 0.
    ///
    /// # Panics
    /// When `n` is 0.
    #[track_caller]
    pub fn warm_up(n: u64) -> Self {
        assert!(n > 0, "a warm-up over 0 steps; wanted 1 or more");
        Self::new(1.0 / n as f64, 1.0, n - 1)
    }
}

impl Schedule for LinearLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        if t >= self.total_iters {
            return base * self.end_factor;
        }
        base * (self.start_factor + (self.end_factor - self.start_factor) * t as f64 / self.total_iters as f64)
    }
}

/// Falls to 0 at `total_iters`: `base (1 - t / total_iters)^power`.
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
        assert_option("power", power, f64::MIN_POSITIVE..);
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
}
