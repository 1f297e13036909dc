//! Pooling of all that a channel holds.

use super::spatial;
use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::Float;
use gradus_tensor::shape::AxisList;

macro_rules! global_pool {
    ($($(#[$doc:meta])* $name:ident, $op:literal, $n:literal => $f:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Module)]
        pub struct $name;

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                let _: [usize; $n] = spatial($op, x);
                x.$f(&(2..2 + $n).collect::<AxisList>())
            }
        }
    )*};
}

global_pool! {
    /// The mean of each sequence: `[N, C, L]` to `[N, C]`.
    #[doc(alias = "GlobalAveragePooling1D")]
    GlobalAvgPool1d, "GlobalAvgPool1d", 1 => mean;
    /// The mean of each plane: `[N, C, H, W]` to `[N, C]` (Lin, Chen and Yan 2014).
    #[doc(alias = "GlobalAveragePooling2D")]
    GlobalAvgPool2d, "GlobalAvgPool2d", 2 => mean;
    /// The mean of each volume: `[N, C, D, H, W]` to `[N, C]`.
    #[doc(alias = "GlobalAveragePooling3D")]
    GlobalAvgPool3d, "GlobalAvgPool3d", 3 => mean;
    /// The largest of each sequence: `[N, C, L]` to `[N, C]`. Equal maxima share the gradient evenly.
    #[doc(alias = "GlobalMaxPooling1D")]
    GlobalMaxPool1d, "GlobalMaxPool1d", 1 => max;
    /// The largest of each plane: `[N, C, H, W]` to `[N, C]`. Equal maxima share the gradient evenly.
    #[doc(alias = "GlobalMaxPooling2D")]
    GlobalMaxPool2d, "GlobalMaxPool2d", 2 => max;
    /// The largest of each volume: `[N, C, D, H, W]` to `[N, C]`. Equal maxima share the gradient evenly.
    #[doc(alias = "GlobalMaxPooling3D")]
    GlobalMaxPool3d, "GlobalMaxPool3d", 3 => max;
}
