//! Channels brought to the mean and deviation that a network expects.

use super::{Transform, rgb, sizes};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

/// `(x - mean) / std`, channel by channel.
///
/// ```
/// use gradus_data::transforms::{Normalize, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let picture = Tensor::from([[[0.5f32, 0.75]]]);
/// let scaled = Normalize::new([0.5], [0.25])?.apply(picture, &mut Rng::seed(0))?;
/// assert_eq!(scaled, Tensor::from([[[0.0, 1.0]]]));
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias("Rescaling", "Normalization"))]
#[derive(Clone, Debug)]
pub struct Normalize {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl Normalize {
    /// With a mean and a standard deviation for each channel.
    ///
    /// # Errors
    /// When there are not as many of both, or a deviation is not above 0.
    pub fn new(mean: impl Into<Vec<f32>>, std: impl Into<Vec<f32>>) -> Result<Self, DataError> {
        let (mean, std) = (mean.into(), std.into());
        let valid = mean.len() == std.len() && std.iter().all(|&s| s > 0.0 && s.is_finite());
        if !valid {
            let reason = format!("normalize: means {mean:?} and deviations {std:?}; wanted as many of both, the latter above 0");
            return Err(DataError::new(reason));
        }
        Ok(Self { mean, std })
    }

    /// The figures of ImageNet's pictures, which networks trained on them in PyTorch expect.
    pub fn imagenet() -> Self {
        Self { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }
}

impl Transform for Normalize {
    fn apply(&self, mut picture: Tensor<f32>, _: &mut Rng) -> Result<Tensor<f32>, DataError> {
        let [c, h, w] = sizes("normalize", &picture)?;
        if c != self.mean.len() {
            return Err(DataError::new(format!("normalize: {} means for a picture of {c} channels", self.mean.len())));
        }
        for (plane, (mean, std)) in picture.as_mut_slice().chunks_exact_mut(h * w).zip(self.mean.iter().zip(&self.std)) {
            plane.iter_mut().for_each(|v| *v = (*v - mean) / std);
        }
        Ok(picture)
    }
}

/// What the VGG networks of Caffe and Keras expect (`preprocess_input(mode="caffe")`): blue, green and red in this order,
/// from 0 to 255, less ImageNet's mean of each (103.939, 116.779, 123.68).
///
/// ```
/// use gradus_data::transforms::{CaffeNormalize, Transform};
/// use gradus_tensor::{Rng, Tensor};
/// let red = Tensor::from([[[1.0f32]], [[0.0]], [[0.0]]]);
/// let bgr = CaffeNormalize.apply(red, &mut Rng::seed(0))?;
/// assert_eq!(bgr.to_vec(), [-103.939, -116.779, 255.0 - 123.68]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CaffeNormalize;

impl Transform for CaffeNormalize {
    fn apply(&self, picture: Tensor<f32>, _: &mut Rng) -> Result<Tensor<f32>, DataError> {
        const MEAN: [f32; 3] = [103.939, 116.779, 123.68];
        let [_, h, w] = rgb("caffe normalize", &picture)?;
        let mut picture = picture.flip(0).contiguous();
        for (plane, mean) in picture.as_mut_slice().chunks_exact_mut(h * w).zip(MEAN) {
            plane.iter_mut().for_each(|v| *v = 255.0 * *v - mean);
        }
        Ok(picture)
    }
}
