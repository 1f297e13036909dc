//! Optimisers of any rule, each with the parameters that it trains.

use gradus_autograd::{Buffer, Grads, Module, Param, Path, Visitor, path_matches};
use gradus_optim::{OptimError, Optimizer, OptimizerState, UpdateRule, Watched};
use gradus_tensor::Float;
use std::collections::HashSet;

/// An optimiser, whatever its rule.
pub trait AnyOptimizer<T: Float> {
    fn step(&mut self, model: &mut dyn Module<T>, grads: Grads<T>) -> Result<(), OptimError>;
    fn lr(&self) -> f64;
    fn set_lr(&mut self, lr: f64);
    fn end_epoch(&mut self, metric: Option<f64>) -> Result<(), OptimError>;
    fn watches(&self) -> Vec<Watched>;
    fn state_dict(&self) -> OptimizerState<T>;
    fn load_state_dict(&mut self, model: &mut dyn Module<T>, state: &OptimizerState<T>) -> Result<(), OptimError>;
}

impl<R: UpdateRule<T>, T: Float> AnyOptimizer<T> for Optimizer<R, T> {
    fn step(&mut self, model: &mut dyn Module<T>, grads: Grads<T>) -> Result<(), OptimError> {
        Optimizer::step(self, model, grads)
    }
    fn lr(&self) -> f64 {
        Optimizer::lr(self)
    }
    fn set_lr(&mut self, lr: f64) {
        Optimizer::set_lr(self, lr);
    }
    fn end_epoch(&mut self, metric: Option<f64>) -> Result<(), OptimError> {
        Optimizer::end_epoch(self, metric)
    }
    fn watches(&self) -> Vec<Watched> {
        Optimizer::watches(self)
    }
    fn state_dict(&self) -> OptimizerState<T> {
        Optimizer::state_dict(self)
    }
    fn load_state_dict(&mut self, model: &mut dyn Module<T>, state: &OptimizerState<T>) -> Result<(), OptimError> {
        Optimizer::load_state_dict(self, model, state)
    }
}

/// One optimiser's turn in each step.
pub struct Turn<T: Float> {
    /// The paths of the parameters that it trains; `None`: all.
    pub pattern: Option<String>,
    pub optimizer: Box<dyn AnyOptimizer<T>>,
}

impl<T: Float> Turn<T> {
    /// `name`, or `discriminator_{name}` for the turn of the pattern `discriminator.*`.
    pub fn named(&self, name: &str) -> String {
        match &self.pattern {
            Some(pattern) => format!("{}_{name}", pattern.trim_end_matches('*').trim_end_matches('.')),
            None => name.to_string(),
        }
    }

    /// Whether the turn is for the parameter at `path`.
    pub fn trains(&self, path: &str) -> bool {
        self.pattern.as_deref().is_none_or(|pattern| path_matches(pattern, path))
    }

    pub fn step(&mut self, model: &mut dyn Module<T>, grads: Grads<T>) -> Result<(), OptimError> {
        let Self { pattern, optimizer } = self;
        optimizer.step(&mut Part { model, pattern: pattern.as_deref() }, grads)
    }

    pub fn load_state_dict(&mut self, model: &mut dyn Module<T>, state: &OptimizerState<T>) -> Result<(), OptimError> {
        let Self { pattern, optimizer } = self;
        optimizer.load_state_dict(&mut Part { model, pattern: pattern.as_deref() }, state)
    }
}

/// The parameters and buffers of a model whose paths fit a pattern, as a model.
pub struct Part<'m, T: Float> {
    pub model: &'m mut dyn Module<T>,
    pub pattern: Option<&'m str>,
}

fn fits(pattern: Option<&str>, path: &Path) -> bool {
    pattern.is_none_or(|pattern| path_matches(pattern, path.as_str()))
}

impl<T: Float> Module<T> for Part<'_, T> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        self.model.visit(path, &mut Fitting { pattern: self.pattern, visitor: v });
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        let pattern = self.pattern;
        self.model.visit_mut(path, &mut |path, param| {
            if fits(pattern, path) {
                f(path, param);
            }
        });
    }
}

/// A visitor that is shown what fits.
struct Fitting<'v, 'a, T: Float> {
    pattern: Option<&'v str>,
    visitor: &'v mut dyn Visitor<'a, T>,
}

impl<'a, T: Float> Visitor<'a, T> for Fitting<'_, 'a, T> {
    fn param(&mut self, path: &Path, param: &'a Param<T>) {
        if fits(self.pattern, path) {
            self.visitor.param(path, param);
        }
    }
    fn buffer(&mut self, path: &Path, buffer: &'a Buffer<T>) {
        if fits(self.pattern, path) {
            self.visitor.buffer(path, buffer);
        }
    }
}

/// Makes constants of the trainable parameters that do not fit, and gives their numbers.
pub fn freeze_others<T: Float>(model: &mut dyn Module<T>, pattern: Option<&str>) -> HashSet<u64> {
    let mut frozen = HashSet::new();
    if pattern.is_some() {
        model.visit_mut(&mut Path::default(), &mut |path, param| {
            if !fits(pattern, path) && param.is_trainable() {
                param.set_trainable(false);
                frozen.insert(param.number());
            }
        });
    }
    frozen
}

/// Undoes [`freeze_others`].
pub fn unfreeze<T: Float>(model: &mut dyn Module<T>, frozen: &HashSet<u64>) {
    if !frozen.is_empty() {
        model.visit_mut(&mut Path::default(), &mut |_, param| {
            if frozen.contains(&param.number()) {
                param.set_trainable(true);
            }
        });
    }
}
