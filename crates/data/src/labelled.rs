//! Data sets of samples with classes: their names and counts, subsets by class, splits that keep the classes' shares,
//! and the weights that make up for unequal ones.

use crate::adaptors::Subset;
use crate::dataset::{Dataset, Part};
use crate::error::DataError;
use crate::images::{ImageDataset, wrong_label};
use crate::rows::Rows;
use gradus_tensor::{Rng, Tensor};
use std::sync::Arc;

/// A data set whose samples belong to classes, known without loading a sample.
///
/// ```
/// use gradus_data::{Cifar10, Labelled};
/// # let folder = "../../data/cifar10-small";
/// let train = Cifar10::open(folder)?.train();
/// assert_eq!(train.classes()[3], "cat");
/// assert_eq!(train.class_counts(), [25; 10]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub trait Labelled: Dataset {
    /// The number of each sample's class, `[N]`.
    fn labels(&self) -> Tensor<i64>;

    /// The classes' names, by number.
    fn classes(&self) -> &[String];

    /// How many samples each class has.
    fn class_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes().len()];
        self.labels().to_vec().into_iter().for_each(|l| counts[l as usize] += 1);
        counts
    }

    /// Weights that make all classes count the same: `N / (K n_c)` for class `c`, with `N` samples, `K` classes and `n_c`
    /// samples in the class, as scikit-learn's `compute_class_weight("balanced", ..)`. They are what
    /// `CrossEntropy::weight` takes.
    ///
    /// # Errors
    /// When a class has no samples.
    ///
    /// ```
    /// use gradus_data::{Labelled, Relabelled, TensorDataset};
    /// use gradus_tensor::Tensor;
    /// let data = TensorDataset::new(Tensor::<f32>::zeros([4, 2]), Tensor::<i64>::zeros([4]))?;
    /// let data = Relabelled::new(data, Tensor::from([0i64, 0, 1, 0]), ["ham", "spam"])?;
    /// assert_eq!(data.class_weights()?, [4.0 / 6.0, 2.0]);
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    #[doc(alias = "class_weight")]
    fn class_weights(&self) -> Result<Vec<f64>, DataError> {
        let counts = self.class_counts();
        if let Some(empty) = counts.iter().position(|&n| n == 0) {
            return Err(DataError::new(format!("class weights: there are no samples of class `{}`", self.classes()[empty])));
        }
        let (samples, classes) = (self.len() as f64, counts.len() as f64);
        Ok(counts.into_iter().map(|n| samples / (classes * n as f64)).collect())
    }

    /// The weight of each sample's class: what [`weighted`](crate::Batches::weighted) takes to meet all classes as often.
    ///
    /// # Errors
    /// When a class has no samples.
    fn sample_weights(&self) -> Result<Vec<f64>, DataError> {
        let weights = self.class_weights()?;
        Ok(self.labels().to_vec().into_iter().map(|l| weights[l as usize]).collect())
    }

    /// The same samples in two classes: `class` is 1, every other is 0.
    ///
    /// # Errors
    /// When there is no such class.
    ///
    /// ```
    /// use gradus_data::{Cifar10, Dataset, Labelled};
    /// # let folder = "../../data/cifar10-small";
    /// let ships = Cifar10::open(folder)?.train().one_vs_rest("ship")?;
    /// assert_eq!(ships.classes(), ["not ship", "ship"]);
    /// assert_eq!(ships.class_counts(), [225, 25]);
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    fn one_vs_rest(self, class: &str) -> Result<Relabelled<Self>, DataError>
    where
        Self: Sized,
    {
        let number = number_of(&self, class)?;
        let labels: Vec<i64> = self.labels().to_vec().into_iter().map(|l| i64::from(l == number)).collect();
        Relabelled::new(self, Tensor::from(labels), [format!("not {class}"), class.to_owned()])
    }

    /// The samples of these classes only, numbered in the order given.
    ///
    /// # Errors
    /// When there is no such class, or one is named twice.
    ///
    /// ```
    /// use gradus_data::{Cifar10, Dataset, Labelled};
    /// # let folder = "../../data/cifar10-small";
    /// let pets = Cifar10::open(folder)?.train().with_classes(["dog", "cat"])?;
    /// assert_eq!((pets.len(), pets.classes()), (50, &["dog".to_string(), "cat".to_string()][..]));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    fn with_classes<'a>(self, classes: impl IntoIterator<Item = &'a str>) -> Result<Relabelled<Subset<Self>>, DataError>
    where
        Self: Sized,
    {
        let (mut new, mut names) = (vec![None; self.classes().len()], Vec::new());
        for class in classes {
            let old = number_of(&self, class)? as usize;
            if new[old].replace(names.len() as i64).is_some() {
                return Err(DataError::new(format!("with_classes: `{class}` is named twice")));
            }
            names.push(class);
        }
        let kept = self.labels().to_vec().into_iter().enumerate().filter_map(|(i, l)| Some((i, new[l as usize]?)));
        let (indices, labels): (Vec<usize>, Vec<i64>) = kept.unzip();
        Relabelled::new(self.subset(indices)?, Tensor::from(labels), names)
    }

    /// Deals all samples out as [`split`](Dataset::split) does, with every class in the same proportions: a part has its
    /// share of each class to within a sample or two, and exactly the size asked for.
    ///
    /// # Errors
    /// When the fractions do not add up to 1, or the sizes to the number of samples.
    ///
    /// ```
    /// use gradus_data::{Cifar10, Labelled};
    /// use gradus_tensor::Rng;
    /// # let folder = "../../data/cifar10-small";
    /// let [train, valid] = Cifar10::open(folder)?.train().stratified_split([0.8, 0.2], &mut Rng::seed(0))?;
    /// assert_eq!((train.class_counts(), valid.class_counts()), (vec![20; 10], vec![5; 10]));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    fn stratified_split<P: Part, const N: usize>(&self, parts: [P; N], rng: &mut Rng) -> Result<[Subset<Self>; N], DataError>
    where
        Self: Clone + Sized,
    {
        let sizes = P::sizes(parts, self.len())?;
        let labels = self.labels().to_vec();
        // Class after class, in random order within each: whatever is dealt evenly along this order is even in each class.
        let mut order = rng.permutation(self.len());
        order.sort_by_key(|&i| labels[i]);
        let mut dealt = [(); N].map(|()| Vec::new());
        for (k, sample) in order.into_iter().enumerate() {
            // To the part that is furthest behind its share of the first k + 1 samples.
            let behind = |p: usize| (sizes[p] as i128) * (k as i128 + 1) - (dealt[p].len() as i128) * (labels.len() as i128);
            if let Some(part) = (0..N).rev().max_by_key(|&p| behind(p)) {
                dealt[part].push(sample);
            }
        }
        dealt.iter_mut().for_each(|part| rng.shuffle(part));
        Ok(dealt.map(|part| Subset::of(self.clone(), part)))
    }
}

fn number_of(data: &(impl Labelled + ?Sized), class: &str) -> Result<i64, DataError> {
    let found = data.classes().iter().position(|c| c == class);
    found.map(|i| i as i64).ok_or_else(|| {
        let all = data.classes().join(", ");
        DataError::new(format!("there is no class `{class}`; there are: {all}"))
    })
}

impl<D: Labelled + ?Sized> Labelled for &D {
    fn labels(&self) -> Tensor<i64> {
        (**self).labels()
    }
    fn classes(&self) -> &[String] {
        (**self).classes()
    }
}

impl<D: Labelled + ?Sized> Labelled for Arc<D> {
    fn labels(&self) -> Tensor<i64> {
        (**self).labels()
    }
    fn classes(&self) -> &[String] {
        (**self).classes()
    }
}

impl Labelled for ImageDataset {
    fn labels(&self) -> Tensor<i64> {
        ImageDataset::labels(self).clone()
    }
    fn classes(&self) -> &[String] {
        ImageDataset::classes(self)
    }
}

impl<D: Labelled> Labelled for Subset<D> {
    fn labels(&self) -> Tensor<i64> {
        self.data().labels().rows(self.indices())
    }
    fn classes(&self) -> &[String] {
        self.data().classes()
    }
}

/// The samples of a data set with classes of one's own; see [`Labelled::one_vs_rest`] and [`Labelled::with_classes`].
///
/// A batch is `(inputs, labels)`, the labels being `i64` of shape `[N]`, whatever targets the data set underneath has.
///
/// ```
/// use gradus_data::{Dataset, Labelled, Relabelled, TensorDataset};
/// use gradus_tensor::Tensor;
/// let measured = TensorDataset::new(Tensor::from([[0.1f32], [7.2]]), Tensor::from([36.6f32, 39.1]))?;
/// let fever = Relabelled::new(measured, Tensor::from([0i64, 1]), ["healthy", "fever"])?;
/// assert_eq!(fever.batch(&[1])?.1, Tensor::from([1i64]));
/// assert_eq!(fever.classes(), ["healthy", "fever"]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Relabelled<D> {
    data: D,
    labels: Tensor<i64>,
    classes: Arc<[String]>,
}

impl<D: Dataset> Relabelled<D> {
    /// The samples of `data` with `labels` `[N]`, the numbers of the `classes` named.
    ///
    /// # Errors
    /// When there is not one label for each sample, or a label is not the number of a class.
    pub fn new<S: Into<String>>(data: D, labels: Tensor<i64>, classes: impl IntoIterator<Item = S>) -> Result<Self, DataError> {
        let classes: Arc<[String]> = classes.into_iter().map(Into::into).collect();
        if *labels.shape() != [data.len()] {
            let wanted = data.len();
            return Err(DataError::new(format!("labels of shape {} for {wanted} samples; wanted [{wanted}]", labels.shape())));
        }
        if let Some((i, reason)) = wrong_label(labels.to_vec(), classes.len()) {
            return Err(DataError::new(format!("sample {i}: {reason}")));
        }
        Ok(Self { data, labels: labels.contiguous(), classes })
    }

    /// The data set underneath.
    pub fn data(&self) -> &D {
        &self.data
    }
}

impl<X, Y, D: Dataset<Batch = (X, Y)>> Dataset for Relabelled<D> {
    type Batch = (X, Tensor<i64>);
    fn len(&self) -> usize {
        self.data.len()
    }
    fn batch(&self, indices: &[usize]) -> Result<Self::Batch, DataError> {
        self.batch_of_epoch(indices, 0)
    }
    fn batch_of_epoch(&self, indices: &[usize], epoch: u64) -> Result<Self::Batch, DataError> {
        let (inputs, _) = self.data.batch_of_epoch(indices, epoch)?;
        Ok((inputs, self.labels.rows(indices)))
    }
}

impl<X, Y, D: Dataset<Batch = (X, Y)>> Labelled for Relabelled<D> {
    fn labels(&self) -> Tensor<i64> {
        self.labels.clone()
    }
    fn classes(&self) -> &[String] {
        &self.classes
    }
}
