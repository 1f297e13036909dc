//! Reductions. Their adjoints broadcast back; which element a maximum came from is a constant mask.

use crate::op::op;
use crate::samples::{Case, OpSample, draw};
use crate::var::Var;
use gradus_tensor::once::compiled_once;
use gradus_tensor::shape::{Axes, Axis, AxisList, reduced_shape};
use gradus_tensor::{Float, OrPanic, Shape, Tensor};

/// Which axes a reduction took, and the shape with them kept as size 1.
pub(super) struct Taken {
    pub axes: AxisList,
    pub kept: Shape,
    pub from: Shape,
}

#[track_caller]
pub(super) fn taken<T: Float>(name: &'static str, x: &Var<T>, axes: impl Axes) -> Taken {
    let axes = axes.resolve_all(name, x.rank()).or_panic();
    Taken { kept: reduced_shape(x.shape(), &axes, true), from: x.shape().clone(), axes }
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// The sum over `axes`, which go; `..` for all.
    #[track_caller]
    pub fn sum(&self, axes: impl Axes) -> Var<T> {
        let t = taken("sum", self, axes);
        let y = self.value().sum(&t.axes);
        op("sum", [self], y, move |p| [Some(p.gy().reshape(&t.kept).expand(&t.from))])
    }

    /// The sum over `axes`, which stay with size 1.
    #[track_caller]
    pub fn sum_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("sum", self, axes);
        self.sum(&t.axes).reshape(&t.kept)
    }

    /// The mean over `axes`, which go; `..` for all.
    #[track_caller]
    pub fn mean(&self, axes: impl Axes) -> Var<T> {
        let t = taken("mean", self, axes);
        let count = t.axes.iter().map(|&a| t.from[a]).product::<usize>() as f64;
        self.sum(&t.axes) / count
    }

    /// The mean over `axes`, which stay with size 1.
    #[track_caller]
    pub fn mean_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("mean", self, axes);
        self.mean(&t.axes).reshape(&t.kept)
    }

    /// The variance over `axes`, which go: `Σ (x - mean)² / (n - correction)`. `correction` 1 is PyTorch's
    /// default (unbiased), 0 the population's.
    #[track_caller]
    pub fn var(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("var", self, axes);
        let count = t.axes.iter().map(|&a| t.from[a]).product::<usize>();
        let centred = self - self.mean_keep(&t.axes);
        centred.square().sum(&t.axes) / count.saturating_sub(correction) as f64
    }

    /// As [`var`](Self::var), the axes staying with size 1.
    #[track_caller]
    pub fn var_keep(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("var", self, axes);
        self.var(&t.axes, correction).reshape(&t.kept)
    }

    /// The largest element over `axes`, which go. Equal maxima share the gradient evenly, as in PyTorch's
    /// `amax`.
    ///
    /// # Panics
    /// When a reduced axis has size 0.
    #[track_caller]
    pub fn max(&self, axes: impl Axes) -> Var<T> {
        let t = taken("max", self, axes);
        let y = self.value().max(&t.axes);
        let share = share(self.value(), &y.reshape(&t.kept), &t.axes);
        op("max", [self], y, move |p| [Some(p.gy().reshape(&t.kept).mul_no_nan(&Var::constant(share.clone())))])
    }

    /// As [`max`](Self::max), the axes staying with size 1.
    #[track_caller]
    pub fn max_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("max", self, axes);
        self.max(&t.axes).reshape(&t.kept)
    }

    /// The smallest element over `axes`, which go. Equal minima share the gradient evenly.
    ///
    /// # Panics
    /// When a reduced axis has size 0.
    #[track_caller]
    pub fn min(&self, axes: impl Axes) -> Var<T> {
        let t = taken("min", self, axes);
        let y = self.value().min(&t.axes);
        let share = share(self.value(), &y.reshape(&t.kept), &t.axes);
        op("min", [self], y, move |p| [Some(p.gy().reshape(&t.kept).mul_no_nan(&Var::constant(share.clone())))])
    }

    /// As [`min`](Self::min), the axes staying with size 1.
    #[track_caller]
    pub fn min_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("min", self, axes);
        self.min(&t.axes).reshape(&t.kept)
    }

    /// `ln Σ e^x` over `axes`, which go, without overflow: `dx = softmax(x) dy`. Of minus infinities alone it is minus infinity, with a
    /// gradient of 0.
    #[track_caller]
    pub fn logsumexp(&self, axes: impl Axes) -> Var<T> {
        let t = taken("logsumexp", self, axes);
        let (x, sums) = (self.clone(), self.value().log_sums(&t.axes));
        let y = (&sums[0] + &sums[1]).reshape(reduced_shape(&t.from, &t.axes, false));
        op("logsumexp", [self], y, move |p| {
            let gy = p.gy().reshape(&t.kept);
            if p.is_differentiable() {
                // The same for any offset, so its derivatives are those of the softmax with the offset held fixed.
                let powers = (&x - Var::constant(sums[0].clone())).exp();
                let total = powers.sum_keep(&t.axes);
                let none = total.value().eq(0.0);
                return [Some((powers / total.masked_fill(&none, 1.0)).mul_no_nan(&gy))];
            }
            [Some(Var::constant(x.value().logsumexp_grad(&t.axes, &sums, gy.value())))]
        })
    }

    /// As [`logsumexp`](Self::logsumexp), the axes staying with size 1.
    #[track_caller]
    pub fn logsumexp_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("logsumexp", self, axes);
        self.logsumexp(&t.axes).reshape(&t.kept)
    }

    /// The running sum along one axis; its adjoint is the running sum from the other end.
    #[track_caller]
    pub fn cumsum(&self, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("cumsum", self.rank()).or_panic();
        op("cumsum", [self], self.value().cumsum(axis), move |p| [Some(p.gy().flip(axis).cumsum(axis).flip(axis))])
    }

    /// The product over `axes`, which go; `..` for all. The derivative with respect to an element is the product of
    /// the others, formed without division, so that zeros are no trouble.
    #[track_caller]
    pub fn prod(&self, axes: impl Axes) -> Var<T> {
        let t = taken("prod", self, axes);
        if let &[axis] = &t.axes[..] {
            return self.prod_along(axis);
        }
        let order: AxisList = (0..self.rank()).filter(|a| !t.axes.contains(a)).chain(t.axes.iter().copied()).collect();
        let mut rows = reduced_shape(self.shape(), &t.axes, false);
        rows.push(t.axes.iter().map(|&a| t.from[a]).product());
        self.permute(&order).reshape(&rows).prod_along(rows.rank() - 1)
    }

    /// As [`prod`](Self::prod), the axes staying with size 1.
    #[track_caller]
    pub fn prod_keep(&self, axes: impl Axes) -> Var<T> {
        let t = taken("prod", self, axes);
        self.prod(&t.axes).reshape(&t.kept)
    }

    #[track_caller]
    fn prod_along(&self, axis: usize) -> Var<T> {
        let x = self.clone();
        op("prod", [self], self.value().prod(axis), move |p| {
            let others = if p.is_differentiable() {
                product_of_others(&x, axis)
            } else {
                Var::constant(before_times_after(x.value(), axis))
            };
            [Some(others.mul_no_nan(&p.gy().unsqueeze(axis)))]
        })
    }

    /// The standard deviation over `axes`, which go: `√(Σ (x - mean)² / (n - correction))`. `correction` 1 is PyTorch's default
    /// (unbiased), 0 the population's. Where all elements are equal the gradient is 0, as that of a [`norm`](Self::norm) of 0.
    #[track_caller]
    pub fn std(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("std", self, axes);
        let count = t.axes.iter().map(|&a| t.from[a]).product::<usize>();
        (self - self.mean_keep(&t.axes)).norm(&t.axes) / (count.saturating_sub(correction) as f64).sqrt()
    }

    /// As [`std`](Self::std), the axes staying with size 1.
    #[track_caller]
    pub fn std_keep(&self, axes: impl Axes, correction: usize) -> Var<T> {
        let t = taken("std", self, axes);
        self.std(&t.axes, correction).reshape(&t.kept)
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

/// For each element, its share in being the extreme: 1 over the number of equals, or 0.
fn share<T: Float>(x: &Tensor<T>, extreme: &Tensor<T>, axes: &AxisList) -> Tensor<T> {
    let hit = x.zip_map("max", extreme, |x, m| if x == m || (x.is_nan() && m.is_nan()) { T::one() } else { T::zero() });
    let count = hit.sum_keep(axes);
    hit / &count
}

/// Random axes of a tensor; sometimes none, sometimes all.
fn some_axes(rng: &mut gradus_tensor::Rng, rank: usize) -> AxisList {
    (0..rank).filter(|_| rng.below(2) == 1).collect()
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    macro_rules! sample {
        ($name:literal, $draw:ident, $f:expr) => {
            OpSample::new($name, |rng| {
                let x = draw::$draw(rng, -2.0..2.0);
                let axes = some_axes(rng, x.rank());
                let f: fn(&Var<T>, &AxisList) -> Var<T> = $f;
                Case::new([x], move |v| f(&v[0], &axes))
            })
        };
    }
    vec![
        sample!("sum", tensor, |x, axes| x.sum(axes)),
        sample!("sum", tensor, |x, axes| x.sum_keep(axes)),
        sample!("sum", filled, |x, axes| x.mean(axes)),
        sample!("sum", filled, |x, axes| x.var(axes, 0)),
        sample!("max", distinct, |x, axes| x.max(axes)).without_ties(),
        sample!("min", distinct, |x, axes| x.min_keep(axes)).without_ties(),
        sample!("logsumexp", filled, |x, axes| x.logsumexp(axes)),
        OpSample::new("cumsum", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            Case::new([x], |v| v[0].cumsum(1))
        }),
        OpSample::new("prod", |rng| {
            let x = draw::tensor_of_rank(rng, 2, -2.0..2.0);
            Case::new([x], |v| v[0].prod(-1))
        }),
        sample!("prod", tensor, |x, axes| x.prod_keep(axes)),
        OpSample::new("prod", |rng| {
            // A zero, and sometimes two.
            let x = draw::of_shape(rng, [2, 3]) * &Tensor::bernoulli([2, 3], 0.7, rng).to_num();
            Case::new([x], |v| v[0].prod(1))
        }),
        OpSample::new("norm", |rng| {
            let x = draw::tensor_of_rank(rng, 2, -2.0..2.0);
            // Elements of their own along the axis, so that no deviation is 0.
            let x = Tensor::concat(&[&x, &(&x * 0.5 + 3.0)], 0);
            Case::new([x], |v| v[0].std_keep(0, 1))
        }),
    ]
}
