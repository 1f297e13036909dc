//! Optimisers against their formulas.

use crate::array::unravel;
use gradus_autograd::{Grads, Module, Param, Path, Visitor};
use gradus_optim::{Optimizer, UpdateRule};
use gradus_tensor::{Rng, Tensor};
use std::fmt;
use std::panic::Location;

/// Checks that an optimiser does what a formula says. `formula` is given what it remembers of an element (at first
/// `S::default()`), its value `w` and its gradient `g`, and gives the new value.
///
/// Three parameters (`weight`, `bias` and `scale`, of 2, 1 and 0 axes) take 12 steps along random gradients: large ones,
/// small ones, zeros, and of either memory layout. The formula goes on from where the optimiser was, so that what a report
/// shows is the first step that is off. It stands for all that the optimiser does: its schedule by steps, its weight decay.
///
/// ```
/// use gradus_check::check_optimizer;
/// use gradus_optim::Sgd;
/// check_optimizer(Sgd::new(0.1).momentum(0.9), |b: &mut f64, w, g| {
///     *b = 0.9 * *b + g;
///     w - 0.1 * *b
/// })
/// .unwrap();
/// ```
///
/// # Errors
/// When an element is not where the formula says, or the optimiser refuses a step.
#[track_caller]
pub fn check_optimizer<R: UpdateRule<f64>, S: Default>(
    optimizer: Optimizer<R, f64>,
    formula: impl Fn(&mut S, f64, f64) -> f64,
) -> Result<(), OptimizerFailure> {
    check_optimizer_on_tensors(optimizer, |states: &mut Vec<S>, w, g| {
        states.resize_with(w.numel(), S::default);
        let elements = w.to_vec().into_iter().zip(g.to_vec()).zip(states);
        Tensor::from_vec(elements.map(|((w, g), state)| formula(state, w, g)).collect(), w.shape().clone())
    })
}

/// As [`check_optimizer`], for rules that look at a whole parameter at once, as at its norm: `formula` is given tensors,
/// and keeps a state a parameter.
///
/// # Errors
/// When an element is not where the formula says, or the optimiser refuses a step.
#[track_caller]
pub fn check_optimizer_on_tensors<R: UpdateRule<f64>, S: Default>(
    mut optimizer: Optimizer<R, f64>,
    formula: impl Fn(&mut S, &Tensor<f64>, &Tensor<f64>) -> Tensor<f64>,
) -> Result<(), OptimizerFailure> {
    let (rule, at) = (optimizer.state_dict().rule, Location::caller());
    let fail = |fault| OptimizerFailure { rule: rule.clone(), at, fault };
    let rng = &mut Rng::seed(0);
    let mut model = Parameters::new(rng);
    let mut states: Vec<S> = model.0.iter().map(|_| S::default()).collect();
    let mut history: Vec<Vec<Before>> = model.0.iter().map(|_| Vec::new()).collect();
    for step in 1..=STEPS {
        let gradients: Vec<Tensor<f64>> = model.0.iter().map(|(_, p)| gradient(step, p.value(), rng)).collect();
        let at_start = model.0.iter().zip(&gradients).zip(&mut history);
        at_start.for_each(|(((_, p), g), steps)| steps.push(Before { w: p.value().copy(), g: g.clone() }));
        let grads = model.grads(&gradients);
        optimizer.step(&mut model, grads).map_err(|error| fail(UpdateFault::Refused { step, why: error.to_string() }))?;
        for (((path, p), steps), state) in model.0.iter().zip(&history).zip(&mut states) {
            let Before { w, g } = steps.last().expect("just pushed");
            let expected = formula(state, w, g);
            if let Some(flat) = first_wrong(w, p.value(), &expected) {
                return Err(fail(UpdateFault::Wrong(WrongUpdate::new(path, flat, p.value(), &expected, steps))));
            }
        }
    }
    Ok(())
}

const STEPS: u64 = 12;

/// A parameter's value and gradient before a step.
struct Before {
    w: Tensor<f64>,
    g: Tensor<f64>,
}

/// Random, each third step large and each third small; the first element stays at 0 for a while.
fn gradient(step: u64, w: &Tensor<f64>, rng: &mut Rng) -> Tensor<f64> {
    let size = [1.0, 30.0, 1e-3][step as usize % 3];
    let mut g = Tensor::normal(w.shape().clone(), 0.0, size, rng);
    if step <= 4 && w.rank() > 0 {
        g.as_mut_slice()[0] = 0.0;
    }
    if step.is_multiple_of(2) && w.rank() == 2 { g.t().copy().t() } else { g }
}

/// The first element that is off by more than round-off of its step.
fn first_wrong(before: &Tensor<f64>, actual: &Tensor<f64>, expected: &Tensor<f64>) -> Option<usize> {
    if actual.shape() != expected.shape() {
        return Some(0);
    }
    let pairs = actual.to_vec().into_iter().zip(expected.to_vec());
    before.to_vec().into_iter().zip(pairs).position(|(before, (actual, expected))| {
        let round_off = 8.0 * f64::EPSILON * before.abs().max(expected.abs());
        let near = (actual - expected).abs() <= 1e-9 * (expected - before).abs() + round_off;
        !near
    })
}

/// What the optimiser is tried on.
struct Parameters(Vec<(&'static str, Param<f64>)>);

impl Parameters {
    fn new(rng: &mut Rng) -> Self {
        let mut param = |shape: &[usize]| Param::new(Tensor::normal(shape.to_vec(), 0.0, 1.0, rng));
        Self(vec![("weight", param(&[3, 2])), ("bias", param(&[2])), ("scale", param(&[]))])
    }

    fn grads(&self, gradients: &[Tensor<f64>]) -> Grads<f64> {
        let total = self.0.iter().map(|(_, p)| p.sum(..)).reduce(|a, b| a + b).expect("there are parameters");
        let mut grads = total.backward();
        self.0.iter().zip(gradients).for_each(|((_, p), g)| grads.insert(p, g.clone()));
        grads
    }
}

impl Module<f64> for Parameters {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, f64>) {
        self.0.iter().for_each(|(name, p)| path.at(name, |path| v.param(path, p)));
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<f64>)) {
        self.0.iter_mut().for_each(|(name, p)| path.at(name, |path| f(path, p)));
    }
}

/// An optimiser that does not do what its formula says.
#[derive(Clone)]
pub struct OptimizerFailure {
    rule: String,
    at: &'static Location<'static>,
    fault: UpdateFault,
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub enum UpdateFault {
    /// An element is elsewhere.
    Wrong(WrongUpdate),
    /// The optimiser refused a step.
    Refused {
        /// Which step: 1, 2, 3 …
        step: u64,
        /// What it said.
        why: String,
    },
}

/// An element that is not where the formula says.
#[derive(Clone, Debug, PartialEq)]
pub struct WrongUpdate {
    /// The parameter: `weight`, `bias` or `scale`.
    pub path: String,
    /// The element.
    pub index: Vec<usize>,
    /// Its value after the step.
    pub actual: f64,
    /// What the formula says; NaN when it gave another shape than the parameter's.
    pub expected: f64,
    /// The element's value and gradient before each step up to this one, so that the last is the wrong one.
    pub history: Vec<(f64, f64)>,
}

impl WrongUpdate {
    fn new(path: &str, flat: usize, actual: &Tensor<f64>, expected: &Tensor<f64>, steps: &[Before]) -> Self {
        let history = steps.iter().map(|Before { w, g }| (w.to_vec()[flat], g.to_vec()[flat])).collect();
        let expected = if actual.shape() == expected.shape() { expected.to_vec()[flat] } else { f64::NAN };
        Self { path: path.into(), index: unravel(flat, actual.shape()), actual: actual.to_vec()[flat], expected, history }
    }

    /// The step that is wrong: 1, 2, 3 …
    pub fn step(&self) -> usize {
        self.history.len()
    }
}

impl OptimizerFailure {
    /// What was found.
    pub fn fault(&self) -> &UpdateFault {
        &self.fault
    }
}

impl fmt::Display for OptimizerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "check of the optimiser `{}` at {}: FAIL", self.rule, self.at)?;
        let wrong = match &self.fault {
            UpdateFault::Refused { step, why } => return writeln!(f, "  step {step}: refused: {why}"),
            UpdateFault::Wrong(wrong) => wrong,
        };
        let WrongUpdate { path, index, actual, expected, history } = wrong;
        writeln!(f, "  step {}, {path} at {index:?}: {actual:e}, the formula says {expected:e}", wrong.step())?;
        if let Some((before, _)) = history.last() {
            let (moved, wanted) = (actual - before, expected - before);
            writeln!(f, "  it moved by {moved:e} instead of {wanted:e}, ratio {:.6}", moved / wanted)?;
        }
        writeln!(f, "  the element before each step, and its gradient:")?;
        history.iter().zip(1..).try_for_each(|((w, g), step)| writeln!(f, "    step {step}: w = {w:?}, g = {g:?}"))
    }
}

impl fmt::Debug for OptimizerFailure {
    /// As text, for that is what `unwrap` shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for OptimizerFailure {}
