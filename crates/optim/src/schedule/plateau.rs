//! Lower the rate when a metric stops getting better.

use super::Schedule;
use crate::rule::assert_option;

/// Whether a metric is better small or large.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlateauMode {
    /// Smaller is better: losses.
    #[default]
    Min,
    /// Larger is better: accuracies.
    Max,
}

/// By how much a metric must beat the best so far to count as better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlateauThreshold {
    /// By this share of the best.
    Relative(f64),
    /// By this much.
    Absolute(f64),
}

/// Multiplies the rate by `factor` when a metric has not got better for more than `patience` epochs. After each fall
/// it waits for `cooldown` epochs before it counts again.
///
/// [`Optimizer::end_epoch`](crate::Optimizer::end_epoch) shows it the metric.
///
/// ```
/// use gradus_optim::{ReduceLrOnPlateau, Schedule};
/// let mut schedule = ReduceLrOnPlateau::new(0.1).patience(1);
/// for loss in [1.0, 1.0, 1.0] {
///     schedule.observe(loss);
/// }
/// assert_eq!(schedule.lr(0.5, 3), 0.05);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ReduceLrOnPlateau {
    factor: f64,
    mode: PlateauMode,
    patience: u64,
    threshold: PlateauThreshold,
    cooldown: u64,
    min_lr: f64,
    eps: f64,
    // What changes as it watches; numbers all, to be saved as such.
    /// The best metric; without meaning before `any_best` is 1.
    best: f64,
    any_best: f64,
    bad_epochs: f64,
    cooldown_left: f64,
    reductions: f64,
}

impl ReduceLrOnPlateau {
    /// A fall by `factor` (PyTorch's default is 0.1) after 10 epochs without a loss lower by 1e-4 of itself.
    ///
    /// # Panics
    /// When `factor` is not in `0.0..1.0`.
    #[track_caller]
    pub fn new(factor: f64) -> Self {
        assert_option("factor", factor, 0.0..1.0);
        Self {
            factor,
            mode: PlateauMode::Min,
            patience: 10,
            threshold: PlateauThreshold::Relative(1e-4),
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
            best: 0.0,
            any_best: 0.0,
            bad_epochs: 0.0,
            cooldown_left: 0.0,
            reductions: 0.0,
        }
    }

    /// Whether the metric is better small (the default) or large.
    pub fn mode(mut self, mode: PlateauMode) -> Self {
        self.mode = mode;
        self
    }

    /// How many epochs without progress are borne; 10 by default.
    pub fn patience(mut self, epochs: u64) -> Self {
        self.patience = epochs;
        self
    }

    /// What counts as progress; better by 1e-4 of the best, by default.
    pub fn threshold(mut self, threshold: PlateauThreshold) -> Self {
        self.threshold = threshold;
        self
    }

    /// How many epochs after a fall do not count; 0 by default.
    pub fn cooldown(mut self, epochs: u64) -> Self {
        self.cooldown = epochs;
        self
    }

    /// The lowest rate that falls lead to; 0 by default.
    ///
    /// # Panics
    /// When `min_lr` is negative or not finite.
    #[track_caller]
    pub fn min_lr(mut self, min_lr: f64) -> Self {
        assert_option("min_lr", min_lr, 0.0..);
        self.min_lr = min_lr;
        self
    }

    /// A fall by no more than this does not happen; 1e-8 by default.
    ///
    /// # Panics
    /// When `eps` is negative or not finite.
    #[track_caller]
    pub fn eps(mut self, eps: f64) -> Self {
        assert_option("eps", eps, 0.0..);
        self.eps = eps;
        self
    }

    fn is_better(&self, metric: f64) -> bool {
        let best = match (self.any_best == 1.0, self.mode) {
            (true, _) => self.best,
            (false, PlateauMode::Min) => f64::INFINITY,
            (false, PlateauMode::Max) => f64::NEG_INFINITY,
        };
        match (self.mode, self.threshold) {
            (PlateauMode::Min, PlateauThreshold::Relative(by)) => metric < best * (1.0 - by),
            (PlateauMode::Min, PlateauThreshold::Absolute(by)) => metric < best - by,
            (PlateauMode::Max, PlateauThreshold::Relative(by)) => metric > best * (1.0 + by),
            (PlateauMode::Max, PlateauThreshold::Absolute(by)) => metric > best + by,
        }
    }
}

impl Schedule for ReduceLrOnPlateau {
    fn lr(&self, base: f64, _: u64) -> f64 {
        (0..self.reductions as u64).fold(base, |lr, _| {
            let lower = (lr * self.factor).max(self.min_lr);
            if lr - lower > self.eps { lower } else { lr }
        })
    }

    fn observe(&mut self, metric: f64) {
        if self.is_better(metric) {
            (self.best, self.any_best, self.bad_epochs) = (metric, 1.0, 0.0);
        } else {
            self.bad_epochs += 1.0;
        }
        if self.cooldown_left > 0.0 {
            self.cooldown_left -= 1.0;
            self.bad_epochs = 0.0;
        }
        if self.bad_epochs > self.patience as f64 {
            self.reductions += 1.0;
            self.cooldown_left = self.cooldown as f64;
            self.bad_epochs = 0.0;
        }
    }

    fn needs_metric(&self) -> bool {
        true
    }

    fn state(&self) -> Vec<(String, f64)> {
        self.clone().state_mut().into_iter().map(|(name, v)| (name, *v)).collect()
    }

    fn state_mut(&mut self) -> Vec<(String, &mut f64)> {
        vec![
            ("best".into(), &mut self.best),
            ("any_best".into(), &mut self.any_best),
            ("bad_epochs".into(), &mut self.bad_epochs),
            ("cooldown_left".into(), &mut self.cooldown_left),
            ("reductions".into(), &mut self.reductions),
        ]
    }
}
