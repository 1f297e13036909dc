//! Pooling by windows.

use super::fold::{avg_pool, max_pool};
use super::spatial;
use crate::layer::{Layer, Mode};
use crate::layers::conv::{PerAxis, both_sides};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, PoolOptions, Tensor, same_padding};

/// The options with Keras' "same" padding for an input of these sizes, if `same`.
#[track_caller]
fn padded<const N: usize>(op: &'static str, o: &PoolOptions<N>, same: bool, sizes: [usize; N]) -> PoolOptions<N> {
    let mut padding = o.padding;
    if same {
        for (a, padding) in padding.iter_mut().enumerate() {
            *padding = same_padding(op, sizes[a], o.kernel[a], o.stride[a], o.dilation[a]).or_panic();
        }
    }
    o.padding(padding)
}

/// The options that both kinds share.
macro_rules! pool_layer {
    ($(#[$doc:meta])* $name:ident, $op:literal, $n:literal) => {
        $(#[$doc])*
        ///
        /// An output has `(size + before + after - dilation (kernel - 1) - 1) / stride + 1` places along an axis, rounded down,
        /// or up in [`ceil_mode`](Self::ceil_mode).
        ///
        /// # Panics
        /// On the forward pass, when the input has other axes, the window is larger than the padded input, or the padding than
        /// half of the window.
        #[derive(Clone, Debug, Module)]
        pub struct $name {
            #[module(skip)]
            options: PoolOptions<$n>,
            same: bool,
        }

        impl $name {
            /// Windows of `kernel` (one number, or one for each axis), side by side.
            pub fn new(kernel: impl PerAxis<$n>) -> Self {
                Self { options: PoolOptions::rectangle(kernel.per_axis()), same: false }
            }

            /// With another stride.
            #[must_use]
            pub fn stride(mut self, stride: impl PerAxis<$n>) -> Self {
                self.options.stride = stride.per_axis();
                self
            }

            /// With padding on all sides, at most half of the window.
            #[must_use]
            pub fn padding(mut self, padding: impl PerAxis<$n>) -> Self {
                self.options.padding = both_sides(padding);
                self.same = false;
                self
            }

            /// With as much padding as makes the output `ceil(size / stride)`, the odd one at the end (bottom, right), as
            /// Keras defines it.
            #[must_use]
            pub fn same(self) -> Self {
                Self { same: true, ..self }
            }

            /// Whether windows that reach over the end of an axis count too, unless they start behind it.
            #[must_use]
            pub fn ceil_mode(mut self, ceil_mode: bool) -> Self {
                self.options.ceil_mode = ceil_mode;
                self
            }
        }
    };
}

macro_rules! max_pool_layer {
    ($(#[$doc:meta])* $name:ident, $unpool:ident, $op:literal, $n:literal) => {
        pool_layer! { $(#[$doc])* $name, $op, $n }

        impl $name {
            /// With gaps between the elements of a window.
            #[must_use]
            pub fn dilation(mut self, dilation: impl PerAxis<$n>) -> Self {
                self.options.dilation = dilation.per_axis();
                self
            }

            /// The maxima, and the place of each in row-major order of the axes that are pooled over (PyTorch's
            /// `return_indices`), for
            #[doc = concat!("[`", stringify!($unpool), "`](crate::", stringify!($unpool), ").")]
            ///
            /// # Panics
            /// As the forward pass.
            #[track_caller]
            pub fn forward_with_indices<T: Float>(&self, x: &Var<T>) -> (Var<T>, Tensor<i32>) {
                max_pool($op, x, &padded($op, &self.options, self.same, spatial($op, x)))
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                self.forward_with_indices(x).0
            }
        }
    };
}

macro_rules! avg_pool_layer {
    ($(#[$doc:meta])* $name:ident, $op:literal, $n:literal) => {
        pool_layer! { $(#[$doc])* $name, $op, $n }

        impl $name {
            /// Whether the zeros of the padding count; they do in PyTorch unless one says otherwise.
            #[must_use]
            pub fn count_include_pad(mut self, count: bool) -> Self {
                self.options.count_include_pad = count;
                self
            }
        }

        impl<T: Float> Layer<T> for $name {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                avg_pool($op, x, &padded($op, &self.options, self.same, spatial($op, x)))
            }
        }
    };
}

max_pool_layer! {
    /// The largest of each window of sequences: `[N, C, L]` to `[N, C, OL]`. Of equals, the first gets the gradient.
    #[doc(alias = "MaxPooling1D")]
    MaxPool1d, MaxUnpool1d, "MaxPool1d", 1
}
max_pool_layer! {
    /// The largest of each window of pictures: `[N, C, H, W]` to `[N, C, OH, OW]`. Of equals, the first gets the gradient.
    ///
    /// ```
    /// use gradus_nn::{Layer, MaxPool2d, Mode};
    /// use gradus_tensor::Tensor;
    /// let x = Tensor::from([[[[1.0f32, 2.0, 5.0, 6.0], [3.0, 4.0, 7.0, 8.0]]]]);
    /// let y = MaxPool2d::new(2).forward(&x.into(), &mut Mode::Eval);
    /// assert_eq!(*y.value(), Tensor::from([[[[4.0, 8.0]]]]));
    /// ```
    #[doc(alias = "MaxPooling2D")]
    MaxPool2d, MaxUnpool2d, "MaxPool2d", 2
}
max_pool_layer! {
    /// The largest of each window of volumes: `[N, C, D, H, W]` to `[N, C, OD, OH, OW]`. Of equals, the first gets the
    /// gradient.
    #[doc(alias = "MaxPooling3D")]
    MaxPool3d, MaxUnpool3d, "MaxPool3d", 3
}
avg_pool_layer! {
    /// The mean of each window of sequences: `[N, C, L]` to `[N, C, OL]`.
    #[doc(alias = "AveragePooling1D")]
    AvgPool1d, "AvgPool1d", 1
}
avg_pool_layer! {
    /// The mean of each window of pictures: `[N, C, H, W]` to `[N, C, OH, OW]`.
    #[doc(alias = "AveragePooling2D")]
    AvgPool2d, "AvgPool2d", 2
}
avg_pool_layer! {
    /// The mean of each window of volumes: `[N, C, D, H, W]` to `[N, C, OD, OH, OW]`.
    #[doc(alias = "AveragePooling3D")]
    AvgPool3d, "AvgPool3d", 3
}
