//! EfficientNet-Lite0.

use crate::conv_net::ConvNet;
use crate::weights::Weights;
use gradus_autograd::Var;
use gradus_data::DataError;
use gradus_data::transforms::{Compose, Normalize};
use gradus_derive::Module;
use gradus_nn::{BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Init, Layer, Linear, Mode, Relu6, Sequential};
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, Rng};
use std::path::Path;

/// How many blocks, kernel, stride of the first, expansion, filters (table 1 of the paper, B0).
const STAGES: [[usize; 5]; 7] = [
    [1, 3, 1, 1, 16],
    [2, 3, 2, 6, 24],
    [2, 5, 2, 6, 40],
    [3, 3, 2, 6, 80],
    [3, 5, 1, 6, 112],
    [4, 5, 2, 6, 192],
    [1, 3, 1, 6, 320],
];

/// Widened by 1 x 1, filtered channel by channel, made thin by 1 x 1; with the input added where the shape allows it.
#[derive(Module)]
struct Block<T: Float> {
    expand_conv: Option<Conv2d<T>>,
    bn0: Option<BatchNorm2d<T>>,
    depthwise_conv: Conv2d<T>,
    bn1: BatchNorm2d<T>,
    project_conv: Conv2d<T>,
    bn2: BatchNorm2d<T>,
    #[module(skip)]
    adds: bool,
}

impl<T: Float> Block<T> {
    fn new(channels: usize, [kernel, stride, expansion, filters]: [usize; 4], rng: &mut Rng) -> Self {
        let wide = channels * expansion;
        Self {
            expand_conv: (expansion > 1).then(|| conv(channels, wide, 1, 1, 1, rng)),
            bn0: (expansion > 1).then(|| norm(wide)),
            depthwise_conv: conv(wide, wide, kernel, stride, wide, rng),
            bn1: norm(wide),
            project_conv: conv(wide, filters, 1, 1, 1, rng),
            bn2: norm(filters),
            adds: stride == 1 && channels == filters,
        }
    }
}

impl<T: Float> Layer<T> for Block<T> {
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let scope =
            Scope::enter(Parts::Fixed(&[("expand_conv", "Conv2d"), ("depthwise_conv", "Conv2d"), ("project_conv", "Conv2d")]));
        let wide = match (&self.expand_conv, &self.bn0) {
            (Some(conv), Some(norm)) => {
                scope.part(0);
                norm.forward(&conv.forward(x, mode), mode).relu6()
            }
            _ => x.clone(),
        };
        scope.part(1);
        let filtered = self.bn1.forward(&self.depthwise_conv.forward(&wide, mode), mode).relu6();
        scope.part(2);
        let y = self.bn2.forward(&self.project_conv.forward(&filtered, mode), mode);
        drop(scope);
        if self.adds { x + y } else { y }
    }
}

fn conv<T: Float>(from: usize, to: usize, kernel: usize, stride: usize, groups: usize, rng: &mut Rng) -> Conv2d<T> {
    let conv = Conv2d::grouped(from, to, kernel, groups, rng).stride(stride).same().bias(false);
    conv.init(Init::KaimingNormalFanOut, rng)
}

fn norm<T: Float>(channels: usize) -> BatchNorm2d<T> {
    BatchNorm2d::new(channels).momentum(0.01).eps(1e-3)
}

/// EfficientNet-B0 (Tan and Le 2019) as simplified for small devices: ReLU6 for swish, no squeeze-and-excite. Pictures
/// `[N, 3, 224, 224]`, as [`preprocessing`](Self::preprocessing) makes them.
#[derive(Clone, Copy, Debug)]
pub struct EfficientNetLite0;

impl EfficientNetLite0 {
    /// With random weights, for this many classes.
    #[expect(clippy::new_ret_no_self, reason = "it names an architecture, all of which are networks of one type")]
    pub fn new<T: Float>(num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
        let mut blocks = Sequential::new();
        let mut channels = 32;
        for [count, kernel, stride, expansion, filters] in STAGES {
            for i in 0..count {
                let stride = if i == 0 { stride } else { 1 };
                blocks = blocks.add(Block::new(channels, [kernel, stride, expansion, filters], rng));
                channels = filters;
            }
        }
        let features = Sequential::new()
            .push("conv_stem", conv(3, 32, 3, 2, 1, rng))
            .push("bn0", norm(32))
            .push("relu0", Relu6)
            .push("blocks", blocks)
            .push("conv_head", conv(channels, 1280, 1, 1, 1, rng))
            .push("bn1", norm(1280))
            .push("relu1", Relu6);
        let classifier = Sequential::new().push("dropout", Dropout::new(0.2)).push("fc", Linear::new(1280, num_classes, rng));
        ConvNet { features, pool: Sequential::new().add(GlobalAvgPool2d), classifier }
    }

    /// With the weights of a `.pth` file whose entries are named as in the common PyTorch port of the published ones:
    /// `_blocks.0._depthwise_conv.weight`.
    ///
    /// # Errors
    /// When the file cannot be read, or does not fit: entries that are missing, left over or mis-shaped are named.
    pub fn from_file<T: Float>(path: impl AsRef<Path>) -> Result<ConvNet<T>, DataError> {
        let weights = Weights::open(path)?.rename(|name| Some(own_name(name)))?;
        let classes = weights.get("classifier.fc.bias").map_or(1000, |bias| bias.shape().numel());
        let mut net = Self::new(classes, &mut Rng::seed(0));
        weights.load(&mut net)?;
        Ok(net)
    }

    /// How a picture `[3, H, W]` from 0 to 1 becomes what the published weights were trained on: the shorter side 256, the
    /// middle 224 x 224, and `(v - 127) / 128` of bytes.
    pub fn preprocessing() -> Compose {
        let scale = Normalize::new([127.0 / 255.0; 3], [128.0 / 255.0; 3]).expect("three of each");
        crate::preprocessing::middle().add(scale)
    }
}

fn own_name(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').map(|part| part.trim_start_matches('_')).collect();
    let part = if parts[0] == "fc" { "classifier" } else { "features" };
    format!("{part}.{}", parts.join("."))
}
