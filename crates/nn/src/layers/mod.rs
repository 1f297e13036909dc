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

pub use activation::{ELU, GELU, LeakyReLU, LogSoftmax, ReLU, ReLU6, SiLU, Sigmoid, Softmax, Softplus, Tanh};
pub use branches::{Concat, Residual};
pub use checkpoint::Checkpoint;
pub use conv::{Conv2d, Padding, Pair};
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use global_pool::{AdaptiveAvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d};
pub use linear::Linear;
pub use norm::{BatchNorm1d, BatchNorm2d, LayerNorm};
pub use pool::{AvgPool2d, MaxPool2d};
pub use shape::{Flatten, Identity, Lambda};
