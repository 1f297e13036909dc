//! Sums of products over named axes: the derivative of an einsum is an einsum.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{EinsumPlan, Float, Label, OrPanic, Tensor, einsum_plan};

#[compiled_once]
impl<T: Float> Var<T> {
    /// The sum of products that `spec` names, as `torch.einsum`: `"ij,jk->ik"` is a matrix product, `"ii->i"` a
    /// diagonal, `"...ij->...ji"` a transpose.
    ///
    /// # Panics
    /// When the spec is malformed or does not fit the shapes.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let a = Var::leaf(Tensor::from([[1.0f32, 2.0], [3.0, 4.0]]));
    /// let y = Var::einsum("ij,ij->", &[&a, &a]);
    /// assert_eq!(y.item(), 30.0);
    /// assert_eq!(y.backward()[&a].to_vec(), [2.0, 4.0, 6.0, 8.0]);
    /// ```
    #[doc(alias = "tensordot")]
    #[track_caller]
    pub fn einsum(spec: &str, operands: &[&Var<T>]) -> Var<T> {
        let shapes: Vec<&[usize]> = operands.iter().map(|v| &v.shape()[..]).collect();
        let mut plan = einsum_plan(spec, &shapes).or_panic();
        let mut distinct: Vec<Var<T>> = operands.iter().map(|&v| v.clone()).collect();
        for (i, v) in distinct.iter_mut().enumerate() {
            // A label that an operand has twice means its diagonal, which the adjoint then need not know of.
            while let Some((a, b)) = plan.take_diagonal(i) {
                let order: Vec<usize> = (0..v.rank()).filter(|&i| i != a && i != b).chain([a, b]).collect();
                *v = v.permute(&order).diagonal(0);
            }
        }
        apply(Einsum { plan }, &distinct.iter().collect::<Vec<_>>())
    }
}

/// A sum of products by a plan in which no operand has a label twice.
pub(crate) struct Einsum {
    plan: EinsumPlan,
}

impl<T: Float> Op<T> for Einsum {
    fn name(&self) -> &'static str {
        "einsum"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("spec", self.spec())
    }

    fn kind(&self) -> OpKind {
        OpKind::Product
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        self.plan.run(&cx.inputs())
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let inputs: Vec<Var<T>> = (0..cx.len()).map(|i| cx.input(i)).collect();
        let gradient = |i: usize| {
            let others = inputs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| v);
            let operands: Vec<&Var<T>> = [cx.gy()].into_iter().chain(others).collect();
            apply(Einsum { plan: self.plan.adjoint(i) }, &operands).sum_to(cx.shape(i))
        };
        (0..inputs.len()).map(|i| cx.needs(i).then(|| gradient(i))).collect()
    }
}

impl Einsum {
    /// The plan as `torch.einsum` would have it; `...` stands for its axes one by one, as `0`, `1` from the last.
    fn spec(&self) -> String {
        let axes = |labels: &[Label]| -> String {
            let name = |label: &Label| match label {
                Label::Letter(c) => c.to_string(),
                Label::Ellipsis(i) => i.to_string(),
            };
            labels.iter().map(name).collect()
        };
        let operands: Vec<String> = self.plan.operands().iter().map(|labels| axes(labels)).collect();
        format!("{}->{}", operands.join(","), axes(self.plan.output()))
    }
}

macro_rules! sample {
    ($spec:literal, $($shape:expr),+) => {
        OpSample::new("einsum", |rng| {
            Case::new([$(draw::of_shape(rng, $shape)),+], |v| Var::einsum($spec, &v.iter().collect::<Vec<_>>()))
        })
    };
}

impl<T: Float> Sampled<T> for Einsum {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            sample!("ij,jk->ik", [2, 3], [3, 2]),
            sample!("bij,bjk->bki", [2, 2, 3], [2, 3, 2]),
            sample!("ij,kj,j->", [2, 3], [2, 3], [3]),
            sample!("ijk->kj", [2, 3, 2]),
            sample!("ii->i", [3, 3]),
            sample!("ii", [3, 3]),
            sample!("iji,jk->k", [2, 3, 2], [3, 2]),
            sample!("...i,ij->...j", [2, 2, 3], [3, 2]),
            sample!("...,...->...", [2, 3], [2, 1]),
            sample!("i,j->ij", [2], [3]),
            // Three operands; labels summed in one of them alone.
            sample!("ij,jk,kl->il", [2, 3], [3, 2], [2, 2]),
            sample!("il,j,k->ki", [2, 3], [2], [3]),
            sample!("iii,ji,j->", [2, 2, 2], [3, 2], [3]),
            // Broadcast axes, of size 1 and missing.
            sample!("...ij,...jk,...k->...i", [2, 1, 2, 3], [3, 3, 2], [2]),
            sample!("i...,...,i...->...", [2, 2, 1], [3], [2, 1, 3]),
        ]
    }
}
