//! Learning rates that change over time. The figures are those of PyTorch's schedulers of the same names.
//!
//! A schedule is a function of the base rate and of the time, counted in steps or epochs as the optimiser is told:
//! ```
//! use gradus_optim::{CosineAnnealingLr, Every, LinearLr, Optimizer, Schedule, SequentialLr, Sgd};
//! let warm_up = LinearLr::warm_up(5);
//! let schedule = SequentialLr::new(warm_up).then(5, CosineAnnealingLr::new(95));
//! assert_eq!(schedule.lr(1.0, 0), 0.2);
//! assert_eq!(schedule.lr(1.0, 5), 1.0);
//! let opt: Optimizer<Sgd> = Sgd::new(1.0).schedule(Every::Epoch, schedule);
//! assert_eq!(opt.lr(), 0.2);
//! ```

mod compose;
mod cosine;
mod decay;
mod one_cycle;
mod plateau;

pub use compose::{ChainedLr, SequentialLr};
pub use cosine::{CosineAnnealingLr, CosineAnnealingWarmRestarts};
pub use decay::{ConstantLr, ExponentialLr, LinearLr, MultiStepLr, PolynomialLr, StepLr};
pub use one_cycle::{Anneal, OneCycleLr};
pub use plateau::{PlateauThreshold, ReduceLrOnPlateau};

/// A learning rate as a function of time. A closure from the time to a factor is one, too:
///
/// ```
/// use gradus_optim::Schedule;
/// let inverse_root = |t: u64| 1.0 / ((t + 1) as f64).sqrt();
/// assert_eq!(inverse_root.lr(0.1, 3), 0.05);
/// ```
#[doc(alias("lr_scheduler", "LRScheduler", "LambdaLR", "LearningRateScheduler"))]
pub trait Schedule: Send {
    /// The learning rate at time `t` (0, 1, 2 …) of a weight whose base rate is `base`.
    fn lr(&self, base: f64, t: u64) -> f64;

    /// Sees the metric at the end of an epoch.
    fn observe(&mut self, metric: f64) {
        let _ = metric;
    }

    /// What [`observe`](Self::observe) must be shown each epoch for the schedule to make sense; nothing, for most.
    fn watches(&self) -> Vec<Watched> {
        Vec::new()
    }

    /// The schedule's kind and options as text, which a saved state is compared with; not what changes over time. Closures,
    /// and schedules that do not say, all count as equal.
    fn describe(&self) -> String {
        "a custom schedule".to_string()
    }

    /// What the schedule remembers beside the time, by name, to be saved. Nothing, for most.
    fn state(&self) -> Vec<(String, f64)> {
        Vec::new()
    }

    /// As [`state`](Self::state), to be loaded.
    fn state_mut(&mut self) -> Vec<(String, &mut f64)> {
        Vec::new()
    }
}

/// A metric that a schedule watches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Its name in the trainer's history, `val_acc`; `None` for the loss.
    pub name: Option<String>,
    /// Whether larger values are better, where the schedule was told.
    pub maximize: Option<bool>,
}

impl<F: Fn(u64) -> f64 + Send> Schedule for F {
    fn lr(&self, base: f64, t: u64) -> f64 {
        base * self(t)
    }
}
