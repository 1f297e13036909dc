//! How often a network is shown the target of the step before in place of its own output.

/// Whether each step reads the target of the step before, or what the network itself said (Williams and Zipser 1989; Bengio
/// et al. 2015, "Scheduled sampling").
///
/// ```
/// use gradus_nn::TeacherForcing;
/// let forcing = TeacherForcing::Linear { start: 1.0, slope: 0.01, least: 0.25 };
/// assert_eq!(forcing.probability(0), 1.0);
/// assert_eq!(forcing.probability(50), 0.5);
/// assert_eq!(forcing.probability(1000), 0.25);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TeacherForcing {
    /// Every step reads the target.
    Always,
    /// Every step reads the network's output: free running.
    Never,
    /// Each step of each sequence reads the target with this probability.
    Probability(f64),
    /// `max(least, start - slope · i)` after `i` updates.
    Linear {
        /// The probability at first.
        start: f64,
        /// By how much it falls with each update.
        slope: f64,
        /// Where it stops falling.
        least: f64,
    },
    /// `rate^i` after `i` updates, the rate being below 1.
    Exponential {
        /// By how much it is multiplied with each update.
        rate: f64,
    },
    /// `k / (k + e^(i / k))` after `i` updates, `k` being 1 or more: near 1 at first, a half after about `k ln k` updates.
    InverseSigmoid {
        /// How slowly it falls.
        k: f64,
    },
}

impl TeacherForcing {
    /// The probability that a step reads the target after so many updates, from 0 to 1.
    pub fn probability(self, updates: usize) -> f64 {
        let i = updates as f64;
        let p = match self {
            Self::Always => 1.0,
            Self::Never => 0.0,
            Self::Probability(p) => p,
            Self::Linear { start, slope, least } => (start - slope * i).max(least),
            Self::Exponential { rate } => rate.powf(i),
            Self::InverseSigmoid { k } => k / (k + (i / k).exp()),
        };
        p.clamp(0.0, 1.0)
    }
}

/// A loss with each step reading the target of the step before, and with the network running freely. Their gap is what
/// teacher forcing hides: in use, there is no teacher.
///
/// ```
/// let gap = gradus_nn::ForcingGap { teacher_forced: 0.25, free_running: 0.75 };
/// assert_eq!(gap.to_string(), "teacher-forced 0.2500, free running 0.7500, gap 0.5000");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ForcingGap {
    /// Each step read the target.
    pub teacher_forced: f64,
    /// Each step read the network's own output.
    pub free_running: f64,
}

impl ForcingGap {
    /// By how much free running is worse.
    pub fn gap(self) -> f64 {
        self.free_running - self.teacher_forced
    }
}

impl std::fmt::Display for ForcingGap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { teacher_forced, free_running } = self;
        write!(f, "teacher-forced {teacher_forced:.4}, free running {free_running:.4}, gap {:.4}", self.gap())
    }
}
