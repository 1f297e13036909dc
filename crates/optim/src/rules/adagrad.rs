//! AdaGrad: each weight's rate falls with the gradients it has seen.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, largest_square_root, state};
use gradus_tensor::{Float, Tensor};

/// AdaGrad, which lowers each weight's learning rate by the gradients that it has seen:
///
/// ```text
/// g <- g + weight_decay w
/// h <- h + g²
/// w <- w - lr / (1 + (t - 1) lr_decay) g / (sqrt(h) + eps)
/// ```
///
/// Duchi, Hazan and Singer, *Adaptive subgradient methods for online learning and stochastic optimization*, 2011.
///
/// ```
/// use gradus_optim::{Adagrad, Optimizer};
/// let opt: Optimizer<Adagrad> = Adagrad::new(0.01).eps(1e-7);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adagrad {
    lr_decay: f64,
    initial_accumulator_value: f64,
    eps: f64,
}

impl Adagrad {
    /// Learning rate `lr` (PyTorch's default is 0.01), no decay of it, `eps` 1e-10.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }, lr)
    }
}

impl<T: Float> Optimizer<Adagrad, T> {
    /// How fast the learning rate falls by itself; 0 by default.
    ///
    /// # Panics
    /// When `lr_decay` is negative or not finite.
    #[track_caller]
    pub fn lr_decay(mut self, lr_decay: f64) -> Self {
        assert_option("lr_decay", lr_decay, 0.0..);
        self.rule.lr_decay = lr_decay;
        self
    }

    /// Where the sum of squares starts; 0 by default.
    ///
    /// # Panics
    /// When `value` is negative or not finite.
    #[track_caller]
    pub fn initial_accumulator_value(mut self, value: f64) -> Self {
        assert_option("initial_accumulator_value", value, 0.0..);
        self.rule.initial_accumulator_value = value;
        self
    }

    /// What keeps the divisor from 0; 1e-10 by default.
    ///
    /// # Panics
    /// When `eps` is negative or not finite.
    #[track_caller]
    pub fn eps(mut self, eps: f64) -> Self {
        assert_option("eps", eps, 0.0..);
        self.rule.eps = eps;
        self
    }
}

state! {
    /// What [`Adagrad`] remembers.
    AdagradState {
        /// The sum of squared gradients.
        sum: Tensor<T>,
    }
}

impl<T: Float> Rule<T> for Adagrad {
    type State = AdagradState<T>;

    fn name(&self) -> &'static str {
        "Adagrad"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("lr_decay", self.lr_decay), ("initial_accumulator_value", self.initial_accumulator_value), ("eps", self.eps)]
    }

    fn largest_gradient(&self) -> Option<T> {
        Some(largest_square_root())
    }

    fn init(&self, w: &Tensor<T>) -> AdagradState<T> {
        AdagradState { sum: Tensor::full(w.shape().clone(), T::lit(self.initial_accumulator_value)) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut AdagradState<T>) {
        let lr = T::lit(step.lr / (1.0 + (step.t - 1) as f64 * self.lr_decay));
        let (eps, decay) = (T::lit(self.eps), T::lit(step.weight_decay));
        w.update_with(g, [&mut state.sum], move |w, g, [h]| {
            let g = g + decay * *w;
            *h = (*h + g * g).minimum(T::MAX);
            *w -= lr * g / (h.sqrt() + eps);
        });
    }
}
