//! What a network wants its pictures to be.

use gradus_tensor::{Float, Tensor};

/// How pictures `[N, 3, H, W]` with red, green and blue from 0 to 1 become what a network was trained on: pretrained weights
/// are worthless with any other.
///
/// ```
/// use gradus_models::Preprocessing;
/// use gradus_tensor::Tensor;
/// let x = Preprocessing::efficientnet_lite().apply(&Tensor::<f32>::ones([1, 3, 2, 2]));
/// assert_eq!(x.at([0, 0, 0, 0]), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preprocessing {
    /// What the values are multiplied by first: 1, or 255 for networks that were given bytes.
    pub scale: f64,
    /// Whether blue comes first.
    pub bgr: bool,
    /// Subtracted from each channel, in the order in which the network has them.
    pub mean: [f64; 3],
    /// What each channel is then divided by.
    pub std: [f64; 3],
}

impl Preprocessing {
    /// torchvision's: the mean and standard deviation of ImageNet.
    pub fn imagenet() -> Self {
        Self { scale: 1.0, bgr: false, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }
    }

    /// Caffe's, which Keras uses for VGG and ResNet: blue, green, red from 0 to 255 less their means.
    pub fn caffe() -> Self {
        Self { scale: 255.0, bgr: true, mean: [103.939, 116.779, 123.68], std: [1.0; 3] }
    }

    /// That of EfficientNet-Lite: `(v - 127) / 128` of bytes.
    pub fn efficientnet_lite() -> Self {
        Self { scale: 255.0, bgr: false, mean: [127.0; 3], std: [128.0; 3] }
    }

    /// The prepared pictures.
    ///
    /// # Panics
    /// When the pictures are not `[N, 3, H, W]`.
    #[track_caller]
    pub fn apply<T: Float>(&self, pictures: &Tensor<T>) -> Tensor<T> {
        assert!(
            pictures.rank() == 4 && pictures.size(1) == 3,
            "preprocessing: pictures {}; wanted [N, 3, H, W]",
            pictures.shape()
        );
        let channels = |values: [f64; 3]| Tensor::from_vec(values.map(T::lit).to_vec(), [3, 1, 1]);
        let ordered = if self.bgr { pictures.flip(1) } else { pictures.clone() };
        (ordered * self.scale - channels(self.mean)) / channels(self.std)
    }
}
