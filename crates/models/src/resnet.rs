//! Residual networks.

use crate::conv_net::ConvNet;
use crate::weights::Weights;
use gradus_data::DataError;
use gradus_data::transforms::Compose;
use gradus_nn::{BatchNorm2d, Conv2d, GlobalAvgPool2d, Init, Linear, MaxPool2d, Relu, Residual, Sequential};
use gradus_tensor::{Float, Rng};
use std::path::Path;

/// Which blocks a network is made of.
#[derive(Clone, Copy)]
enum Block {
    /// Two 3 x 3 convolutions.
    Basic,
    /// A 3 x 3 convolution between two of 1 x 1, which narrow and widen by 4.
    Bottleneck,
}

impl Block {
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }

    /// `relu(body(x) + shortcut(x))`, from `channels` to `width · expansion`; under torchvision's names.
    fn build<T: Float>(self, channels: usize, width: usize, stride: usize, rng: &mut Rng) -> Sequential<T> {
        let out = width * self.expansion();
        let body = match self {
            Self::Basic => Sequential::new()
                .push("conv1", conv(channels, width, 3, stride, rng))
                .push("bn1", BatchNorm2d::new(width))
                .push("relu1", Relu)
                .push("conv2", conv(width, width, 3, 1, rng))
                .push("bn2", BatchNorm2d::new(width)),
            Self::Bottleneck => Sequential::new()
                .push("conv1", conv(channels, width, 1, 1, rng))
                .push("bn1", BatchNorm2d::new(width))
                .push("relu1", Relu)
                .push("conv2", conv(width, width, 3, stride, rng))
                .push("bn2", BatchNorm2d::new(width))
                .push("relu2", Relu)
                .push("conv3", conv(width, out, 1, 1, rng))
                .push("bn3", BatchNorm2d::new(out)),
        };
        let mut sum = Residual::new(body);
        if stride != 1 || channels != out {
            let shortcut = Sequential::new().add(conv(channels, out, 1, stride, rng)).add(BatchNorm2d::new(out));
            sum = sum.shortcut(shortcut);
        }
        Sequential::new().push("sum", sum).push("relu", Relu)
    }
}

fn conv<T: Float>(channels: usize, filters: usize, kernel: usize, stride: usize, rng: &mut Rng) -> Conv2d<T> {
    let conv = Conv2d::new(channels, filters, kernel, rng).stride(stride).padding(kernel / 2).bias(false);
    conv.init(Init::KaimingNormalFanOut, rng)
}

fn network<T: Float>(block: Block, blocks: [usize; 4], num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
    let mut features = Sequential::new()
        .push("conv1", conv(3, 64, 7, 2, rng))
        .push("bn1", BatchNorm2d::new(64))
        .push("relu", Relu)
        .push("maxpool", MaxPool2d::new(3).stride(2).padding(1));
    let mut channels = 64;
    for (stage, count) in blocks.into_iter().enumerate() {
        let width = 64 << stage;
        let mut layer = Sequential::new();
        for i in 0..count {
            let stride = if stage > 0 && i == 0 { 2 } else { 1 };
            layer = layer.add(block.build(channels, width, stride, rng));
            channels = width * block.expansion();
        }
        features = features.push(format!("layer{}", stage + 1), layer);
    }
    let classifier = Sequential::new().push("fc", Linear::new(channels, num_classes, rng));
    ConvNet { features, pool: Sequential::new().add(GlobalAvgPool2d), classifier }
}

/// `layer1.0.conv1.weight` is `features.layer1.0.sum.body.conv1.weight`, `fc.bias` is `classifier.fc.bias`.
fn own_name(name: &str) -> String {
    if name.starts_with("fc.") {
        return format!("classifier.{name}");
    }
    let parts: Vec<&str> = name.splitn(3, '.').collect();
    match parts[..] {
        [layer, index, rest] if layer.starts_with("layer") => match rest.strip_prefix("downsample.") {
            Some(rest) => format!("features.{layer}.{index}.sum.shortcut.{rest}"),
            None => format!("features.{layer}.{index}.sum.body.{rest}"),
        },
        _ => format!("features.{name}"),
    }
}

fn from_file<T: Float>(block: Block, blocks: [usize; 4], path: &Path) -> Result<ConvNet<T>, DataError> {
    let weights = Weights::open(path)?.rename(|name| Some(own_name(name)))?;
    let classes = weights.get("classifier.fc.bias").map_or(1000, |bias| bias.shape().numel());
    let mut net = network(block, blocks, classes, &mut Rng::seed(0));
    weights.load(&mut net)?;
    Ok(net)
}

macro_rules! resnet {
    ($($(#[$doc:meta])* $name:ident $block:expr, $blocks:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// He et al. 2016; as in torchvision, where a bottleneck's stride is that of its 3 x 3 convolution. Pictures
        /// `[N, 3, 224, 224]`, or of any size from 32 on.
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $name {
            /// With random weights, for this many classes.
            #[expect(clippy::new_ret_no_self, reason = "it names an architecture, all of which are networks of one type")]
            pub fn new<T: Float>(num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
                network($block, $blocks, num_classes, rng)
            }

            /// With the weights of one of torchvision's files (`.pth`, `.safetensors`).
            ///
            /// # Errors
            /// When the file cannot be read, or does not fit: entries that are missing, left over or mis-shaped are named.
            pub fn from_file<T: Float>(path: impl AsRef<Path>) -> Result<ConvNet<T>, DataError> {
                from_file($block, $blocks, path.as_ref())
            }

            /// How a picture `[3, H, W]` from 0 to 1 becomes what torchvision's weights were trained on: the shorter side 256,
            /// the middle 224 x 224, normalised by ImageNet's figures.
            pub fn preprocessing() -> Compose {
                crate::preprocessing::imagenet()
            }
        }
    )*};
}

resnet! {
    /// The residual network of 18 layers with weights.
    ResNet18 Block::Basic, [2, 2, 2, 2];
    /// The residual network of 34 layers with weights.
    ResNet34 Block::Basic, [3, 4, 6, 3];
    /// The residual network of 50 layers with weights.
    ResNet50 Block::Bottleneck, [3, 4, 6, 3];
}
