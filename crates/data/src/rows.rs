//! Batches as rows: what joining and reordering them takes.

use crate::error::DataError;
use gradus_tensor::{Element, Tensor};

/// A batch whose samples lie along the first axis: tensors, and tuples of them.
#[doc(alias("collate_fn", "default_collate"))]
pub trait Rows: Sized {
    /// The samples `indices`, in that order.
    ///
    /// # Panics
    /// When there is no such sample.
    fn rows(&self, indices: &[usize]) -> Self;

    /// The samples of this batch, then those of `other`.
    ///
    /// # Errors
    /// When the samples of the two are not of the same shape.
    fn append(self, other: Self) -> Result<Self, DataError>;
}

impl<T: Element> Rows for Tensor<T> {
    fn rows(&self, indices: &[usize]) -> Self {
        let whole = self.contiguous();
        let from = whole.as_slice().expect("contiguous");
        let mut shape = self.shape().clone();
        shape[0] = indices.len();
        let width: usize = shape[1..].iter().product();
        Self::build(shape, |out| {
            // A width of 0 leaves nothing to copy.
            for (to, &i) in out.chunks_exact_mut(width.max(1)).zip(indices) {
                to.copy_from_slice(&from[i * width..(i + 1) * width]);
            }
        })
    }

    fn append(self, other: Self) -> Result<Self, DataError> {
        if self.rank() == 0 || other.rank() == 0 || self.shape()[1..] != other.shape()[1..] {
            let (a, b) = (self.shape(), other.shape());
            return Err(DataError::new(format!("concat: batches of shapes {a} and {b}; the axes after the first must be equal")));
        }
        let mut shape = self.shape().clone();
        shape[0] += other.shape()[0];
        let mut data = self.to_vec();
        data.extend(other.to_vec());
        Ok(Self::from_vec(data, shape))
    }
}

macro_rules! tuples {
    ($($t:ident $i:tt),*) => {
        impl<$($t: Rows),*> Rows for ($($t,)*) {
            fn rows(&self, indices: &[usize]) -> Self {
                ($(self.$i.rows(indices),)*)
            }
            fn append(self, other: Self) -> Result<Self, DataError> {
                Ok(($(self.$i.append(other.$i)?,)*))
            }
        }
    };
}
tuples!(A 0);
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
