//! Losses between numbers.

use super::{BatchWeight, Loss, Reduction, check_same_shape};
use gradus_autograd::{Calculus, UnaryRule, Var};
use gradus_tensor::{Float, OrPanic, Real, ShapeError, Tensor};

/// A loss of the difference `d = x - t`, elementwise, then reduced. The target may be a variable too.
macro_rules! of_difference {
    ($name:ident, $op:literal, |$self:ident, $d:ident| $f:expr) => {
        impl $name {
            /// With another reduction.
            #[must_use]
            pub fn reduction(mut self, reduction: Reduction) -> Self {
                self.reduction = reduction;
                self
            }
        }

        impl<T: Float> Loss<T, Var<T>> for $name {
            #[track_caller]
            fn loss(&$self, output: &Var<T>, target: &Var<T>) -> Var<T> {
                check_same_shape($op, output.shape(), target.shape()).or_panic();
                let $d = output - target;
                $self.reduction.apply($f)
            }
            fn weight(&self, target: &Var<T>, _: usize) -> BatchWeight {
                self.reduction.weight(target.value().numel() as f64)
            }
            fn check(&self, output: &[usize], target: &Var<T>) -> Result<(), ShapeError> {
                check_same_shape($op, output, target.shape())
            }
        }

        impl<T: Float> Loss<T, Tensor<T>> for $name {
            #[track_caller]
            fn loss(&self, output: &Var<T>, target: &Tensor<T>) -> Var<T> {
                self.loss(output, &Var::constant(target.clone()))
            }
            fn weight(&self, target: &Tensor<T>, _: usize) -> BatchWeight {
                self.reduction.weight(target.numel() as f64)
            }
            fn check(&self, output: &[usize], target: &Tensor<T>) -> Result<(), ShapeError> {
                check_same_shape($op, output, target.shape())
            }
        }
    };
}

/// Squared error: `(x - t)²`, of any numbers.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Loss, Mse, Reduction};
/// use gradus_tensor::Tensor;
/// let (x, t) = (Var::leaf(Tensor::from([1.0, 2.0])), Tensor::from([0.0, 4.0]));
/// assert_eq!(Mse::new().loss(&x, &t).item(), 2.5);
/// assert_eq!(Mse::new().reduction(Reduction::None).loss(&x, &t).value().to_vec(), [1.0, 4.0]);
/// ```
#[doc(alias("MSELoss", "mse_loss", "MeanSquaredError", "squared_error", "l2_loss"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct Mse {
    reduction: Reduction,
}

impl Mse {
    /// The mean over elements.
    pub fn new() -> Self {
        Self::default()
    }
}

of_difference!(Mse, "mse", |self, d| d.square());

/// Absolute error: `|x - t|`, of any numbers.
#[doc(alias("L1Loss", "l1_loss", "MeanAbsoluteError"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct L1 {
    reduction: Reduction,
}

impl L1 {
    /// The mean over elements.
    pub fn new() -> Self {
        Self::default()
    }
}

of_difference!(L1, "l1", |self, d| d.abs());

/// `d²/2` for `|d| <= delta`, `delta (|d| - delta/2)` beyond, with `d = x - t` (Huber 1964).
#[doc(alias("HuberLoss", "huber_loss"))]
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
}

of_difference!(Huber, "huber", |self, d| d.apply(HuberRule(self.delta)));

/// `d²/(2 beta)` for `|d| < beta`, `|d| - beta/2` beyond, with `d = x - t` (Girshick 2015): [`Huber`] divided by `beta`.
#[doc(alias = "SmoothL1Loss")]
#[derive(Clone, Copy, Debug)]
pub struct SmoothL1 {
    beta: f64,
    reduction: Reduction,
}

impl SmoothL1 {
    /// The mean over elements; PyTorch's default for `beta` is 1.
    ///
    /// # Panics
    /// When `beta` is not positive; [`L1`] is the limit at 0.
    #[track_caller]
    pub fn new(beta: f64) -> Self {
        assert!(beta > 0.0, "smooth_l1: beta {beta}; wanted more than 0 (L1 is the limit at 0)");
        Self { beta, reduction: Reduction::Mean }
    }
}

of_difference!(SmoothL1, "smooth_l1", |self, d| d.apply(SmoothL1Rule(self.beta)));

/// Huber's function of the difference; its derivative is the difference cut off at `±delta`.
#[derive(Clone, Copy)]
struct HuberRule(f64);

impl UnaryRule for HuberRule {
    const NAME: &'static str = "huber";
    #[inline(always)]
    fn f<T: Real>(self, d: T) -> T {
        let (delta, size) = (T::lit(self.0), d.abs());
        if size <= delta { T::lit(0.5) * d * d } else { delta * (size - T::lit(0.5) * delta) }
    }
    #[inline(always)]
    fn d<S: Calculus>(self, d: &S, _: &S) -> S {
        d.clamp(-self.0, self.0)
    }
}

/// Huber's function over `beta`, divided before anything is squared.
#[derive(Clone, Copy)]
struct SmoothL1Rule(f64);

impl UnaryRule for SmoothL1Rule {
    const NAME: &'static str = "smooth_l1";
    #[inline(always)]
    fn f<T: Real>(self, d: T) -> T {
        let (beta, size) = (T::lit(self.0), d.abs());
        if size <= beta { T::lit(0.5) * d * (d / beta) } else { size - T::lit(0.5) * beta }
    }
    #[inline(always)]
    fn d<S: Calculus>(self, d: &S, _: &S) -> S {
        d.clamp(-self.0, self.0) / S::lit(self.0)
    }
}
