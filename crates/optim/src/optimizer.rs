//! The optimiser that users hold: a rule and its driver.

use crate::clip::Clip;
use crate::driver::Driver;
use crate::error::{Kind, OptimError};
use crate::group::Group;
use crate::rule::{UpdateRule, assert_option};
use crate::schedule::{Schedule, Watched};
use gradus_autograd::{Grads, Module};
use gradus_tensor::Float;

/// What a schedule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Calls of [`Optimizer::step`].
    Step,
    /// Calls of [`Optimizer::end_epoch`].
    Epoch,
}

/// Moves a model's weights along their gradients, by an [`UpdateRule`].
///
/// State is kept by parameter path, so a model may be moved, cloned or rebuilt between steps. Make one by its rule:
/// [`Sgd::new`](crate::Sgd::new), [`Adam::new`](crate::Adam::new) …; then set options as builder methods.
///
/// ```
/// use gradus_autograd::Param;
/// use gradus_optim::{CosineAnnealingLr, Every, Group, Sgd};
///
/// let mut net = (Param::<f32>::new([1.0, 2.0].into()), Param::new([0.5].into()));
/// let mut opt = Sgd::new(0.1)
///     .momentum(0.9)
///     .weight_decay(5e-4)
///     .group(Group::new("1").weight_decay(0.0))
///     .schedule(Every::Epoch, CosineAnnealingLr::new(10))
///     .clip_norm(1.0);
/// for _ in 0..10 {
///     let loss = (&*net.0 * &*net.1).square().sum(..);
///     opt.step(&mut net, loss.backward())?;
///     opt.end_epoch(None)?;
/// }
/// assert!(opt.lr() < 1e-9);
/// # Ok::<(), gradus_optim::OptimError>(())
/// ```
pub struct Optimizer<R: UpdateRule<T>, T: Float = f32> {
    pub(crate) rule: R,
    pub(crate) driver: Driver<T>,
}

/// Making and setting up.
impl<R: UpdateRule<T>, T: Float> Optimizer<R, T> {
    /// An optimiser by a rule of your own; the built-in rules have a `new` that calls this.
    ///
    /// # Panics
    /// When `lr` is negative or not finite.
    #[track_caller]
    pub fn new(rule: R, lr: f64) -> Self {
        assert_option("lr", lr, 0.0..);
        Self { rule, driver: Driver::new(lr) }
    }

    /// How strongly weights are drawn to 0: in most rules `weight_decay * w` is added to the gradient.
    ///
    /// # Panics
    /// When `weight_decay` is negative or not finite.
    #[doc(alias = "add_decayed_weights")]
    #[track_caller]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        assert_option("weight_decay", weight_decay, 0.0..);
        self.driver.weight_decay = weight_decay;
        self
    }

    /// Settings of their own for some parameters; see [`Group`].
    #[doc(alias("param_groups", "add_param_group", "multi_transform", "masked"))]
    pub fn group(mut self, group: Group) -> Self {
        self.set_group(group);
        self
    }

    /// Lets the learning rate follow `schedule`, counted in steps or epochs.
    pub fn schedule(mut self, every: Every, schedule: impl Schedule + 'static) -> Self {
        self.driver.schedule = Some((every, Box::new(schedule)));
        self
    }

    /// Scales the gradients down in every step so that their global norm is at most `max_norm`; see
    /// [`clip_grad_norm`](crate::clip_grad_norm).
    ///
    /// # Panics
    /// When `max_norm` is negative or not finite.
    #[doc(alias("global_clipnorm", "clip_by_global_norm"))]
    #[track_caller]
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        assert_option("max_norm", max_norm, 0.0..);
        self.driver.clip = Some(Clip::Norm(max_norm));
        self
    }

    /// Limits every number of the gradients in every step to `-limit..=limit`; see
    /// [`clip_grad_value`](crate::clip_grad_value).
    ///
    /// # Panics
    /// When `limit` is negative or not finite.
    #[track_caller]
    pub fn clip_value(mut self, limit: f64) -> Self {
        assert_option("limit", limit, 0.0..);
        self.driver.clip = Some(Clip::Value(limit));
        self
    }

    /// Whether trainable parameters without a gradient are left as they are, instead of being an error.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.driver.allow_missing = allow;
        self
    }

    /// Whether gradients with infinities or NaNs are an error. Costs one more pass over the gradients.
    #[doc(alias = "apply_if_finite")]
    pub fn check_finite(mut self, check: bool) -> Self {
        self.driver.check_finite = check;
        self
    }
}

/// The learning rate, and what else may change on the way.
impl<R: UpdateRule<T>, T: Float> Optimizer<R, T> {
    /// The learning rate of the next step, after the schedule, of parameters in no group with another.
    #[doc(alias = "get_last_lr")]
    pub fn lr(&self) -> f64 {
        self.driver.scheduled(self.driver.lr)
    }

    /// Sets the learning rate; under a schedule, the base rate that it starts from.
    ///
    /// # Panics
    /// When `lr` is negative or not finite.
    #[doc(alias("learning_rate", "inject_hyperparams"))]
    #[track_caller]
    pub fn set_lr(&mut self, lr: f64) {
        assert_option("lr", lr, 0.0..);
        self.driver.lr = lr;
        self.driver.settle();
    }

    /// The learning rate of the next step of the parameter at `path`.
    pub fn lr_of(&self, path: &str) -> f64 {
        self.driver.scheduled(self.driver.settings(path).lr)
    }

    /// Adds a group, or replaces that of the same pattern.
    pub fn set_group(&mut self, group: Group) {
        match self.driver.groups.iter_mut().find(|g| g.pattern == group.pattern) {
            Some(old) => *old = group,
            None => self.driver.groups.push(group),
        }
        self.driver.settle();
    }

    /// How many steps have been taken.
    pub fn steps(&self) -> u64 {
        self.driver.steps
    }

    /// Moves an epoch's schedule on, and shows a schedule that watches a metric this epoch's.
    ///
    /// # Errors
    /// When the schedule needs a metric and there is none.
    pub fn end_epoch(&mut self, metric: impl Into<Option<f64>>) -> Result<(), OptimError> {
        let Some((every, schedule)) = &mut self.driver.schedule else { return Ok(()) };
        match metric.into() {
            Some(metric) => schedule.observe(metric),
            None if !schedule.watches().is_empty() => return Err(Kind::MetricWanted.into()),
            None => {}
        }
        if *every == Every::Epoch {
            self.driver.time += 1;
        }
        Ok(())
    }

    /// What the schedule must be shown by [`end_epoch`](Self::end_epoch); nothing, for most.
    pub fn watches(&self) -> Vec<Watched> {
        self.driver.schedule.as_ref().map_or_else(Vec::new, |(_, schedule)| schedule.watches())
    }
}

/// Stepping.
impl<R: UpdateRule<T>, T: Float> Optimizer<R, T> {
    /// Moves every trainable parameter of `model` along its gradient: runs the hooks of [`before_step`](Self::before_step), checks
    /// the gradients, clips them if so set up, and updates the weights.
    ///
    /// # Errors
    /// Names the parameters by path, and changes nothing, when a trainable parameter has no gradient (unless
    /// [`allow_missing`](Self::allow_missing)), when a shape has changed, when a group's pattern fits no parameter, when the
    /// schedule gives a rate that is negative or not finite, when a gradient is not finite (if
    /// [`check_finite`](Self::check_finite) or [`clip_norm`](Self::clip_norm) looks), when one is finite but too large for a
    /// rule that squares it ([`UpdateRule::largest_gradient`]), and when a hook fails.
    ///
    /// A [`profile`](gradus_autograd::profile) shows it as `optimizer step`.
    #[doc(alias("apply_gradients", "minimize", "apply_updates"))]
    #[track_caller]
    pub fn step<M: Module<T> + ?Sized>(&mut self, model: &mut M, grads: Grads<T>) -> Result<(), OptimError> {
        self.driver.step(&self.rule, &mut &mut *model, grads)
    }
}
