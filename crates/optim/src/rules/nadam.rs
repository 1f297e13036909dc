//! NAdam: Adam with Nesterov's momentum.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, largest_square_root, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// NAdam, [`Adam`](crate::Adam) with Nesterov's momentum, on a schedule of its own:
///
/// ```text
/// g   <- g + weight_decay w             (decoupled: w <- (1 - lr weight_decay) w instead)
/// mu  <- beta1 (1 - 0.96^(t momentum_decay) / 2),  next <- the same at t + 1
/// p   <- p mu                           (p = 1 before the first step)
/// m   <- beta1 m + (1 - beta1) g
/// v   <- beta2 v + (1 - beta2) g²
/// w   <- w - lr ((1 - mu) / (1 - p) g + next / (1 - p next) m) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// Dozat, *Incorporating Nesterov momentum into Adam*, 2016.
///
/// ```
/// use gradus_optim::{NAdam, Optimizer};
/// let opt: Optimizer<NAdam> = NAdam::new(2e-3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NAdam {
    betas: (f64, f64),
    eps: f64,
    momentum_decay: f64,
    decoupled_weight_decay: bool,
}

impl NAdam {
    /// Learning rate `lr` (PyTorch's default is 2e-3), betas 0.9 and 0.999, `eps` 1e-8, momentum decay 4e-3.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        let rule = Self { betas: (0.9, 0.999), eps: 1e-8, momentum_decay: 4e-3, decoupled_weight_decay: false };
        Optimizer::new(rule, lr)
    }

    /// The momentum at step `t`.
    fn mu(&self, t: u64) -> f64 {
        self.betas.0 * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }
}

impl<T: Float> Optimizer<NAdam, T> {
    /// How much of the running means of the gradient and of its square a step keeps; 0.9 and 0.999 by default.
    ///
    /// # Panics
    /// When one is not in `0.0..1.0`.
    #[track_caller]
    pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        assert_option("beta1", beta1, 0.0..1.0);
        assert_option("beta2", beta2, 0.0..1.0);
        self.rule.betas = (beta1, beta2);
        self
    }

    /// What keeps the divisor from 0; 1e-8 by default.
    ///
    /// # Panics
    /// When `eps` is negative or not finite.
    #[track_caller]
    pub fn eps(mut self, eps: f64) -> Self {
        assert_option("eps", eps, 0.0..);
        self.rule.eps = eps;
        self
    }

    /// How fast the momentum rises to `beta1`; 4e-3 by default.
    ///
    /// # Panics
    /// When `decay` is negative or not finite.
    #[track_caller]
    pub fn momentum_decay(mut self, decay: f64) -> Self {
        assert_option("momentum_decay", decay, 0.0..);
        self.rule.momentum_decay = decay;
        self
    }

    /// Whether weight decay shrinks the weight itself, as in [`AdamW`](crate::AdamW), instead of being added to the
    /// gradient.
    pub fn decoupled_weight_decay(mut self, decoupled: bool) -> Self {
        self.rule.decoupled_weight_decay = decoupled;
        self
    }
}

state! {
    /// What [`NAdam`] remembers.
    NAdamState {
        /// The running mean of gradients.
        exp_avg: Tensor<T>,
        /// The running mean of squared gradients.
        exp_avg_sq: Tensor<T>,
        /// The product of the momenta of all steps so far; without axes.
        mu_product: Tensor<T>,
    }
}

impl<T: Float> Rule<T> for NAdam {
    type State = NAdamState<T>;

    fn name(&self) -> &'static str {
        "NAdam"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("beta1", self.betas.0),
            ("beta2", self.betas.1),
            ("eps", self.eps),
            ("momentum_decay", self.momentum_decay),
            ("decoupled_weight_decay", self.decoupled_weight_decay.into()),
        ]
    }

    fn largest_gradient(&self) -> Option<T> {
        Some(largest_square_root())
    }

    fn init(&self, w: &Tensor<T>) -> NAdamState<T> {
        NAdamState { exp_avg: zeros_like(w), exp_avg_sq: zeros_like(w), mu_product: Tensor::scalar(T::one()) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut NAdamState<T>) {
        let (beta1, beta2) = self.betas;
        let (mu, next) = (self.mu(step.t), self.mu(step.t + 1));
        state.mu_product *= mu;
        let product = state.mu_product.item().to_f64();
        let by_gradient = T::lit(step.lr * (1.0 - mu) / (1.0 - product));
        let by_mean = T::lit(step.lr * next / (1.0 - product * next));
        let scale = T::lit(1.0 / (1.0 - beta2.powf(step.t as f64)));
        let (keep1, take1, keep2, take2) = (T::lit(beta1), T::lit(1.0 - beta1), T::lit(beta2), T::lit(1.0 - beta2));
        let (coupled, shrink) = match self.decoupled_weight_decay {
            true => (T::zero(), T::lit(1.0 - step.lr * step.weight_decay)),
            false => (T::lit(step.weight_decay), T::one()),
        };
        let eps = T::lit(self.eps);
        w.update_with(g, [&mut state.exp_avg, &mut state.exp_avg_sq], move |w, g, [m, v]| {
            let g = g + coupled * *w;
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
            *w = shrink * *w - (by_gradient * g + by_mean * *m) / ((*v * scale).sqrt() + eps);
        });
    }
}
