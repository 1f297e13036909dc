//! Networks of convolutions alone.

use crate::conv_net::ConvNet;
use gradus_nn::{Conv2d, Dropout, GlobalAvgPool2d, Init, MaxPool2d, Relu, Sequential};
use gradus_tensor::{Float, Rng};

/// Model C and its three relatives for CIFAR-10 (Springenberg et al. 2015, "Striving for simplicity", tables 1 and 2): does
/// a network need pooling, when a convolution of stride 2 shrinks a picture as well?
///
/// ```
/// use gradus_models::AllCnn;
/// use gradus_nn::{Layer, Mode, Module};
/// use gradus_tensor::{Rng, Tensor};
/// let net = AllCnn::AllCnnC.build::<f32>(10, &mut Rng::seed(0));
/// assert_eq!(net.num_parameters(), 1_369_738);
/// let y = net.forward(&Tensor::ones([2, 3, 32, 32]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [2, 10]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllCnn {
    /// The base model C.
    ModelC,
    /// Without pooling: the convolution before each has stride 2 instead.
    StridedCnnC,
    /// As the base, with one more convolution before each pooling.
    ConvPoolCnnC,
    /// A convolution of stride 2 in the place of each pooling.
    AllCnnC,
}

/// What stands between the input and the last three layers, which all four share. `96` is a 3 x 3 convolution of 96
/// filters with ReLU, `96/2` one of stride 2; `pool` takes the largest of 3 x 3 at stride 2. Half of what a shrinking layer
/// gives is dropped out.
const TABLE: [(AllCnn, &str, &str); 4] = [
    (AllCnn::ModelC, "Base model C", "96 96 pool 192 192 pool"),
    (AllCnn::StridedCnnC, "Strided-CNN-C", "96 96/2 192 192/2"),
    (AllCnn::ConvPoolCnnC, "ConvPool-CNN-C", "96 96 96 pool 192 192 192 pool"),
    (AllCnn::AllCnnC, "All-CNN-C", "96 96 96/2 192 192 192/2"),
];

impl AllCnn {
    /// All four, in the order of the paper.
    pub const ALL: [Self; 4] = [Self::ModelC, Self::StridedCnnC, Self::ConvPoolCnnC, Self::AllCnnC];

    /// The name in the paper.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].1
    }

    /// The layers before the last three, as a line of text.
    pub fn description(self) -> &'static str {
        TABLE[self as usize].2
    }

    /// The network, for pictures `[N, 3, 32, 32]`: 20 % of the input is dropped out; after the layers of
    /// [`description`](Self::description) come 192 filters of 3 x 3 without padding, 192 of 1 x 1, and one of 1 x 1 for
    /// each class, whose maps of 6 x 6 are averaged.
    ///
    /// The paper does not say how the weights start: here as [`Init::XavierUniform`] draws them. With He's, the first losses
    /// are 2.4 to 10.9, and the first steps drive the last ReLU to 0, where no gradient passes.
    pub fn build<T: Float>(self, num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
        let mut features = Sequential::new().add(Dropout::new(0.2));
        let mut channels = 3;
        for layer in self.description().split(' ') {
            if layer == "pool" {
                features = features.add(MaxPool2d::new(3).stride(2).padding(1)).add(Dropout::new(0.5));
                continue;
            }
            let (filters, stride) = layer.split_once('/').map_or((layer, "1"), |parts| parts);
            let (filters, stride): (usize, usize) = (filters.parse().expect("the table"), stride.parse().expect("the table"));
            features = features.add(conv(channels, filters, 3, rng).stride(stride).padding(1)).add(Relu);
            if stride == 2 {
                features = features.add(Dropout::new(0.5));
            }
            channels = filters;
        }
        for (filters, kernel) in [(192, 3), (192, 1), (num_classes, 1)] {
            features = features.add(conv(channels, filters, kernel, rng)).add(Relu);
            channels = filters;
        }
        ConvNet { features, pool: Sequential::new().add(GlobalAvgPool2d), classifier: Sequential::new() }
    }
}

fn conv<T: Float>(channels: usize, filters: usize, kernel: usize, rng: &mut Rng) -> Conv2d<T> {
    Conv2d::new(channels, filters, kernel, rng).init(Init::XavierUniform, rng)
}
