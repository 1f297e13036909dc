//! What an optimiser is: a rule by which one weight tensor follows its gradient.

use gradus_tensor::{Float, Tensor};

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

/// An optimiser's formula for one weight. [`Optimizer`](crate::Optimizer) does all the rest: whose turn it is,
/// groups, schedules, saving and loading.
///
/// A rule of your own is as good as the built-in ones:
/// ```
/// use gradus_optim::{Optimizer, Rule, Step};
/// use gradus_tensor::{Float, Tensor};
///
/// /// Steps of a fixed length, whatever the gradient's.
/// struct SignSgd;
///
/// impl<T: Float> Rule<T> for SignSgd {
///     type State = ();
///     fn name(&self) -> &'static str {
///         "SignSgd"
///     }
///     fn init(&self, _: &Tensor<T>) {}
///     fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, _: &mut ()) {
///         let lr = T::lit(step.lr);
///         w.update_with(g, [], |w, g, []| *w -= lr * g.sign());
///     }
/// }
/// let opt: Optimizer<SignSgd> = Optimizer::new(SignSgd, 0.01);
/// ```
pub trait Rule<T: Float>: Send {
    /// What the rule remembers of each weight between updates.
    type State: State<T>;

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

    /// Moves `w`, given its gradient `g` of the same shape.
    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut Self::State);
}

/// What a rule remembers of one weight: some tensors with names, by which they are saved and loaded.
pub trait State<T: Float>: Send {
    /// Every tensor with its name, in a fixed order.
    fn tensors(&self) -> Vec<(&'static str, &Tensor<T>)>;
    /// As [`tensors`](Self::tensors), to be replaced.
    fn tensors_mut(&mut self) -> Vec<(&'static str, &mut Tensor<T>)>;
}

/// Nothing to remember.
impl<T: Float> State<T> for () {
    fn tensors(&self) -> Vec<(&'static str, &Tensor<T>)> {
        Vec::new()
    }
    fn tensors_mut(&mut self) -> Vec<(&'static str, &mut Tensor<T>)> {
        Vec::new()
    }
}

/// A field of a rule's state: a tensor, or an optional one if an option of the rule decides whether there is one.
pub(crate) trait Field<T: Float> {
    fn tensor(&self) -> Option<&Tensor<T>>;
    fn tensor_mut(&mut self) -> Option<&mut Tensor<T>>;
}

impl<T: Float> Field<T> for Tensor<T> {
    fn tensor(&self) -> Option<&Tensor<T>> {
        Some(self)
    }
    fn tensor_mut(&mut self) -> Option<&mut Tensor<T>> {
        Some(self)
    }
}

impl<T: Float> Field<T> for Option<Tensor<T>> {
    fn tensor(&self) -> Option<&Tensor<T>> {
        self.as_ref()
    }
    fn tensor_mut(&mut self) -> Option<&mut Tensor<T>> {
        self.as_mut()
    }
}

/// Declares the state of a rule; the tensors' names in the saved state are the fields'.
macro_rules! state {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<T: gradus_tensor::Float> {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl<T: gradus_tensor::Float> $crate::rule::State<T> for $name<T> {
            fn tensors(&self) -> Vec<(&'static str, &gradus_tensor::Tensor<T>)> {
                let mut list = Vec::new();
                $(list.extend($crate::rule::Field::tensor(&self.$field).map(|t| (stringify!($field), t)));)*
                list
            }
            fn tensors_mut(&mut self) -> Vec<(&'static str, &mut gradus_tensor::Tensor<T>)> {
                let mut list = Vec::new();
                $(list.extend($crate::rule::Field::tensor_mut(&mut self.$field).map(|t| (stringify!($field), t)));)*
                list
            }
        }
    };
}
pub(crate) use state;

/// The largest size of a number whose square `T` can hold, 1.8e19 for `f32`: see [`Rule::largest_gradient`].
pub fn largest_square_root<T: Float>() -> T {
    // A little less, so that no sum of weighted squares rounds up to infinity.
    T::MAX.sqrt() * T::lit(0.99)
}

/// Zeros of `w`'s shape.
pub(crate) fn zeros_like<T: Float>(w: &Tensor<T>) -> Tensor<T> {
    Tensor::zeros(w.shape().clone())
}

/// Checks an option on behalf of a builder method.
#[track_caller]
pub(crate) fn assert_option(name: &str, value: f64, range: impl std::ops::RangeBounds<f64> + std::fmt::Debug) {
    assert!(value.is_finite() && range.contains(&value), "{name} is {value}; wanted a finite number in {range:?}");
}
