//! Data sets, and the adaptors that make new ones of them.

use crate::adaptors::{Concat, Map, Subset, Weighted};
use crate::batches::Batches;
use crate::error::DataError;
use crate::rows::Rows;
use crate::transforms::{Augmented, Mixup, Transform};
use gradus_tensor::{Element, Rng, Tensor};
use std::fmt;
use std::sync::Arc;

/// Samples, numbered from 0, that can be fetched a batch at a time.
///
/// A data set of one's own states how many samples it has and how to make a batch of some of them;
/// adaptors, shuffling and prefetching come with the trait. The data sets of this crate are cheap to
/// clone, as clones share the samples; an `Arc` gives the same to any other.
///
/// ```
/// use gradus_data::{DataError, Dataset};
/// use gradus_tensor::Tensor;
/// /// y = x² at the whole numbers.
/// #[derive(Clone)]
/// struct Squares(usize);
/// impl Dataset for Squares {
///     type Batch = (Tensor<f32>, Tensor<f32>);
///     fn len(&self) -> usize {
///         self.0
///     }
///     fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
///         let x = Tensor::from(indices.iter().map(|&i| i as f32).collect::<Vec<_>>());
///         Ok((x.clone(), &x * &x))
///     }
/// }
/// let (_, y) = Squares(10).take(4).batches(4).next().unwrap()?;
/// assert_eq!(y.to_vec(), [0.0, 1.0, 4.0, 9.0]);
/// # Ok::<(), DataError>(())
/// ```
pub trait Dataset {
    /// What a batch is: commonly `(Tensor, Tensor)`, the inputs and the targets, with the samples along
    /// the first axis of both.
    type Batch;

    /// How many samples there are.
    fn len(&self) -> usize;

    /// The samples `indices`, in that order; an index may occur more than once.
    ///
    /// # Errors
    /// When an index is not below [`len`](Self::len), or a sample cannot be loaded.
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError>;

    /// As [`batch`](Self::batch), in the given pass over the data: a data set with random samples, as
    /// [`augment`](Self::augment) makes them, draws anew in each epoch. Any other ignores the epoch; an adaptor hands it on.
    ///
    /// # Errors
    /// As for [`batch`](Self::batch).
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<Self::Batch, DataError> {
        let _ = epoch;
        self.batch(indices)
    }

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An iterator over the samples in batches of `size`, in order until told to
    /// [`shuffle`](Batches::shuffle). The last batch is smaller when `size` does not divide the number of
    /// samples.
    ///
    /// A size of 0 and an empty data set are reported by the iterator's first item.
    fn batches(&self, size: usize) -> Batches<Self>
    where
        Self: Clone + Sized,
    {
        Batches::new(self.clone(), size)
    }

    /// The same samples, each batch passed through `f`.
    ///
    /// ```
    /// use gradus_data::{Dataset, TensorDataset};
    /// use gradus_tensor::Tensor;
    /// let data = TensorDataset::new(Tensor::from([1.0f32, 2.0]), Tensor::from([0i64, 1]))?;
    /// let scaled = data.map(|(x, y)| (10.0 * x, y));
    /// assert_eq!(scaled.batch(&[1])?.0.to_vec(), [20.0]);
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    fn map<B, F: Fn(Self::Batch) -> B>(self, f: F) -> Map<Self, F>
    where
        Self: Sized,
    {
        Map::of(self, f)
    }

    /// The same pictures, each passed through `transform`, with random numbers that depend on `seed`, the
    /// [epoch](Batches::epoch) and the picture's number only. The pictures of a batch are changed in parallel.
    ///
    /// ```
    /// use gradus_data::transforms::{Compose, RandomCrop, RandomHorizontalFlip};
    /// use gradus_data::{Cifar10, Dataset};
    /// let transform = Compose::new().add(RandomCrop::new([32, 32]).padding(4)).add(RandomHorizontalFlip::new(0.5));
    /// # let folder = "../../data/cifar10-small";
    /// let train = Cifar10::open(folder)?.train().augment(transform, 42);
    /// assert_eq!(train.batch_of_epoch(&[7], 0)?, train.batch_of_epoch(&[7], 0)?);
    /// assert_ne!(train.batch_of_epoch(&[7], 0)?, train.batch_of_epoch(&[7], 1)?);
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    #[doc(alias = "ImageDataGenerator")]
    fn augment<Y, T: Transform>(self, transform: T, seed: u64) -> Augmented<Self, T>
    where
        Self: Dataset<Batch = (Tensor<f32>, Y)> + Sized,
    {
        Augmented::new(self, transform, seed)
    }

    /// Samples blended in pairs (mixup, Zhang et al. 2018): `λ x + (1 - λ) x'`, where `x'` is the sample before it in the batch
    /// and λ is drawn from the Beta(`alpha`, `alpha`) distribution, for each sample and epoch anew. Targets are
    /// probabilities of the `classes`, `f32` of shape `[N, classes]`, blended likewise; `CrossEntropy` takes them. The paper
    /// takes an `alpha` of 0.2 for ImageNet and 1 for CIFAR-10.
    ///
    /// # Errors
    /// When there are no classes, or `alpha` is not above 0. A batch with a label that is no class is an error, too.
    ///
    /// ```
    /// use gradus_data::{Cifar10, Dataset};
    /// # let folder = "../../data/cifar10-small";
    /// let train = Cifar10::open(folder)?.train().mixup(10, 1.0, 42)?;
    /// let (x, y) = train.batch(&[0, 1, 2])?;
    /// assert_eq!((x.shape()[0], &y.shape()[..]), (3, &[3, 10][..]));
    /// assert!((y.sum(..).item() - 3.0).abs() < 1e-5);
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    fn mixup(self, classes: usize, alpha: f64, seed: u64) -> Result<Mixup<Self>, DataError>
    where
        Self: Dataset<Batch = (Tensor<f32>, Tensor<i64>)> + Sized,
    {
        Mixup::new(self, classes, alpha, seed)
    }

    /// The same samples with a weight each, beside the targets: a batch is `(inputs, (targets, weights))`, which the loss
    /// `SampleWeighted` takes.
    ///
    /// # Errors
    /// When there is not one weight for each sample, or one is negative or not finite.
    ///
    /// ```
    /// use gradus_data::{Dataset, TensorDataset};
    /// use gradus_tensor::Tensor;
    /// let data = TensorDataset::new(Tensor::<f32>::zeros([2, 3]), Tensor::from([0i64, 1]))?;
    /// let (_, (labels, weights)) = data.with_sample_weights(&[1.0, 4.0])?.batch(&[1])?;
    /// assert_eq!((labels.item(), weights.item()), (1, 4.0));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    fn with_sample_weights<X, Y>(self, weights: &[f64]) -> Result<Weighted<Self>, DataError>
    where
        Self: Dataset<Batch = (X, Y)> + Sized,
    {
        Weighted::of(self, weights)
    }

    /// The samples `indices` only, in that order.
    ///
    /// # Errors
    /// When there is no such sample.
    fn subset(self, indices: impl Into<Vec<usize>>) -> Result<Subset<Self>, DataError>
    where
        Self: Sized,
    {
        let indices: Vec<usize> = indices.into();
        check_indices("subset", &indices, self.len())?;
        Ok(Subset::of(self, indices))
    }

    /// The first `n` samples, or all if there are fewer.
    fn take(self, n: usize) -> Subset<Self>
    where
        Self: Sized,
    {
        let indices = (0..n.min(self.len())).collect();
        Subset::of(self, indices)
    }

    /// Deals all samples out at random: `[0.8, 0.2]` into parts of these fractions, `[50_000, 10_000]`
    /// into parts of these sizes. Which sample goes where depends on `rng` alone.
    ///
    /// What rounding leaves over when fractions are used goes to the first parts, one sample each.
    ///
    /// # Errors
    /// When the fractions do not add up to 1, or the sizes to the number of samples.
    ///
    /// ```
    /// use gradus_data::{Dataset, TensorDataset};
    /// use gradus_tensor::{Rng, Tensor};
    /// let data = TensorDataset::new(Tensor::<f32>::zeros([10, 3]), Tensor::<i64>::zeros([10]))?;
    /// let [train, valid] = data.split([0.8, 0.2], &mut Rng::seed(0))?;
    /// assert_eq!((train.len(), valid.len()), (8, 2));
    /// let [train, valid] = data.split([7, 3], &mut Rng::seed(0))?;
    /// assert_eq!((train.len(), valid.len()), (7, 3));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    #[doc(alias("random_split", "validation_split", "train_test_split"))]
    fn split<P: Part, const N: usize>(&self, parts: [P; N], rng: &mut Rng) -> Result<[Subset<Self>; N], DataError>
    where
        Self: Clone + Sized,
    {
        let sizes = P::sizes(parts, self.len())?;
        let order = rng.permutation(self.len());
        let mut rest = &order[..];
        Ok(sizes.map(|n| {
            let (part, after) = rest.split_at(n);
            rest = after;
            Subset::of(self.clone(), part.to_vec())
        }))
    }

    /// The samples of this data set, then those of `other`.
    #[doc(alias = "ConcatDataset")]
    fn concat<D: Dataset<Batch = Self::Batch>>(self, other: D) -> Concat<Self, D>
    where
        Self: Sized,
        Self::Batch: Rows,
    {
        Concat::of(self, other)
    }
}

/// Refuses indices that are not below `len`.
pub(crate) fn check_indices(what: &str, indices: &[usize], len: usize) -> Result<(), DataError> {
    match indices.iter().find(|&&i| i >= len) {
        Some(i) => Err(DataError::new(format!("{what}: there is no sample {i}; there are {len}, numbered from 0"))),
        None => Ok(()),
    }
}

impl<D: Dataset + ?Sized> Dataset for &D {
    type Batch = D::Batch;
    fn len(&self) -> usize {
        (**self).len()
    }
    fn batch(&self, indices: &[usize]) -> Result<D::Batch, DataError> {
        (**self).batch(indices)
    }
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<D::Batch, DataError> {
        (**self).batch_of_epoch(indices, epoch)
    }
}

impl<D: Dataset + ?Sized> Dataset for Arc<D> {
    type Batch = D::Batch;
    fn len(&self) -> usize {
        (**self).len()
    }
    fn batch(&self, indices: &[usize]) -> Result<D::Batch, DataError> {
        (**self).batch(indices)
    }
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<D::Batch, DataError> {
        (**self).batch_of_epoch(indices, epoch)
    }
}

/// What [`Dataset::split`] takes: fractions (`f64`) or numbers of samples (`usize`).
pub trait Part: Copy + fmt::Debug {
    /// The sizes of the parts of `len` samples.
    #[doc(hidden)]
    fn sizes<const N: usize>(parts: [Self; N], len: usize) -> Result<[usize; N], DataError>;
}

impl Part for usize {
    fn sizes<const N: usize>(parts: [Self; N], len: usize) -> Result<[usize; N], DataError> {
        match parts.iter().try_fold(0usize, |sum, &n| sum.checked_add(n)) {
            Some(sum) if sum == len => Ok(parts),
            _ => Err(DataError::new(format!("split: the sizes {parts:?} do not add up to the {len} samples there are"))),
        }
    }
}

impl Part for f64 {
    fn sizes<const N: usize>(parts: [Self; N], len: usize) -> Result<[usize; N], DataError> {
        // Written so that NaN is refused as well.
        let valid = parts.iter().all(|&p| p >= 0.0) && (parts.iter().sum::<f64>() - 1.0).abs() < 1e-6;
        if !valid {
            return Err(DataError::new(format!("split: the fractions {parts:?} do not add up to 1, or one is below 0")));
        }
        // 0.1 + 0.2 must not lose a sample to rounding: 0.3 of 10 is 3, not 2.
        let mut sizes = parts.map(|p| (p * len as f64 + 1e-6).floor() as usize);
        let mut excess = sizes.iter().sum::<usize>().saturating_sub(len);
        for size in sizes.iter_mut().rev() {
            let less = excess.min(*size);
            *size -= less;
            excess -= less;
        }
        let left = len - sizes.iter().sum::<usize>();
        let takers = (0..N).filter(|&i| parts[i] > 0.0).collect::<Vec<_>>();
        for i in takers.iter().cycle().take(left) {
            sizes[*i] += 1;
        }
        Ok(sizes)
    }
}

/// Inputs and targets in memory: sample `i` is index `i` of the first axis of both.
///
/// A batch is `(inputs, targets)`, of shapes `[N, ..]`.
///
/// ```
/// use gradus_data::{Dataset, TensorDataset};
/// use gradus_tensor::Tensor;
/// let data = TensorDataset::new(Tensor::from([[0.0f32, 0.0], [0.0, 1.0], [1.0, 1.0]]), Tensor::from([0i64, 1, 0]))?;
/// let (x, y) = data.batch(&[2, 1])?;
/// assert_eq!(x, Tensor::from([[1.0, 1.0], [0.0, 1.0]]));
/// assert_eq!(y, Tensor::from([0, 1]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct TensorDataset<T: Element = f32, U: Element = i64> {
    inputs: Tensor<T>,
    targets: Tensor<U>,
}

impl<T: Element, U: Element> TensorDataset<T, U> {
    /// The data set of `inputs` `[N, ..]` and `targets` `[N, ..]`.
    ///
    /// # Errors
    /// When the first axes differ, or one of the tensors has no axes.
    pub fn new(inputs: Tensor<T>, targets: Tensor<U>) -> Result<Self, DataError> {
        match (inputs.shape().first(), targets.shape().first()) {
            (Some(n), Some(m)) if n == m => Ok(Self { inputs: inputs.contiguous(), targets: targets.contiguous() }),
            _ => Err(DataError::new(format!(
                "inputs of shape {} and targets of shape {}: their first axes count the samples and must be equal",
                inputs.shape(),
                targets.shape()
            ))),
        }
    }

    /// All inputs, `[N, ..]`.
    pub fn inputs(&self) -> &Tensor<T> {
        &self.inputs
    }

    /// All targets, `[N, ..]`.
    pub fn targets(&self) -> &Tensor<U> {
        &self.targets
    }
}

impl<T: Element, U: Element> Dataset for TensorDataset<T, U> {
    type Batch = (Tensor<T>, Tensor<U>);

    fn len(&self) -> usize {
        self.inputs.shape()[0]
    }

    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        check_indices("batch", indices, self.len())?;
        Ok((self.inputs.rows(indices), self.targets.rows(indices)))
    }
}
