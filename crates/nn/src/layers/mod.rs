//! The layers, a kind a file.

mod activation;
mod branches;
pub(crate) mod checkpoint;
mod conv;
mod dropout;
mod embedding;
mod global_pool;
mod linear;
mod norm;
mod pool;
mod shape;
mod squeeze_excite;

pub use activation::{CELU, ELU, GELU, GELUTanh, GLU, LeakyReLU, PReLU, ReLU, ReLU6, SELU, SiLU};
pub use activation::{Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LogSigmoid, LogSoftmax, Mish, Sigmoid};
pub use activation::{Softmax, Softmin, Softplus, Softshrink, Softsign, Tanh, Tanhshrink, Threshold};
pub use branches::{Concat, Residual};
pub use checkpoint::Checkpoint;
pub use conv::{Conv2d, Padding, Pair};
pub use dropout::{Dropout, Dropout1d, Dropout2d, Dropout3d};
pub use embedding::Embedding;
pub use global_pool::{AdaptiveAvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d};
pub use linear::Linear;
pub use norm::{BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d};
pub use norm::{LayerNorm, RMSNorm};
pub use pool::{AvgPool2d, MaxPool2d};
pub use shape::{Flatten, Identity, Lambda};
pub use squeeze_excite::SqueezeExcite;
