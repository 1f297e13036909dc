//! MNIST and Fashion-MNIST: 60,000 images to train on and 10,000 to test on, of 28 x 28 grey values and
//! ten classes, in four [IDX](crate::idx) files.

use crate::error::DataError;
use crate::idx;
use crate::images::{ImageDataset, TrainTest, wrong_label};
use gradus_tensor::Tensor;
use std::path::{Path, PathBuf};

const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Handwritten digits, by Yann LeCun, Corinna Cortes and Christopher Burges.
///
/// ```
/// # #[cfg(feature = "mnist")] {
/// use gradus_data::{Dataset, Mnist};
/// let train = Mnist::embedded()?.train();
/// assert_eq!(train.len(), 60_000);
/// let (images, labels) = train.batches(32).next().unwrap()?;
/// assert_eq!(*images.shape(), [32, 1, 28, 28]);
/// assert_eq!(labels.to_vec()[..5], [5, 0, 4, 1, 9]);
/// # }
/// # Ok::<(), gradus_data::DataError>(())
/// ```
pub enum Mnist {}

impl Mnist {
    /// The classes' names.
    pub const CLASSES: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

    /// Unpacks the copy that is linked into the program, with the feature `mnist`: 11 MB, which need neither a network nor a file.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for what only files on a disk can have.
    #[cfg(feature = "mnist")]
    pub fn embedded() -> Result<TrainTest, DataError> {
        use gradus_mnist_test as test;
        use gradus_mnist_train as train;
        let part = |names: [&str; 2], bytes: [&[u8]; 2]| -> Result<ImageDataset, DataError> {
            let paths = names.map(PathBuf::from);
            let tensors = [idx::read_bytes(&paths[0], bytes[0])?, idx::read_bytes(&paths[1], bytes[1])?];
            part(&paths, tensors, &Self::CLASSES)
        };
        Ok(TrainTest::new(part(TRAIN, [train::images(), train::labels()])?, part(TEST, [test::images(), test::labels()])?))
    }

    /// Reads the four files in `dir`, by their official names, plain or with `.gz`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the files do not belong together.
    #[doc(alias = "load_data")]
    pub fn open(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        open(dir.as_ref(), &Self::CLASSES)
    }

    /// Fetches those of the four files that are not in `dir` yet, then opens them. Every file's SHA-256 is
    /// checked before it appears.
    ///
    /// # Errors
    /// When no mirror delivers a right file, or `dir` cannot be written.
    #[cfg(feature = "download")]
    pub fn download(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        use crate::download::{Remote, fetch};
        const MIRRORS: [&str; 2] =
            ["https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"];
        const FILES: [Remote<'_>; 4] = [
            Remote {
                name: "train-images-idx3-ubyte.gz",
                size: 9_912_422,
                sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            },
            Remote {
                name: "train-labels-idx1-ubyte.gz",
                size: 28_881,
                sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            },
            Remote {
                name: "t10k-images-idx3-ubyte.gz",
                size: 1_648_877,
                sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            },
            Remote {
                name: "t10k-labels-idx1-ubyte.gz",
                size: 4_542,
                sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
        ];
        fetch(&MIRRORS, &FILES, dir.as_ref())?;
        Self::open(dir)
    }
}

/// Pictures of clothes in the form of MNIST, by Han Xiao, Kashif Rasul and Roland Vollgraf of Zalando
/// Research (MIT licence), <https://github.com/zalandoresearch/fashion-mnist>.
pub enum FashionMnist {}

impl FashionMnist {
    /// The classes' names.
    pub const CLASSES: [&str; 10] =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    /// Reads the four files in `dir`, by their official names, plain or with `.gz`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the files do not belong together.
    #[doc(alias = "load_data")]
    pub fn open(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        open(dir.as_ref(), &Self::CLASSES)
    }

    /// Fetches those of the four files that are not in `dir` yet, then opens them. Every file's SHA-256 is
    /// checked before it appears.
    ///
    /// # Errors
    /// When no mirror delivers a right file, or `dir` cannot be written.
    #[cfg(feature = "download")]
    pub fn download(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        use crate::download::{Remote, fetch};
        const MIRRORS: [&str; 2] = [
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        ];
        const FILES: [Remote<'_>; 4] = [
            Remote {
                name: "train-images-idx3-ubyte.gz",
                size: 26_421_880,
                sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            },
            Remote {
                name: "train-labels-idx1-ubyte.gz",
                size: 29_515,
                sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            },
            Remote {
                name: "t10k-images-idx3-ubyte.gz",
                size: 4_422_102,
                sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            },
            Remote {
                name: "t10k-labels-idx1-ubyte.gz",
                size: 5_148,
                sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
        ];
        fetch(&MIRRORS, &FILES, dir.as_ref())?;
        Self::open(dir)
    }
}

fn open(dir: &Path, classes: &[&str]) -> Result<TrainTest, DataError> {
    let read = |[images, labels]: [&str; 2]| -> Result<ImageDataset, DataError> {
        let paths = [find(dir, images)?, find(dir, labels)?];
        let tensors = [idx::read(&paths[0])?, idx::read(&paths[1])?];
        part(&paths, tensors, classes)
    };
    Ok(TrainTest::new(read(TRAIN)?, read(TEST)?))
}

/// The data set of the images and labels that were read from two files.
fn part(
    [image_path, label_path]: &[PathBuf; 2],
    [images, labels]: [Tensor<u8>; 2],
    classes: &[&str],
) -> Result<ImageDataset, DataError> {
    let n = match images.shape()[..] {
        [0, ..] => return Err(DataError::in_file(image_path, "", "there are no images in it")),
        [n, 28, 28] => n,
        _ => return Err(DataError::in_file(image_path, "byte 4", format!("shape {}; wanted [N, 28, 28]", images.shape()))),
    };
    if *labels.shape() != [n] {
        let reason = format!("shape {}; wanted [{n}], a label for each image of {}", labels.shape(), image_path.display());
        return Err(DataError::in_file(label_path, "byte 4", reason));
    }
    let labels: Vec<i64> = labels.to_vec().into_iter().map(i64::from).collect();
    if let Some((i, reason)) = wrong_label(labels.iter().copied(), classes.len()) {
        return Err(DataError::in_file(label_path, format!("record {i}"), reason));
    }
    ImageDataset::new(images.reshape([n, 1, 28, 28]), Tensor::from(labels), classes.iter().copied())
}

fn find(dir: &Path, name: &str) -> Result<PathBuf, DataError> {
    let (plain, gzipped) = (dir.join(name), dir.join(format!("{name}.gz")));
    [plain, gzipped].into_iter().find(|p| p.is_file()).ok_or_else(|| {
        let all = [TRAIN, TEST].concat().join(", ");
        DataError::in_file(dir, "", format!("neither {name} nor {name}.gz is here; wanted, plain or with .gz: {all}"))
    })
}
