//! The parameters that all cells have, and their products.

use crate::init::default_weight;
use crate::layer::{Layer, Mode};
use crate::layers::LayerNorm;
use crate::refuse::{refuse, refuse_input_of};
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, Rng, Shape, Tensor};

/// Weights and biases of `gates` gates of `hidden` units each, under PyTorch's names; all start uniform on `±1/√hidden`.
#[derive(Clone, Debug, Module)]
pub(super) struct Gates<T: Float> {
    pub weight_ih: Param<T>,
    pub weight_hh: Param<T>,
    pub bias_ih: Param<T>,
    pub bias_hh: Param<T>,
    norm_ih: Option<LayerNorm<T>>,
    norm_hh: Option<LayerNorm<T>>,
    #[module(skip)]
    cell: &'static str,
    #[module(skip)]
    hidden: usize,
}

#[compiled_once]
impl<T: Float> Gates<T> {
    /// Of the cell `cell`, whose outputs are `outputs` wide.
    #[track_caller]
    pub fn new(cell: &'static str, gates: usize, inputs: usize, [hidden, outputs]: [usize; 2], rng: &mut Rng) -> Self {
        let mut draw = |shape: &[usize]| Param::new(default_weight(shape, hidden, rng));
        let width = Shape::from([gates, hidden]).checked(cell).or_panic().numel();
        for columns in [inputs, outputs] {
            Shape::from([width, columns]).checked(cell).or_panic();
        }
        Self {
            weight_ih: draw(&[width, inputs]),
            weight_hh: draw(&[width, outputs]),
            bias_ih: draw(&[width]),
            bias_hh: draw(&[width]),
            norm_ih: None,
            norm_hh: None,
            cell,
            hidden,
        }
    }

    /// Both products normalised over all gates, each with a weight of its own; the biases are there already.
    pub fn layer_norm(self) -> Self {
        let mut norm = LayerNorm::new([self.weight_ih.shape()[0]]);
        norm.bias = None;
        Self { norm_ih: Some(norm.clone()), norm_hh: Some(norm), ..self }
    }

    /// Whether products are normalised.
    pub fn is_normalised(&self) -> bool {
        self.norm_ih.is_some()
    }

    /// The input's share of all steps, `[T, N, gates · hidden]`, for a fused sequence, which has no room for normalised
    /// products; with the bias of the state's share in it, where that is just added.
    #[track_caller]
    pub fn fused_share(&self, xs: &Var<T>, h: &Var<T>, both_biases: bool) -> Option<Var<T>> {
        if self.is_normalised() {
            return None;
        }
        self.check_input(xs);
        self.check_state("state", xs.shape()[1], h, self.weight_hh.shape()[1]);
        let bias = if both_biases { &*self.bias_ih + &*self.bias_hh } else { (*self.bias_ih).clone() };
        Some(xs.linear(&self.weight_ih, Some(&bias)))
    }

    pub fn hidden(&self) -> usize {
        self.hidden
    }

    pub fn zeros(&self, batch: usize) -> Var<T> {
        Tensor::zeros([batch, self.hidden]).into()
    }

    /// The input's share in the gates, `x W_ihᵀ + b_ih`: `[.., in]` to `[.., gates · hidden]`.
    #[track_caller]
    pub fn project(&self, x: &Var<T>) -> Var<T> {
        self.check_input(x);
        share(x, &self.weight_ih, &self.bias_ih, self.norm_ih.as_ref())
    }

    /// The state's share, `h W_hhᵀ + b_hh`, in a step whose input's share is `p`.
    #[track_caller]
    pub fn recur(&self, p: &Var<T>, h: &Var<T>) -> Var<T> {
        self.check_state("state", p.shape()[0], h, self.weight_hh.shape()[1]);
        share(h, &self.weight_hh, &self.bias_hh, self.norm_hh.as_ref())
    }

    #[track_caller]
    fn check_input(&self, x: &Var<T>) {
        let inputs = self.weight_ih.shape()[1];
        if x.shape().last() != Some(&inputs) {
            refuse_input_of(self.cell, Some(&self.weight_ih), format_args!("[.., {inputs}]"), x)
        }
    }

    /// That a part of a state is `[batch, width]`.
    #[track_caller]
    pub fn check_state(&self, what: &str, batch: usize, part: &Var<T>, width: usize) {
        if *part.shape() != [batch, width] {
            refuse(self.cell, format!("expected {what} [{batch}, {width}] for a batch of {batch}, got {}", part.shape()))
        }
    }
}

#[track_caller]
fn share<T: Float>(x: &Var<T>, weight: &Var<T>, bias: &Var<T>, norm: Option<&LayerNorm<T>>) -> Var<T> {
    match norm {
        Some(norm) => norm.forward(&x.linear(weight, None), &mut Mode::Eval) + bias,
        None => x.linear(weight, Some(bias)),
    }
}
