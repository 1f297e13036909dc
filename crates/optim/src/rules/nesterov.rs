//! Nesterov's accelerated gradient, the learning rate inside.

use super::momentum::MomentumState;
use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Nesterov's accelerated gradient: momentum whose gradient is taken where the velocity leads. In terms of the
/// weights at that place, which are the ones that the model holds:
///
/// ```text
/// g <- g + weight_decay w
/// v <- a v - lr g
/// w <- w + a v - lr g
/// ```
///
/// Nesterov, *A method of solving a convex programming problem with convergence rate O(1/k²)*, 1983; in this form,
/// Bengio, Boulanger-Lewandowski and Pascanu, *Advances in optimizing recurrent networks*, 2012. PyTorch's form is
/// [`Sgd`](crate::Sgd)'s with `nesterov(true)`.
///
/// ```
/// use gradus_optim::{Nesterov, Optimizer};
/// let opt: Optimizer<Nesterov> = Nesterov::new(0.01).momentum(0.95);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Nesterov {
    momentum: f64,
}

impl Nesterov {
    /// Learning rate `lr`, momentum 0.9.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { momentum: 0.9 }, lr)
    }
}

impl<T: Float> Optimizer<Nesterov, T> {
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

impl<T: Float> Rule<T> for Nesterov {
    type State = MomentumState<T>;

    fn name(&self) -> &'static str {
        "Nesterov"
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
            let move_by = lr * (g + decay * *w);
            *v = a * *v - move_by;
            *w += a * *v - move_by;
        });
    }
}
