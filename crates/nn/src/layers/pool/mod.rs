//! Pooling layers, over sequences `[N, C, L]`, pictures `[N, C, H, W]` and volumes `[N, C, D, H, W]`.

mod adaptive;
mod fold;
mod global;
mod unpool;
mod windows;

pub use adaptive::{AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveAvgPool3d};
pub use adaptive::{AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d};
pub use global::{GlobalAvgPool1d, GlobalAvgPool2d, GlobalAvgPool3d, GlobalMaxPool1d, GlobalMaxPool2d, GlobalMaxPool3d};
pub use unpool::{MaxUnpool1d, MaxUnpool2d, MaxUnpool3d};
pub use windows::{AvgPool1d, AvgPool2d, AvgPool3d, MaxPool1d, MaxPool2d, MaxPool3d};

use crate::refuse::{axes, refuse_input};
use gradus_autograd::Var;
use gradus_tensor::Float;

/// The sizes of the `N` axes after samples and channels.
#[track_caller]
fn spatial<T: Float, const N: usize>(layer: &'static str, x: &Var<T>) -> [usize; N] {
    let fits = x.rank() == N + 2;
    if !fits {
        refuse_input(layer, axes("C", N + 2), x)
    }
    std::array::from_fn(|a| x.shape()[a + 2])
}
