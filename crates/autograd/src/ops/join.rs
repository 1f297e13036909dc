//! Putting variables together and taking them apart.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, JvpContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, Number, OrPanic, ShapeError, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The variables one after the other along an axis that they all have.
    ///
    /// # Panics
    /// When there are none, or other axes differ.
    #[doc(alias("cat", "concatenate", "vstack", "hstack", "dstack", "column_stack", "row_stack"))]
    #[track_caller]
    pub fn concat(vars: &[&Var<T>], axis: impl Axis) -> Var<T> {
        // Of no variables, the forward pass says what is wrong.
        let axis = vars.first().map_or(Ok(0), |first| axis.resolve("concat", first.rank())).or_panic();
        apply(Concat { axis }, vars)
    }

    /// The variables, all of one shape, along a new axis.
    ///
    /// # Panics
    /// When there are none, or the shapes differ.
    #[track_caller]
    pub fn stack(vars: &[&Var<T>], axis: impl Axis) -> Var<T> {
        let Some(first) = vars.first() else {
            return Err(ShapeError::new("stack", "no variables; at least one is wanted")).or_panic();
        };
        let axis = axis.resolve("stack", first.rank() + 1).or_panic();
        if let Some((i, v)) = vars.iter().enumerate().find(|(_, v)| v.shape() != first.shape()) {
            let detail = format!("variable {i} is {} beside {}; all shapes must agree", v.shape(), first.shape());
            Err(ShapeError::new("stack", detail)).or_panic()
        }
        // A loop, not a closure, which would hide the caller's line from the tape.
        let mut raised = Vec::with_capacity(vars.len());
        for v in vars {
            raised.push(v.unsqueeze(axis));
        }
        Self::concat(&raised.iter().collect::<Vec<_>>(), axis)
    }

    /// Parts of `size` indices each along one axis; the last may be smaller.
    ///
    /// # Panics
    /// When `size` is 0.
    #[track_caller]
    pub fn split(&self, size: usize, axis: impl Axis) -> Vec<Var<T>> {
        let axis = axis.resolve("split", self.rank()).or_panic();
        if size == 0 {
            Err(ShapeError::new("split", "parts of size 0; 1 or more is wanted")).or_panic()
        }
        let n = self.shape()[axis];
        let mut parts = vec![];
        if parts.try_reserve_exact(n.div_ceil(size)).is_err() {
            let detail = format!("no memory for {} parts of axis {axis} of shape {}", n.div_ceil(size), self.shape());
            Err(ShapeError::new("split", detail)).or_panic()
        }
        for start in (0..n).step_by(size) {
            parts.push(self.slice(axis, start..start.saturating_add(size).min(n)));
        }
        parts
    }

    /// `n` parts of equal size along one axis, but for the last ones: fewer, or a smaller last one, when the axis cannot
    /// be divided so (as `torch.chunk`).
    ///
    /// # Panics
    /// When `n` is 0.
    #[doc(alias = "array_split")]
    #[track_caller]
    pub fn chunk(&self, n: usize, axis: impl Axis) -> Vec<Var<T>> {
        let axis = axis.resolve("chunk", self.rank()).or_panic();
        if n == 0 {
            Err(ShapeError::new("chunk", "0 parts; 1 or more is wanted")).or_panic()
        }
        self.split(self.shape()[axis].div_ceil(n).max(1), axis)
    }

    /// Parts of the given sizes along one axis.
    ///
    /// # Panics
    /// When the sizes do not add up to the axis.
    #[doc(alias = "split_with_sizes")]
    #[track_caller]
    pub fn split_sizes(&self, sizes: &[usize], axis: impl Axis) -> Vec<Var<T>> {
        let axis = axis.resolve("split_sizes", self.rank()).or_panic();
        if sizes.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) != Some(self.shape()[axis]) {
            let detail = format!("sizes {sizes:?} of axis {axis} of shape {}", self.shape());
            Err(ShapeError::new("split_sizes", detail)).or_panic()
        }
        let mut start = 0;
        let mut parts = Vec::with_capacity(sizes.len());
        for &n in sizes {
            parts.push(self.slice(axis, start..start + n));
            start += n;
        }
        parts
    }

    /// This inside a border of `value`: `pads` gives `[before, after]` for each axis.
    ///
    /// # Panics
    /// When there is not one pair an axis.
    #[track_caller]
    pub fn pad(&self, pads: &[[usize; 2]], value: impl Number) -> Var<T> {
        apply(Pad { pads: pads.to_vec(), value: value.float() }, &[self])
    }

    /// The whole repeated `reps[i]` times along axis `i`.
    ///
    /// # Panics
    /// When there is not one count an axis.
    #[doc(alias = "tile")]
    #[track_caller]
    pub fn repeat(&self, reps: &[usize]) -> Var<T> {
        apply(Repeat { reps: reps.to_vec() }, &[self])
    }

    /// Elements moved on by `shift` along one axis, those pushed out coming in at the other end.
    #[track_caller]
    pub fn roll(&self, shift: isize, axis: impl Axis) -> Var<T> {
        let axis = axis.resolve("roll", self.rank()).or_panic();
        // Modulo the size, as the smallest number has no negative.
        let shift = shift % self.shape()[axis].max(1) as isize;
        apply(Roll { shift, axis }, &[self])
    }
}

pub(crate) struct Concat {
    axis: usize,
}

impl<T: Float> Op<T> for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let inputs = cx.inputs();
        let y = Tensor::concat(&inputs, self.axis);
        if cx.is_saving() {
            let sizes: Vec<usize> = inputs.iter().map(|x| x.shape()[self.axis]).collect();
            cx.save(sizes);
        }
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let mut start = 0;
        let part = |(i, &n): (usize, &usize)| {
            start += n;
            cx.needs(i).then(|| cx.gy().slice(self.axis, start - n..start))
        };
        cx.residuals::<Vec<usize>>().iter().enumerate().map(part).collect()
    }

    fn jvp(&self, cx: &JvpContext<'_, T>) -> Option<Var<T>> {
        // The rule derived from the pullback would pad each part to the whole, and so take n² time for n parts.
        let tangent = |(i, &n): (usize, &usize)| {
            let mut shape = cx.output_shape().clone();
            shape[self.axis] = n;
            cx.tangent(i).cloned().unwrap_or_else(|| Var::constant(Tensor::zeros(shape)))
        };
        let tangents: Vec<Var<T>> = cx.residuals::<Vec<usize>>().iter().enumerate().map(tangent).collect();
        Some(Var::concat(&tangents.iter().collect::<Vec<_>>(), self.axis))
    }
}

pub(crate) struct Pad {
    pads: Vec<[usize; 2]>,
    value: f64,
}

impl<T: Float> Op<T> for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("pads", &self.pads[..]).with("value", self.value)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).pad(&self.pads, self.value)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let (pads, shape) = (&self.pads, cx.shape(0));
        let inside = |g: Var<T>, axis: usize| g.slice(axis, pads[axis][0]..pads[axis][0] + shape[axis]);
        (0..shape.rank()).fold(cx.gy().clone(), inside).into()
    }
}

pub(crate) struct Repeat {
    reps: Vec<usize>,
}

impl<T: Float> Op<T> for Repeat {
    fn name(&self) -> &'static str {
        "repeat"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("reps", &self.reps[..])
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).repeat(&self.reps)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let split: Vec<usize> = self.reps.iter().zip(cx.shape(0).iter()).flat_map(|(&r, &n)| [r, n]).collect();
        let copies: Vec<usize> = (0..self.reps.len()).map(|i| 2 * i).collect();
        cx.gy().reshape(&split[..]).sum(&copies[..]).into()
    }
}

pub(crate) struct Roll {
    shift: isize,
    axis: usize,
}

impl<T: Float> Op<T> for Roll {
    fn name(&self) -> &'static str {
        "roll"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("shift", self.shift).with("axis", self.axis)
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).roll(self.shift, self.axis)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().roll(-self.shift, self.axis).into()
    }
}

impl<T: Float> Sampled<T> for Concat {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("concat", |rng| {
                let (a, b) = (rng.below(3), 1 + rng.below(3));
                let inputs = [draw::of_shape(rng, [2, a]), draw::of_shape(rng, [2, b]), draw::of_shape(rng, [2, 1])];
                Case::new(inputs, |v| Var::concat(&[&v[0], &v[1], &v[2], &v[1]], -1))
            }),
            OpSample::new("concat", |rng| {
                let axis = rng.below(3);
                Case::new([draw::of_shape(rng, [2, 3]), draw::of_shape(rng, [2, 3])], move |v| Var::stack(&[&v[0], &v[1]], axis))
            }),
        ]
    }
}

impl<T: Float> Sampled<T> for Pad {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("pad", |rng| {
            let (x, a, b) = (draw::of_shape(rng, [2, 3]), rng.below(3), rng.below(3));
            Case::new([x], move |v| v[0].pad(&[[a, 1], [0, b]], 0.5))
        })]
    }
}

impl<T: Float> Sampled<T> for Repeat {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("repeat", |rng| {
            let (x, a, b) = (draw::of_shape(rng, [2, 3]), rng.below(3), 1 + rng.below(2));
            Case::new([x], move |v| v[0].repeat(&[a, b]))
        })]
    }
}

impl<T: Float> Sampled<T> for Roll {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("roll", |rng| {
            let (x, shift) = (draw::of_shape(rng, [2, 5]), rng.below(9) as isize - 4);
            Case::new([x], move |v| v[0].roll(shift, 1))
        })]
    }
}
