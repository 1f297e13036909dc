//! Pictures changed on their way to training: scaled, cut, turned, recoloured.
//!
//! A [`Transform`] takes a picture, `f32` of shape `[C, H, W]` with values from 0 to 1, and makes another one of it.
//! [`Compose`] puts several in a row, and [`Dataset::augment`](crate::Dataset::augment) applies them to a data set, each
//! picture with random numbers that depend on the seed, the epoch and the picture's place in the data set alone: the
//! same seed gives the same pictures on any number of threads, in any order, loaded ahead or not.
//!
//! ```
//! use gradus_data::transforms::{ColorJitter, Compose, Normalize, RandomCrop, RandomErasing, RandomHorizontalFlip};
//! use gradus_data::{Cifar10, Dataset};
//! let augmentation = Compose::new()
//!     .add(RandomCrop::new([32, 32]).padding(4))
//!     .add(RandomHorizontalFlip::new(0.5))
//!     .add(ColorJitter::new().brightness(0.2).contrast(0.2))
//!     .add(Normalize::new([0.491, 0.482, 0.447], [0.247, 0.243, 0.262])?)
//!     .add(RandomErasing::new(0.5));
//! # let folder = "../../data/cifar10-small";
//! let train = Cifar10::open(folder)?.train().augment(augmentation, 42);
//! for epoch in 0..2 {
//!     for batch in train.batches(128).epoch(epoch).prefetch(2) {
//!         let (images, labels) = batch?;
//!         assert_eq!(images.shape()[1..], [3, 32, 32]);
//!         # let _ = labels;
//!     }
//! }
//! # Ok::<(), gradus_data::DataError>(())
//! ```
//!
//! Names, defaults and formulas are those of torchvision. What is fixed, such as [`Resize`], can be used on a data set
//! for validation in the same way.

mod augmented;
mod color;
mod compose;
mod crop;
mod erasing;
mod flip;
mod mixup;
mod normalize;
mod resize;
mod rotation;

pub use augmented::Augmented;
pub use color::{ColorJitter, Grayscale, adjust_brightness, adjust_contrast, adjust_hue, adjust_saturation, to_grayscale};
pub use compose::{Compose, RandomApply};
pub use crop::{CenterCrop, RandomCrop, crop};
pub use erasing::{Cutout, RandomErasing};
pub use flip::{RandomHorizontalFlip, RandomVerticalFlip};
pub use mixup::Mixup;
pub use normalize::{CaffeNormalize, Normalize};
pub use resize::{RandomResizedCrop, Resize, resize};
pub use rotation::{Interpolation, RandomRotation, rotate};

use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// Makes a picture of a picture, both `[C, H, W]`.
///
/// What is random is drawn from `rng` and from nothing else. A function or closure of that form is a transform, too:
///
/// ```
/// use gradus_data::transforms::{Compose, Transform};
/// use gradus_data::DataError;
/// use gradus_tensor::{Rng, Tensor};
/// fn invert(picture: Tensor<f32>, _: &mut Rng) -> Result<Tensor<f32>, DataError> {
///     Ok(1.0 - picture)
/// }
/// let inverted = Compose::new().add(invert).apply(Tensor::zeros([3, 2, 2]), &mut Rng::seed(0))?;
/// assert_eq!(inverted, Tensor::ones([3, 2, 2]));
/// # Ok::<(), DataError>(())
/// ```
pub trait Transform: Send + Sync {
    /// The changed picture.
    ///
    /// # Errors
    /// When the transform cannot be applied to a picture of this shape; the message says what would fit.
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError>;
}

impl<F: Fn(Tensor<f32>, &mut Rng) -> Result<Tensor<f32>, DataError> + Send + Sync> Transform for F {
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        self(picture, rng)
    }
}

/// The sizes `[C, H, W]` of a picture, none of them 0.
fn sizes(what: &str, picture: &Tensor<f32>) -> Result<[usize; 3], DataError> {
    match picture.shape()[..] {
        [c, h, w] if c > 0 && h > 0 && w > 0 => Ok([c, h, w]),
        _ => Err(DataError::new(format!("{what}: a picture of shape {}; wanted [C, H, W]", picture.shape()))),
    }
}

/// The sizes of a picture in red, green and blue.
fn rgb(what: &str, picture: &Tensor<f32>) -> Result<[usize; 3], DataError> {
    match sizes(what, picture)? {
        [3, h, w] => Ok([3, h, w]),
        _ => {
            Err(DataError::new(format!("{what}: a picture of shape {}; wanted 3 channels, red, green and blue", picture.shape())))
        }
    }
}

/// The sizes of a picture of `[C, H, W]` that is to become `[C, h, w]`.
fn wanted(what: &str, size: [usize; 2]) -> Result<[usize; 2], DataError> {
    if size.contains(&0) {
        Err(DataError::new(format!("{what}: a size of {size:?}; wanted [H, W] of 1 or more")))
    } else {
        Ok(size)
    }
}

/// A picture `[C, H, W]` out of a function of channel, row and column's first value: `fill(channel, row, out)`.
fn by_rows(shape: [usize; 3], mut fill: impl FnMut(usize, usize, &mut [f32])) -> Tensor<f32> {
    let [_, h, w] = shape;
    Tensor::build(shape, |out| {
        for (i, row) in out.chunks_exact_mut(w).enumerate() {
            fill(i / h, i % h, row);
        }
    })
}

/// A number drawn from `low..high`; `low` itself when both are equal.
fn between(low: f64, high: f64, rng: &mut Rng) -> f64 {
    low + (high - low) * rng.uniform()
}

/// A whole number drawn from `0..=high`.
fn up_to(high: usize, rng: &mut Rng) -> usize {
    rng.below(high + 1)
}

/// Refuses what is no probability.
#[track_caller]
fn probability(what: &str, p: f64) -> f64 {
    assert!((0.0..=1.0).contains(&p), "{what}: probability {p}; wanted 0 to 1");
    p
}
