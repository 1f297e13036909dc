//! Convolution, closed under differentiation: it is linear in the picture and in the filters, and each of the three
//! maps here has the other two as its derivatives.

use super::activation::relu_gradient;
use crate::op::{Pull, op, op_with_output};
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::{Conv2dOptions, Float, Rng, Shape, Tensor, conv2d_shape};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The convolution of pictures `[N, C, H, W]` with filters `[F, C / groups, KH, KW]`, giving `[N, F, OH, OW]`: a
    /// cross-correlation, as in every deep-learning framework.
    ///
    /// # Panics
    /// When the shapes and options do not fit.
    #[track_caller]
    pub fn conv2d(&self, w: &Var<T>, o: Conv2dOptions) -> Var<T> {
        let (x, w_) = (self.clone(), w.clone());
        let (a, b) = (self.clone(), w.clone());
        op("conv2d", [self, w], self.value().conv2d(w.value(), o), move |p| gradients(p, p.gy(), [&x, &w_], o))
            .with_jvp(move |p| p.product_rule(&a, &b, |x, w| x.conv2d(w, o)))
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
        let y = self.value().conv2d_relu(w.value(), b.map(Var::value), o);
        let (x, w_) = (self.clone(), w.clone());
        let inner = move |p: &mut Pull<'_, T>| {
            let g = relu_gradient(p);
            let [dx, dw] = gradients(p, &g, [&x, &w_], o);
            (dx, dw, g)
        };
        match b {
            None => op_with_output("conv2d_relu", [self, w], y, move |p| {
                let (dx, dw, _) = inner(p);
                [dx, dw]
            }),
            Some(b) => op_with_output("conv2d_relu", [self, w, b], y, move |p| {
                let (dx, dw, g) = inner(p);
                [dx, dw, p.needs(2).then(|| g.sum([0, 2, 3]))]
            }),
        }
    }

    /// The gradient of [`conv2d`](Self::conv2d) with respect to its input, for this gradient of its result: the
    /// transposed convolution.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    #[track_caller]
    pub fn conv2d_input_grad(&self, w: &Var<T>, input_shape: impl Into<Shape>, o: Conv2dOptions) -> Var<T> {
        let (gy, w_) = (self.clone(), w.clone());
        let y = self.value().conv2d_input_grad(w.value(), input_shape, o);
        op("conv2d_input_grad", [self, w], y, move |p| {
            [p.needs(0).then(|| p.gy().conv2d(&w_, o)), p.needs(1).then(|| p.gy().conv2d_weight_grad(&gy, w_.shape(), o))]
        })
    }

    /// The gradient of [`conv2d`](Self::conv2d) of this input with respect to the filters, for a gradient `gy` of its
    /// result.
    ///
    /// # Panics
    /// When the shapes do not belong to one convolution.
    #[track_caller]
    pub fn conv2d_weight_grad(&self, gy: &Var<T>, weight_shape: impl Into<Shape>, o: Conv2dOptions) -> Var<T> {
        let (x, gy_) = (self.clone(), gy.clone());
        let y = self.value().conv2d_weight_grad(gy.value(), weight_shape, o);
        op("conv2d_weight_grad", [self, gy], y, move |p| {
            [p.needs(0).then(|| gy_.conv2d_input_grad(p.gy(), x.shape(), o)), p.needs(1).then(|| x.conv2d(p.gy(), o))]
        })
    }
}

/// Of the gradients with respect to input and filters, for a gradient `gy` of the result, those that are wanted.
fn gradients<T: Float>(p: &Pull<'_, T>, gy: &Var<T>, [x, w]: [&Var<T>; 2], o: Conv2dOptions) -> [Option<Var<T>>; 2] {
    let needs = [p.needs(0), p.needs(1)];
    if needs == [true, true] && !p.is_differentiable() {
        return x.value().conv2d_grads(w.value(), gy.value(), o).map(|g| Some(g.into()));
    }
    [needs[0].then(|| gy.conv2d_input_grad(w, x.shape(), o)), needs[1].then(|| x.conv2d_weight_grad(gy, w.shape(), o))]
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

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![
        OpSample::new("conv2d", |rng| {
            let (x, w, _, o) = problem(rng);
            Case::new([x, w], move |v| v[0].conv2d(&v[1], o))
        }),
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
        OpSample::new("conv2d_input_grad", |rng| {
            let (x, w, y, o) = problem(rng);
            let (gy, shape) = (draw::of_shape(rng, y), x.shape().clone());
            Case::new([gy, w], move |v| v[0].conv2d_input_grad(&v[1], &shape, o))
        }),
        OpSample::new("conv2d_weight_grad", |rng| {
            let (x, w, y, o) = problem(rng);
            let (gy, shape) = (draw::of_shape(rng, y), w.shape().clone());
            Case::new([x, gy], move |v| v[0].conv2d_weight_grad(&v[1], &shape, o))
        }),
    ]
}
