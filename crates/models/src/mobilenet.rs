//! MobileNet-v2: depthwise convolutions between thin maps.

use crate::conv_net::ConvNet;
use crate::weights::Weights;
use gradus_autograd::Var;
use gradus_data::DataError;
use gradus_data::transforms::Compose;
use gradus_derive::Module;
use gradus_nn::{BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Init, Layer, Linear, Mode, Relu6, Sequential};
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, Rng};
use std::path::Path;

/// Expansion, filters, how many blocks, and the stride of the first (table 2 of the paper).
const STAGES: [[usize; 4]; 7] =
    [[1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2], [6, 64, 4, 2], [6, 96, 3, 1], [6, 160, 3, 2], [6, 320, 1, 1]];

/// `x` made wide by 1 x 1, filtered channel by channel, made thin by 1 x 1; with `x` added where the shape allows it.
#[derive(Module)]
struct InvertedResidual<T: Float> {
    conv: Sequential<T>,
    #[module(skip)]
    adds: bool,
}

impl<T: Float> InvertedResidual<T> {
    fn new(channels: usize, filters: usize, expansion: usize, stride: usize, rng: &mut Rng) -> Self {
        let wide = channels * expansion;
        let mut conv = Sequential::new();
        if expansion > 1 {
            conv = conv.add(unit(channels, wide, 1, 1, 1, rng));
        }
        let conv = conv
            .add(unit(wide, wide, 3, stride, wide, rng))
            .add(convolution(wide, filters, 1, 1, 1, rng))
            .add(BatchNorm2d::new(filters));
        Self { conv, adds: stride == 1 && channels == filters }
    }
}

impl<T: Float> Layer<T> for InvertedResidual<T> {
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let scope = Scope::enter(Parts::Fixed(&[("conv", "")]));
        scope.part(0);
        let y = self.conv.forward(x, mode);
        drop(scope);
        if self.adds { x + y } else { y }
    }
}

fn convolution<T: Float>(from: usize, to: usize, kernel: usize, stride: usize, groups: usize, rng: &mut Rng) -> Conv2d<T> {
    let conv = Conv2d::grouped(from, to, kernel, groups, rng).stride(stride).padding(kernel / 2).bias(false);
    conv.init(Init::KaimingNormalFanOut, rng)
}

/// A convolution, normalised and cut off at 0 and 6.
fn unit<T: Float>(from: usize, to: usize, kernel: usize, stride: usize, groups: usize, rng: &mut Rng) -> Sequential<T> {
    let conv = convolution(from, to, kernel, stride, groups, rng);
    Sequential::new().add(conv).add(BatchNorm2d::new(to)).add(Relu6)
}

/// MobileNet-v2 at width 1 (Sandler et al. 2018), under torchvision's paths. Pictures `[N, 3, 224, 224]`, or of any size
/// from 32 on.
#[derive(Clone, Copy, Debug)]
pub struct MobileNetV2;

impl MobileNetV2 {
    /// With random weights, for this many classes.
    #[expect(clippy::new_ret_no_self, reason = "it names an architecture, all of which are networks of one type")]
    pub fn new<T: Float>(num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
        let mut features = Sequential::new().add(unit(3, 32, 3, 2, 1, rng));
        let mut channels = 32;
        for [expansion, filters, count, stride] in STAGES {
            for i in 0..count {
                let stride = if i == 0 { stride } else { 1 };
                features = features.add(InvertedResidual::new(channels, filters, expansion, stride, rng));
                channels = filters;
            }
        }
        let features = features.add(unit(channels, 1280, 1, 1, 1, rng));
        let head = Linear::new(1280, num_classes, rng).init(Init::Normal(0.0, 0.01), rng);
        let classifier = Sequential::new().add(Dropout::new(0.2)).add(head);
        ConvNet { features, pool: Sequential::new().add(GlobalAvgPool2d), classifier }
    }

    /// With the weights of one of torchvision's files (`.pth`, `.safetensors`).
    ///
    /// # Errors
    /// When the file cannot be read, or does not fit: entries that are missing, left over or mis-shaped are named.
    pub fn from_file<T: Float>(path: impl AsRef<Path>) -> Result<ConvNet<T>, DataError> {
        let weights = Weights::open(path)?;
        let classes = weights.get("classifier.1.bias").map_or(1000, |bias| bias.shape().numel());
        let mut net = Self::new(classes, &mut Rng::seed(0));
        weights.load(&mut net)?;
        Ok(net)
    }

    /// How a picture `[3, H, W]` from 0 to 1 becomes what torchvision's weights were trained on: the shorter side 256,
    /// the middle 224 x 224, normalised by ImageNet's figures.
    pub fn preprocessing() -> Compose {
        crate::preprocessing::imagenet()
    }
}
