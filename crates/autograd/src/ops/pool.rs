//! Pooling: a maximum is a gather at saved places, an average a linear map with its adjoint.

use crate::op::op;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::{Float, Pool2dOptions, Rng, Shape, Tensor, pool2d_shape};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The largest of each window of pictures `[N, C, H, W]`; of equals, the first gets the gradient.
    ///
    /// # Panics
    /// When the window does not fit.
    #[track_caller]
    pub fn max_pool2d(&self, o: Pool2dOptions) -> Var<T> {
        self.max_pool2d_with_indices(o).0
    }

    /// As [`max_pool2d`](Self::max_pool2d), with the place `h · W + w` of each maximum in its plane.
    ///
    /// # Panics
    /// When the window does not fit.
    #[track_caller]
    pub fn max_pool2d_with_indices(&self, o: Pool2dOptions) -> (Var<T>, Tensor<i32>) {
        let (y, index) = self.value().max_pool2d(o);
        let (places, shape) = (index.clone(), self.shape().clone());
        (op("max_pool2d", [self], y, move |p| [Some(p.gy().pool_scatter(&places, &shape))]), index)
    }

    /// Picks the pixels of each plane at the places in `index`.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn pool_gather(&self, index: &Tensor<i32>) -> Var<T> {
        let (index, shape) = (index.clone(), self.shape().clone());
        op("pool_gather", [self], self.value().pool_gather(&index), move |p| [Some(p.gy().pool_scatter(&index, &shape))])
    }

    /// Adds this, at the places in `index`, to zeros of `input_shape`: unpooling.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn pool_scatter(&self, index: &Tensor<i32>, input_shape: impl Into<Shape>) -> Var<T> {
        let index = index.clone();
        op("pool_scatter", [self], self.value().pool_scatter(&index, input_shape), move |p| [Some(p.gy().pool_gather(&index))])
    }

    /// The mean of each window of pictures `[N, C, H, W]`.
    ///
    /// # Panics
    /// When the window does not fit.
    #[track_caller]
    pub fn avg_pool2d(&self, o: Pool2dOptions) -> Var<T> {
        let shape = self.shape().clone();
        op("avg_pool2d", [self], self.value().avg_pool2d(o), move |p| [Some(p.gy().avg_pool2d_grad(&shape, o))])
    }

    /// The gradient of [`avg_pool2d`](Self::avg_pool2d) with respect to its input, for this gradient of its result.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn avg_pool2d_grad(&self, input_shape: impl Into<Shape>, o: Pool2dOptions) -> Var<T> {
        let y = self.value().avg_pool2d_grad(input_shape, o);
        op("avg_pool2d_grad", [self], y, move |p| [Some(p.gy().avg_pool2d(o))])
    }
}

/// A random small pooling: input, shape of the result, options.
fn problem(rng: &mut Rng, dilated: bool) -> (Tensor<f64>, Shape, Pool2dOptions) {
    loop {
        let mut pair = |low: usize, n: usize| [low + rng.below(n), low + rng.below(n)];
        let o = Pool2dOptions {
            kernel: pair(1, 3),
            stride: pair(1, 3),
            padding: [pair(0, 2), pair(0, 2)],
            dilation: if dilated { pair(1, 2) } else { [1, 1] },
            ceil_mode: rng.below(2) == 1,
            count_include_pad: rng.below(2) == 1,
        };
        let x = [1 + rng.below(2), 1 + rng.below(2), 1 + rng.below(4), 1 + rng.below(4)];
        if let Ok(y) = pool2d_shape(&x, &o) {
            return (draw::spread(rng, x.into(), -2.0..2.0), y, o);
        }
    }
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![
        OpSample::new("max_pool2d", |rng| {
            let (x, _, o) = problem(rng, true);
            Case::new([x], move |v| v[0].max_pool2d(o))
        })
        .without_ties(),
        OpSample::new("pool_gather", |rng| {
            let (x, _, o) = problem(rng, true);
            let index = x.max_pool2d(o).1;
            Case::new([x], move |v| v[0].pool_gather(&index))
        }),
        OpSample::new("pool_scatter", |rng| {
            let (x, y, o) = problem(rng, true);
            let (index, shape) = (x.max_pool2d(o).1, x.shape().clone());
            Case::new([draw::of_shape(rng, y)], move |v| v[0].pool_scatter(&index, &shape))
        }),
        OpSample::new("avg_pool2d", |rng| {
            let (x, _, o) = problem(rng, false);
            Case::new([x], move |v| v[0].avg_pool2d(o))
        }),
        OpSample::new("avg_pool2d_grad", |rng| {
            let (x, y, o) = problem(rng, false);
            let shape = x.shape().clone();
            Case::new([draw::of_shape(rng, y)], move |v| v[0].avg_pool2d_grad(&shape, o))
        }),
    ]
}
