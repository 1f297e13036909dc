//! VGG: nothing but 3 x 3 convolutions and pooling, deep.

use crate::conv_net::ConvNet;
use crate::weights::Weights;
use gradus_data::DataError;
use gradus_data::transforms::{CaffeNormalize, Compose};
use gradus_nn::{AdaptiveAvgPool2d, BatchNorm2d, Conv2d, Dropout, Flatten, Init, Linear, MaxPool2d, Relu, Sequential};
use gradus_tensor::{Float, Rng};
use std::path::Path;

/// How many convolutions each of the five blocks has, and their filters.
const FILTERS: [usize; 5] = [64, 128, 256, 512, 512];

fn features<T: Float>(blocks: [usize; 5], batch_norm: bool, rng: &mut Rng) -> Sequential<T> {
    let mut features = Sequential::new();
    let mut channels = 3;
    for (count, filters) in blocks.into_iter().zip(FILTERS) {
        for _ in 0..count {
            features = features.add(Conv2d::new(channels, filters, 3, rng).padding(1).init(Init::KaimingNormalFanOut, rng));
            if batch_norm {
                features = features.add(BatchNorm2d::new(filters));
            }
            features = features.add(Relu);
            channels = filters;
        }
        features = features.add(MaxPool2d::new(2));
    }
    features
}

fn classifier<T: Float>(num_classes: usize, rng: &mut Rng) -> Sequential<T> {
    let init = Init::Normal(0.0, 0.01);
    Sequential::new()
        .add(Linear::new(512 * 7 * 7, 4096, rng).init(init, rng))
        .add(Relu)
        .add(Dropout::new(0.5))
        .add(Linear::new(4096, 4096, rng).init(init, rng))
        .add(Relu)
        .add(Dropout::new(0.5))
        .add(Linear::new(4096, num_classes, rng).init(init, rng))
}

fn network<T: Float>(blocks: [usize; 5], batch_norm: bool, num_classes: Option<usize>, rng: &mut Rng) -> ConvNet<T> {
    let features = features(blocks, batch_norm, rng);
    let pool = Sequential::new().add(AdaptiveAvgPool2d::new(7)).add(Flatten);
    let classifier = num_classes.map_or_else(Sequential::new, |n| classifier(n, rng));
    ConvNet { features, pool, classifier }
}

/// Reads torchvision's or Keras' weights into a network that has the top which the file has.
fn from_file<T: Float>(blocks: [usize; 5], path: &Path) -> Result<ConvNet<T>, DataError> {
    let mut weights = Weights::open(path)?;
    if weights.names().any(|name| name.contains('/')) {
        weights = weights.from_keras()?.unflatten("fc1.weight", [512, 7, 7])?.rename(|name| Some(torch_name(blocks, name)))?;
    }
    let batch_norm = weights.names().any(|name| name.ends_with("running_mean"));
    let classes = weights.get("classifier.6.bias").map(|bias| bias.shape().numel());
    let mut net = network(blocks, batch_norm, classes, &mut Rng::seed(0));
    weights.load(&mut net)?;
    Ok(net)
}

/// `block2_conv1.weight` is `features.5.weight`.
fn torch_name(blocks: [usize; 5], name: &str) -> String {
    let Some((layer, kind)) = name.rsplit_once('.') else { return name.to_owned() };
    if let Some(index) = ["fc1", "fc2", "predictions"].iter().position(|l| *l == layer) {
        return format!("classifier.{}.{kind}", 3 * index);
    }
    let numbers = layer.strip_prefix("block").and_then(|rest| rest.split_once("_conv"));
    let numbers = numbers.and_then(|(block, conv)| Some((block.parse::<usize>().ok()?, conv.parse::<usize>().ok()?)));
    match numbers {
        Some((block @ 1..=5, conv @ 1..)) => {
            let before: usize = blocks[..block - 1].iter().map(|n| 2 * n + 1).sum();
            format!("features.{}.{kind}", before + 2 * (conv - 1))
        }
        _ => name.to_owned(),
    }
}

macro_rules! vgg {
    ($($(#[$doc:meta])* $name:ident $blocks:expr;)*) => {$(
        $(#[$doc])*
        ///
        /// Simonyan and Zisserman 2015. Pictures `[N, 3, 224, 224]`, or of any size from 32 on, since the maps are averaged
        /// to 7 x 7. Paths are torchvision's: `features.0.weight`, `classifier.6.bias`.
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl $name {
            /// With random weights, for this many classes.
            #[expect(clippy::new_ret_no_self, reason = "it names an architecture, all of which are networks of one type")]
            pub fn new<T: Float>(num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
                network($blocks, false, Some(num_classes), rng)
            }

            /// As [`new`](Self::new), with a batch normalisation after each convolution.
            pub fn with_batch_norm<T: Float>(num_classes: usize, rng: &mut Rng) -> ConvNet<T> {
                network($blocks, true, Some(num_classes), rng)
            }

            /// The convolutional base alone, with random weights: the classifier is empty.
            #[doc(alias = "include_top")]
            pub fn without_top<T: Float>(rng: &mut Rng) -> ConvNet<T> {
                network($blocks, false, None, rng)
            }

            /// With the weights of a file: torchvision's (`.pth`, `.safetensors`) or Keras' (`.npz`, `.h5`, `.keras`), with or without batch
            /// normalisation, with the classifier that the file has, or an empty one.
            ///
            /// # Errors
            /// When the file cannot be read, or does not fit: entries that are missing, left over or mis-shaped are named.
            pub fn from_file<T: Float>(path: impl AsRef<Path>) -> Result<ConvNet<T>, DataError> {
                from_file($blocks, path.as_ref())
            }

            /// How a picture `[3, H, W]` from 0 to 1 becomes what torchvision's weights were trained on: the shorter side 256,
            /// the middle 224 x 224, normalised by ImageNet's figures.
            pub fn preprocessing() -> Compose {
                crate::preprocessing::imagenet()
            }

            /// As [`preprocessing`](Self::preprocessing), for the weights that Keras publishes.
            #[doc(alias = "preprocess_input")]
            pub fn keras_preprocessing() -> Compose {
                crate::preprocessing::middle().add(CaffeNormalize)
            }
        }
    )*};
}

vgg! {
    /// VGG of 11 layers with weights.
    Vgg11 [1, 1, 2, 2, 2];
    /// VGG of 13 layers with weights.
    Vgg13 [2, 2, 2, 2, 2];
    /// VGG of 16 layers with weights.
    Vgg16 [2, 2, 3, 3, 3];
    /// VGG of 19 layers with weights.
    Vgg19 [2, 2, 4, 4, 4];
}

#[cfg(feature = "download")]
impl Vgg16 {
    /// With the weights that torchvision publishes (`IMAGENET1K_V1`, 528 MiB), for pictures as
    /// [`preprocessing`](Self::preprocessing) makes them. They are fetched once, checked, and kept in the user's
    /// cache folder, or in that of the environment variable `GRADUS_CACHE`.
    ///
    /// # Errors
    /// When the file can neither be found nor fetched, or there is no place for it.
    pub fn pretrained<T: Float>() -> Result<ConvNet<T>, DataError> {
        use gradus_data::download::{Remote, cache_dir};
        const FILE: Remote<'_> = Remote {
            name: "vgg16-397923af.pth",
            size: 553_433_881,
            sha256: "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        };
        crate::published::load(crate::published::TORCHVISION, FILE, &cache_dir()?.join("models"), Self::from_file)
    }
}
