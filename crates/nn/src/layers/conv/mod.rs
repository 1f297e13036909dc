//! Convolution layers.

mod fold;
mod layer;
mod separable;
mod transpose;
mod window;

pub use layer::{Conv1d, Conv2d, Conv3d};
pub use separable::SeparableConv2d;
pub use transpose::{ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub(super) use window::both_sides;
pub use window::{Padding, PerAxis};
