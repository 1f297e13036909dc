//! Pooling layers, over pictures `[N, C, H, W]`.

use super::conv::Pair;
use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Float, Pool2dOptions};

/// The options that both kinds share.
macro_rules! builder {
    ($name:ident) => {
        impl $name {
            /// Windows of `kernel` (one number, or `[rows, columns]`), side by side.
            pub fn new(kernel: impl Pair) -> Self {
                Self { options: Pool2dOptions::rectangle(kernel.pair()) }
            }

            /// With another stride.
            #[must_use]
            pub fn stride(mut self, stride: impl Pair) -> Self {
                self.options.stride = stride.pair();
                self
            }

            /// With padding on all sides, at most half of the window.
            #[must_use]
            pub fn padding(mut self, padding: impl Pair) -> Self {
                let [rows, cols] = padding.pair();
                self.options.padding = [[rows, rows], [cols, cols]];
                self
            }

            /// Whether windows that reach over the bottom and right edge count too.
            #[must_use]
            pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
                self.options.ceil_mode = ceil_mode;
                self
            }
        }
    };
}

/// The largest of each window.
#[derive(Clone, Debug, Module)]
pub struct MaxPool2d {
    #[module(skip)]
    options: Pool2dOptions,
}
builder!(MaxPool2d);

impl MaxPool2d {
    /// With gaps between the elements of a window.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Pair) -> Self {
        self.options.dilation = dilation.pair();
        self
    }
}

/// The mean of each window.
#[derive(Clone, Debug, Module)]
pub struct AvgPool2d {
    #[module(skip)]
    options: Pool2dOptions,
}
builder!(AvgPool2d);

impl AvgPool2d {
    /// Whether the zeros of the padding count; they do in PyTorch unless one says otherwise.
    #[must_use]
    pub fn count_include_pad(mut self, count: bool) -> Self {
        self.options.count_include_pad = count;
        self
    }
}

/// The mean of each plane: `[N, C, H, W]` to `[N, C]`.
#[derive(Clone, Copy, Debug, Module)]
pub struct GlobalAvgPool2d;

/// The largest of each plane: `[N, C, H, W]` to `[N, C]`.
#[derive(Clone, Copy, Debug, Module)]
pub struct GlobalMaxPool2d;

impl<T: Float> Layer<T> for MaxPool2d {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.max_pool2d(self.options)
    }
}

impl<T: Float> Layer<T> for AvgPool2d {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.avg_pool2d(self.options)
    }
}

impl<T: Float> Layer<T> for GlobalAvgPool2d {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.mean([-2, -1])
    }
}

impl<T: Float> Layer<T> for GlobalMaxPool2d {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.max([-2, -1])
    }
}
