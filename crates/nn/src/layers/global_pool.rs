//! Pooling to a size that does not depend on the picture's.

use super::conv::Pair;
use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, Pool2dOptions, ShapeError, Tensor};

/// Height and width of pictures `[N, C, H, W]`.
#[track_caller]
fn plane<T: Float>(op: &'static str, x: &Var<T>) -> [usize; 2] {
    match x.shape()[..] {
        [_, _, height, width] => [height, width],
        _ => Err(ShapeError::new(op, format!("input {}; wanted [N, C, H, W]", x.shape()))).or_panic(),
    }
}

/// The mean of each plane: `[N, C, H, W]` to `[N, C]` (Lin, Chen and Yan 2014).
#[derive(Clone, Copy, Debug, Module)]
pub struct GlobalAvgPool2d;

/// The largest of each plane: `[N, C, H, W]` to `[N, C]`. Equal maxima share the gradient evenly.
#[derive(Clone, Copy, Debug, Module)]
pub struct GlobalMaxPool2d;

impl<T: Float> Layer<T> for GlobalAvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        plane("global_avg_pool2d", x);
        x.mean([2, 3])
    }
}

impl<T: Float> Layer<T> for GlobalMaxPool2d {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        plane("global_max_pool2d", x);
        x.max([2, 3])
    }
}

/// The means of `OH x OW` regions that cover each plane as evenly as they can: `[N, C, H, W]` to `[N, C, OH, OW]`. Region
/// `i` of `n` along an axis is from `⌊i H / n⌋` up to `⌈(i + 1) H / n⌉`, as in PyTorch.
///
/// ```
/// use gradus_nn::{AdaptiveAvgPool2d, Layer, Mode};
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[[[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]]]]);
/// let y = AdaptiveAvgPool2d::new([1, 2]).forward(&x.into(), &mut Mode::Eval);
/// assert_eq!(*y.value(), Tensor::from([[[[3.0, 4.0]]]]));
/// ```
#[derive(Clone, Copy, Debug, Module)]
pub struct AdaptiveAvgPool2d {
    #[module(skip)]
    output: [usize; 2],
}

impl AdaptiveAvgPool2d {
    /// To pictures of this size (one number, or `[rows, columns]`).
    pub fn new(output: impl Pair) -> Self {
        Self { output: output.pair() }
    }
}

impl<T: Float> Layer<T> for AdaptiveAvgPool2d {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        let size = plane("adaptive_avg_pool2d", x);
        let [rows, cols] = self.output;
        if size == self.output {
            return x.clone();
        }
        let even = size[0].is_multiple_of(rows) && size[1].is_multiple_of(cols);
        if even && size[0] * size[1] > 0 {
            return x.avg_pool2d(Pool2dOptions::rectangle([size[0] / rows, size[1] / cols]));
        }
        // Regions of unequal size: a mean along one axis is a product with a matrix, A x Bᵀ along both.
        let by_rows = Var::constant(averages(rows, size[0])).matmul(x);
        by_rows.matmul(&Var::constant(averages(cols, size[1])).t())
    }
}

/// The matrix `[n, size]` that takes the mean of each region.
fn averages<T: Float>(n: usize, size: usize) -> Tensor<T> {
    Tensor::from_fn([n, size], |at| {
        let (start, end) = (at[0] * size / n, ((at[0] + 1) * size).div_ceil(n));
        if (start..end).contains(&at[1]) { T::lit(1.0 / (end - start) as f64) } else { T::zero() }
    })
}
