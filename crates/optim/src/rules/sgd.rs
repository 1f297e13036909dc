//! Stochastic gradient descent, with PyTorch's form of momentum.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Stochastic gradient descent, optionally with momentum as PyTorch writes it:
/// `w <- w - lr g`, or with momentum `m`, dampening `d`
///
/// ```text
/// g <- g + weight_decay w
/// b <- m b + (1 - d) g          (b = g at the first step)
/// w <- w - lr b                 (Nesterov: w <- w - lr (g + m b))
/// ```
///
/// The learning rate is outside of the buffer `b` here; [`Momentum`](crate::Momentum) has it inside. As long as
/// the learning rate does not change and `d` is 0, both are the same.
///
/// Sutskever, Martens, Dahl and Hinton, *On the importance of initialization and momentum in deep learning*, 2013.
///
/// ```
/// use gradus_optim::{Optimizer, Sgd};
/// let opt: Optimizer<Sgd> = Sgd::new(0.1).momentum(0.9).nesterov(true).weight_decay(5e-4);
/// assert_eq!(opt.lr(), 0.1);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sgd {
    momentum: f64,
    dampening: f64,
    nesterov: bool,
}

impl Sgd {
    /// Plain gradient descent with learning rate `lr`.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self::default(), lr)
    }
}

impl<T: Float> Optimizer<Sgd, T> {
    /// How much of the buffer a step keeps; 0 by default: no momentum.
    ///
    /// # Panics
    /// When `momentum` is negative or not finite.
    #[track_caller]
    pub fn momentum(mut self, momentum: f64) -> Self {
        assert_option("momentum", momentum, 0.0..);
        self.rule.momentum = momentum;
        self
    }

    /// How much of the gradient is kept out of the buffer; 0 by default. Without effect on the first step.
    ///
    /// # Panics
    /// When `dampening` is not finite.
    #[track_caller]
    pub fn dampening(mut self, dampening: f64) -> Self {
        assert_option("dampening", dampening, ..);
        self.rule.dampening = dampening;
        self
    }

    /// Nesterov's momentum: the gradient counts as if taken where the buffer leads. Meant for a momentum above 0
    /// and no dampening.
    pub fn nesterov(mut self, nesterov: bool) -> Self {
        self.rule.nesterov = nesterov;
        self
    }
}

state! {
    /// What [`Sgd`] remembers: nothing without momentum.
    SgdState {
        /// The running sum of gradients.
        momentum_buffer: Option<Tensor<T>>,
    }
}

impl<T: Float> Rule<T> for Sgd {
    type State = SgdState<T>;

    fn name(&self) -> &'static str {
        "Sgd"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("momentum", self.momentum), ("dampening", self.dampening), ("nesterov", self.nesterov.into())]
    }

    fn init(&self, w: &Tensor<T>) -> SgdState<T> {
        SgdState { momentum_buffer: (self.momentum != 0.0).then(|| zeros_like(w)) }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut SgdState<T>) {
        let (lr, decay) = (T::lit(step.lr), T::lit(step.weight_decay));
        let Some(buffer) = &mut state.momentum_buffer else {
            return w.update_with(g, [], move |w, g, []| *w -= lr * (g + decay * *w));
        };
        let m = T::lit(self.momentum);
        let share = T::lit(if step.t == 1 { 1.0 } else { 1.0 - self.dampening });
        if self.nesterov {
            w.update_with(g, [buffer], move |w, g, [b]| {
                let g = g + decay * *w;
                *b = m * *b + share * g;
                *w -= lr * (g + m * *b);
            });
        } else {
            w.update_with(g, [buffer], move |w, g, [b]| {
                *b = m * *b + share * (g + decay * *w);
                *w -= lr * *b;
            });
        }
    }
}
