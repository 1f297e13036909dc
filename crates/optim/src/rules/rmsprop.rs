//! RMSProp: gradients divided by a running root mean square.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, largest_square_root, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// RMSProp, which divides the gradient by a running root mean square of it:
///
/// ```text
/// g <- g + weight_decay w
/// s <- alpha s + (1 - alpha) g²
/// a <- alpha a + (1 - alpha) g             (centered only; else a = 0)
/// b <- momentum b + g / (sqrt(s - a²) + eps)
/// w <- w - lr b
/// ```
///
/// The variance `s - a²` is known to the rounding of `s` only, and is taken to be no less than that: under a constant gradient
/// the difference would fall below 0.
///
/// Tieleman and Hinton, *Lecture 6.5: RMSProp*, 2012; centred, Graves, *Generating sequences with recurrent neural
/// networks*, 2013.
///
/// ```
/// use gradus_optim::{Optimizer, RmsProp};
/// let opt: Optimizer<RmsProp> = RmsProp::new(0.01).alpha(0.9).momentum(0.9).centered(true);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RmsProp {
    alpha: f64,
    eps: f64,
    momentum: f64,
    centered: bool,
}

impl RmsProp {
    /// Learning rate `lr` (PyTorch's default is 0.01), `alpha` 0.99, `eps` 1e-8.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self { alpha: 0.99, eps: 1e-8, momentum: 0.0, centered: false }, lr)
    }
}

impl<T: Float> Optimizer<RmsProp, T> {
    /// How much of the running mean square a step keeps; 0.99 by default.
    ///
    /// # Panics
    /// When `alpha` is not in `0.0..=1.0`.
    #[track_caller]
    pub fn alpha(mut self, alpha: f64) -> Self {
        assert_option("alpha", alpha, 0.0..=1.0);
        self.rule.alpha = alpha;
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

    /// How much of the buffer of divided gradients a step keeps; 0 by default: no momentum.
    ///
    /// # Panics
    /// When `momentum` is negative or not finite.
    #[track_caller]
    pub fn momentum(mut self, momentum: f64) -> Self {
        assert_option("momentum", momentum, 0.0..);
        self.rule.momentum = momentum;
        self
    }

    /// Divides by the running standard deviation instead of the root mean square.
    pub fn centered(mut self, centered: bool) -> Self {
        self.rule.centered = centered;
        self
    }
}

state! {
    /// What [`RmsProp`] remembers.
    RmsPropState {
        /// The running mean of squared gradients.
        square_avg: Tensor<T>,
        /// The running mean of gradients, when centred.
        grad_avg: Option<Tensor<T>>,
        /// The buffer of divided gradients, with momentum.
        momentum_buffer: Option<Tensor<T>>,
    }
}

impl<T: Float> Rule<T> for RmsProp {
    type State = RmsPropState<T>;

    fn name(&self) -> &'static str {
        "RmsProp"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("alpha", self.alpha), ("eps", self.eps), ("momentum", self.momentum), ("centered", self.centered.into())]
    }

    fn largest_gradient(&self) -> Option<T> {
        Some(largest_square_root())
    }

    fn init(&self, w: &Tensor<T>) -> RmsPropState<T> {
        RmsPropState {
            square_avg: zeros_like(w),
            grad_avg: self.centered.then(|| zeros_like(w)),
            momentum_buffer: (self.momentum > 0.0).then(|| zeros_like(w)),
        }
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut RmsPropState<T>) {
        let (lr, decay, eps, m) = (T::lit(step.lr), T::lit(step.weight_decay), T::lit(self.eps), T::lit(self.momentum));
        let (keep, take) = (T::lit(self.alpha), T::lit(1.0 - self.alpha));
        let plain = move |s: &mut T, g: T| {
            *s = keep * *s + take * g * g;
            g / (s.sqrt() + eps)
        };
        let centred = move |s: &mut T, a: &mut T, g: T| {
            *s = keep * *s + take * g * g;
            *a = keep * *a + take * g;
            g / ((*s - *a * *a).maximum(T::EPSILON * *s).sqrt() + eps)
        };
        let s = &mut state.square_avg;
        match (&mut state.grad_avg, &mut state.momentum_buffer) {
            (None, None) => w.update_with(g, [s], move |w, g, [s]| *w -= lr * plain(s, g + decay * *w)),
            (Some(a), None) => w.update_with(g, [s, a], move |w, g, [s, a]| *w -= lr * centred(s, a, g + decay * *w)),
            (None, Some(b)) => w.update_with(g, [s, b], move |w, g, [s, b]| {
                *b = m * *b + plain(s, g + decay * *w);
                *w -= lr * *b;
            }),
            (Some(a), Some(b)) => w.update_with(g, [s, a, b], move |w, g, [s, a, b]| {
                *b = m * *b + centred(s, a, g + decay * *w);
                *w -= lr * *b;
            }),
        }
    }
}
