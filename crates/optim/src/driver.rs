//! The driver: whose turn it is, at which rate, and with what state. It knows neither the type of the rule nor that of the
//! model, so it is the same code for all of them.

use crate::before_step::BeforeStep;
use crate::clip::{Clip, largest};
use crate::error::{Kind, OptimError};
use crate::group::Group;
use crate::optimizer::Every;
use crate::rule::{AnyRule, RuleState, Step};
use crate::schedule::Schedule;
use crate::share;
use gradus_autograd::{Grads, Module, Param, Path, record_function};
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Num, Shape, Tensor};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Why a parameter with a gradient has state.
const TRAINABLE: &str = "it has a gradient, so it was trainable when it was entered";

/// All of an optimiser but the rule.
pub struct Driver<T: Float> {
    pub lr: f64,
    pub weight_decay: f64,
    pub groups: Vec<Group>,
    pub schedule: Option<(Every, Box<dyn Schedule>)>,
    /// The schedule's time.
    pub time: u64,
    pub steps: u64,
    pub clip: Option<Clip>,
    pub hooks: Vec<BeforeStep<T>>,
    pub allow_missing: bool,
    pub check_finite: bool,
    pub slots: BTreeMap<String, Slot<T>>,
}

/// What is known of one parameter.
pub struct Slot<T: Float> {
    pub shape: Shape,
    pub settings: Settings,
    /// How many updates there have been.
    pub t: u64,
    /// None as long as the parameter has never been trainable.
    pub state: Option<Box<dyn RuleState<T>>>,
}

/// What groups and defaults come to for one parameter.
#[derive(Clone, Copy)]
pub struct Settings {
    pub lr: f64,
    pub weight_decay: f64,
    pub frozen: bool,
}

/// Settings.
#[compiled_once]
impl<T: Float> Driver<T> {
    pub fn new(lr: f64) -> Self {
        Self {
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

    pub fn scheduled(&self, base: f64) -> f64 {
        self.schedule.as_ref().map_or(base, |(_, schedule)| schedule.lr(base, self.time))
    }

    pub fn settings(&self, path: &str) -> Settings {
        let own = Settings { lr: self.lr, weight_decay: self.weight_decay, frozen: false };
        self.groups.iter().filter(|g| g.fits(path)).fold(own, |s, g| Settings {
            lr: g.lr.unwrap_or(s.lr),
            weight_decay: g.weight_decay.unwrap_or(s.weight_decay),
            frozen: g.frozen.unwrap_or(s.frozen),
        })
    }

    /// Works every parameter's settings out again.
    pub fn settle(&mut self) {
        let mut slots = std::mem::take(&mut self.slots);
        for (path, slot) in &mut slots {
            slot.settings = self.settings(path);
        }
        self.slots = slots;
    }
}

/// Stepping.
#[compiled_once]
impl<T: Float> Driver<T> {
    #[track_caller]
    pub fn step(&mut self, rule: &dyn AnyRule<T>, model: &mut dyn Module<T>, grads: Grads<T>) -> Result<(), OptimError> {
        record_function("optimizer step", || self.update(rule, model, grads))
    }

    fn update(&mut self, rule: &dyn AnyRule<T>, model: &mut dyn Module<T>, mut grads: Grads<T>) -> Result<(), OptimError> {
        let lr = self.scheduled(self.lr);
        if !lr.is_finite() || lr < 0.0 {
            return Err(Kind::Rate { lr, time: self.time }.into());
        }
        self.run_hooks(model, &mut grads)?;
        self.enter(rule, model, &|_| false)?;
        let elements = self.check(model, &mut grads)?;
        if let Some(clip) = &self.clip {
            clip.apply(model, &mut grads)?;
        }
        self.check_size(rule, model, &grads)?;
        match share::is_worth_it(elements) {
            true => self.update_all(rule, model, &mut grads),
            false => model.visit_mut(&mut Path::default(), &mut |path, param| {
                let Some((step, state)) = grads.get(param).map(|_| self.next_step(path)) else { return };
                let g = grads.remove(param).expect("just seen");
                rule.update(&step, param.value_mut(), &g, &mut **state.as_mut().expect(TRAINABLE));
            }),
        }
        self.steps += 1;
        if matches!(self.schedule, Some((Every::Step, _))) {
            self.time += 1;
        }
        Ok(())
    }

    /// What the rule is told of the next update of a parameter, and where the state for it is.
    fn next_step(&mut self, path: &Path) -> (Step, &mut Option<Box<dyn RuleState<T>>>) {
        let slot = self.slots.get_mut(path.as_str()).expect("entered above");
        let Settings { lr, weight_decay, .. } = slot.settings;
        let lr = self.schedule.as_ref().map_or(lr, |(_, schedule)| schedule.lr(lr, self.time));
        slot.t += 1;
        (Step { t: slot.t, lr, weight_decay }, &mut slot.state)
    }

    /// Updates all parameters that have gradients in one parallel loop. For as long as it lasts, their values and states are its own.
    fn update_all(&mut self, rule: &dyn AnyRule<T>, model: &mut dyn Module<T>, grads: &mut Grads<T>) {
        struct Job<T: Float> {
            number: u64,
            step: Step,
            w: Tensor<T>,
            g: Tensor<T>,
            state: Box<dyn RuleState<T>>,
        }
        let mut jobs = Vec::new();
        model.visit_mut(&mut Path::default(), &mut |path, param| {
            let Some(g) = grads.remove(param) else { return };
            let (step, state) = self.next_step(path);
            let w = std::mem::replace(param.value_mut(), Tensor::from_vec(vec![], [0]));
            jobs.push(Job { number: param.number(), step, w, g, state: state.take().expect(TRAINABLE) });
        });
        let update = |job: &mut Job<T>| rule.update(&job.step, &mut job.w, &job.g, &mut *job.state);
        // A rule that panics leaves the model in one piece, as it may be caught.
        let end = catch_unwind(AssertUnwindSafe(|| share::each(jobs.iter_mut(), |job| job.w.numel(), update)));
        let mut jobs = jobs.into_iter().peekable();
        model.visit_mut(&mut Path::default(), &mut |path, param| {
            let Some(job) = jobs.next_if(|job| job.number == param.number()) else { return };
            *param.value_mut() = job.w;
            self.slots.get_mut(path.as_str()).expect("entered above").state = Some(job.state);
        });
        if let Err(panic) = end {
            resume_unwind(panic);
        }
    }

    /// Gets to know parameters not seen before, and makes state for those that train, or are `wanted`.
    pub fn enter(
        &mut self,
        rule: &dyn AnyRule<T>,
        model: &mut dyn Module<T>,
        wanted: &dyn Fn(&str) -> bool,
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
                slot.state = Some(rule.init(param.value()));
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

    /// Checks every gradient before any weight is touched; drops those of frozen parameters. Counts the elements of the others.
    fn check(&self, model: &mut dyn Module<T>, grads: &mut Grads<T>) -> Result<usize, OptimError> {
        let mut elements = 0;
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
                Some(g) => elements += g.numel(),
            }
        });
        if !missing.is_empty() {
            return Err(Kind::MissingGradient { paths: missing, why: why.unwrap_or_default() }.into());
        }
        if !infinite.is_empty() {
            return Err(Kind::NotFinite { paths: infinite }.into());
        }
        mis_shaped.map_or(Ok(elements), |kind| Err(kind.into()))
    }

    /// Refuses gradients that the rule cannot square.
    fn check_size(&self, rule: &dyn AnyRule<T>, model: &dyn Module<T>, grads: &Grads<T>) -> Result<(), OptimError> {
        let Some(limit) = rule.largest_gradient().map(Num::to_f64) else { return Ok(()) };
        if self.clip.as_ref().is_some_and(|clip| clip.keeps_within(limit)) {
            return Ok(());
        }
        let params = model.parameters();
        let all: Vec<&Tensor<T>> = params.iter().filter_map(|p| grads.get(p)).collect();
        // Infinities are not of this kind: they go on as they are, unless `check_finite` looks.
        let is_too_large = |size: f64| (limit..f64::INFINITY).contains(&size);
        if !share::map(&all, largest).into_iter().any(is_too_large) {
            return Ok(());
        }
        let named = model.named_parameters().into_iter();
        let too_large = named.filter(|(_, p)| grads.get(p).is_some_and(|g| is_too_large(largest(g))));
        let paths = too_large.map(|(path, _)| path).collect();
        Err(Kind::TooLarge { rule: rule.name().to_string(), limit, paths }.into())
    }
}

fn trains<T: Float>(slot: &Slot<T>, param: &Param<T>) -> bool {
    param.is_trainable() && !slot.settings.frozen
}
