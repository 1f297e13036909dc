//! Gradients kept within limits.

use crate::error::{Kind, OptimError};
use crate::share;
use gradus_autograd::{Grads, Module, Param};
use gradus_tensor::{Float, Scalar, Tensor};

/// How an optimiser clips.
#[derive(Debug)]
pub(crate) enum Clip {
    Norm(f64),
    Value(f64),
}

impl Clip {
    /// Whether no clipped gradient has an element larger than `limit`.
    pub fn keeps_within(&self, limit: f64) -> bool {
        let (Clip::Norm(most) | Clip::Value(most)) = *self;
        most < limit
    }

    pub fn apply<T: Float>(&self, model: &dyn Module<T>, grads: &mut Grads<T>) -> Result<(), OptimError> {
        match *self {
            Clip::Norm(max_norm) => clip_grad_norm(model, grads, max_norm).map(|_| ()),
            Clip::Value(limit) => {
                clip_grad_value(model, grads, limit);
                Ok(())
            }
        }
    }
}

/// Scales the gradients of all of `model`'s parameters by one factor, so that their norm, taken together as one
/// vector, is at most `max_norm`: `g <- g min(1, max_norm / (norm + 1e-6))`. Gives the norm before that.
///
/// Pascanu, Mikolov and Bengio, *On the difficulty of training recurrent neural networks*, 2013.
///
/// # Errors
/// When a gradient is not finite: names the parameters.
///
/// ```
/// use gradus_autograd::Param;
/// use gradus_optim::clip_grad_norm;
/// let net = vec![Param::<f64>::new([3.0].into()), Param::new([4.0].into())];
/// let mut grads = (net[0].square() + net[1].square()).sum(..).backward();
/// assert_eq!(clip_grad_norm(&net, &mut grads, 1.0)?, 10.0);
/// assert!((grads[&net[0]].item() - 0.6).abs() < 1e-6);
/// # Ok::<(), gradus_optim::OptimError>(())
/// ```
#[doc(alias = "clip_by_global_norm")]
pub fn clip_grad_norm<T: Float, M: Module<T> + ?Sized>(
    model: &M,
    grads: &mut Grads<T>,
    max_norm: f64,
) -> Result<f64, OptimError> {
    clip_norm(&model.named_parameters(), grads, max_norm)
}

fn clip_norm<T: Float>(params: &[(String, &Param<T>)], grads: &mut Grads<T>, max_norm: f64) -> Result<f64, OptimError> {
    let all: Vec<&Tensor<T>> = params.iter().filter_map(|(_, p)| grads.get(p)).collect();
    // Of the gradients over `unit`, in `f64`, in which the square of no `f32` overflows.
    let squares_over = |unit: f64| share::map(&all, |g| g.sum_of_squares(1.0 / unit)).into_iter().sum::<f64>();
    // The norm is `root · unit`. The unit is 1, unless squares of `f64` overflow or lose bits.
    let (mut unit, mut squares) = (1.0, squares_over(1.0));
    if !squares.is_finite() {
        let bad = params.iter().filter(|(_, p)| grads.get(p).is_some_and(|g| !is_finite(g)));
        let paths: Vec<String> = bad.map(|(path, _)| path.clone()).collect();
        if !paths.is_empty() {
            return Err(Kind::NotFinite { paths }.into());
        }
    }
    if !(f64::MIN_POSITIVE / f64::EPSILON..f64::INFINITY).contains(&squares) {
        unit = share::map(&all, largest).into_iter().fold(0.0, f64::max).binade();
        squares = squares_over(unit);
    }
    let root = squares.sqrt();
    let norm = root * unit;
    let factor = max_norm / unit / (root + 1e-6 / unit);
    if factor < 1.0 {
        change(params.iter().map(|(_, p)| *p), grads, |g| *g *= factor);
    }
    Ok(norm)
}

/// Has `f` change the gradients of these parameters.
fn change<'a, T: Float>(params: impl Iterator<Item = &'a Param<T>>, grads: &mut Grads<T>, f: impl Fn(&mut Tensor<T>) + Sync) {
    let mut taken: Vec<(&Param<T>, Tensor<T>)> = params.filter_map(|p| Some((p, grads.remove(p)?))).collect();
    share::each(taken.iter_mut().map(|(_, g)| g), |g| g.numel(), f);
    taken.into_iter().for_each(|(p, g)| grads.insert(p, g));
}

/// Limits every number in the gradients of all of `model`'s parameters to `-limit..=limit`; NaN stays.
pub fn clip_grad_value<T: Float, M: Module<T> + ?Sized>(model: &M, grads: &mut Grads<T>, limit: f64) {
    clip_value(&model.parameters(), grads, T::lit(limit));
}

fn clip_value<T: Float>(params: &[&Param<T>], grads: &mut Grads<T>, limit: T) {
    change(params.iter().copied(), grads, |g| {
        let old = std::mem::replace(g, Tensor::from_vec(vec![], [0]));
        *g = old.map_into(move |v| {
            if v > limit {
                limit
            } else if v < -limit {
                -limit
            } else {
                v
            }
        });
    });
}

/// Whether all elements are finite.
pub(crate) fn is_finite<T: Float>(x: &Tensor<T>) -> bool {
    x.largest_size().is_finite()
}

/// The largest size of an element; NaN if one is.
pub(crate) fn largest<T: Float>(x: &Tensor<T>) -> f64 {
    x.largest_size().to_f64()
}
