//! The parameters that all cells have, and their products.

use crate::init::default_weight;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// Weights and biases of `gates` gates of `hidden` units each, under PyTorch's names; all start uniform on `±1/√hidden`.
#[derive(Clone, Debug, Module)]
pub(super) struct Gates<T: Float> {
    pub weight_ih: Param<T>,
    pub weight_hh: Param<T>,
    pub bias_ih: Param<T>,
    pub bias_hh: Param<T>,
}

impl<T: Float> Gates<T> {
    pub fn new(gates: usize, inputs: usize, hidden: usize, rng: &mut Rng) -> Self {
        let mut draw = |shape: &[usize]| Param::new(default_weight(shape, hidden, rng));
        Self {
            weight_ih: draw(&[gates * hidden, inputs]),
            weight_hh: draw(&[gates * hidden, hidden]),
            bias_ih: draw(&[gates * hidden]),
            bias_hh: draw(&[gates * hidden]),
        }
    }

    pub fn hidden(&self) -> usize {
        self.weight_hh.shape()[1]
    }

    pub fn zeros(&self, batch: usize) -> Var<T> {
        Tensor::zeros([batch, self.hidden()]).into()
    }

    /// The input's and the state's share in the gates, `x W_ihᵀ + b_ih` and `h W_hhᵀ + b_hh`, each `[N, gates · hidden]`.
    #[track_caller]
    pub fn shares(&self, cell: &'static str, x: &Var<T>, h: &Var<T>) -> (Var<T>, Var<T>) {
        self.check(cell, x.shape(), h.shape()).or_panic();
        (x.linear(&self.weight_ih, Some(&self.bias_ih)), h.linear(&self.weight_hh, Some(&self.bias_hh)))
    }

    fn check(&self, cell: &'static str, x: &[usize], h: &[usize]) -> Result<(), ShapeError> {
        let (inputs, hidden) = (self.weight_ih.shape()[1], self.hidden());
        if x.len() != 2 || x[1] != inputs {
            return Err(ShapeError::new(cell, format!("a step's input {x:?}; wanted [N, {inputs}]")));
        }
        if *h != [x[0], hidden] {
            return Err(ShapeError::new(cell, format!("state {h:?} for input {x:?}; wanted [{}, {hidden}]", x[0])));
        }
        Ok(())
    }
}
