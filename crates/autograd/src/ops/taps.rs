//! Weighted sums of a few elements along an axis; the adjoint is the same with the transposed taps.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::Axis;
use gradus_tensor::{Float, OrPanic, Taps, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `y[.., i, ..] = Σ weight · x[.., input, ..]` along one axis, over the taps of output `i`: interpolation, and means over
    /// regions. An element that is NaN or infinite reaches the outputs that it is a part of, and no other.
    ///
    /// # Panics
    /// When the axis has not as many elements as the taps have inputs.
    #[track_caller]
    pub fn weighted_sums(&self, axis: impl Axis, taps: &Taps<T>) -> Var<T> {
        let axis = axis.resolve("weighted_sums", self.rank()).or_panic();
        apply(WeightedSums { axis, taps: taps.clone() }, &[self])
    }
}

pub(crate) struct WeightedSums<T: Float> {
    axis: usize,
    taps: Taps<T>,
}

impl<T: Float> WeightedSums<T> {
    /// The weights as a matrix, `[outputs, inputs]`.
    fn matrix(&self) -> Tensor<f64> {
        Tensor::<T>::eye(self.taps.transposed().outputs()).weighted_sums(0, &self.taps).cast()
    }
}

impl<T: Float> Op<T> for WeightedSums<T> {
    fn name(&self) -> &'static str {
        "weighted_sums"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("axis", self.axis).with("weights", self.matrix())
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).weighted_sums(self.axis, &self.taps)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.gy().weighted_sums(self.axis, &self.taps.transposed()).into()
    }
}

impl<T: Float> Sampled<T> for WeightedSums<T> {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("weighted_sums", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let axis = rng.below(3);
            let n = x.shape()[axis];
            let row = |outputs: usize, rng: &mut gradus_tensor::Rng| {
                (0..outputs % 3).map(|_| (rng.below(n), T::lit(rng.uniform()))).collect::<Vec<_>>()
            };
            let rows: Vec<_> = (0..4).map(|i| row(i + 1, rng)).collect();
            let taps = Taps::new(n, rows);
            Case::new([x], move |v| v[0].weighted_sums(axis, &taps))
        })]
    }
}
