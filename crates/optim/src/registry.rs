//! The list of the built-in optimisers, for what runs over all of them: tests, and the tables of the documentation.

use crate::{Optimizer, UpdateRule};
use gradus_tensor::Float;

/// A built-in rule, as its entry in the table declares it.
pub trait BuiltIn: UpdateRule<f32> + UpdateRule<f64> + Default {
    /// The rule's name.
    const NAME: &'static str;
    /// The usual learning rate: PyTorch's default, or the paper's.
    const LR: f64;

    /// The rule's options.
    fn hyper_parameters() -> Vec<HyperParameter>;

    /// The optimiser with `value` for every argument of the builder method `method`; not 0 stands for true.
    ///
    /// # Panics
    /// When no option is set by `method`, or `value` is out of its range.
    fn with(method: &str, value: f64) -> Optimizer<Self, f64>;

    /// Optimisers with various options set, each of which converges on a quadratic bowl.
    fn samples<T: Float>() -> Vec<Sample<Self, T>>
    where
        Self: UpdateRule<T>;
}

/// An option of a built-in rule. Truth values count as 0 and 1.
#[derive(Clone, Copy, Debug)]
pub struct HyperParameter {
    /// The option's name, as in a saved state.
    pub name: &'static str,
    /// The builder method that sets it.
    pub method: &'static str,
    /// The value without that method.
    pub default: f64,
    /// The valid values, as written in Rust.
    pub range: &'static str,
    /// Whether a value is valid.
    pub accepts: fn(f64) -> bool,
}

/// An optimiser to test with.
pub struct Sample<R: UpdateRule<T>, T: Float> {
    /// The expression that makes it.
    pub code: &'static str,
    /// Makes it.
    pub make: fn() -> Optimizer<R, T>,
}

/// Something to do with every built-in rule; [`for_every_rule`] does it.
///
/// ```
/// use gradus_optim::registry::{BuiltIn, RuleVisitor, for_every_rule};
///
/// struct Names(Vec<&'static str>);
///
/// impl RuleVisitor for Names {
///     fn rule<R: BuiltIn>(&mut self) {
///         self.0.push(R::NAME);
///     }
/// }
///
/// let mut names = Names(Vec::new());
/// for_every_rule(&mut names);
/// assert!(names.0.contains(&"Adam"));
/// ```
pub trait RuleVisitor {
    /// Called with each rule in turn.
    fn rule<R: BuiltIn>(&mut self);
}

/// Shows every built-in rule to `visitor`.
pub fn for_every_rule(visitor: &mut impl RuleVisitor) {
    crate::rules::visit(visitor);
}

/// The types that options have.
pub(crate) trait OptionValue: Copy {
    fn to_f64(self) -> f64;
    fn from_f64(value: f64) -> Self;
}

impl OptionValue for f64 {
    fn to_f64(self) -> f64 {
        self
    }
    fn from_f64(value: f64) -> Self {
        value
    }
}

impl OptionValue for bool {
    fn to_f64(self) -> f64 {
        self.into()
    }
    fn from_f64(value: f64) -> Self {
        value != 0.0
    }
}
