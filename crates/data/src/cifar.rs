//! CIFAR-10 and CIFAR-100 in their binary version: 50,000 colour images to train on and 10,000 to test on,
//! of 32 x 32 pixels, by Alex Krizhevsky, Vinod Nair and Geoffrey Hinton.
//!
//! A record of CIFAR-10 is a label and the 3072 bytes of an image `[3, 32, 32]`; a record of CIFAR-100 has
//! two labels, first the superclass (coarse), then the class (fine). The files are to be had, packed, at
//! <https://www.cs.toronto.edu/~kriz/cifar.html>.

use crate::error::DataError;
use crate::images::{ImageDataset, TrainTest, wrong_label};
use crate::limit::MemoryLimit;
use crate::source::Source;
use gradus_tensor::Tensor;
use std::path::Path;

const IMAGE: usize = 3 * 32 * 32;

/// Ten classes of animals and vehicles.
pub enum Cifar10 {}

impl Cifar10 {
    /// The classes' names.
    pub const CLASSES: [&str; 10] = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

    /// Reads `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin` in `dir`.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    #[doc(alias = "load_data")]
    pub fn open(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        let layout = Layout { labels: 1, label: 0, classes: &Self::CLASSES };
        let train = ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
        layout.open(dir.as_ref(), &train, "test_batch.bin")
    }
}

/// A hundred classes, grouped into twenty superclasses.
pub enum Cifar100 {}

impl Cifar100 {
    /// The classes' names.
    #[rustfmt::skip] // one name a line would fill two screens
    pub const CLASSES: [&str; 100] = [
        "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
        "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
        "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
        "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
        "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
        "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
        "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
    ];

    /// The superclasses' names.
    pub const SUPERCLASSES: [&str; 20] = [
        "aquatic_mammals",
        "fish",
        "flowers",
        "food_containers",
        "fruit_and_vegetables",
        "household_electrical_devices",
        "household_furniture",
        "insects",
        "large_carnivores",
        "large_man-made_outdoor_things",
        "large_natural_outdoor_scenes",
        "large_omnivores_and_herbivores",
        "medium_mammals",
        "non-insect_invertebrates",
        "people",
        "reptiles",
        "small_mammals",
        "trees",
        "vehicles_1",
        "vehicles_2",
    ];

    /// Reads `train.bin` and `test.bin` in `dir`, labelled by class.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    #[doc(alias = "load_data")]
    pub fn open(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        Layout { labels: 2, label: 1, classes: &Self::CLASSES }.open(dir.as_ref(), &["train.bin"], "test.bin")
    }

    /// Reads `train.bin` and `test.bin` in `dir`, labelled by superclass.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn open_superclasses(dir: impl AsRef<Path>) -> Result<TrainTest, DataError> {
        Layout { labels: 2, label: 0, classes: &Self::SUPERCLASSES }.open(dir.as_ref(), &["train.bin"], "test.bin")
    }
}

/// What a record starts with: so many labels, of which one is used.
struct Layout {
    labels: usize,
    label: usize,
    classes: &'static [&'static str],
}

impl Layout {
    fn open(&self, dir: &Path, train: &[&str], test: &str) -> Result<TrainTest, DataError> {
        Ok(TrainTest::new(self.part(dir, train)?, self.part(dir, &[test])?))
    }

    fn part(&self, dir: &Path, names: &[&str]) -> Result<ImageDataset, DataError> {
        let (mut images, mut labels) = (Vec::new(), Vec::new());
        for name in names {
            self.read(&dir.join(name), &mut images, &mut labels)?;
        }
        let images = Tensor::from_vec(images, [labels.len(), 3, 32, 32]);
        ImageDataset::new(images, Tensor::from(labels), self.classes.iter().copied())
    }

    fn read(&self, path: &Path, images: &mut Vec<u8>, labels: &mut Vec<i64>) -> Result<(), DataError> {
        let record = self.labels + IMAGE;
        let bytes = Source::open(path, MemoryLimit::default())?.take_rest("the records")?;
        if bytes.is_empty() || bytes.len() % record != 0 {
            let place = format!("byte {}", bytes.len() - bytes.len() % record);
            let reason =
                format!("{} bytes; wanted a multiple of {record}, the size of a record, and one record at least", bytes.len());
            return Err(DataError::in_file(path, place, reason));
        }
        let read = || bytes.chunks_exact(record).map(|r| i64::from(r[self.label]));
        if let Some((i, reason)) = wrong_label(read(), self.classes.len()) {
            return Err(DataError::in_file(path, format!("record {i}, byte {}", i * record + self.label), reason));
        }
        labels.extend(read());
        images.reserve(bytes.len() / record * IMAGE);
        bytes.chunks_exact(record).for_each(|r| images.extend_from_slice(&r[self.labels..]));
        Ok(())
    }
}
