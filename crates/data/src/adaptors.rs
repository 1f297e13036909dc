//! Data sets made of other data sets.

use crate::dataset::{Dataset, check_indices};
use crate::error::DataError;
use crate::rows::Rows;
use gradus_tensor::Tensor;
use std::sync::Arc;

/// A data set whose batches pass through a function; see [`Dataset::map`].
#[derive(Clone)]
pub struct Map<D, F> {
    data: D,
    f: F,
}

impl<D, F> Map<D, F> {
    pub(crate) fn of(data: D, f: F) -> Self {
        Self { data, f }
    }
}

impl<D: Dataset, B, F: Fn(D::Batch) -> B> Dataset for Map<D, F> {
    type Batch = B;
    fn len(&self) -> usize {
        self.data.len()
    }
    fn batch(&self, indices: &[usize]) -> Result<B, DataError> {
        self.data.batch(indices).map(&self.f)
    }
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<B, DataError> {
        self.data.batch_of_epoch(indices, epoch).map(&self.f)
    }
}

/// Some of the samples of a data set; see [`Dataset::subset`], [`Dataset::take`] and [`Dataset::split`].
#[derive(Clone, Debug)]
pub struct Subset<D> {
    data: D,
    indices: Arc<[usize]>,
}

impl<D> Subset<D> {
    /// The samples `indices` of `data`, all of which there are.
    pub(crate) fn of(data: D, indices: Vec<usize>) -> Self {
        Self { data, indices: indices.into() }
    }

    /// The data set that the samples were taken from.
    pub fn data(&self) -> &D {
        &self.data
    }

    /// The numbers that the samples have in the data set they were taken from.
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }

    /// The numbers that samples of this data set have in the one underneath.
    fn inner(&self, indices: &[usize]) -> Result<Vec<usize>, DataError> {
        check_indices("batch", indices, self.indices.len())?;
        Ok(indices.iter().map(|&i| self.indices[i]).collect())
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    type Batch = D::Batch;
    fn len(&self) -> usize {
        self.indices.len()
    }
    fn batch(&self, indices: &[usize]) -> Result<D::Batch, DataError> {
        self.data.batch(&self.inner(indices)?)
    }
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<D::Batch, DataError> {
        self.data.batch_of_epoch(&self.inner(indices)?, epoch)
    }
}

/// One data set after another; see [`Dataset::concat`].
#[derive(Clone, Debug)]
pub struct Concat<A, B> {
    first: A,
    second: B,
}

impl<A, B> Concat<A, B> {
    pub(crate) fn of(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Dataset, B: Dataset<Batch = A::Batch>> Dataset for Concat<A, B>
where
    A::Batch: Rows,
{
    type Batch = A::Batch;

    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<A::Batch, DataError> {
        self.batch_of_epoch(indices, 0)
    }

    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<A::Batch, DataError> {
        let n = self.first.len();
        let (mut low, mut high) = (Vec::new(), Vec::new());
        for &i in indices {
            if i < n { low.push(i) } else { high.push(i - n) }
        }
        if high.is_empty() {
            return self.first.batch_of_epoch(&low, epoch);
        }
        if low.is_empty() {
            return self.second.batch_of_epoch(&high, epoch);
        }
        let both = self.first.batch_of_epoch(&low, epoch)?.append(self.second.batch_of_epoch(&high, epoch)?)?;
        // Back into the order that was asked for.
        let (mut from_low, mut from_high) = (0..low.len(), low.len()..);
        let order: Vec<usize> = indices.iter().filter_map(|&i| if i < n { from_low.next() } else { from_high.next() }).collect();
        Ok(both.rows(&order))
    }
}

/// Samples with a weight each; see [`Dataset::with_sample_weights`].
#[derive(Clone, Debug)]
pub struct Weighted<D> {
    data: D,
    weights: Arc<[f32]>,
}

impl<D: Dataset> Weighted<D> {
    pub(crate) fn of(data: D, weights: &[f64]) -> Result<Self, DataError> {
        if weights.len() != data.len() {
            return Err(DataError::new(format!("sample weights: {} weights for {} samples", weights.len(), data.len())));
        }
        if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            let w = weights[i];
            return Err(DataError::new(format!("sample weights: sample {i} has the weight {w}; wanted a number from 0")));
        }
        Ok(Self { data, weights: weights.iter().map(|&w| w as f32).collect() })
    }
}

impl<X, Y, D: Dataset<Batch = (X, Y)>> Dataset for Weighted<D> {
    type Batch = (X, (Y, Tensor<f32>));

    fn len(&self) -> usize {
        self.data.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        self.batch_of_epoch(indices, 0)
    }

    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<Self::Batch, DataError> {
        let (inputs, targets) = self.data.batch_of_epoch(indices, epoch)?;
        let weights: Vec<f32> = indices.iter().map(|&i| self.weights[i]).collect();
        Ok((inputs, (targets, Tensor::from(weights))))
    }
}
