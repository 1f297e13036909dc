//! LeNet-5.

use crate::conv_net::ConvNet;
use gradus_nn::{Conv2d, Flatten, Linear, MaxPool2d, Relu, Sequential};
use gradus_tensor::{Float, Rng};

/// The first network that read digits (LeCun et al. 1998), as courses teach it today: 20 and 50 filters of 5 x 5 with
/// "same" padding, ReLU and max-pooling, then a layer of 500.
#[derive(Clone, Copy, Debug)]
pub struct LeNet5;

impl LeNet5 {
    /// For pictures `[N, channels, H, W]`, `size` being `[H, W]`, and this many classes.
    ///
    /// ```
    /// use gradus_models::LeNet5;
    /// use gradus_nn::Module;
    /// use gradus_tensor::Rng;
    /// let net = LeNet5::new::<f32>(1, [28, 28], 10, &mut Rng::seed(0));
    /// assert_eq!(net.num_parameters(), 1_256_080);
    /// ```
    #[expect(clippy::new_ret_no_self, reason = "it names an architecture, all of which are networks of one type")]
    pub fn new<T: Float>(channels: usize, size: [usize; 2], num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
        let features = Sequential::new()
            .add(Conv2d::new(channels, 20, 5, rng).same())
            .add(Relu)
            .add(MaxPool2d::new(2))
            .add(Conv2d::new(20, 50, 5, rng).same())
            .add(Relu)
            .add(MaxPool2d::new(2));
        let vector = 50 * (size[0] / 4) * (size[1] / 4);
        let classifier = Sequential::new().add(Linear::new(vector, 500, rng)).add(Relu).add(Linear::new(500, num_classes, rng));
        ConvNet { features, pool: Sequential::new().add(Flatten), classifier }
    }
}
