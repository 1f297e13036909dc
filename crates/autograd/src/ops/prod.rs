//! Products over axes. Their derivatives are formed without division, so that zeros are no trouble.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::ops::reduce::{of_axes, some_axes, taken};
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::{Axes, AxisList, reduced_shape};
use gradus_tensor::{Float, Shape, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The product over `axes`, which go; `..` for all. The derivative with respect to an element is the product of
    /// the others, formed without division, so that zeros are no trouble.
    #[track_caller]
    pub fn prod(&self, axes: impl Axes) -> Var<T> {
        let t = taken("prod", self, axes);
        if let &[axis] = &t.axes[..] {
            return apply(Prod { axis }, &[self]);
        }
        let order: AxisList = (0..self.rank()).filter(|a| !t.axes.contains(a)).chain(t.axes.iter().copied()).collect();
        let mut rows = reduced_shape(self.shape(), &t.axes, false);
        rows.push(t.axes.iter().map(|&a| t.from[a]).product());
        apply(Prod { axis: rows.rank() - 1 }, &[&self.permute(&order).reshape(&rows)])
    }

    /// As [`prod`](Self::prod), the axes staying with size 1.
    #[doc(alias = "keepdim")]
    #[track_caller]
    pub fn prod_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("prod", self, axes);
        self.prod(&t.axes).reshape(&t.kept)
    }
}

/// The product along one axis.
pub(crate) struct Prod {
    axis: usize,
}

impl<T: Float> Op<T> for Prod {
    fn name(&self) -> &'static str {
        "prod"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn saves(&self) -> Saves {
        Saves::inputs(&[0])
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).prod(self.axis)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let x = cx.input(0);
        let others = if cx.is_differentiable() {
            product_of_others(&x, self.axis)
        } else {
            Var::constant(before_times_after(x.value(), self.axis))
        };
        others.mul_no_nan(&cx.gy().unsqueeze(self.axis)).into()
    }
}

/// For each element, the product of the others along `axis`: those before it times those after it, in two scans.
fn before_times_after<T: Float>(x: &Tensor<T>, axis: usize) -> Tensor<T> {
    let n = x.shape()[axis];
    let rows = x.transpose(axis, -1).contiguous();
    let others = Tensor::build(rows.shape().clone(), |out| {
        let rows = rows.as_slice().expect("contiguous");
        for (x, out) in rows.chunks_exact(n.max(1)).zip(out.chunks_exact_mut(n.max(1))) {
            let mut before = T::one();
            for (out, &x) in out.iter_mut().zip(x) {
                *out = before;
                before *= x;
            }
            let mut after = T::one();
            for (out, &x) in out.iter_mut().zip(x).rev() {
                *out *= after;
                after *= x;
            }
        }
    });
    others.transpose(axis, -1)
}

/// The same as a differentiable expression; it takes n² room for an axis of size n.
fn product_of_others<T: Float>(x: &Var<T>, axis: usize) -> Var<T> {
    let n = x.shape()[axis];
    // With an axis of size n in front of `axis`, and ones on the diagonal, the product over `axis` leaves
    // out one element for each index of the new axis.
    let mut shape = x.shape().clone();
    shape.insert(axis, n);
    let mut diagonal = Shape::from(vec![1; shape.rank()]);
    diagonal[axis] = n;
    diagonal[axis + 1] = n;
    let keep = Tensor::<T>::eye(n).gt(0.5).reshape(&diagonal).expand(&shape);
    x.unsqueeze(axis).expand(&shape).masked_fill(&keep, 1.0).prod(axis + 1)
}

impl<T: Float> Sampled<T> for Prod {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("prod", |rng| {
                let x = draw::tensor_of_rank(rng, 2, -2.0..2.0);
                Case::new([x], |v| v[0].prod(-1))
            }),
            of_axes!("prod", tensor, |x, axes| x.prod_keep(axes)),
            OpSample::new("prod", |rng| {
                // A zero, and sometimes two.
                let x = draw::of_shape(rng, [2, 3]) * &Tensor::bernoulli([2, 3], 0.7, rng).to_num();
                Case::new([x], |v| v[0].prod(1))
            }),
        ]
    }
}
