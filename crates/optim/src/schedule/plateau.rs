//! Lower the rate when a metric stops getting better.

use super::{Schedule, Watched};
use crate::rule::assert_option;

/// By how much a metric must beat the best so far to count as better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PlateauThreshold {
    /// By this share of the best's absolute value.
    Relative(f64),
    /// By this much.
    Absolute(f64),
}

/// Multiplies the rate by `factor` when a metric has not got better for more than `patience` epochs. After each fall
/// it waits for `cooldown` epochs before it counts again.
///
/// A metric is better than the best so far when it beats it by more than the threshold, `1e-4 |best|` unless set. So a
/// negative metric, such as a log-likelihood, counts as a positive one does; PyTorch, which multiplies the best by
/// `1 - 1e-4`, takes any negative number for progress over itself. A NaN is never better.
///
/// [`Optimizer::end_epoch`](crate::Optimizer::end_epoch) shows it the metric. A trainer shows it the validation's loss, or the
/// training's without validation, unless [`on`](Self::on) names another quantity.
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
    monitor: Option<String>,
    maximize: Option<bool>,
    patience: u64,
    threshold: PlateauThreshold,
    cooldown: u64,
    min_lr: f64,
    eps: f64,
    memory: Memory,
}

/// What changes as it watches; numbers all, to be saved as such.
#[derive(Clone, Debug, PartialEq)]
struct Memory {
    /// The best metric; at first the worst there is.
    best: f64,
    bad_epochs: f64,
    cooldown_left: f64,
    reductions: f64,
}

impl Memory {
    fn new(maximize: bool) -> Self {
        let worst = if maximize { f64::NEG_INFINITY } else { f64::INFINITY };
        Self { best: worst, bad_epochs: 0.0, cooldown_left: 0.0, reductions: 0.0 }
    }
}

impl ReduceLrOnPlateau {
    /// A fall by `factor` (PyTorch's default is 0.1) after 10 epochs without a loss lower by 1e-4 of itself.
    ///
    /// # Panics
    /// When `factor` is not in `0.0..1.0`.
    #[track_caller]
    pub fn new(factor: f64) -> Self {
        assert_option("ReduceLrOnPlateau: factor", factor, 0.0..1.0);
        Self {
            factor,
            monitor: None,
            maximize: None,
            patience: 10,
            threshold: PlateauThreshold::Relative(1e-4),
            cooldown: 0,
            min_lr: 0.0,
            eps: 1e-8,
            memory: Memory::new(false),
        }
    }

    /// Watches a quantity of a trainer's history, such as `val_acc`, in place of the loss. Say too which way it is better:
    /// [`maximize`](Self::maximize) or [`minimize`](Self::minimize).
    #[doc(alias = "monitor")]
    pub fn on(mut self, monitor: impl Into<String>) -> Self {
        self.monitor = Some(monitor.into());
        self
    }

    /// The metric is better when larger, as accuracies are.
    #[doc(alias = "mode")]
    pub fn maximize(mut self) -> Self {
        (self.maximize, self.memory) = (Some(true), Memory::new(true));
        self
    }

    /// The metric is better when smaller, as losses are: the default.
    #[doc(alias = "mode")]
    pub fn minimize(mut self) -> Self {
        (self.maximize, self.memory) = (Some(false), Memory::new(false));
        self
    }

    /// How many epochs without progress are borne; 10 by default.
    pub fn patience(mut self, epochs: u64) -> Self {
        self.patience = epochs;
        self
    }

    /// What counts as progress; better by 1e-4 of the best, by default.
    ///
    /// # Panics
    /// When the threshold is not finite.
    #[track_caller]
    pub fn threshold(mut self, threshold: PlateauThreshold) -> Self {
        let (PlateauThreshold::Relative(by) | PlateauThreshold::Absolute(by)) = threshold;
        assert_option("ReduceLrOnPlateau: threshold", by, ..);
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
        assert_option("ReduceLrOnPlateau: min_lr", min_lr, 0.0..);
        self.min_lr = min_lr;
        self
    }

    /// A fall by no more than this does not happen; 1e-8 by default.
    ///
    /// # Panics
    /// When `eps` is negative or not finite.
    #[track_caller]
    pub fn eps(mut self, eps: f64) -> Self {
        assert_option("ReduceLrOnPlateau: eps", eps, 0.0..);
        self.eps = eps;
        self
    }

    fn is_better(&self, metric: f64) -> bool {
        let best = self.memory.best;
        let margin = match self.threshold {
            // An infinite best has no share; any finite number beats the worst.
            PlateauThreshold::Relative(_) if best.is_infinite() => 0.0,
            PlateauThreshold::Relative(by) => by * best.abs(),
            PlateauThreshold::Absolute(by) => by,
        };
        if self.maximize == Some(true) { metric > best + margin } else { metric < best - margin }
    }
}

impl Schedule for ReduceLrOnPlateau {
    fn lr(&self, base: f64, _: u64) -> f64 {
        let mut lr = base;
        for _ in 0..self.memory.reductions as u64 {
            let lower = (lr * self.factor).max(self.min_lr);
            if lr - lower <= self.eps {
                break;
            }
            lr = lower;
        }
        lr
    }

    fn observe(&mut self, metric: f64) {
        let better = self.is_better(metric);
        let memory = &mut self.memory;
        if better {
            (memory.best, memory.bad_epochs) = (metric, 0.0);
        } else {
            memory.bad_epochs += 1.0;
        }
        if memory.cooldown_left > 0.0 {
            memory.cooldown_left -= 1.0;
            memory.bad_epochs = 0.0;
        }
        if memory.bad_epochs > self.patience as f64 {
            memory.reductions += 1.0;
            memory.cooldown_left = self.cooldown as f64;
            memory.bad_epochs = 0.0;
        }
    }

    fn watches(&self) -> Vec<Watched> {
        vec![Watched { name: self.monitor.clone(), maximize: self.maximize }]
    }

    fn describe(&self) -> String {
        let Self { factor, monitor, maximize, patience, threshold, cooldown, min_lr, eps, memory: _ } = self;
        let watched = monitor.as_deref().unwrap_or("the loss");
        let way = if *maximize == Some(true) { "maximise" } else { "minimise" };
        format!(
            "ReduceLrOnPlateau {{ {way} {watched}, factor: {factor:?}, patience: {patience}, threshold: {threshold:?}, cooldown: \
             {cooldown}, min_lr: {min_lr:?}, eps: {eps:?} }}"
        )
    }

    fn state(&self) -> Vec<(String, f64)> {
        self.clone().state_mut().into_iter().map(|(name, v)| (name, *v)).collect()
    }

    fn state_mut(&mut self) -> Vec<(String, &mut f64)> {
        let Memory { best, bad_epochs, cooldown_left, reductions } = &mut self.memory;
        let named = [("best", best), ("bad_epochs", bad_epochs), ("cooldown_left", cooldown_left), ("reductions", reductions)];
        named.into_iter().map(|(name, v)| (name.to_string(), v)).collect()
    }
}
