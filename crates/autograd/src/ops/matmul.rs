//! Matrix products.

use super::activation::relu_gradient;
use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::AxisList;
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor, dense_shape};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The matrix product, over any strides: of matrices; of vectors, which count as a row on the left and a column
    /// on the right; of batches, whose leading axes broadcast. `da = dy bᵀ`, `db = aᵀ dy`.
    ///
    /// # Panics
    /// When the inner sizes differ or the batch axes do not broadcast.
    #[doc(alias("mm", "bmm", "mv"))]
    #[track_caller]
    pub fn matmul(&self, other: &Var<T>) -> Var<T> {
        match (self.rank(), other.rank()) {
            (1, 1) => self.unsqueeze(0).matmul(&other.unsqueeze(1)).reshape(gradus_tensor::Shape::default()),
            (1, _) => {
                let y = self.unsqueeze(0).matmul(other);
                y.squeeze(-2)
            }
            (_, 1) => self.matmul(&other.unsqueeze(1)).squeeze(-1),
            _ => apply(MatMul, &[self, other]),
        }
    }

    /// `x wᵀ + b` for `x` of `[.., in]`, `w` of `[out, in]` and `b` of `[out]`, if there is one: a dense layer.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[doc(alias = "addmm")]
    #[track_caller]
    pub fn linear(&self, w: &Var<T>, b: Option<&Var<T>>) -> Var<T> {
        dense_shape("linear", self.shape(), w.shape(), b.map(|b| &b.shape()[..])).or_panic();
        match b {
            Some(b) if self.rank() > 1 => self.dense(w, b, false),
            Some(b) => self.matmul(&w.t()) + b,
            None => self.matmul(&w.t()),
        }
    }

    /// A dense layer of a matrix of inputs, or more axes. Rows are one axis, for the product and for its gradients: what is
    /// not next to each other in memory is copied once.
    #[track_caller]
    fn dense(&self, w: &Var<T>, b: &Var<T>, relu: bool) -> Var<T> {
        if self.rank() > 2 {
            let (inputs, mut shape) = (w.shape()[1], self.shape().clone());
            let rows = shape[..self.rank() - 1].iter().product::<usize>();
            shape[self.rank() - 1] = w.shape()[0];
            return self.reshape([rows, inputs]).dense(w, b, relu).reshape(shape);
        }
        apply(Linear { relu }, &[self, w, b])
    }

    /// `max(x wᵀ + b, 0)` for `x` of `[.., in]`, `w` of `[out, in]` and `b` of `[out]`, if there is one: a dense layer with its
    /// ramp. The gradient passes where the result is above 0.
    ///
    /// # Panics
    /// When the shapes do not fit.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let x = Var::leaf(Tensor::from([1.0f64, 2.0]));
    /// let w = Var::constant(Tensor::from([[1.0, 1.0], [-1.0, -1.0]]));
    /// let y = x.linear_relu(&w, None);
    /// assert_eq!(y.value().to_vec(), [3.0, 0.0]);
    /// assert_eq!(y.sum(..).backward()[&x].to_vec(), [1.0, 1.0]);
    /// ```
    #[track_caller]
    pub fn linear_relu(&self, w: &Var<T>, b: Option<&Var<T>>) -> Var<T> {
        dense_shape("linear_relu", self.shape(), w.shape(), b.map(|b| &b.shape()[..])).or_panic();
        match b {
            Some(b) if self.rank() > 1 => self.dense(w, b, true),
            _ => self.linear(w, b).relu(),
        }
    }

    /// The inner product of two vectors.
    ///
    /// # Panics
    /// When they are no vectors of one length.
    #[doc(alias = "vdot")]
    #[track_caller]
    pub fn dot(&self, other: &Var<T>) -> Var<T> {
        if self.rank() != 1 || self.shape() != other.shape() {
            let detail = format!("{} and {}: two vectors of one length are wanted", self.shape(), other.shape());
            Err(ShapeError::new("dot", detail)).or_panic()
        }
        (self * other).sum(..)
    }

    /// The outer product of two vectors: `y[i, j] = a[i] b[j]`.
    ///
    /// # Panics
    /// When they are no vectors.
    #[doc(alias = "ger")]
    #[track_caller]
    pub fn outer(&self, other: &Var<T>) -> Var<T> {
        if self.rank() != 1 || other.rank() != 1 {
            let detail = format!("{} and {}: two vectors are wanted", self.shape(), other.shape());
            Err(ShapeError::new("outer", detail)).or_panic()
        }
        self.unsqueeze(1) * other.unsqueeze(0)
    }
}

/// The product of matrices, or of batches of them.
pub(crate) struct MatMul;

impl<T: Float> Op<T> for MatMul {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0, 1])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).matmul(cx.input(1))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (a, b, gy) = (cx.input(0), cx.input(1), cx.gy());
        [cx.needs(0).then(|| gradient_of_left(&a, gy, &b)), cx.needs(1).then(|| gradient_of_right(&a, gy, &b))].into()
    }
}

/// A dense layer of rows, weights and bias, with or without its ramp.
pub(crate) struct Linear {
    relu: bool,
}

impl<T: Float> Op<T> for Linear {
    fn name(&self) -> &'static str {
        if self.relu { "linear_relu" } else { "linear" }
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("relu", self.relu)
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        let inputs = Saves::inputs(&[0, 1]);
        if self.relu { inputs.and_output() } else { inputs }
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (x, w, b) = (cx.input(0), cx.input(1), Some(cx.input(2)));
        if self.relu { x.linear_relu(w, b) } else { x.linear(w, b) }
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (x, w) = (cx.input(0), cx.input(1));
        let g = if self.relu { relu_gradient(cx) } else { cx.gy().clone() };
        [cx.needs(0).then(|| g.matmul(&w)), gradient_of_weights(cx, &g, &x), cx.needs(2).then(|| g.sum(0))].into()
    }
}

/// `gᵀ x`, of weights, which are input 1; what they have got so far, from other steps of a sequence, the product is added to in
/// place.
fn gradient_of_weights<T: Float>(p: &mut VjpContext<'_, T>, g: &Var<T>, x: &Var<T>) -> Option<Var<T>> {
    match p.take_sum(1) {
        Some(sum) => Some(Var::constant(sum.into_value().addmm_into(g.t().value(), x.value()))),
        None => p.needs(1).then(|| g.t().matmul(x)),
    }
}

/// `dy bᵀ` summed over the axes along which `a` is broadcast. One matrix `a` for a whole batch of `b` makes it a single
/// product over all columns.
fn gradient_of_left<T: Float>(a: &Var<T>, gy: &Var<T>, b: &Var<T>) -> Var<T> {
    let rank = b.rank();
    if a.rank() == 2 && rank > 2 {
        let (m, k) = (a.shape()[0], a.shape()[1]);
        let columns = gy.shape()[..rank - 2].iter().product::<usize>() * gy.shape()[rank - 1];
        let m_first: AxisList = [rank - 2].into_iter().chain(0..rank - 2).chain([rank - 1]).collect();
        return gy.permute(&m_first).reshape([m, columns]).matmul(&b.t().reshape([columns, k]));
    }
    gy.matmul(&b.t()).sum_to(a.shape())
}

/// `aᵀ dy` summed over the axes along which `b` is broadcast. One matrix `b` for a whole batch of `a` makes it a single
/// product over all rows. Where `b` is a transposed matrix the gradient is one too, as the weights of a dense layer want it.
fn gradient_of_right<T: Float>(a: &Var<T>, gy: &Var<T>, b: &Var<T>) -> Var<T> {
    if b.rank() != 2 || a.rank() < 2 {
        return a.t().matmul(gy).sum_to(b.shape());
    }
    let (k, n) = (a.shape()[a.rank() - 1], gy.shape()[gy.rank() - 1]);
    let rows: usize = a.shape()[..a.rank() - 1].iter().product();
    let (a, gy) = (a.reshape([rows, k]), gy.reshape([rows, n]));
    match b.value().strides()[..] {
        [1, step] if step != 1 => gy.t().matmul(&a).t(),
        _ => a.t().matmul(&gy),
    }
}

/// Rows, inner size and columns.
fn sizes(rng: &mut gradus_tensor::Rng) -> (usize, usize, usize) {
    (1 + rng.below(3), rng.below(4), 1 + rng.below(3))
}

impl<T: Float> Sampled<T> for MatMul {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("matmul", |rng| {
                let (m, k, n) = sizes(rng);
                Case::new([draw::of_shape(rng, [m, k]), draw::of_shape(rng, [k, n])], |v| v[0].matmul(&v[1]))
            }),
            OpSample::new("matmul", |rng| {
                let (m, k, n) = sizes(rng);
                let a = draw::of_shape(rng, [2, 1, m, k]);
                Case::new([a, draw::of_shape(rng, [3, k, n])], |v| v[0].matmul(&v[1]))
            }),
            OpSample::new("matmul", |rng| {
                let (m, k, n) = sizes(rng);
                Case::new([draw::of_shape(rng, [2, m, k]), draw::of_shape(rng, [k, n])], |v| v[0].matmul(&v[1]))
            }),
            OpSample::new("matmul", |rng| {
                let (m, k, n) = sizes(rng);
                Case::new([draw::of_shape(rng, [m, k]), draw::of_shape(rng, [3, 2, k, n])], |v| v[0].matmul(&v[1]))
            }),
            OpSample::new("matmul", |rng| {
                let (m, k, n) = sizes(rng);
                Case::new([draw::of_shape(rng, [m]), draw::of_shape(rng, [n])], move |v| {
                    v[0].outer(&v[1]).matmul(&v[1]) * k as f64
                })
            }),
            OpSample::new("matmul", |rng| {
                let (m, k, _) = sizes(rng);
                Case::new([draw::of_shape(rng, [m, k]), draw::of_shape(rng, [k])], |v| v[0].matmul(&v[1]))
            }),
            OpSample::new("matmul", |rng| {
                let (_, k, n) = sizes(rng);
                Case::new([draw::of_shape(rng, [k]), draw::of_shape(rng, [2, k, n])], |v| v[0].matmul(&v[1]))
            }),
            OpSample::new("matmul", |rng| {
                let k = rng.below(4);
                Case::new([draw::of_shape(rng, [k]), draw::of_shape(rng, [k])], |v| v[0].matmul(&v[1]))
            }),
        ]
    }
}

impl<T: Float> Sampled<T> for Linear {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("linear", |rng| {
                let (m, k, n) = sizes(rng);
                let inputs = [draw::of_shape(rng, [2, m, k]), draw::of_shape(rng, [n, k]), draw::of_shape(rng, [n])];
                Case::new(inputs, |v| v[0].linear(&v[1], Some(&v[2])))
            }),
            OpSample::new("linear_relu", |rng| {
                let (m, k, n) = sizes(rng);
                // Outputs away from 0, where there is no derivative: those of a unit are all above it or all below.
                let x = draw::of_shape(rng, [2, m, k]);
                let w = draw::of_shape(rng, [n, k]);
                let largest = x.to_vec().into_iter().fold(1.0, |a: f64, v| a.max(v.abs()));
                let sign = Tensor::from_fn([n], |i| if i[0] % 2 == 0 { 1.0 } else { -1.0 });
                let b = (w.abs().sum(1) * largest + 1.0) * sign;
                Case::new([x, w, b], |v| v[0].linear_relu(&v[1], Some(&v[2])))
            }),
        ]
    }
}
