//! Momentum, the learning rate inside.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Gradient descent with a velocity `v` that friction `a` slows:
///
/// ```text
/// v <- a v - lr (g + weight_decay w)
/// w <- w + v
/// ```
///
/// Polyak, *Some methods of speeding up the convergence of iteration methods*, 1964. For PyTorch's form, with the
/// learning rate outside, see [`Sgd`](crate::Sgd).
///
/// ```
/// use gradus_optim::{Momentum, Optimizer};
/// let opt: Optimizer<Momentum> = Momentum::new(0.01).momentum(0.95);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Momentum {
    momentum: f64,
}

impl Momentum {
    /// Learning rate `lr`, momentum 0.9.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { momentum: 0.9 }, lr)
    }
}

impl<T: Float> Optimizer<Momentum, T> {
    /// How much of the velocity a step keeps; 0.9 by default.
    ///
    /// # Panics
    /// When `momentum` is negative or not finite.
    #[track_caller]
    pub fn momentum(mut self, momentum: f64) -> Self {
        assert_option("momentum", momentum, 0.0..);
        self.rule.momentum = momentum;
        self
    }
}

state! {
    /// What [`Momentum`] and [`Nesterov`](crate::Nesterov) remember.
    MomentumState {
        /// What the last step added, before friction.
        velocity: Tensor<T>,
    }
}

impl<T: Float> Rule<T> for Momentum {
    type State = MomentumState<T>;

    fn name(&self) -> &'static str {
        "Momentum"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("momentum", self.momentum)]
    }

    fn init(&self, w: &Tensor<T>) -> MomentumState<T> {
        MomentumState { velocity: zeros_like(w) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut MomentumState<T>) {
        let (a, lr, decay) = (T::lit(self.momentum), T::lit(step.lr), T::lit(step.weight_decay));
        w.update_with(g, [&mut state.velocity], move |w, g, [v]| {
            *v = a * *v - lr * (g + decay * *w);
            *w += *v;
        });
    }
}
