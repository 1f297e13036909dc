//! Pooling: a maximum is a gather at saved places, an average a linear map with its adjoint.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::{apply, apply_aux};
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Pool2dOptions, Rng, Shape, Tensor, pool2d_shape};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The largest of each window of pictures `[N, C, H, W]`; of equals, the first gets the gradient.
    ///
    /// # Panics
    /// When the window does not fit.
    #[doc(alias = "reduce_window")]
    #[track_caller]
    pub fn max_pool2d(&self, o: Pool2dOptions) -> Var<T> {
        apply(MaxPool2d(o), &[self])
    }

    /// As [`max_pool2d`](Self::max_pool2d), with the place `h · W + w` of each maximum in its plane.
    ///
    /// # Panics
    /// When the window does not fit.
    #[track_caller]
    pub fn max_pool2d_with_indices(&self, o: Pool2dOptions) -> (Var<T>, Tensor<i32>) {
        apply_aux(MaxPool2d(o), &[self])
    }

    /// Picks the pixels of each plane at the places in `index`.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn pool_gather(&self, index: &Tensor<i32>) -> Var<T> {
        apply(PoolGather { index: index.clone() }, &[self])
    }

    /// Adds this, at the places in `index`, to zeros of `input_shape`: unpooling.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn pool_scatter(&self, index: &Tensor<i32>, input_shape: impl Into<Shape>) -> Var<T> {
        apply(PoolScatter { index: index.clone(), input_shape }, &[self])
    }

    /// The mean of each window of pictures `[N, C, H, W]`.
    ///
    /// # Panics
    /// When the window does not fit.
    #[track_caller]
    pub fn avg_pool2d(&self, o: Pool2dOptions) -> Var<T> {
        apply(AvgPool2d(o), &[self])
    }

    /// The gradient of [`avg_pool2d`](Self::avg_pool2d) with respect to its input, for this gradient of its result.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn avg_pool2d_grad(&self, input_shape: impl Into<Shape>, o: Pool2dOptions) -> Var<T> {
        apply(AvgPool2dGrad { input_shape, o }, &[self])
    }
}

fn attributes(o: &Pool2dOptions) -> Attributes {
    Attributes::new()
        .with("kernel", o.kernel)
        .with("stride", o.stride)
        .with("padding", o.padding)
        .with("dilation", o.dilation)
        .with("ceil_mode", o.ceil_mode)
        .with("count_include_pad", o.count_include_pad)
}

/// It saves the places of the maxima.
pub(crate) struct MaxPool2d(Pool2dOptions);

impl<T: Float> Op<T> for MaxPool2d {
    fn name(&self) -> &'static str {
        "max_pool2d"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.0)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (y, index) = cx.input(0).max_pool2d_with_indices(self.0);
        cx.save(index.clone());
        cx.set_aux(index);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().pool_scatter(cx.residuals(), cx.shape(0)).into()
    }
}

pub(crate) struct PoolGather {
    index: Tensor<i32>,
}

impl<T: Float> Op<T> for PoolGather {
    fn name(&self) -> &'static str {
        "pool_gather"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("index", &self.index.cast::<i64>())
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).pool_gather(&self.index)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().pool_scatter(&self.index, cx.shape(0)).into()
    }
}

pub(crate) struct PoolScatter {
    index: Tensor<i32>,
    input_shape: Shape,
}

impl<T: Float> Op<T> for PoolScatter {
    fn name(&self) -> &'static str {
        "pool_scatter"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("index", &self.index.cast::<i64>()).with("input_shape", &self.input_shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).pool_scatter(&self.index, &self.input_shape)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().pool_gather(&self.index).into()
    }
}

pub(crate) struct AvgPool2d(Pool2dOptions);

impl<T: Float> Op<T> for AvgPool2d {
    fn name(&self) -> &'static str {
        "avg_pool2d"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.0)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).avg_pool2d(self.0)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().avg_pool2d_grad(cx.shape(0), self.0).into()
    }
}

pub(crate) struct AvgPool2dGrad {
    input_shape: Shape,
    o: Pool2dOptions,
}

impl<T: Float> Op<T> for AvgPool2dGrad {
    fn name(&self) -> &'static str {
        "avg_pool2d_grad"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.o).with("input_shape", &self.input_shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).avg_pool2d_grad(&self.input_shape, self.o)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().avg_pool2d(self.o).into()
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

impl<T: Float> Sampled<T> for MaxPool2d {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("max_pool2d", |rng| {
                let (x, _, o) = problem(rng, true);
                Case::new([x], move |v| v[0].max_pool2d(o))
            })
            .without_ties(),
        ]
    }
}

impl<T: Float> Sampled<T> for PoolGather {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("pool_gather", |rng| {
            let (x, _, o) = problem(rng, true);
            let index = x.max_pool2d_with_indices(o).1;
            Case::new([x], move |v| v[0].pool_gather(&index))
        })]
    }
}

impl<T: Float> Sampled<T> for PoolScatter {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("pool_scatter", |rng| {
            let (x, y, o) = problem(rng, true);
            let (index, shape) = (x.max_pool2d_with_indices(o).1, x.shape().clone());
            Case::new([draw::of_shape(rng, y)], move |v| v[0].pool_scatter(&index, &shape))
        })]
    }
}

impl<T: Float> Sampled<T> for AvgPool2d {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("avg_pool2d", |rng| {
            let (x, _, o) = problem(rng, false);
            Case::new([x], move |v| v[0].avg_pool2d(o))
        })]
    }
}

impl<T: Float> Sampled<T> for AvgPool2dGrad {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("avg_pool2d_grad", |rng| {
            let (x, y, o) = problem(rng, false);
            let shape = x.shape().clone();
            Case::new([draw::of_shape(rng, y)], move |v| v[0].avg_pool2d_grad(&shape, o))
        })]
    }
}
