//! Printing.

use crate::element::Element;
use crate::tensor::Tensor;
use std::fmt;

impl<T: Element> fmt::Debug for Tensor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{} {:?}", self.shape(), self.to_vec())
    }
}
