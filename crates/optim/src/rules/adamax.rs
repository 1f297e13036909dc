//! Adamax: Adam with the largest gradient in place of the root mean square.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Adamax, [`Adam`](crate::Adam) under the infinity norm:
///
/// ```text
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g
/// u <- max(beta2 u, |g| + eps)
/// w <- w - lr m / (1 - beta1^t) / u
/// ```
///
/// Kingma and Ba, *Adam: a method for stochastic optimization*, 2015, section 7.1.
///
/// ```
/// use gradus_optim::{Adamax, Optimizer};
/// let opt: Optimizer<Adamax> = Adamax::new(2e-3);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adamax {
    betas: (f64, f64),
    eps: f64,
}

impl Adamax {
    /// Learning rate `lr` (PyTorch's default is 2e-3), betas 0.9 and 0.999, `eps` 1e-8.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { betas: (0.9, 0.999), eps: 1e-8 }, lr)
    }
}

impl<T: Float> Optimizer<Adamax, T> {
    /// How much of the running mean of the gradient, and of its largest size, a step keeps; 0.9 and 0.999 by default.
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
}

state! {
    /// What [`Adamax`] remembers.
    AdamaxState {
        /// The running mean of gradients.
        exp_avg: Tensor<T>,
        /// The fading largest size of the gradient.
        exp_inf: Tensor<T>,
    }
}

impl<T: Float> Rule<T> for Adamax {
    type State = AdamaxState<T>;

    fn name(&self) -> &'static str {
        "Adamax"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("beta1", self.betas.0), ("beta2", self.betas.1), ("eps", self.eps)]
    }

    fn init(&self, w: &Tensor<T>) -> AdamaxState<T> {
        AdamaxState { exp_avg: zeros_like(w), exp_inf: zeros_like(w) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut AdamaxState<T>) {
        let (beta1, beta2) = self.betas;
        let rate = T::lit(step.lr / (1.0 - beta1.powf(step.t as f64)));
        let (keep1, take1, keep2) = (T::lit(beta1), T::lit(1.0 - beta1), T::lit(beta2));
        let (eps, decay) = (T::lit(self.eps), T::lit(step.weight_decay));
        w.update_with(g, [&mut state.exp_avg, &mut state.exp_inf], move |w, g, [m, u]| {
            let g = g + decay * *w;
            *m = keep1 * *m + take1 * g;
            *u = (keep2 * *u).maximum(g.abs() + eps);
            *w -= rate * *m / *u;
        });
    }
}
