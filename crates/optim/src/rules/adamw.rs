//! AdamW: Adam with weight decay kept apart from the gradient.

use super::adam::{Adam, AdamState, adam_options};
use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, largest_square_root};
use gradus_tensor::{Float, Tensor};

/// [`Adam`] whose weight decay does not pass through the running means, but shrinks the weight itself:
/// `w <- (1 - lr weight_decay) w`, then Adam's step with the bare gradient.
///
/// Loshchilov and Hutter, *Decoupled weight decay regularization*, 2019.
///
/// ```
/// use gradus_optim::{AdamW, Optimizer};
/// let opt: Optimizer<AdamW> = AdamW::new(3e-4).weight_decay(0.1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdamW {
    adam: Adam,
}

impl AdamW {
    /// Learning rate `lr` (PyTorch's default is 1e-3), betas 0.9 and 0.999, `eps` 1e-8, weight decay 0.01.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self::default(), lr).weight_decay(0.01)
    }
}

adam_options!(AdamW, |optimizer| optimizer.rule.adam);

impl<T: Float> Rule<T> for AdamW {
    type State = AdamState<T>;

    fn name(&self) -> &'static str {
        "AdamW"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        self.adam.options()
    }

    fn largest_gradient(&self) -> Option<T> {
        Some(largest_square_root())
    }

    fn init(&self, w: &Tensor<T>) -> AdamState<T> {
        self.adam.init(w)
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut AdamState<T>) {
        self.adam.step(step, (0.0, 1.0 - step.lr * step.weight_decay), w, g, state);
    }
}
