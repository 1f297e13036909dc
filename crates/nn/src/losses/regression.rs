//! Losses between numbers, and between distributions.

use super::binary::same_shape;
use super::{Loss, Reduction};
use gradus_autograd::Var;
use gradus_tensor::{Float, Tensor};

macro_rules! elementwise_loss {
    ($(#[$doc:meta])* $name:ident, $op:literal, |$d:ident| $f:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name {
            reduction: Reduction,
        }

        impl $name {
            /// The mean over elements.
            pub fn new() -> Self {
                Self::default()
            }

            /// With another reduction.
            #[must_use]
            pub fn reduction(self, reduction: Reduction) -> Self {
                Self { reduction }
            }
        }

        impl<T: Float> Loss<T, Tensor<T>> for $name {
            #[track_caller]
            fn loss(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
                same_shape($op, output, target);
                let $d = output - Var::constant(target.clone());
                self.reduction.apply($f)
            }
        }
    };
}

elementwise_loss! {
    /// Squared error: `(x - t)²`.
    Mse, "mse", |d| d.square()
}
elementwise_loss! {
    /// Absolute error: `|x - t|`.
    L1, "l1", |d| d.abs()
}

/// `d²/2` for `|d| <= delta`, `delta (|d| - delta/2)` beyond, with `d = x - t` (Huber 1964). PyTorch's smooth L1 with
/// `beta` is this with `delta = beta`, divided by `beta`.
#[derive(Clone, Copy, Debug)]
pub struct Huber {
    delta: f64,
    reduction: Reduction,
}

impl Huber {
    /// The mean over elements.
    ///
    /// # Panics
    /// When `delta` is not positive.
    #[track_caller]
    pub fn new(delta: f64) -> Self {
        assert!(delta > 0.0, "huber: delta {delta}; wanted more than 0");
        Self { delta, reduction: Reduction::Mean }
    }

    /// With another reduction.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction, ..self }
    }
}

impl<T: Float> Loss<T, Tensor<T>> for Huber {
    #[track_caller]
    fn loss(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
        same_shape("huber", output, target);
        let d = output - Var::constant(target.clone());
        // With c the difference cut off at ±delta: c (d - c/2) is both cases.
        let c = d.clamp(-self.delta, self.delta);
        self.reduction.apply(&c * (&d - &c * 0.5))
    }
}

/// `t (ln t - x)` with `x` log-probabilities and `t` probabilities: the Kullback-Leibler divergence from the output to
/// the target. The default divides the sum by the batch size, PyTorch's `batchmean`, which is the divergence proper.
#[derive(Clone, Copy, Debug, Default)]
pub struct KlDivergence {
    reduction: Option<Reduction>,
}

impl KlDivergence {
    /// The mean over samples of the divergence.
    pub fn new() -> Self {
        Self::default()
    }

    /// With another reduction; `Mean` is over all elements, as in PyTorch.
    #[must_use]
    pub fn reduction(self, reduction: Reduction) -> Self {
        Self { reduction: Some(reduction) }
    }
}

impl<T: Float> Loss<T, Tensor<T>> for KlDivergence {
    #[track_caller]
    fn loss(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
        same_shape("kl_divergence", output, target);
        // 0 ln 0 is 0.
        let entropy = target.map(|t| if t > T::zero() { t * t.ln() } else { T::zero() });
        let losses = Var::constant(entropy) - output * Var::constant(target.clone());
        match self.reduction {
            Some(reduction) => reduction.apply(losses),
            None => losses.sum(..) / target.shape().first().copied().unwrap_or(1) as f64,
        }
    }
}
