//! Adam: running means of the gradient and of its square.

use crate::Optimizer;
use crate::rule::{Rule, Step, assert_option, largest_square_root, state, zeros_like};
use gradus_tensor::{Float, Tensor};

/// Adam, which follows a running mean of the gradient, divided by a running root mean square of it, both corrected
/// for having started at 0:
///
/// ```text
/// g <- g + weight_decay w
/// m <- beta1 m + (1 - beta1) g
/// v <- beta2 v + (1 - beta2) g²
/// w <- w - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// AMSGrad puts the largest `v` so far in its place. Weight decay is added to the gradient here, and so divided with
/// it; [`AdamW`](crate::AdamW) keeps it apart.
///
/// Kingma and Ba, *Adam: a method for stochastic optimization*, 2015; AMSGrad: Reddi, Kale and Kumar, *On the
/// convergence of Adam and beyond*, 2018.
///
/// ```
/// use gradus_optim::{Adam, Optimizer};
/// let opt: Optimizer<Adam> = Adam::new(1e-3).betas(0.9, 0.98).eps(1e-9).amsgrad(true);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    pub(super) betas: (f64, f64),
    pub(super) eps: f64,
    pub(super) amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Self { betas: (0.9, 0.999), eps: 1e-8, amsgrad: false }
    }
}

impl Adam {
    /// Learning rate `lr` (PyTorch's default is 1e-3), betas 0.9 and 0.999, `eps` 1e-8.
    pub fn new<T: Float>(lr: f64) -> Optimizer<Self, T> {
        Optimizer::new(Self::default(), lr)
    }

    pub(super) fn options(&self) -> Vec<(&'static str, f64)> {
        vec![("beta1", self.betas.0), ("beta2", self.betas.1), ("eps", self.eps), ("amsgrad", self.amsgrad.into())]
    }

    pub(super) fn init<T: Float>(&self, w: &Tensor<T>) -> AdamState<T> {
        AdamState { exp_avg: zeros_like(w), exp_avg_sq: zeros_like(w), max_exp_avg_sq: self.amsgrad.then(|| zeros_like(w)) }
    }

    /// One step; `coupled` is the weight decay that goes into the gradient, `shrink` the factor that the weight is
    /// multiplied by beforehand.
    pub(super) fn step<T: Float>(
        &self,
        step: &Step,
        (coupled, shrink): (f64, f64),
        w: &mut Tensor<T>,
        g: &Tensor<T>,
        state: &mut AdamState<T>,
    ) {
        let (beta1, beta2) = self.betas;
        let (correct1, correct2) = (1.0 - beta1.powf(step.t as f64), 1.0 - beta2.powf(step.t as f64));
        let (keep1, take1, keep2, take2) = (T::lit(beta1), T::lit(1.0 - beta1), T::lit(beta2), T::lit(1.0 - beta2));
        let (rate, scale, eps) = (T::lit(step.lr / correct1), T::lit(1.0 / correct2.sqrt()), T::lit(self.eps));
        let (coupled, shrink) = (T::lit(coupled), T::lit(shrink));
        let moments = move |w: &mut T, g: T, m: &mut T, v: &mut T| {
            let g = g + coupled * *w;
            *w *= shrink;
            *m = keep1 * *m + take1 * g;
            *v = keep2 * *v + take2 * g * g;
        };
        let (m, v) = (&mut state.exp_avg, &mut state.exp_avg_sq);
        match &mut state.max_exp_avg_sq {
            None => w.update_with(g, [m, v], move |w, g, [m, v]| {
                moments(w, g, m, v);
                *w -= rate * *m / (v.sqrt() * scale + eps);
            }),
            Some(max) => w.update_with(g, [m, v, max], move |w, g, [m, v, max]| {
                moments(w, g, m, v);
                *max = max.maximum(*v);
                *w -= rate * *m / (max.sqrt() * scale + eps);
            }),
        }
    }
}

/// The options that Adam and AdamW share.
macro_rules! adam_options {
    ($rule:ty, |$optimizer:ident| $adam:expr) => {
        impl<T: Float> Optimizer<$rule, T> {
            /// How much of the running means of the gradient and of its square a step keeps; 0.9 and 0.999 by
            /// default.
            ///
            /// # Panics
            /// When one is not in `0.0..1.0`.
            #[track_caller]
            pub fn betas(mut self, beta1: f64, beta2: f64) -> Self {
                assert_option("beta1", beta1, 0.0..1.0);
                assert_option("beta2", beta2, 0.0..1.0);
                let $optimizer = &mut self;
                $adam.betas = (beta1, beta2);
                self
            }

            /// What keeps the divisor from 0; 1e-8 by default.
            ///
            /// # Panics
            /// When `eps` is negative or not finite.
            #[track_caller]
            pub fn eps(mut self, eps: f64) -> Self {
                assert_option("eps", eps, 0.0..);
                let $optimizer = &mut self;
                $adam.eps = eps;
                self
            }

            /// Divides by the largest running mean square so far, so that no weight's rate ever rises again.
            pub fn amsgrad(mut self, amsgrad: bool) -> Self {
                let $optimizer = &mut self;
                $adam.amsgrad = amsgrad;
                self
            }
        }
    };
}
pub(super) use adam_options;
adam_options!(Adam, |optimizer| optimizer.rule);

state! {
    /// What [`Adam`] and [`AdamW`](crate::AdamW) remember.
    AdamState {
        /// The running mean of gradients.
        exp_avg: Tensor<T>,
        /// The running mean of squared gradients.
        exp_avg_sq: Tensor<T>,
        /// The largest that mean has been, with AMSGrad.
        max_exp_avg_sq: Option<Tensor<T>>,
    }
}

impl<T: Float> Rule<T> for Adam {
    type State = AdamState<T>;

    fn name(&self) -> &'static str {
        "Adam"
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        self.options()
    }

    fn largest_gradient(&self) -> Option<T> {
        Some(largest_square_root())
    }

    fn init(&self, w: &Tensor<T>) -> AdamState<T> {
        self.init(w)
    }

    fn update(&self, step: &Step, w: &mut Tensor<T>, g: &Tensor<T>, state: &mut AdamState<T>) {
        self.step(step, (step.weight_decay, 1.0), w, g, state);
    }
}
