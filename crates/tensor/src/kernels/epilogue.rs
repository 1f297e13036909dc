//! Bias and ramp, where a product or a convolution ends.

use super::simd::{Kernel, dispatch};
use crate::scalar::Scalar;

/// What becomes of each output of a product or a convolution, while it is in registers or in the cache.
#[derive(Clone, Copy)]
pub struct Epilogue<'a, T> {
    /// Added to each filter's outputs, or to each column of a product.
    pub bias: Option<&'a [T]>,
    /// Whether outputs below 0 become 0.
    pub relu: bool,
}

impl<T: Scalar> Epilogue<'_, T> {
    /// Nothing.
    pub const NONE: Self = Self { bias: None, relu: false };

    pub fn is_none(&self) -> bool {
        self.bias.is_none() && !self.relu
    }

    /// Finishes `y`, some planes of `plane` outputs each, the first of which is that of filter `first`.
    pub fn finish(&self, first: usize, plane: usize, y: &mut [T]) {
        if self.is_none() {
            return;
        }
        for (f, y) in y.chunks_exact_mut(plane).enumerate() {
            let bias = self.bias.map_or(T::zero(), |b| b[first + f]);
            dispatch(Finish { bias: |_| bias, relu: self.relu, y });
        }
    }

    /// Finishes a row of a product.
    pub fn finish_row(&self, row: &mut [T]) {
        match self.bias {
            Some(b) => dispatch(Finish { bias: |j| b[j], relu: self.relu, y: &mut row[..b.len()] }),
            None if self.relu => dispatch(Finish { bias: |_| T::zero(), relu: true, y: row }),
            None => {}
        }
    }
}

struct Finish<'a, T, F> {
    bias: F,
    relu: bool,
    y: &'a mut [T],
}

impl<T: Scalar, F: Fn(usize) -> T> Kernel for Finish<'_, T, F> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let Self { bias, relu, y } = self;
        if relu {
            y.iter_mut().enumerate().for_each(|(j, y)| *y = (*y + bias(j)).maximum(T::zero()));
        } else {
            y.iter_mut().enumerate().for_each(|(j, y)| *y += bias(j));
        }
    }
}
