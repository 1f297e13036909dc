//! The layers, a kind a file.

mod activation;
mod along;
mod branches;
pub(crate) mod checkpoint;
mod conv;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pad;
mod pool;
mod shape;
mod squeeze_excite;
mod upsample;

pub use activation::{CELU, ELU, GELU, GELUTanh, GLU, LeakyReLU, PReLU, ReLU, ReLU6, SELU, SiLU};
pub use activation::{Hardshrink, Hardsigmoid, Hardswish, Hardtanh, LogSigmoid, LogSoftmax, Mish, Sigmoid};
pub use activation::{Softmax, Softmin, Softplus, Softshrink, Softsign, Tanh, Tanhshrink, ThresholdedReLU};
pub use branches::{Concat, Residual};
pub use checkpoint::Checkpoint;
pub use conv::{Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use conv::{Padding, PerAxis, SeparableConv2d};
pub use dropout::{Dropout, Dropout1d, Dropout2d, Dropout3d};
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d};
pub use norm::{LayerNorm, RMSNorm};
pub use pad::{CircularPad1d, CircularPad2d, CircularPad3d, ReflectionPad1d, ReflectionPad2d, ReflectionPad3d};
pub use pad::{ReplicationPad1d, ReplicationPad2d, ReplicationPad3d, ZeroPad1d, ZeroPad2d, ZeroPad3d};
pub use pool::{AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d};
pub use pool::{AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d};
pub use pool::{AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d};
pub use pool::{GlobalAvgPool1d, GlobalAvgPool2d, GlobalAvgPool3d, GlobalMaxPool1d, GlobalMaxPool2d, GlobalMaxPool3d};
pub use pool::{MaxUnpool1d, MaxUnpool2d, MaxUnpool3d};
pub use shape::{Flatten, Identity, Lambda};
pub use squeeze_excite::SqueezeExcite;
pub use upsample::Upsample;
