//! Gradients kept within limits.

use crate::error::{Kind, OptimError};
use gradus_autograd::{Grads, Module, Param};
use gradus_tensor::parallel::{Parts, chunks};
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
    let all = || params.iter().filter_map(|(_, p)| grads.get(p));
    // The norm is `root · unit`. The unit is 1, unless squares of `f64` overflow or lose bits.
    let (mut unit, mut squares) = (1.0, all().map(|g| sum_of_squares(g, 1.0)).sum::<f64>());
    if !squares.is_finite() {
        let bad = params.iter().filter(|(_, p)| grads.get(p).is_some_and(|g| !is_finite(g)));
        let paths: Vec<String> = bad.map(|(path, _)| path.clone()).collect();
        if !paths.is_empty() {
            return Err(Kind::NotFinite { paths }.into());
        }
    }
    if !(f64::MIN_POSITIVE / f64::EPSILON..f64::INFINITY).contains(&squares) {
        unit = all().map(largest).fold(0.0, f64::max).binade();
        squares = all().map(|g| sum_of_squares(g, unit)).sum();
    }
    let root = squares.sqrt();
    let norm = root * unit;
    let factor = max_norm / unit / (root + 1e-6 / unit);
    if factor < 1.0 {
        for (_, p) in params {
            if let Some(g) = grads.get_mut(p) {
                *g *= factor;
            }
        }
    }
    Ok(norm)
}

/// Limits every number in the gradients of all of `model`'s parameters to `-limit..=limit`; NaN stays.
pub fn clip_grad_value<T: Float, M: Module<T> + ?Sized>(model: &M, grads: &mut Grads<T>, limit: f64) {
    clip_value(&model.parameters(), grads, T::lit(limit));
}

fn clip_value<T: Float>(params: &[&Param<T>], grads: &mut Grads<T>, limit: T) {
    for p in params {
        if let Some(g) = grads.get_mut(p) {
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
        }
    }
}

/// Whether all elements are finite.
pub(crate) fn is_finite<T: Float>(x: &Tensor<T>) -> bool {
    let x = x.contiguous();
    x.as_slice().expect("just made contiguous").iter().all(|v| v.is_finite())
}

/// What one task adds up.
const CHUNK: usize = 1 << 14;

/// Of the elements over `unit`, in `f64`, in which the square of no `f32` overflows. Tasks are cut by size and added in order,
/// so that the number of threads does not show.
fn sum_of_squares<T: Float>(x: &Tensor<T>, unit: f64) -> f64 {
    let x = x.contiguous();
    let x = x.as_slice().expect("just made contiguous");
    let parts = match unit {
        1.0 => chunks(x, CHUNK).map_at_least(4, |_, x| squares_of(x, |v| v)),
        _ => chunks(x, CHUNK).map_at_least(4, |_, x| squares_of(x, |v| v / unit)),
    };
    parts.into_iter().sum()
}

/// The largest size of an element; NaN if one is.
pub(crate) fn largest<T: Float>(x: &Tensor<T>) -> f64 {
    x.largest_size().to_f64()
}

/// Eight sums side by side, one a lane: a single one would wait for itself.
fn squares_of<T: Float>(x: &[T], scaled: impl Fn(f64) -> f64) -> f64 {
    let square = |v: T| {
        let v = scaled(v.to_f64());
        v * v
    };
    let mut lanes = [0.0; 8];
    let (blocks, rest) = x.as_chunks::<8>();
    for block in blocks {
        for (sum, &v) in lanes.iter_mut().zip(block) {
            *sum += square(v);
        }
    }
    lanes.iter().sum::<f64>() + rest.iter().map(|&v| square(v)).sum::<f64>()
}
