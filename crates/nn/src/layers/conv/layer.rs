//! Convolutions of sequences, pictures and volumes.

use super::fold::{conv, conv_relu, with_bias};
use super::padding::{Padding, PerAxis, both_sides, check_groups};
use crate::init::{Init, default_parameters, redraw};
use crate::layer::{Layer, Mode};
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::{ConvAlgorithm, ConvOptions, Float, OrPanic, Rng, Shape};

/// What convolutions and their transposes let one choose.
macro_rules! conv_builders {
    ($n:literal) => {
        /// With this many zeros on all sides: one number, or one for each axis.
        #[must_use]
        pub fn padding(self, padding: impl PerAxis<$n>) -> Self {
            self.padded(Padding::Explicit(both_sides(padding)))
        }

        /// With padding of any kind.
        #[must_use]
        pub fn padded(mut self, padding: Padding<$n>) -> Self {
            self.padding = padding;
            self
        }

        /// With another stride.
        #[must_use]
        pub fn stride(mut self, stride: impl PerAxis<$n>) -> Self {
            self.options.stride = stride.per_axis();
            self
        }

        /// With gaps between the filter's taps.
        #[must_use]
        pub fn dilation(mut self, dilation: impl PerAxis<$n>) -> Self {
            self.options.dilation = dilation.per_axis();
            self
        }

        /// Computed in this way. The quickest, which is the default, has an error of about 1e-6 of the largest product near an
        /// output (in `f32`); [`ConvAlgorithm`] says when. [`ConvAlgorithm::Direct`] is the sum as it is defined.
        #[must_use]
        pub fn algorithm(mut self, algorithm: ConvAlgorithm) -> Self {
            self.options.algorithm = algorithm;
            self
        }

        /// With or without a bias.
        #[must_use]
        pub fn bias(mut self, bias: bool) -> Self {
            if !bias {
                self.bias = None;
            }
            self
        }

        /// With filters drawn anew; the bias becomes 0.
        #[must_use]
        pub fn init(mut self, init: Init, rng: &mut Rng) -> Self {
            redraw(&mut self.weight, self.bias.as_mut(), init, rng);
            self
        }
    };
}
pub(super) use conv_builders;

macro_rules! conv_layer {
    ($(#[$doc:meta])* $name:ident, $op:literal, $n:literal, $(#[$weight_doc:meta])*) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// On the forward pass, when axes or channels are others than the filters', and when the filter is larger than the
        /// padded input.
        #[derive(Clone, Debug, Module)]
        pub struct $name<T: Float = f32> {
            $(#[$weight_doc])*
            pub weight: Param<T>,
            /// `[F]`.
            pub bias: Option<Param<T>>,
            /// Without the padding, which may depend on the input.
            #[module(skip)]
            options: ConvOptions<$n>,
            #[module(skip)]
            padding: Padding<$n>,
        }

        impl<T: Float> $name<T> {
            /// From `channels` to `filters`, by filters of `kernel` (one number, or one for each axis), without padding.
            #[track_caller]
            pub fn new(channels: usize, filters: usize, kernel: impl PerAxis<$n>, rng: &mut Rng) -> Self {
                Self::grouped(channels, filters, kernel, 1, rng)
            }

            /// As [`new`](Self::new), with channels and filters in `groups` parts, each filter seeing only its own.
            ///
            /// # Panics
            /// When channels or filters do not divide by the groups.
            #[doc(alias = "groups")]
            #[track_caller]
            pub fn grouped(channels: usize, filters: usize, kernel: impl PerAxis<$n>, groups: usize, rng: &mut Rng) -> Self {
                check_groups($op, channels, filters, groups);
                let kernel = kernel.per_axis();
                let shape = [filters, channels / groups].into_iter().chain(kernel).collect::<Shape>().checked($op).or_panic();
                let fan_in = shape[1..].iter().product();
                let (weight, bias) = default_parameters(shape, filters, fan_in, rng);
                Self { weight, bias, options: ConvOptions::default().groups(groups), padding: Padding::Valid }
            }

            /// A depthwise convolution: each channel has `multiplier` filters that see nothing else (Keras'
            /// `DepthwiseConv`, with its `depth_multiplier`).
            #[doc(alias("DepthwiseConv1D", "DepthwiseConv2D"))]
            #[track_caller]
            pub fn depthwise(channels: usize, multiplier: usize, kernel: impl PerAxis<$n>, rng: &mut Rng) -> Self {
                let filters = Shape::from([channels, multiplier]).checked($op).or_panic().numel();
                Self::grouped(channels, filters, kernel, channels, rng)
            }

            /// With "same" padding; see [`Padding::Same`].
            #[must_use]
            pub fn same(self) -> Self {
                self.padded(Padding::Same)
            }

            conv_builders!($n);

            /// For an input of this shape.
            #[track_caller]
            fn options_for(&self, input: &[usize]) -> ConvOptions<$n> {
                let padding = self.padding.of($op, input, &self.weight.shape()[2..], &self.options);
                self.options.padding(padding)
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                let options = self.options_for(x.shape());
                with_bias(conv($op, x, &self.weight, options), self.bias.as_deref())
            }
            #[track_caller]
            fn forward_relu(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                let options = self.options_for(x.shape());
                conv_relu($op, x, &self.weight, self.bias.as_deref(), options)
            }
        }
    };
}

conv_layer! {
    /// Convolution of sequences `[N, C, L]` with `F` filters: `[N, F, OL]`. Weights `[F, C / groups, K]` and biases `[F]`
    /// start as PyTorch's do, uniform on `±1/√(fan in)`.
    ///
    /// ```
    /// use gradus_nn::{Conv1d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let conv: Conv1d = Conv1d::new(2, 4, 3, &mut Rng::seed(0)).stride(2).padding(1);
    /// let y = conv.forward(&Tensor::ones([5, 2, 16]).into(), &mut Mode::Eval);
    /// assert_eq!(*y.shape(), [5, 4, 8]);
    /// ```
    #[doc(alias = "Conv")]
    Conv1d, "Conv1d", 1,
    /// `[F, C / groups, K]`.
}
conv_layer! {
    /// Convolution of pictures `[N, C, H, W]` with `F` filters: `[N, F, OH, OW]`. Weights `[F, C / groups, KH, KW]` and biases
    /// `[F]` start as PyTorch's do, uniform on `±1/√(fan in)`.
    ///
    /// ```
    /// use gradus_nn::{Conv2d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let conv: Conv2d = Conv2d::new(1, 20, 5, &mut Rng::seed(0)).same();
    /// let y = conv.forward(&Tensor::ones([2, 1, 28, 28]).into(), &mut Mode::Eval);
    /// assert_eq!(*y.shape(), [2, 20, 28, 28]);
    /// ```
    #[doc(alias("nn.Conv2d", "Conv"))]
    Conv2d, "Conv2d", 2,
    /// `[F, C / groups, KH, KW]`.
}
conv_layer! {
    /// Convolution of volumes `[N, C, D, H, W]` with `F` filters: `[N, F, OD, OH, OW]`. Weights `[F, C / groups, KD, KH, KW]`
    /// and biases `[F]` start as PyTorch's do, uniform on `±1/√(fan in)`.
    ///
    /// ```
    /// use gradus_nn::{Conv3d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let conv: Conv3d = Conv3d::new(1, 2, [3, 1, 3], &mut Rng::seed(0));
    /// let y = conv.forward(&Tensor::ones([2, 1, 8, 4, 4]).into(), &mut Mode::Eval);
    /// assert_eq!(*y.shape(), [2, 2, 6, 4, 2]);
    /// ```
    #[doc(alias = "Conv")]
    Conv3d, "Conv3d", 3,
    /// `[F, C / groups, KD, KH, KW]`.
}
