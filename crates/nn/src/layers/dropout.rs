//! Dropout.

use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::Float;

/// In training, zeroes each element with probability `p` and divides the others by `1 - p`; in evaluation, passes
/// through (Srivastava et al. 2014).
#[derive(Clone, Copy, Debug, Module)]
pub struct Dropout {
    p: f64,
}

impl Dropout {
    /// With probability `p` of dropping an element.
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        assert!((0.0..1.0).contains(&p), "dropout: the probability is {p}; wanted 0 or more and less than 1");
        Self { p }
    }
}

impl<T: Float> Layer<T> for Dropout {
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        match mode {
            Mode::Eval => x.clone(),
            Mode::Train(rng) => x.dropout(self.p, rng),
        }
    }
}
