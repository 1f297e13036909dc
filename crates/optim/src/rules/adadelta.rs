//! Adadelta: AdaGrad with running means, and steps in the units of the weights.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, largest_square_root, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Adadelta, whose steps are in the units of the weights and need no learning rate to be found:
///
/// ```text
/// g <- g + weight_decay w
/// s <- rho s + (1 - rho) g²
/// d <- sqrt(u + eps) / sqrt(s + eps) g
/// u <- rho u + (1 - rho) d²
/// w <- w - lr d
/// ```
///
/// Zeiler, *ADADELTA: an adaptive learning rate method*, 2012.
///
/// ```
/// use gradus_optim::{Adadelta, Optimizer};
/// let opt: Optimizer<Adadelta> = Adadelta::new(1.0).rho(0.95);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adadelta {
    rho: f64,
    eps: f64,
}

impl Adadelta {
    /// A factor `lr` on each step (the paper's and PyTorch's is 1), `rho` 0.9, `eps` 1e-6.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { rho: 0.9, eps: 1e-6 }, lr)
    }
}

impl<T: Float> Optimizer<Adadelta, T> {
    /// How much of the running mean squares a step keeps; 0.9 by default.
    ///
    /// # Panics
    /// When `rho` is not in `0.0..=1.0`.
    #[track_caller]
    pub fn rho(mut self, rho: f64) -> Self {
        assert_option("rho", rho, 0.0..=1.0);
        self.rule.rho = rho;
        self
    }

    /// What starts the steps off, and keeps the divisor from 0; 1e-6 by default.
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
    /// What [`Adadelta`] remembers.
    AdadeltaState {
        /// The running mean of squared gradients.
        square_avg: Tensor<T>,
        /// The running mean of squared steps.
        acc_delta: Tensor<T>,
    }
}

impl<T: Float> Rule<T> for Adadelta {
    type State = AdadeltaState<T>;

    fn name(&self) -> &'static str {
        "Adadelta"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("rho", self.rho), ("eps", self.eps)]
    }

    fn largest_gradient(&self) -> Option<T> {
        Some(largest_square_root())
    }

    fn init(&self, w: &Tensor<T>) -> AdadeltaState<T> {
        AdadeltaState { square_avg: zeros_like(w), acc_delta: zeros_like(w) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut AdadeltaState<T>) {
        let (lr, decay, eps) = (T::lit(step.lr), T::lit(step.weight_decay), T::lit(self.eps));
        let (keep, take) = (T::lit(self.rho), T::lit(1.0 - self.rho));
        w.update_with(g, [&mut state.square_avg, &mut state.acc_delta], move |w, g, [s, u]| {
            let g = g + decay * *w;
            *s = keep * *s + take * g * g;
            let delta = (*u + eps).sqrt() / (*s + eps).sqrt() * g;
            *u = keep * *u + take * delta * delta;
            *w -= lr * delta;
        });
    }
}
