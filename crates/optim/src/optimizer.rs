//! The driver: whose turn it is, at which rate, and with what state.

use crate::before_step::BeforeStep;
use crate::clip::{Clip, largest};
use crate::error::{Kind, OptimError};
use crate::group::Group;
use crate::rule::{Rule, Step, assert_option};
use crate::schedule::{Schedule, Watched};
use gradus_autograd::{Grads, Module, Param, Path, record_function};
use gradus_tensor::{Float, Num, Shape, Tensor};
use std::collections::BTreeMap;

/// What a schedule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// Calls of [`Optimizer::step`].
    Step,
    /// Calls of [`Optimizer::end_epoch`].
    Epoch,
}

/// Moves a model's weights along their gradients, by a [`Rule`].
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
pub struct Optimizer<R: Rule<T>, T: Float = f32> {
    pub(crate) rule: R,
    pub(crate) lr: f64,
    pub(crate) weight_decay: f64,
    pub(crate) groups: Vec<Group>,
    pub(crate) schedule: Option<(Every, Box<dyn Schedule>)>,
    /// The schedule's time.
    pub(crate) time: u64,
    pub(crate) steps: u64,
    pub(crate) clip: Option<Clip>,
    pub(crate) hooks: Vec<BeforeStep<T>>,
    allow_missing: bool,
    check_finite: bool,
    pub(crate) slots: BTreeMap<String, Slot<R::State>>,
}

/// What is known of one parameter.
pub(crate) struct Slot<S> {
    pub shape: Shape,
    pub settings: Settings,
    /// How many updates there have been.
    pub t: u64,
    /// None as long as the parameter has never been trainable.
    pub state: Option<S>,
}

/// What groups and defaults come to for one parameter.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub lr: f64,
    pub weight_decay: f64,
    pub frozen: bool,
}

/// Making and setting up.
impl<R: Rule<T>, T: Float> Optimizer<R, T> {
    /// An optimiser by a rule of your own; the built-in rules have a `new` that calls this.
    ///
    /// # Panics
    /// When `lr` is negative or not finite.
    #[track_caller]
    pub fn new(rule: R, lr: f64) -> Self {
        assert_option("lr", lr, 0.0..);
        Self {
            rule,
            lr,
            weight_decay: 0.0,
            groups: Vec::new(),
            schedule: None,
            time: 0,
            steps: 0,
            clip: None,
            hooks: Vec::new(),
            allow_missing: false,
            check_finite: false,
            slots: BTreeMap::new(),
        }
    }

    /// How strongly weights are drawn to 0: in most rules `weight_decay * w` is added to the gradient.
    ///
    /// # Panics
    /// When `weight_decay` is negative or not finite.
    #[track_caller]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        assert_option("weight_decay", weight_decay, 0.0..);
        self.weight_decay = weight_decay;
        self
    }

    /// Settings of their own for some parameters; see [`Group`].
    pub fn group(mut self, group: Group) -> Self {
        self.set_group(group);
        self
    }

    /// Lets the learning rate follow `schedule`, counted in steps or epochs.
    pub fn schedule(mut self, every: Every, schedule: impl Schedule + 'static) -> Self {
        self.schedule = Some((every, Box::new(schedule)));
        self
    }

    /// Scales the gradients down in every step so that their global norm is at most `max_norm`; see
    /// [`clip_grad_norm`](crate::clip_grad_norm).
    ///
    /// # Panics
    /// When `max_norm` is negative or not finite.
    #[track_caller]
    pub fn clip_norm(mut self, max_norm: f64) -> Self {
        assert_option("max_norm", max_norm, 0.0..);
        self.clip = Some(Clip::Norm(max_norm));
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
        self.clip = Some(Clip::Value(limit));
        self
    }

    /// Whether trainable parameters without a gradient are left as they are, instead of being an error.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.allow_missing = allow;
        self
    }

    /// Whether gradients with infinities or NaNs are an error. Costs one more pass over the gradients.
    pub fn check_finite(mut self, check: bool) -> Self {
        self.check_finite = check;
        self
    }
}

/// The learning rate, and what else may change on the way.
impl<R: Rule<T>, T: Float> Optimizer<R, T> {
    /// The learning rate of the next step, after the schedule, of parameters in no group with another.
    pub fn lr(&self) -> f64 {
        self.scheduled(self.lr)
    }

    /// Sets the learning rate; under a schedule, the base rate that it starts from.
    ///
    /// # Panics
    /// When `lr` is negative or not finite.
    #[track_caller]
    pub fn set_lr(&mut self, lr: f64) {
        assert_option("lr", lr, 0.0..);
        self.lr = lr;
        self.settle();
    }

    /// The learning rate of the next step of the parameter at `path`.
    pub fn lr_of(&self, path: &str) -> f64 {
        self.scheduled(self.settings(path).lr)
    }

    /// Adds a group, or replaces that of the same pattern.
    pub fn set_group(&mut self, group: Group) {
        match self.groups.iter_mut().find(|g| g.pattern == group.pattern) {
            Some(old) => *old = group,
            None => self.groups.push(group),
        }
        self.settle();
    }

    /// How many steps have been taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Moves an epoch's schedule on, and shows a schedule that watches a metric this epoch's.
    ///
    /// # Errors
    /// When the schedule needs a metric and there is none.
    pub fn end_epoch(&mut self, metric: impl Into<Option<f64>>) -> Result<(), OptimError> {
        let Some((every, schedule)) = &mut self.schedule else { return Ok(()) };
        match metric.into() {
            Some(metric) => schedule.observe(metric),
            None if !schedule.watches().is_empty() => return Err(Kind::MetricWanted.into()),
            None => {}
        }
        if *every == Every::Epoch {
            self.time += 1;
        }
        Ok(())
    }

    /// What the schedule must be shown by [`end_epoch`](Self::end_epoch); nothing, for most.
    pub fn watches(&self) -> Vec<Watched> {
        self.schedule.as_ref().map_or_else(Vec::new, |(_, schedule)| schedule.watches())
    }

    fn scheduled(&self, base: f64) -> f64 {
        self.schedule.as_ref().map_or(base, |(_, schedule)| schedule.lr(base, self.time))
    }

    pub(crate) fn settings(&self, path: &str) -> Settings {
        let own = Settings { lr: self.lr, weight_decay: self.weight_decay, frozen: false };
        self.groups.iter().filter(|g| g.fits(path)).fold(own, |s, g| Settings {
            lr: g.lr.unwrap_or(s.lr),
            weight_decay: g.weight_decay.unwrap_or(s.weight_decay),
            frozen: g.frozen.unwrap_or(s.frozen),
        })
    }

    /// Works every parameter's settings out again.
    pub(crate) fn settle(&mut self) {
        let mut slots = std::mem::take(&mut self.slots);
        for (path, slot) in &mut slots {
            slot.settings = self.settings(path);
        }
        self.slots = slots;
    }
}

/// Stepping.
impl<R: Rule<T>, T: Float> Optimizer<R, T> {
    /// Moves every trainable parameter of `model` along its gradient: runs the hooks of [`before_step`](Self::before_step), checks
    /// the gradients, clips them if so set up, and updates the weights.
    ///
    /// # Errors
    /// Names the parameters by path, and changes nothing, when a trainable parameter has no gradient (unless
    /// [`allow_missing`](Self::allow_missing)), when a shape has changed, when a group's pattern fits no parameter, when the
    /// schedule gives a rate that is negative or not finite, when a gradient is not finite (if
    /// [`check_finite`](Self::check_finite) or [`clip_norm`](Self::clip_norm) looks), when one is finite but too large for a
    /// rule that squares it ([`Rule::largest_gradient`]), and when a hook fails.
    ///
    /// A [`profile`](gradus_autograd::profile) shows it as `optimizer step`.
    #[track_caller]
    pub fn step<M: Module<T> + ?Sized>(&mut self, model: &mut M, grads: Grads<T>) -> Result<(), OptimError> {
        record_function("optimizer step", || self.update(model, grads))
    }

    fn update<M: Module<T> + ?Sized>(&mut self, model: &mut M, mut grads: Grads<T>) -> Result<(), OptimError> {
        let lr = self.lr();
        if !lr.is_finite() || lr < 0.0 {
            return Err(Kind::Rate { lr, time: self.time }.into());
        }
        if !self.hooks.is_empty() {
            self.run_hooks(&&mut *model, &mut grads)?;
        }
        self.enter(model, |_| false)?;
        self.check(model, &mut grads)?;
        if let Some(clip) = &self.clip {
            clip.apply(model, &mut grads)?;
        }
        self.check_size(model, &grads)?;
        let schedule = self.schedule.as_ref().map(|(_, schedule)| schedule);
        model.visit_mut(&mut Path::default(), &mut |path, param| {
            let Some(g) = grads.remove(param) else { return };
            let slot = self.slots.get_mut(path.as_str()).expect("entered above");
            let state = slot.state.as_mut().expect("has a gradient, so it was trainable above");
            let Settings { lr, weight_decay, .. } = slot.settings;
            let lr = schedule.map_or(lr, |s| s.lr(lr, self.time));
            slot.t += 1;
            self.rule.update(&Step { t: slot.t, lr, weight_decay }, param.value_mut(), &g, state);
        });
        self.steps += 1;
        if matches!(self.schedule, Some((Every::Step, _))) {
            self.time += 1;
        }
        Ok(())
    }

    /// Gets to know parameters not seen before, and makes state for those that train, or are `wanted`.
    pub(crate) fn enter<M: Module<T> + ?Sized>(
        &mut self,
        model: &mut M,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<(), OptimError> {
        let (mut changed, mut error) = (self.steps == 0, None);
        model.visit_mut(&mut Path::default(), &mut |path, param| {
            let path = path.as_str();
            if !self.slots.contains_key(path) {
                let slot = Slot { shape: param.shape().clone(), settings: self.settings(path), t: 0, state: None };
                self.slots.insert(path.to_string(), slot);
                changed = true;
            }
            let slot = self.slots.get_mut(path).expect("just put there");
            if slot.shape != *param.shape() {
                let (got, wanted) = (param.shape().clone(), slot.shape.clone());
                error = Some(Kind::ShapeChanged { path: path.to_string(), got, wanted });
            } else if slot.state.is_none() && (trains(slot, param) || wanted(path)) {
                slot.state = Some(self.rule.init(param.value()));
            }
        });
        if let Some(error) = error {
            return Err(error.into());
        }
        if changed {
            self.check_patterns()?;
        }
        Ok(())
    }

    fn check_patterns(&self) -> Result<(), OptimError> {
        match self.groups.iter().find(|g| !self.slots.keys().any(|path| g.fits(path))) {
            Some(g) => Err(Kind::NoMatch { pattern: g.pattern.clone(), paths: self.slots.keys().cloned().collect() }.into()),
            None => Ok(()),
        }
    }

    /// Checks every gradient before any weight is touched; drops those of frozen parameters.
    fn check<M: Module<T> + ?Sized>(&self, model: &mut M, grads: &mut Grads<T>) -> Result<(), OptimError> {
        let (mut missing, mut why, mut infinite, mut mis_shaped) = (Vec::new(), None::<String>, Vec::new(), None);
        model.visit_mut(&mut Path::default(), &mut |path, param| {
            let slot = &self.slots[path.as_str()];
            if !trains(slot, param) {
                grads.remove(param);
                return;
            }
            let path = || path.as_str().to_string();
            match grads.get(param) {
                None if self.allow_missing => {}
                None => {
                    why.get_or_insert_with(|| grads.why_missing(param));
                    missing.push(path());
                }
                Some(g) if g.shape() != param.shape() => {
                    let (got, wanted) = (g.shape().clone(), param.shape().clone());
                    mis_shaped = Some(Kind::GradientShape { path: path(), got, wanted });
                }
                Some(g) if self.check_finite && !crate::clip::is_finite(g) => infinite.push(path()),
                Some(_) => {}
            }
        });
        if !missing.is_empty() {
            return Err(Kind::MissingGradient { paths: missing, why: why.unwrap_or_default() }.into());
        }
        if !infinite.is_empty() {
            return Err(Kind::NotFinite { paths: infinite }.into());
        }
        mis_shaped.map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl<R: Rule<T>, T: Float> Optimizer<R, T> {
    /// Refuses gradients that the rule cannot square.
    fn check_size<M: Module<T> + ?Sized>(&self, model: &M, grads: &Grads<T>) -> Result<(), OptimError> {
        let Some(limit) = self.rule.largest_gradient().map(Num::to_f64) else { return Ok(()) };
        if self.clip.as_ref().is_some_and(|clip| clip.keeps_within(limit)) {
            return Ok(());
        }
        // Infinities are not of this kind: they go on as they are, unless `check_finite` looks.
        let too_large = |g: &Tensor<T>| (limit..f64::INFINITY).contains(&largest(g));
        let named = model.named_parameters().into_iter();
        let paths: Vec<String> = named.filter(|(_, p)| grads.get(p).is_some_and(too_large)).map(|(path, _)| path).collect();
        if paths.is_empty() {
            return Ok(());
        }
        Err(Kind::TooLarge { rule: self.rule.name().to_string(), limit, paths }.into())
    }
}

fn trains<T: Float, S>(slot: &Slot<S>, param: &Param<T>) -> bool {
    param.is_trainable() && !slot.settings.frozen
}
