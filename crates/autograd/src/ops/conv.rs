//! Convolution, closed under differentiation: it is linear in the picture and in the filters, and each of the three
//! maps here has the other two as its derivatives.

use super::activation::relu_gradient;
use crate::attributes::Attributes;
use crate::context::{ForwardContext, JvpContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Conv2dOptions, Float, Rng, Shape, Tensor, conv2d_shape};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The convolution of pictures `[N, C, H, W]` with filters `[F, C / groups, KH, KW]`, giving `[N, F, OH, OW]`: a
    /// cross-correlation, as in every deep-learning framework.
    ///
    /// # Panics
    /// When the shapes and options do not fit.
    #[doc(alias = "conv_general_dilated")]
    #[track_caller]
    pub fn conv2d(&self, w: &Var<T>, o: Conv2dOptions) -> Var<T> {
        apply(Conv2d(o), &[self, w])
    }

    /// `max(x * w + b, 0)` in one pass, where `*` is [`conv2d`](Self::conv2d), and `b` of `[F]`, if there is one, is added to
    /// each filter's outputs. The gradient passes where the result is above 0.
    ///
    /// # Panics
    /// When the shapes and options do not fit.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::{Conv2dOptions, Tensor};
    /// let x = Var::leaf(Tensor::from([[[[1.0f64, 2.0, 3.0]]]]));
    /// let (w, b) = (Var::constant(Tensor::from([[[[2.0]]]])), Var::constant(Tensor::from([-3.0])));
    /// let y = x.conv2d_relu(&w, Some(&b), Conv2dOptions::default());
    /// assert_eq!(y.value().to_vec(), [0.0, 1.0, 3.0]);
    /// assert_eq!(y.sum(..).backward()[&x].to_vec(), [0.0, 2.0, 2.0]);
    /// ```
    #[track_caller]
    pub fn conv2d_relu(&self, w: &Var<T>, b: Option<&Var<T>>, o: Conv2dOptions) -> Var<T> {
        match b {
            None => apply(Conv2dRelu(o), &[self, w]),
            Some(b) => apply(Conv2dRelu(o), &[self, w, b]),
        }
    }

    /// The gradient of [`conv2d`](Self::conv2d) with respect to its input, for this gradient of its result: the
    /// transposed convolution.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    #[track_caller]
    pub fn conv2d_input_grad(&self, w: &Var<T>, input_shape: impl Into<Shape>, o: Conv2dOptions) -> Var<T> {
        apply(Conv2dInputGrad { input_shape, o }, &[self, w])
    }

    /// The gradient of [`conv2d`](Self::conv2d) of this input with respect to the filters, for a gradient `gy` of its
    /// result.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    #[track_caller]
    pub fn conv2d_weight_grad(&self, gy: &Var<T>, weight_shape: impl Into<Shape>, o: Conv2dOptions) -> Var<T> {
        apply(Conv2dWeightGrad { weight_shape, o }, &[self, gy])
    }
}

fn attributes(o: &Conv2dOptions) -> Attributes {
    Attributes::new()
        .with("stride", o.stride)
        .with("padding", o.padding)
        .with("dilation", o.dilation)
        .with("groups", o.groups)
        .with("algorithm", format!("{:?}", o.algorithm).to_lowercase())
}

pub(crate) struct Conv2d(Conv2dOptions);

impl<T: Float> Op<T> for Conv2d {
    fn name(&self) -> &'static str {
        "conv2d"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.0)
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).conv2d(cx.input(1), self.0)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        gradients(cx, cx.gy(), self.0).into()
    }

    fn jvp(&self, cx: &JvpContext<'_, T>) -> Option<Var<T>> {
        Some(cx.bilinear(|x, w| x.conv2d(w, self.0)))
    }
}

/// Of input and filters, and of a bias, if there is one.
pub(crate) struct Conv2dRelu(Conv2dOptions);

impl<T: Float> Op<T> for Conv2dRelu {
    fn name(&self) -> &'static str {
        "conv2d_relu"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.0)
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1]).and_output()
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let bias = (cx.len() > 2).then(|| cx.input(2));
        cx.input(0).conv2d_relu(cx.input(1), bias, self.0)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let g = relu_gradient(cx);
        let [dx, dw] = gradients(cx, &g, self.0);
        if cx.len() == 2 {
            return [dx, dw].into();
        }
        [dx, dw, cx.needs(2).then(|| g.sum([0, 2, 3]))].into()
    }
}

pub(crate) struct Conv2dInputGrad {
    input_shape: Shape,
    o: Conv2dOptions,
}

impl<T: Float> Op<T> for Conv2dInputGrad {
    fn name(&self) -> &'static str {
        "conv2d_input_grad"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.o).with("input_shape", &self.input_shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).conv2d_input_grad(cx.input(1), &self.input_shape, self.o)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        [
            cx.needs(0).then(|| cx.gy().conv2d(&cx.input(1), self.o)),
            cx.needs(1).then(|| cx.gy().conv2d_weight_grad(&cx.input(0), cx.shape(1), self.o)),
        ]
        .into()
    }
}

pub(crate) struct Conv2dWeightGrad {
    weight_shape: Shape,
    o: Conv2dOptions,
}

impl<T: Float> Op<T> for Conv2dWeightGrad {
    fn name(&self) -> &'static str {
        "conv2d_weight_grad"
    }

    fn attributes(&self) -> Attributes {
        attributes(&self.o).with("weight_shape", &self.weight_shape)
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).conv2d_weight_grad(cx.input(1), &self.weight_shape, self.o)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        [
            cx.needs(0).then(|| cx.input(1).conv2d_input_grad(cx.gy(), cx.shape(0), self.o)),
            cx.needs(1).then(|| cx.input(0).conv2d(cx.gy(), self.o)),
        ]
        .into()
    }
}

/// Of the gradients with respect to input and filters, for a gradient `gy` of the result, those that are wanted.
fn gradients<T: Float>(cx: &VjpContext<'_, T>, gy: &Var<T>, o: Conv2dOptions) -> [Option<Var<T>>; 2] {
    let (x, w, needs) = (cx.input(0), cx.input(1), [cx.needs(0), cx.needs(1)]);
    if needs == [true, true] && !cx.is_differentiable() {
        return x.value().conv2d_grads(w.value(), gy.value(), o).map(|g| Some(g.into()));
    }
    [needs[0].then(|| gy.conv2d_input_grad(&w, x.shape(), o)), needs[1].then(|| x.conv2d_weight_grad(gy, w.shape(), o))]
}

/// A random small convolution: input, filters, shape of the result.
fn problem(rng: &mut Rng) -> (Tensor<f64>, Tensor<f64>, Shape, Conv2dOptions) {
    loop {
        let groups = 1 + rng.below(2);
        let channels = groups * (1 + rng.below(2));
        let filters = groups * (1 + rng.below(2));
        let mut pair = |low: usize, n: usize| [low + rng.below(n), low + rng.below(n)];
        let (kernel, size, stride, dilation) = (pair(1, 3), pair(1, 4), pair(1, 2), pair(1, 2));
        let o = Conv2dOptions { stride, padding: [pair(0, 2), pair(0, 3)], dilation, groups, ..Default::default() };
        let (x, w) = ([1 + rng.below(2), channels, size[0], size[1]], [filters, channels / groups, kernel[0], kernel[1]]);
        if let Ok(y) = conv2d_shape(&x, &w, &o) {
            return (draw::of_shape(rng, x), draw::of_shape(rng, w), y, o);
        }
    }
}

impl<T: Float> Sampled<T> for Conv2d {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("conv2d", |rng| {
            let (x, w, _, o) = problem(rng);
            Case::new([x, w], move |v| v[0].conv2d(&v[1], o))
        })]
    }
}

impl<T: Float> Sampled<T> for Conv2dRelu {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("conv2d_relu", |rng| {
                let (x, w, y, o) = problem(rng);
                // Outputs away from 0, where there is no derivative: each filter's are all above it or all below.
                let largest = x.to_vec().into_iter().fold(1.0, |a: f64, v| a.max(v.abs()));
                let sign = Tensor::from_fn([y[1]], |i| if i[0] % 2 == 0 { 1.0 } else { -1.0 });
                let b = (w.abs().sum([1, 2, 3]) * largest + 1.0) * sign;
                Case::new([x, w, b], move |v| v[0].conv2d_relu(&v[1], Some(&v[2]), o))
            }),
            OpSample::new("conv2d_relu", |rng| {
                let (x, w, _, o) = problem(rng);
                Case::new([x.abs() + 0.5, w.abs() + 0.5], move |v| v[0].conv2d_relu(&v[1], None, o))
            }),
        ]
    }
}

impl<T: Float> Sampled<T> for Conv2dInputGrad {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("conv2d_input_grad", |rng| {
            let (x, w, y, o) = problem(rng);
            let (gy, shape) = (draw::of_shape(rng, y), x.shape().clone());
            Case::new([gy, w], move |v| v[0].conv2d_input_grad(&v[1], &shape, o))
        })]
    }
}

impl<T: Float> Sampled<T> for Conv2dWeightGrad {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("conv2d_weight_grad", |rng| {
            let (x, w, y, o) = problem(rng);
            let (gy, shape) = (draw::of_shape(rng, y), w.shape().clone());
            Case::new([x, gy], move |v| v[0].conv2d_weight_grad(&v[1], &shape, o))
        })]
    }
}
