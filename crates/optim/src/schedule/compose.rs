//! Schedules made of schedules.

use super::{Schedule, Watched};

/// What both kinds of composition pass on to their parts; a part's state is named by its place.
macro_rules! pass_on {
    ($self:ident, |$part:ident| $schedule:expr) => {
        fn observe(&mut $self, metric: f64) {
            for $part in &mut $self.parts {
                $schedule.observe(metric);
            }
        }
        fn watches(&$self) -> Vec<Watched> {
            $self.parts.iter().flat_map(|$part| $schedule.watches()).collect()
        }
        fn state(&$self) -> Vec<(String, f64)> {
            let parts = $self.parts.iter().enumerate();
            parts.flat_map(|(i, $part)| $schedule.state().into_iter().map(move |(n, v)| (format!("{i}.{n}"), v))).collect()
        }
        fn state_mut(&mut $self) -> Vec<(String, &mut f64)> {
            let parts = $self.parts.iter_mut().enumerate();
            parts
                .flat_map(|(i, $part)| $schedule.state_mut().into_iter().map(move |(n, v)| (format!("{i}.{n}"), v)))
                .collect()
        }
    };
}

/// One schedule after the other, each with a time of its own that starts at 0 when its turn comes.
///
/// ```
/// use gradus_optim::{ExponentialLr, LinearLr, Schedule, SequentialLr};
/// let schedule = SequentialLr::new(LinearLr::warm_up(4)).then(10, ExponentialLr::new(0.5));
/// assert_eq!([0, 3, 9, 10, 11].map(|t| schedule.lr(1.0, t)), [0.25, 1.0, 1.0, 1.0, 0.5]);
/// ```
#[doc(alias("join_schedules", "warmup_cosine_decay_schedule"))]
pub struct SequentialLr {
    /// When each one's turn comes, and what it is.
    parts: Vec<(u64, Box<dyn Schedule>)>,
}

impl SequentialLr {
    /// Starts with `first`.
    pub fn new(first: impl Schedule + 'static) -> Self {
        Self { parts: vec![(0, Box::new(first))] }
    }

    /// Goes over to `next` at time `milestone`. At 0, or at the milestone before, the schedule before has no turn at all.
    ///
    /// # Panics
    /// When an earlier milestone is after this one.
    #[track_caller]
    pub fn then(mut self, milestone: u64, next: impl Schedule + 'static) -> Self {
        let before = self.parts.last().map_or(0, |p| p.0);
        assert!(
            milestone >= before,
            "SequentialLr: the milestone {milestone} is before {before}, where the schedule before it starts"
        );
        self.parts.push((milestone, Box::new(next)));
        self
    }
}

impl Schedule for SequentialLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        let turn = self.parts.partition_point(|p| p.0 <= t) - 1;
        let (since, schedule) = &self.parts[turn];
        schedule.lr(base, t - since)
    }

    fn describe(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|(since, part)| format!("from {since}: {}", part.describe())).collect();
        format!("SequentialLr [{}]", parts.join("; "))
    }

    pass_on!(self, |part| part.1);
}

/// All schedules at once: each takes the rate that the one before it gives as its base. For schedules that multiply
/// the base rate, that is the product of their factors.
///
/// ```
/// use gradus_optim::{ChainedLr, LinearLr, Schedule, StepLr};
/// let schedule = ChainedLr::new(LinearLr::warm_up(4)).and(StepLr::new(2, 0.1));
/// assert_eq!(schedule.lr(1.0, 1), 0.5);
/// assert_eq!(schedule.lr(1.0, 3), 0.1);
/// ```
#[doc(alias = "ChainedScheduler")]
pub struct ChainedLr {
    parts: Vec<Box<dyn Schedule>>,
}

impl ChainedLr {
    /// Starts with `first`.
    pub fn new(first: impl Schedule + 'static) -> Self {
        Self { parts: vec![Box::new(first)] }
    }

    /// Applies `next` to what there is.
    pub fn and(mut self, next: impl Schedule + 'static) -> Self {
        self.parts.push(Box::new(next));
        self
    }
}

impl Schedule for ChainedLr {
    fn lr(&self, base: f64, t: u64) -> f64 {
        self.parts.iter().fold(base, |lr, schedule| schedule.lr(lr, t))
    }

    fn describe(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(|part| part.describe()).collect();
        format!("ChainedLr [{}]", parts.join("; "))
    }

    pass_on!(self, |part| part);
}
