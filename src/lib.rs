//! Automatic differentiation and deep learning on the CPU.
//!
//! ```
//! use gradus::nn::metrics;
//! use gradus::prelude::*;
//!
//! let rng = &mut Rng::seed(0);
//! let mut net: Sequential = Sequential::new()
//!     .add(Linear::new(2, 16, rng))
//!     .add(Tanh)
//!     .add(Linear::new(16, 2, rng));
//! let mut opt = Adam::new(0.05);
//!
//! // Which side of the circle?
//! let x = Tensor::uniform([256, 2], -1.0, 1.0, rng);
//! let labels = x.square().sum(1).gt(0.6).to_num::<i64>();
//! for _ in 0..100 {
//!     let loss = net.forward(&x.clone().into(), &mut Mode::Train(rng)).cross_entropy(&labels);
//!     opt.step(&mut net, loss.backward())?; // consumes the loss and frees the tape; there is no zero_grad
//! }
//! let output = net.forward(&x.into(), &mut Mode::Eval);
//! assert!(metrics::accuracy(output.value(), &labels) > 0.9);
//! # Ok::<(), gradus::optim::OptimError>(())
//! ```
//!
//! | crate | what it holds |
//! |---|---|
//! | [`tensor`] | n-dimensional arrays and their kernels; no derivatives |
//! | [`autograd`] | variables, the tape, the ops with their rules |
//! | [`check`] | gradient checks of functions, layers, models and optimisers |
//! | [`nn`] | layers, losses, metrics, initialisers |
//! | [`optim`] | optimisers, schedules, clipping |
//! | [`data`] | data sets, batches, file formats |
//! | [`models`] | networks for pictures, and pretrained weights |
//! | [`train`] | fit, evaluate, predict; progress, history, plots, checkpoints |
//!
//! # Features
//! A program that needs none of what the default features add builds with about a third of the dependencies:
//! `gradus = { version = "0.1", default-features = false }`.
//!
//! | feature | on by default | adds | built on |
//! |---|---|---|---|
//! | `csv` | yes | tables of text: `Csv` | csv |
//! | `gzip` | yes | gzipped files | flate2 |
//! | `images` | yes | PNG and JPEG: `read_image`, `ImageFolder` | png, zune-jpeg |
//! | `plots` | yes | curves and matrices as SVG and PNG: `train::plot`, `History::plot` | plotters, png |
//! | `progress` | yes | a bar on a terminal while an epoch runs | indicatif |
//! | `zip` | yes | NumPy's `.npz` and PyTorch's `.pth`: `data::npz`, `data::pth` | zip, flate2 |
//! | `download` | no | data sets and weights from their official addresses | ureq, sha2 |
//! | `hdf5` | no | Keras' `.h5` and `.keras`: `data::hdf5` | hdf5-reader |
//! | `mnist` | no | `Mnist::embedded`: the data set in the program, 11 MB | gradus-mnist-train, gradus-mnist-test |

#[doc(inline)]
pub use gradus_autograd as autograd;
#[doc(inline)]
pub use gradus_check as check;
#[doc(inline)]
pub use gradus_data as data;
#[doc(inline)]
pub use gradus_models as models;
#[doc(inline)]
pub use gradus_nn as nn;
#[doc(inline)]
pub use gradus_optim as optim;
#[doc(inline)]
pub use gradus_tensor as tensor;
#[doc(inline)]
pub use gradus_train as train;

/// The Rust snippets of the README and of the pages in `docs/`, as tests.
#[cfg(all(doctest, feature = "csv", feature = "gzip", feature = "images", feature = "plots", feature = "zip"))]
mod pages {
    macro_rules! pages {
        ($($name:ident $path:literal)*) => {
            $(
                #[doc = include_str!(concat!("../", $path))]
                struct $name;
            )*
        };
    }
    pages! {
        Readme "README.md"
        CustomRules "docs/custom_rules.md"
        Data "docs/data.md"
        Derivatives "docs/derivatives.md"
        Gradcheck "docs/gradcheck.md"
        Optimisers "docs/optimisers.md"
        Pretrained "docs/pretrained.md"
        Recurrent "docs/recurrent.md"
        SeeingTheTape "docs/seeing_the_tape.md"
        Training "docs/training.md"
    }
}

pub use gradus_autograd::{Param, Path, Visitor};
pub use gradus_nn::Module;
pub use gradus_optim::RuleState;

/// What most programs need: `use gradus::prelude::*;`
///
/// Tensors and variables, derivatives, the layers, losses and optimisers of a first network, training. All else is imported from its crate:
/// `use gradus::nn::GroupNorm;`.
pub mod prelude {
    #[doc(no_inline)]
    pub use gradus_autograd::{GradMode, Grads, Param, Var, grad, hessian, jacobian, jvp, no_grad, op, value_and_grad, vjp};
    #[doc(no_inline)]
    pub use gradus_data::{Batches, Cifar10, Dataset, Mnist, TensorDataset};
    #[doc(no_inline)]
    pub use gradus_nn::{
        Accuracy, BatchNorm2d, BceWithLogits, CellState, Conv2d, CrossEntropy, Dropout, Embedding, Flatten, Gelu,
        GlobalAvgPool2d, Gru, Layer, LayerNorm, Linear, Loss, LossExt, Lstm, MaxPool2d, Metric, Mode, Module, Mse, Recurrent,
        RecurrentLayer, Relu, Rnn, RnnCell, Sequence, Sequential, Sigmoid, Tanh,
    };
    #[doc(no_inline)]
    pub use gradus_optim::{Adam, AdamW, CosineAnnealingLr, Every, Optimizer, RmsProp, Sgd};
    #[doc(no_inline)]
    pub use gradus_tensor::{Float, Rng, Tensor};
    #[doc(no_inline)]
    pub use gradus_train::{EarlyStopping, Fit, History, TrainError, Trainer, load_weights, save_weights};
}
