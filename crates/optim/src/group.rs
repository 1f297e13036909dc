//! Settings for some of the parameters, chosen by path.

use crate::rule::assert_option;
use gradus_autograd::path_matches;

/// Settings of their own for the parameters whose path fits a pattern. In a pattern `*` stands for any run of
/// characters, dots included: `features.*`, `*.bias`, `encoder.*.weight`.
///
/// What a group leaves open is the optimiser's. If several groups fit a parameter, all apply, later ones over earlier.
///
/// ```
/// use gradus_optim::{AdamW, Group, Optimizer};
/// let opt: Optimizer<AdamW> = AdamW::new(1e-3)
///     .group(Group::new("features.*").lr(1e-4))
///     .group(Group::new("*.bias").weight_decay(0.0));
/// assert_eq!(opt.lr_of("features.0.bias"), 1e-4);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    pub(crate) pattern: String,
    pub(crate) lr: Option<f64>,
    pub(crate) weight_decay: Option<f64>,
    pub(crate) frozen: Option<bool>,
}

impl Group {
    /// The parameters whose path fits `pattern`.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), lr: None, weight_decay: None, frozen: None }
    }

    /// Their learning rate, before the schedule.
    ///
    /// # Panics
    /// When `lr` is negative or not finite.
    #[track_caller]
    pub fn lr(mut self, lr: f64) -> Self {
        assert_option("lr", lr, 0.0..);
        self.lr = Some(lr);
        self
    }

    /// Their weight decay.
    ///
    /// # Panics
    /// When `weight_decay` is negative or not finite.
    #[track_caller]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        assert_option("weight_decay", weight_decay, 0.0..);
        self.weight_decay = Some(weight_decay);
        self
    }

    /// Whether they stay as they are, gradient or not. To spare the work of the gradients as well, make the parameters
    /// untrainable.
    pub fn frozen(mut self, frozen: bool) -> Self {
        self.frozen = Some(frozen);
        self
    }

    pub(crate) fn fits(&self, path: &str) -> bool {
        path_matches(&self.pattern, path)
    }
}
