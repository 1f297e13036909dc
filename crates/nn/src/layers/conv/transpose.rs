//! Transposed convolutions of sequences, pictures and volumes.

use super::fold::{Ends, conv_transpose, with_bias};
use super::layer::conv_builders;
use super::padding::{Padding, PerAxis, both_sides, check_groups};
use crate::init::{Init, default_parameters, redraw};
use crate::layer::{Layer, Mode};
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::{ConvAlgorithm, ConvOptions, Float, OrPanic, Rng, Shape, window_reach};

/// What is left of the whole result along an axis.
#[track_caller]
fn ends<const N: usize>(
    op: &'static str,
    o: &ConvOptions<N>,
    padding: Padding<N>,
    kernel: &[usize],
    output_padding: &[usize; N],
) -> [Ends; N] {
    let mut reaches = [0; N];
    for (a, reach) in reaches.iter_mut().enumerate() {
        *reach = window_reach(op, kernel[a], o.dilation[a]).or_panic();
    }
    std::array::from_fn(|a| {
        let (stride, extra, reach) = (o.stride[a], output_padding[a], reaches[a]);
        let [before, after] = match padding {
            Padding::Valid => [0, 0],
            Padding::Explicit(padding) => padding[a],
            Padding::Same => {
                let total = reach.saturating_sub(stride);
                let crop = [total / 2, total - total / 2];
                return Ends { crop, zeros: stride.saturating_sub(reach) };
            }
        };
        Ends { crop: [before, after - extra.min(after)], zeros: extra - extra.min(after) }
    })
}

macro_rules! conv_transpose_layer {
    ($(#[$doc:meta])* $name:ident, $op:literal, $n:literal, $(#[$weight_doc:meta])*) => {
        $(#[$doc])*
        ///
        /// An output has `(size - 1) stride - before - after + dilation (kernel - 1) + 1 + output_padding` places along an axis:
        /// padding is what is cut off. It is the gradient of a convolution with respect to its input, not its inverse
        /// (Dumoulin and Visin 2016).
        ///
        /// # Panics
        /// On the forward pass, when axes or channels are others than the filters', and when nothing is left of the output.
        #[derive(Clone, Debug, Module)]
        pub struct $name<T: Float = f32> {
            $(#[$weight_doc])*
            pub weight: Param<T>,
            /// `[F]`.
            pub bias: Option<Param<T>>,
            #[module(skip)]
            options: ConvOptions<$n>,
            #[module(skip)]
            padding: Padding<$n>,
            #[module(skip)]
            output_padding: [usize; $n],
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
            #[track_caller]
            pub fn grouped(channels: usize, filters: usize, kernel: impl PerAxis<$n>, groups: usize, rng: &mut Rng) -> Self {
                check_groups($op, channels, filters, groups);
                let kernel = kernel.per_axis();
                // PyTorch's, which takes the second axis of the weights for the inputs.
                let shape = [channels, filters / groups].into_iter().chain(kernel).collect::<Shape>().checked($op).or_panic();
                let fan_in = shape[1..].iter().product();
                let (weight, bias) = default_parameters(shape, filters, fan_in, rng);
                let options = ConvOptions::default().groups(groups);
                Self { weight, bias, options, padding: Padding::Valid, output_padding: [0; $n] }
            }

            /// With as much cut off as makes the output `size · stride`, as Keras' "same" padding does.
            #[must_use]
            pub fn same(self) -> Self {
                self.padded(Padding::Same)
            }

            /// With so many more places at the end, to tell apart the sizes that a convolution with this stride makes alike;
            /// with "same" padding there is nothing to tell apart, and it is not looked at.
            ///
            /// # Panics
            /// When a number is not smaller than the stride or the dilation, as set before.
            #[must_use]
            #[track_caller]
            pub fn output_padding(mut self, output_padding: impl PerAxis<$n>) -> Self {
                let (extra, ConvOptions { stride, dilation, .. }) = (output_padding.per_axis(), self.options);
                assert!(
                    (0..$n).all(|a| extra[a] < stride[a].max(dilation[a])),
                    "{}: output padding {extra:?}; wanted less than the stride {stride:?} or the dilation {dilation:?}",
                    $op
                );
                self.output_padding = extra;
                self
            }

            conv_builders!($n);
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
                let ends = ends($op, &self.options, self.padding, &self.weight.shape()[2..], &self.output_padding);
                with_bias(conv_transpose($op, x, &self.weight, self.options, ends), self.bias.as_deref())
            }
        }
    };
}

conv_transpose_layer! {
    /// Transposed convolution of sequences `[N, C, L]` with `F` filters: `[N, F, OL]`. Weights start as PyTorch's do.
    ///
    /// ```
    /// use gradus_nn::{ConvTranspose1d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let conv: ConvTranspose1d = ConvTranspose1d::new(2, 4, 4, &mut Rng::seed(0)).stride(2).padding(1);
    /// let y = conv.forward(&Tensor::ones([5, 2, 8]).into(), &mut Mode::Eval);
    /// assert_eq!(*y.shape(), [5, 4, 16]);
    /// ```
    #[doc(alias("Conv1DTranspose", "ConvTranspose"))]
    ConvTranspose1d, "ConvTranspose1d", 1,
    /// `[C, F / groups, K]`.
}
conv_transpose_layer! {
    /// Transposed convolution of pictures `[N, C, H, W]` with `F` filters: `[N, F, OH, OW]`. Weights start as PyTorch's do.
    ///
    /// ```
    /// use gradus_nn::{ConvTranspose2d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let conv: ConvTranspose2d = ConvTranspose2d::new(4, 2, 3, &mut Rng::seed(0)).stride(2).padding(1).output_padding(1);
    /// let y = conv.forward(&Tensor::ones([1, 4, 5, 6]).into(), &mut Mode::Eval);
    /// assert_eq!(*y.shape(), [1, 2, 10, 12]);
    /// ```
    #[doc(alias("deconvolution", "Conv2DTranspose", "ConvTranspose"))]
    ConvTranspose2d, "ConvTranspose2d", 2,
    /// `[C, F / groups, KH, KW]`.
}
conv_transpose_layer! {
    /// Transposed convolution of volumes `[N, C, D, H, W]` with `F` filters: `[N, F, OD, OH, OW]`. Weights start as PyTorch's
    /// do.
    #[doc(alias("Conv3DTranspose", "ConvTranspose"))]
    ConvTranspose3d, "ConvTranspose3d", 3,
    /// `[C, F / groups, KD, KH, KW]`.
}
