//! Pooling by windows, over pictures `[N, C, H, W]`.

use super::conv::Pair;
use crate::layer::{Layer, Mode};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Conv2dOptions, Float, Pool2dOptions};

/// The options that both kinds share.
macro_rules! builder {
    ($name:ident) => {
        impl $name {
            /// Windows of `kernel` (one number, or `[rows, columns]`), side by side.
            pub fn new(kernel: impl Pair) -> Self {
                Self { options: Pool2dOptions::rectangle(kernel.pair()), same: false }
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
                self.same = false;
                self
            }

            /// With as much padding as makes the output `ceil(size / stride)`, the odd one at the bottom and right, as Keras
            /// defines it.
            #[must_use]
            pub fn same(self) -> Self {
                Self { same: true, ..self }
            }

            fn options_for(&self, shape: &[usize]) -> Pool2dOptions {
                match *shape {
                    [_, _, height, width] if self.same => {
                        let Pool2dOptions { kernel, stride, dilation, .. } = self.options;
                        let conv = Conv2dOptions::default().stride(stride).dilation(dilation);
                        self.options.padding(conv.same([height, width], kernel).padding)
                    }
                    _ => self.options,
                }
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

/// The largest of each window: `[N, C, H, W]` to `[N, C, OH, OW]`, with `OH = (H + top + bottom - KH) / stride + 1`, rounded
/// down.
///
/// ```
/// use gradus_nn::{Layer, MaxPool2d, Mode};
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([[[[1.0f32, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]]]);
/// let y = MaxPool2d::new(2).forward(&x.into(), &mut Mode::Eval);
/// assert_eq!(*y.value(), Tensor::from([[[[4.0, 8.0]]]]));
/// ```
///
/// # Panics
/// On the forward pass, when the window is larger than the padded picture, or the padding than half of the window.
#[derive(Clone, Debug, Module)]
pub struct MaxPool2d {
    #[module(skip)]
    options: Pool2dOptions,
    same: bool,
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

/// The mean of each window: `[N, C, H, W]` to `[N, C, OH, OW]`, with `OH = (H + top + bottom - KH) / stride + 1`, rounded
/// down.
///
/// # Panics
/// On the forward pass, when the window is larger than the padded picture, or the padding than half of the window.
#[derive(Clone, Debug, Module)]
pub struct AvgPool2d {
    #[module(skip)]
    options: Pool2dOptions,
    same: bool,
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

impl<T: Float> Layer<T> for MaxPool2d {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.max_pool2d(self.options_for(x.shape()))
    }
}

impl<T: Float> Layer<T> for AvgPool2d {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        x.avg_pool2d(self.options_for(x.shape()))
    }
}
