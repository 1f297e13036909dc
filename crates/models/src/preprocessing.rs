//! What networks want their pictures to be; pretrained weights are worthless with any other.

use gradus_data::transforms::{CenterCrop, Compose, Normalize, Resize};

/// The shorter side 256, then the middle 224 x 224, as nearly all networks for ImageNet are evaluated.
pub(crate) fn middle() -> Compose {
    Compose::new().add(Resize::shorter_side(256)).add(CenterCrop::new([224, 224]))
}

/// torchvision's: the mean and standard deviation of ImageNet.
pub(crate) fn imagenet() -> Compose {
    middle().add(Normalize::imagenet())
}
