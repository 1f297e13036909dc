//! Pictures mirrored.

use super::{Transform, probability, sizes};
use crate::error::DataError;
use gradus_tensor::{Rng, Tensor};

macro_rules! flips {
    ($($(#[$doc:meta])* $name:ident, $axis:literal, $what:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name {
            p: f64,
        }

        impl $name {
            /// With probability `p`; torchvision takes 0.5.
            ///
            /// # Panics
            /// When `p` is not from 0 to 1.
            #[track_caller]
            pub fn new(p: f64) -> Self {
                Self { p: probability($what, p) }
            }
        }

        impl Transform for $name {
            fn apply(&self, picture: Tensor<f32>, rng: &mut Rng) -> Result<Tensor<f32>, DataError> {
                sizes($what, &picture)?;
                Ok(if rng.uniform() < self.p { picture.flip($axis).contiguous() } else { picture })
            }
        }
    )*};
}

flips! {
    /// Swaps left and right at random.
    ///
    /// ```
    /// use gradus_data::transforms::{RandomHorizontalFlip, Transform};
    /// use gradus_tensor::{Rng, Tensor};
    /// let flipped = RandomHorizontalFlip::new(1.0).apply(Tensor::from([[[1.0f32, 2.0, 3.0]]]), &mut Rng::seed(0))?;
    /// assert_eq!(flipped, Tensor::from([[[3.0, 2.0, 1.0]]]));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    #[doc(alias = "RandomFlip")]
    RandomHorizontalFlip, 2, "horizontal flip";
    /// Swaps top and bottom at random.
    ///
    /// ```
    /// use gradus_data::transforms::{RandomVerticalFlip, Transform};
    /// use gradus_tensor::{Rng, Tensor};
    /// let flipped = RandomVerticalFlip::new(1.0).apply(Tensor::from([[[1.0f32], [2.0]]]), &mut Rng::seed(0))?;
    /// assert_eq!(flipped, Tensor::from([[[2.0], [1.0]]]));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    RandomVerticalFlip, 1, "vertical flip";
}
