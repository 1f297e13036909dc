//! Lion: the sign of a momentum.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Lion, which steps by the sign of an interpolated momentum, and so keeps one tensor a weight where Adam keeps two:
///
/// ```text
/// w <- w - lr (sign(beta1 m + (1 - beta1) g) + weight_decay w)
/// m <- beta2 m + (1 - beta2) g
/// ```
///
/// All weights move by the same amount: take a learning rate three to ten times below Adam's, and a weight decay as
/// much above.
///
/// Chen et al., *Symbolic discovery of optimization algorithms*, 2023, algorithm 2.
///
/// ```
/// use gradus_optim::{Lion, Optimizer};
/// let opt: Optimizer<Lion> = Lion::new(1e-4).weight_decay(0.1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Lion {
    betas: (f64, f64),
}

impl Lion {
    /// Learning rate `lr` (the paper's is 1e-4), betas 0.9 and 0.99.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { betas: (0.9, 0.99) }, lr)
    }
}

impl<T: Float> Optimizer<Lion, T> {
    /// How much of the momentum counts in the step, and is kept by it; 0.9 and 0.99 by default.
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
}

state! {
    /// What [`Lion`] remembers.
    LionState {
        /// The running mean of gradients.
        exp_avg: Tensor<T>,
    }
}

impl<T: Float> Rule<T> for Lion {
    type State = LionState<T>;

    fn name(&self) -> &'static str {
        "Lion"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("beta1", self.betas.0), ("beta2", self.betas.1)]
    }

    fn init(&self, w: &Tensor<T>) -> LionState<T> {
        LionState { exp_avg: zeros_like(w) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut LionState<T>) {
        let (beta1, beta2) = self.betas;
        let (keep1, take1, keep2, take2) = (T::lit(beta1), T::lit(1.0 - beta1), T::lit(beta2), T::lit(1.0 - beta2));
        let (lr, decay) = (T::lit(step.lr), T::lit(step.weight_decay));
        w.update_with(g, [&mut state.exp_avg], move |w, g, [m]| {
            *w -= lr * ((keep1 * *m + take1 * g).sign() + decay * *w);
            *m = keep2 * *m + take2 * g;
        });
    }
}
