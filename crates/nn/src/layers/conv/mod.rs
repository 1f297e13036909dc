//! Convolution layers.

mod fold;
mod layer;
mod padding;
mod separable;
mod transpose;

pub use layer::{Conv1d, Conv2d, Conv3d};
pub(super) use padding::both_sides;
pub use padding::{Padding, PerAxis};
pub use separable::SeparableConv2d;
pub use transpose::{ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
