//! Schedules along a cosine.

use super::Schedule;
use crate::rule::assert_option;
use std::f64::consts::PI;

/// From `start` at 0 to `end` at 1 along half a cosine.
pub(super) fn half_cosine(start: f64, end: f64, at: f64) -> f64 {
    end + (start - end) * (1.0 + (PI * at).cos()) / 2.0
}

/// Falls from the base rate to `eta_min` at `t_max` along half a cosine, and rises again after it:
/// `eta_min + (base - eta_min) (1 + cos(pi t / t_max)) / 2`. With a `t_max` of 0 the fall is over at once, and the rate stays
/// `eta_min`.
///
/// Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017, without the restarts.
#[doc(alias("CosineDecay", "cosine_decay_schedule"))]
#[derive(Clone, Debug, PartialEq)]
pub struct CosineAnnealingLr {
    t_max: u64,
    eta_min: f64,
}

impl CosineAnnealingLr {
    /// A fall to 0 in `t_max`.
    pub fn new(t_max: u64) -> Self {
        Self { t_max, eta_min: 0.0 }
    }

    /// The rate at the bottom; 0 by default.
    ///
    /// # Panics
    /// When `eta_min` is negative or not finite.
    #[track_caller]
    pub fn eta_min(mut self, eta_min: f64) -> Self {
        assert_option("CosineAnnealingLr: eta_min", eta_min, 0.0..);
        self.eta_min = eta_min;
        self
    }
}

impl Schedule for CosineAnnealingLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        if self.t_max == 0 {
            return self.eta_min;
        }
        half_cosine(base, self.eta_min, t as f64 / self.t_max as f64)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}

/// Falls from the base rate to `eta_min` along half a cosine, over and over, each fall `t_mult` times as long as the
/// one before.
///
/// Loshchilov and Hutter, *SGDR: stochastic gradient descent with warm restarts*, 2017.
#[doc(alias = "CosineDecayRestarts")]
#[derive(Clone, Debug, PartialEq)]
pub struct CosineAnnealingWarmRestarts {
    t_0: u64,
    t_mult: u64,
    eta_min: f64,
}

impl CosineAnnealingWarmRestarts {
    /// A restart every `t_0`.
    ///
    /// # Panics
    /// When `t_0` is 0.
    #[track_caller]
    pub fn new(t_0: u64) -> Self {
        assert!(t_0 > 0, "CosineAnnealingWarmRestarts: t_0 is 0; expected 1 or more");
        Self { t_0, t_mult: 1, eta_min: 0.0 }
    }

    /// By how much each fall is longer than the one before; 1 by default.
    ///
    /// # Panics
    /// When `t_mult` is 0.
    #[track_caller]
    pub fn t_mult(mut self, t_mult: u64) -> Self {
        assert!(t_mult > 0, "CosineAnnealingWarmRestarts: t_mult is 0; expected 1 or more");
        self.t_mult = t_mult;
        self
    }

    /// The rate at the bottom; 0 by default.
    ///
    /// # Panics
    /// When `eta_min` is negative or not finite.
    #[track_caller]
    pub fn eta_min(mut self, eta_min: f64) -> Self {
        assert_option("CosineAnnealingWarmRestarts: eta_min", eta_min, 0.0..);
        self.eta_min = eta_min;
        self
    }
}

impl Schedule for CosineAnnealingWarmRestarts {
    fn lr(&self, base: f64, t: u64) -> f64 {
        let (mut since, mut length) = (t, self.t_0);
        if self.t_mult == 1 {
            since %= length;
        }
        while since >= length {
            since -= length;
            length = length.saturating_mul(self.t_mult);
        }
        half_cosine(base, self.eta_min, since as f64 / length as f64)
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}
