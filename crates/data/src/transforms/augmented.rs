//! A data set whose pictures pass through a transform.

use super::Transform;
use crate::dataset::{Dataset, check_indices};
use crate::error::DataError;
use crate::labelled::Labelled;
use gradus_tensor::parallel::Parts;
use gradus_tensor::{Rng, Tensor};

/// The pictures of a data set, changed; see [`Dataset::augment`].
#[derive(Clone, Debug)]
pub struct Augmented<D, T> {
    data: D,
    transform: T,
    seed: u64,
}

impl<D, T> Augmented<D, T> {
    pub(crate) fn new(data: D, transform: T, seed: u64) -> Self {
        Self { data, transform, seed }
    }

    /// The data set underneath.
    pub fn data(&self) -> &D {
        &self.data
    }
}

/// The random source of sample `index` in `epoch`: each of the three decides all of it.
pub(super) fn source(seed: u64, epoch: u64, index: usize) -> Rng {
    // SplitMix64's mixer (Steele, Lea and Flood 2014) after each.
    let mix = |state: u64, next: u64| {
        let mut z = (state ^ next).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    Rng::seed(mix(mix(mix(0, seed), epoch), index as u64))
}

impl<Y, D, T> Dataset for Augmented<D, T>
where
    D: Dataset<Batch = (Tensor<f32>, Y)>,
    T: Transform,
{
    type Batch = (Tensor<f32>, Y);

    fn len(&self) -> usize {
        self.data.len()
    }

    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        self.batch_of_epoch(indices, 0)
    }

    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<Self::Batch, DataError> {
        check_indices("batch", indices, self.len())?;
        let (pictures, targets) = self.data.batch_of_epoch(indices, epoch)?;
        if pictures.rank() != 4 || pictures.size(0) != indices.len() {
            let shape = pictures.shape();
            return Err(DataError::new(format!(
                "augment: a batch of shape {shape}; wanted {} pictures [N, C, H, W]",
                indices.len()
            )));
        }
        if indices.is_empty() {
            return Ok((pictures, targets));
        }
        let (transform, seed) = (&self.transform, self.seed);
        let one = |k: usize| {
            // A buffer of its own, so that the transform can write into it.
            let picture = Tensor::from_vec(pictures.slice(0, k..k + 1).to_vec(), &pictures.shape()[1..]);
            transform.apply(picture, &mut source(seed, epoch, indices[k]))
        };
        // Collected before the first error is picked, so that it is the same one on any number of threads.
        let changed = (0..indices.len()).map_at_least(1, |_, k| one(k));
        let changed = changed.into_iter().collect::<Result<Vec<_>, _>>()?;
        if let Some(k) = changed.iter().position(|p| p.shape() != changed[0].shape()) {
            let (a, b) = (changed[0].shape(), changed[k].shape());
            let reason =
                format!("augment: samples {} and {} became {a} and {b}; a batch wants one shape", indices[0], indices[k]);
            return Err(DataError::new(reason));
        }
        Ok((Tensor::stack(&changed.iter().collect::<Vec<_>>(), 0), targets))
    }
}

impl<Y, D, T> Labelled for Augmented<D, T>
where
    D: Labelled<Batch = (Tensor<f32>, Y)>,
    T: Transform,
{
    fn labels(&self) -> Tensor<i64> {
        self.data.labels()
    }
    fn classes(&self) -> &[String] {
        self.data.classes()
    }
}
