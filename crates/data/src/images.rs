//! Labelled images in memory, which MNIST, Fashion-MNIST and CIFAR are.

use crate::dataset::{Dataset, check_indices};
use crate::error::DataError;
use gradus_tensor::Tensor;
use std::sync::Arc;

/// Images of one size with a class each, kept as bytes.
///
/// A batch is `(images, labels)`: `f32` of shape `[N, C, H, W]`, scaled from 0..=255 to 0..=1, and the
/// classes' numbers, `i64` of shape `[N]`.
///
/// ```
/// use gradus_data::{Dataset, ImageDataset};
/// use gradus_tensor::Tensor;
/// let images = Tensor::from_vec(vec![0, 51, 102, 255], [1, 1, 2, 2]);
/// let data = ImageDataset::new(images, Tensor::from([1]), ["cat", "dog"])?;
/// let (x, y) = data.batch(&[0])?;
/// assert_eq!((x.to_vec(), y.item()), (vec![0.0, 0.2, 0.4, 1.0], 1));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ImageDataset {
    images: Tensor<u8>,
    labels: Tensor<i64>,
    classes: Arc<[String]>,
}

impl ImageDataset {
    /// Images `[N, C, H, W]`, labels `[N]`, and the names of the classes.
    ///
    /// # Errors
    /// When the shapes are others or do not agree, or a label is not the number of a class.
    pub fn new<S: Into<String>>(
        images: Tensor<u8>,
        labels: Tensor<i64>,
        classes: impl IntoIterator<Item = S>,
    ) -> Result<Self, DataError> {
        let classes: Arc<[String]> = classes.into_iter().map(Into::into).collect();
        if images.rank() != 4 || labels.rank() != 1 || images.size(0) != labels.size(0) {
            let (x, y) = (images.shape(), labels.shape());
            return Err(DataError::new(format!("images of shape {x} and labels of shape {y}; wanted [N, C, H, W] and [N]")));
        }
        if let Some((i, reason)) = wrong_label(labels.to_vec(), classes.len()) {
            return Err(DataError::new(format!("sample {i}: {reason}")));
        }
        Ok(Self { images: images.contiguous(), labels: labels.contiguous(), classes })
    }

    /// The raw images, `[N, C, H, W]`.
    pub fn images(&self) -> &Tensor<u8> {
        &self.images
    }

    /// The classes' numbers, `[N]`.
    pub fn labels(&self) -> &Tensor<i64> {
        &self.labels
    }

    /// The classes' names, by number.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The first `n` images, or all if there are fewer; shares the memory.
    pub fn limit(&self, n: usize) -> Self {
        let n = n.min(self.len());
        Self { images: self.images.slice(0, ..n), labels: self.labels.slice(0, ..n), classes: self.classes.clone() }
    }
}

/// The first label that is not below `classes`, and what is wrong with it.
pub(crate) fn wrong_label(labels: impl IntoIterator<Item = i64>, classes: usize) -> Option<(usize, String)> {
    let (i, label) = labels.into_iter().enumerate().find(|(_, l)| usize::try_from(*l).map_or(true, |l| l >= classes))?;
    Some((i, format!("the label is {label}; the {classes} classes are numbered from 0")))
}

impl Dataset for ImageDataset {
    type Batch = (Tensor<f32>, Tensor<i64>);

    fn len(&self) -> usize {
        self.images.size(0)
    }

    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        check_indices("batch", indices, self.len())?;
        let mut shape = self.images.shape().clone();
        shape[0] = indices.len();
        let width: usize = shape[1..].iter().product();
        let bytes = self.images.as_slice().expect("contiguous since new");
        let images = Tensor::build(shape, |out| {
            for (to, &i) in out.chunks_exact_mut(width.max(1)).zip(indices) {
                for (to, &v) in to.iter_mut().zip(&bytes[i * width..]) {
                    *to = f32::from(v) / 255.0;
                }
            }
        });
        let all = self.labels.as_slice().expect("contiguous since new");
        let labels: Vec<i64> = indices.iter().map(|&i| all[i]).collect();
        Ok((images, Tensor::from(labels)))
    }
}

/// A data set that comes divided into images to train on and images to test on.
#[derive(Clone, Debug)]
pub struct TrainTest {
    train: ImageDataset,
    test: ImageDataset,
}

impl TrainTest {
    pub(crate) fn new(train: ImageDataset, test: ImageDataset) -> Self {
        Self { train, test }
    }

    /// The images to train on.
    pub fn train(&self) -> ImageDataset {
        self.train.clone()
    }

    /// The images to test on.
    pub fn test(&self) -> ImageDataset {
        self.test.clone()
    }

    /// At most `n` images of each part: for a quick look.
    pub fn limit(&self, n: usize) -> Self {
        Self { train: self.train.limit(n), test: self.test.limit(n) }
    }
}
