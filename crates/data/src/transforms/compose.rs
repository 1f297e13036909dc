//! Transforms in a row, and transforms at times.

use super::{Transform, probability};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};
use std::sync::Arc;

/// Transforms one after another. A clone shares them.
///
/// ```
/// use gradus_data::transforms::{CenterCrop, Compose, Resize, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let prepare = Compose::new().add(Resize::shorter_side(8)).add(CenterCrop::new([8, 8]));
/// let picture = prepare.apply(Tensor::zeros([3, 16, 20]), &mut Rng::seed(0))?;
/// assert_eq!(*picture.shape(), [3, 8, 8]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Default)]
pub struct Compose {
    transforms: Vec<Arc<dyn Transform>>,
}

impl Compose {
    /// No transforms yet: pictures stay as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// With one more transform, after those before.
    #[must_use]
    #[allow(clippy::should_implement_trait)] // as `Sequential::add` does for layers
    pub fn add(mut self, transform: impl Transform + 'static) -> Self {
        self.transforms.push(Arc::new(transform));
        self
    }
}

impl Transform for Compose {
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        self.transforms.iter().try_fold(picture, |picture, t| t.apply(picture, rng))
    }
}

/// A transform that is applied with probability `p`, and else leaves the picture as it is.
///
/// ```
/// use gradus_data::transforms::{Grayscale, RandomApply};
/// let sometimes_grey = RandomApply::new(0.1, Grayscale::new(3));
/// ```
#[derive(Clone, Debug)]
pub struct RandomApply<T> {
    p: f64,
    transform: T,
}

impl<T: Transform> RandomApply<T> {
    /// `transform`, with probability `p`.
    ///
    /// # Panics
    /// When `p` is not from 0 to 1.
    #[track_caller]
    pub fn new(p: f64, transform: T) -> Self {
        Self { p: probability("random apply", p), transform }
    }
}

impl<T: Transform> Transform for RandomApply<T> {
    fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
        if rng.uniform() < self.p { self.transform.apply(picture, rng) } else { Ok(picture) }
    }
}
