//! Data sets, batches and array files for Gradus.
//!
//! A [`Dataset`] hands out batches of tensors. Those of this crate are MNIST and its kin ([`Mnist`],
//! [`FashionMnist`], [`Cifar10`], [`Cifar100`]), folders of pictures ([`ImageFolder`]), tables ([`Csv`]) and
//! whatever is in memory ([`TensorDataset`], [`ImageDataset`]); they are mapped, split, joined, shuffled and
//! loaded ahead alike. [`transforms`] augment pictures.
//!
//! ```
//! # #[cfg(feature = "mnist")] {
//! use gradus_data::{Dataset, Mnist};
//! use gradus_tensor::Rng;
//! let mut rng = Rng::seed(0);
//! let [train, valid] = Mnist::embedded()?.train().split([50_000, 10_000], &mut rng)?;
//! for batch in train.batches(128).shuffle(&mut rng).drop_last(true).prefetch(2).take(3) {
//!     let (images, labels) = batch?;
//!     assert_eq!(*images.shape(), [128, 1, 28, 28]);
//!     assert_eq!(*labels.shape(), [128]);
//! }
//! # assert_eq!(valid.len(), 10_000);
//! # }
//! # Ok::<(), gradus_data::DataError>(())
//! ```
//!
//! Arrays are read and written in the formats of MNIST ([`idx`]), NumPy ([`npy`], [`npz`]) and [`safetensors`], and read
//! from the files of PyTorch ([`pth`]) and of Keras (`hdf5`). A damaged file is an error, for which readers are tested on mutated
//! files. Reading takes no more memory than is plausible for the file's size, unless told to ([`MemoryLimit`]).
//! Writers replace a file as a whole or not at all ([`atomic_write`]); the same data give the same bytes.
//!
//! # Features
//! | feature | on by default | adds | built on |
//! |---|---|---|---|
//! | `csv` | yes | [`Csv`] | csv |
//! | `gzip` | yes | gzipped files | flate2 |
//! | `images` | yes | [`read_image`], [`ImageFolder`]: PNG and JPEG | png, zune-jpeg |
//! | `zip` | yes | [`npz`] and [`pth`] | zip, flate2 |
//! | `download` | no | data sets from their official addresses (`download`) | ureq, sha2 |
//! | `hdf5` | no | Keras' `.h5` and `.keras` files (`hdf5`) | hdf5-reader |
//! | `mnist` | no | `Mnist::embedded`: the data set in the program, 11 MB | gradus-mnist-train, gradus-mnist-test |
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod adaptors;
pub mod batches;
pub mod cifar;
#[cfg(feature = "csv")]
pub mod csv;
pub mod dataset;
#[cfg(feature = "download")]
pub mod download;
mod element;
mod error;
mod gzip;
#[cfg(feature = "hdf5")]
pub mod hdf5;
pub mod idx;
#[cfg(feature = "images")]
mod image_file;
#[cfg(feature = "images")]
pub mod image_folder;
pub mod images;
pub mod labelled;
mod limit;
pub mod mnist;
pub mod npy;
#[cfg(feature = "zip")]
pub mod npz;
#[cfg(feature = "zip")]
pub mod pth;
mod rows;
pub mod safetensors;
mod source;
mod stored;
pub mod transforms;
mod vocabulary;
mod write;
#[cfg(feature = "zip")]
mod zipped;

pub use adaptors::Subset;
pub use batches::{Batches, Prefetch};
pub use cifar::{Cifar10, Cifar100};
#[cfg(feature = "csv")]
pub use csv::Csv;
pub use dataset::{Dataset, TensorDataset};
pub use error::DataError;
#[cfg(feature = "images")]
pub use image_file::{read_image, read_image_with};
#[cfg(feature = "images")]
pub use image_folder::ImageFolder;
pub use images::{ImageDataset, TrainTest};
pub use labelled::{Labelled, Relabelled};
pub use limit::MemoryLimit;
pub use mnist::{FashionMnist, Mnist};
pub use rows::Rows;
pub use stored::{Array, Stored, state_for};
pub use vocabulary::Vocabulary;
pub use write::atomic_write;
