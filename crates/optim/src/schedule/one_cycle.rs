//! One rise and one fall.

use super::Schedule;
use super::cosine::half_cosine;
use crate::rule::assert_option;

/// The way from one rate to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anneal {
    /// Along half a cosine.
    #[default]
    Cosine,
    /// Straight.
    Linear,
}

/// Rises from `base / div_factor` to the base rate, and falls to `base / div_factor / final_div_factor` at time
/// `total_steps - 1`, where it stays. The base rate is PyTorch's `max_lr`; momentum is left alone.
///
/// Smith and Topin, *Super-convergence: very fast training of neural networks using large learning rates*, 2018.
///
/// ```
/// use gradus_optim::{OneCycleLr, Schedule};
/// let schedule = OneCycleLr::new(100).div_factor(4.0);
/// assert_eq!([0, 29, 99].map(|t| schedule.lr(1.0, t)), [0.25, 1.0, 0.25e-4]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct OneCycleLr {
    total_steps: u64,
    pct_start: f64,
    anneal: Anneal,
    div_factor: f64,
    final_div_factor: f64,
    three_phase: bool,
}

impl OneCycleLr {
    /// A cycle of `total_steps`, the first 30 % of which rise, from a 25th of the base rate.
    ///
    /// # Panics
    /// When `total_steps` is 0.
    #[track_caller]
    pub fn new(total_steps: u64) -> Self {
        assert!(total_steps > 0, "OneCycleLr: total_steps is 0; expected 1 or more");
        let anneal = Anneal::Cosine;
        Self { total_steps, pct_start: 0.3, anneal, div_factor: 25.0, final_div_factor: 1e4, three_phase: false }
    }

    /// The share of the cycle that rises; 0.3 by default.
    ///
    /// # Panics
    /// When `share` is not in `0.0..=1.0`.
    #[track_caller]
    pub fn pct_start(mut self, share: f64) -> Self {
        assert_option("OneCycleLr: pct_start", share, 0.0..=1.0);
        self.pct_start = share;
        self
    }

    /// The way up and down; along a cosine by default.
    pub fn anneal(mut self, anneal: Anneal) -> Self {
        self.anneal = anneal;
        self
    }

    /// How far below the base rate the cycle starts; 25 by default.
    ///
    /// # Panics
    /// When `factor` is not above 0.
    #[track_caller]
    pub fn div_factor(mut self, factor: f64) -> Self {
        assert_option("OneCycleLr: div_factor", factor, f64::MIN_POSITIVE..);
        self.div_factor = factor;
        self
    }

    /// How far below its start the cycle ends; 1e4 by default.
    ///
    /// # Panics
    /// When `factor` is not above 0.
    #[track_caller]
    pub fn final_div_factor(mut self, factor: f64) -> Self {
        assert_option("OneCycleLr: final_div_factor", factor, f64::MIN_POSITIVE..);
        self.final_div_factor = factor;
        self
    }

    /// Whether to fall back to the start as slowly as it rose, and only then to the end.
    pub fn three_phase(mut self, three_phase: bool) -> Self {
        self.three_phase = three_phase;
        self
    }
}

impl Schedule for OneCycleLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        let initial = base / self.div_factor;
        let end = initial / self.final_div_factor;
        let last = (self.total_steps - 1) as f64;
        let rise = self.pct_start * self.total_steps as f64;
        // Where each phase ends, and at which rate.
        let phases: &[(f64, f64)] = match self.three_phase {
            true => &[(rise - 1.0, base), (2.0 * rise - 2.0, initial), (last, end)],
            false => &[(rise - 1.0, base), (last, end)],
        };
        let t = t as f64;
        let (mut from, mut start) = (0.0, initial);
        for &(to, stop) in phases {
            if t <= to {
                let at = if to > from { (t - from) / (to - from) } else { 1.0 };
                return match self.anneal {
                    Anneal::Cosine => half_cosine(start, stop, at),
                    Anneal::Linear => start + (stop - start) * at,
                };
            }
            (from, start) = (to, stop);
        }
        end
    }

    fn describe(&self) -> String {
        format!("{self:?}")
    }
}
