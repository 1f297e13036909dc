//! What an optimiser is: a rule by which one weight tensor follows its gradient.

use gradus_tensor::{Float, Tensor};
use std::any::Any;

/// The circumstances of one update of one weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// How many updates of this weight there have been, this one included: 1, 2, 3 …
    pub t: u64,
    /// The learning rate, after schedule and groups.
    pub lr: f64,
    /// The weight decay that this weight is under; what it means is the rule's to say.
    pub weight_decay: f64,
}

impl Step {
    /// The learning rate and the weight decay, as elements.
    pub fn rates<T: Float>(&self) -> [T; 2] {
        [T::lit(self.lr), T::lit(self.weight_decay)]
    }
}

/// An optimiser's formula for one weight. [`Optimizer`](crate::Optimizer) does all the rest: whose turn it is,
/// groups, schedules, saving and loading.
///
/// A custom rule is as good as the built-in ones. One that remembers something between updates derives its state: see
/// [`RuleState`].
///
/// ```
/// use gradus_optim::{Optimizer, UpdateRule, Step};
/// use gradus_tensor::{Float, Tensor};
///
/// /// Steps of a fixed length, whatever the gradient's.
/// struct SignSgd;
///
/// impl<T: Float> UpdateRule<T> for SignSgd {
///     type State = ();
///     fn name(&self) -> &'static str {
///         "SignSgd"
///     }
///     fn init(&self, _: &Tensor<T>) {}
///     fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, _: &mut ()) {
///         let [lr, decay]: [T; 2] = step.rates();
///         w.update_with(g, [], |w, g, []| *w -= lr * (g.sign() + decay * *w));
///     }
/// }
/// let opt: Optimizer<SignSgd> = Optimizer::new(SignSgd, 0.01);
/// ```
#[doc(alias = "GradientTransformation")]
pub trait UpdateRule<T: Float>: Send + Sync + 'static {
    /// What the rule remembers of each weight between updates.
    type State: RuleState<T>;

    /// The rule's name, which a saved state is checked against.
    fn name(&self) -> &'static str;

    /// The rule's options by name (truth values as 0 and 1), which a saved state is checked against.
    fn options(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The size up to which the rule can take a gradient's elements in. A rule that keeps squares of them in `T` says
    /// [`largest_square_root`], as one that overflows would stop its weight for ever; a step with a larger gradient is then an
    /// error that names the parameter.
    fn largest_gradient(&self) -> Option<T> {
        None
    }

    /// The state of the weight `w` before its first update.
    fn init(&self, w: &Tensor<T>) -> Self::State;

    /// Moves `w`, given its gradient `g` of the same shape. It may be called for several weights at once, on as many threads.
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut Self::State);
}

/// A rule without the type of its state: what the driver sees.
pub(crate) trait AnyRule<T: Float>: Sync {
    fn name(&self) -> &'static str;
    fn options(&self) -> Vec<(&'static str, f64)>;
    fn largest_gradient(&self) -> Option<T>;
    fn init(&self, w: &Tensor<T>) -> Box<dyn RuleState<T>>;
    /// # Panics
    /// When `state` is not of the type that `init` gives.
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut (dyn RuleState<T> + 'static));
}

impl<T: Float, R: UpdateRule<T>> AnyRule<T> for R {
    fn name(&self) -> &'static str {
        UpdateRule::name(self)
    }
    fn options(&self) -> Vec<(&'static str, f64)> {
        UpdateRule::options(self)
    }
    fn largest_gradient(&self) -> Option<T> {
        UpdateRule::largest_gradient(self)
    }
    fn init(&self, w: &Tensor<T>) -> Box<dyn RuleState<T>> {
        Box::new(UpdateRule::init(self, w))
    }
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut (dyn RuleState<T> + 'static)) {
        let state: &mut dyn Any = state;
        UpdateRule::update(self, step, w, g, state.downcast_mut().expect("the state is the rule's own"));
    }
}

/// What a rule remembers of one weight: tensors with names, by which they are saved and loaded.
///
/// A tensor is a state, and so is an optional one, for a rule whose options decide whether it is needed. A struct of states
/// derives it: its tensors are named by the fields. `examples/05_custom_layer_and_op.rs` has a rule with a state.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no state of a rule",
    note = "a rule remembers tensors: `Tensor<T>`, `Option<Tensor<T>>`, `()`, or a struct of these with `#[derive(RuleState)]`"
)]
pub trait RuleState<T: Float>: Any + Send {
    /// Every tensor with its name, in a fixed order.
    fn tensors(&self) -> Vec<(String, &Tensor<T>)>;
    /// As [`tensors`](Self::tensors), to be replaced.
    fn tensors_mut(&mut self) -> Vec<(String, &mut Tensor<T>)>;
}

/// Nothing to remember.
impl<T: Float> RuleState<T> for () {
    fn tensors(&self) -> Vec<(String, &Tensor<T>)> {
        Vec::new()
    }
    fn tensors_mut(&mut self) -> Vec<(String, &mut Tensor<T>)> {
        Vec::new()
    }
}

/// Named by the field that it is in.
impl<T: Float> RuleState<T> for Tensor<T> {
    fn tensors(&self) -> Vec<(String, &Tensor<T>)> {
        vec![(String::new(), self)]
    }
    fn tensors_mut(&mut self) -> Vec<(String, &mut Tensor<T>)> {
        vec![(String::new(), self)]
    }
}

impl<T: Float, S: RuleState<T>> RuleState<T> for Option<S> {
    fn tensors(&self) -> Vec<(String, &Tensor<T>)> {
        self.iter().flat_map(S::tensors).collect()
    }
    fn tensors_mut(&mut self) -> Vec<(String, &mut Tensor<T>)> {
        self.iter_mut().flat_map(S::tensors_mut).collect()
    }
}

/// The largest size of a number whose square `T` can hold, 1.8e19 for `f32`: see [`UpdateRule::largest_gradient`].
pub fn largest_square_root<T: Float>() -> T {
    // A little less, so that no sum of weighted squares rounds up to infinity.
    T::MAX.sqrt() * T::lit(0.99)
}

/// Zeros of `w`'s shape.
pub(crate) fn zeros_like<T: Float>(w: &Tensor<T>) -> Tensor<T> {
    Tensor::zeros(w.shape().clone())
}

/// The shares of the old value and of the new one in a running mean that keeps `beta` of the old.
pub(crate) fn ema<T: Float>(beta: f64) -> [T; 2] {
    [T::lit(beta), T::lit(1.0 - beta)]
}

/// Checks an option on behalf of a builder method.
#[track_caller]
pub(crate) fn assert_option(name: &str, value: f64, range: impl std::ops::RangeBounds<f64> + std::fmt::Debug) {
    assert!(value.is_finite() && range.contains(&value), "{name} is {value}; wanted a finite number in {range:?}");
}
