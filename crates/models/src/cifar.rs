//! The nets of Keras' course on CIFAR-10, for pictures `[N, 3, 32, 32]`.

use crate::conv_net::ConvNet;
use gradus_nn::{Conv2d, Dropout, Flatten, Linear, MaxPool2d, Relu, Sequential};
use gradus_tensor::{Float, Rng};

/// One convolution of 32 filters, pooling, a layer of 512. `dropout` is what is left out after pooling and after the dense
/// layer; the course has none at first, then `[0.25, 0.5]`.
///
/// ```
/// use gradus_models::cifar;
/// use gradus_nn::Module;
/// use gradus_tensor::Rng;
/// let net = cifar::simple::<f32>(None, 10, &mut Rng::seed(0));
/// assert_eq!(net.num_parameters(), 896 + 4_194_816 + 5_130);
/// ```
pub fn simple<T: Float>(dropout: Option<[f64; 2]>, num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
    let mut features = Sequential::new().add(Conv2d::new(3, 32, 3, rng).same()).add(Relu).add(MaxPool2d::new(2));
    let mut classifier = Sequential::new().add(Linear::new(32 * 16 * 16, 512, rng)).add(Relu);
    if let Some([maps, dense]) = dropout {
        features = features.add(Dropout::new(maps));
        classifier = classifier.add(Dropout::new(dense));
    }
    ConvNet { features, pool: Sequential::new().add(Flatten), classifier: classifier.add(Linear::new(512, num_classes, rng)) }
}

/// Two blocks of two convolutions, of 32 and of 64 filters, each with pooling and dropout 0.25; a layer of 512 with
/// dropout 0.5.
///
/// ```
/// use gradus_models::cifar;
/// use gradus_nn::Module;
/// use gradus_tensor::Rng;
/// let net = cifar::deep::<f32>(10, &mut Rng::seed(0));
/// assert_eq!(net.num_parameters(), 896 + 9_248 + 18_496 + 36_928 + 2_097_664 + 5_130);
/// ```
pub fn deep<T: Float>(num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
    let mut features = Sequential::new();
    for (channels, filters) in [(3, 32), (32, 64)] {
        features = features
            .add(Conv2d::new(channels, filters, 3, rng).same())
            .add(Relu)
            .add(Conv2d::new(filters, filters, 3, rng).same())
            .add(Relu)
            .add(MaxPool2d::new(2))
            .add(Dropout::new(0.25));
    }
    let classifier = Sequential::new().add(Linear::new(64 * 8 * 8, 512, rng)).add(Relu).add(Dropout::new(0.5)).add(Linear::new(
        512,
        num_classes,
        rng,
    ));
    ConvNet { features, pool: Sequential::new().add(Flatten), classifier }
}
