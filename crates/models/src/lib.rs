//! Networks for pictures, and weights that others trained.
//!
//! Every network is a [`ConvNet`]: `features`, then `pool`, then `classifier`. Where torchvision has the network, parameters have the
//! same paths, so that its files of weights fit; [`Weights`] reads those of PyTorch, Keras and NumPy.
//!
//! | constructor | source |
//! |---|---|
//! | [`LeNet5`] | LeCun et al. 1998, with ReLU and max-pooling |
//! | [`cifar`] | the nets of Keras' CIFAR-10 course |
//! | [`AllCnn`] | Springenberg et al. 2015, four of them from one table |
//! | [`Vgg11`] to [`Vgg19`] | Simonyan and Zisserman 2015, with and without batch normalisation |
//! | [`ResNet18`], [`ResNet34`], [`ResNet50`] | He et al. 2016 |
//! | [`MobileNetV2`] | Sandler et al. 2018 |
//! | [`EfficientNetLite0`] | Tan and Le 2019, in the form for small devices |
//!
//! ```
//! use gradus_models::{ConvNet, ResNet18};
//! use gradus_nn::{Layer, Mode};
//! use gradus_tensor::{Rng, Tensor};
//! let net: ConvNet = ResNet18::new(10, &mut Rng::seed(0));
//! let y = net.forward(&Tensor::ones([1, 3, 64, 64]).into(), &mut Mode::Eval);
//! assert_eq!(*y.shape(), [1, 10]);
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

// What `#[derive(Module)]` writes names the crate `gradus`.
extern crate gradus_autograd as gradus;

mod all_cnn;
pub mod cifar;
mod conv_net;
mod efficientnet;
pub mod explain;
mod imagenet;
mod keras;
mod lenet;
mod mobilenet;
mod preprocessing;
#[cfg(feature = "download")]
mod published;
mod resnet;
mod vgg;
mod weights;

pub use all_cnn::AllCnn;
pub use conv_net::ConvNet;
pub use efficientnet::EfficientNetLite0;
pub use imagenet::imagenet_classes;
pub use lenet::LeNet5;
pub use mobilenet::MobileNetV2;
pub use resnet::{ResNet18, ResNet34, ResNet50};
pub use vgg::{Vgg11, Vgg13, Vgg16, Vgg19};
pub use weights::Weights;
