//! Normalisation over each channel of each sample.

use super::{by_running, more_than_one, move_running};
use crate::layer::{Layer, Mode};
use crate::refuse::{axes, refuse_input_of};
use gradus_autograd::{Buffer, Param, Var};
use gradus_derive::Module;
use gradus_tensor::{Float, Normalization, Over, Tensor};

/// What instance normalisation of any rank shares: channels are axis 1.
macro_rules! instance_norm {
    ($(#[$doc:meta])* $name:ident, $op:literal, $rank:literal) => {
        $(#[$doc])*
        ///
        /// `y = (x - mean) / √(var + eps)`, mean and (biased) variance being those of each channel of each sample (Ulyanov,
        /// Vedaldi and Lempitsky 2016); in evaluation too, unless running statistics are kept.
        ///
        /// # Panics
        /// On the forward pass: when the input has other axes or channels; when a channel has a single value, whose
        /// variance would be 0.
        #[derive(Clone, Debug, Module)]
        pub struct $name<T: Float = f32> {
            /// `[C]`, 1 at first; none unless [`affine`](Self::affine).
            pub weight: Option<Param<T>>,
            /// `[C]`, 0 at first; none unless [`affine`](Self::affine).
            pub bias: Option<Param<T>>,
            /// `[C]`, 0 at first; none unless [`track_running_stats`](Self::track_running_stats).
            pub running_mean: Option<Buffer<T>>,
            /// `[C]`, 1 at first; none unless [`track_running_stats`](Self::track_running_stats).
            pub running_var: Option<Buffer<T>>,
            channels: usize,
            momentum: f64,
            eps: f64,
        }

        impl<T: Float> $name<T> {
            /// For this many channels, without weight, bias and running statistics; momentum 0.1 and eps 1e-5, as in PyTorch.
            pub fn new(channels: usize) -> Self {
                Self { weight: None, bias: None, running_mean: None, running_var: None, channels, momentum: 0.1, eps: 1e-5 }
            }

            /// With or without weight and bias.
            #[must_use]
            pub fn affine(self, affine: bool) -> Self {
                let weight = affine.then(|| Param::new(Tensor::ones([self.channels])));
                let bias = affine.then(|| Param::new(Tensor::zeros([self.channels])));
                Self { weight, bias, ..self }
            }

            /// With or without running statistics, which training moves towards the samples' mean and unbiased variance, and
            /// evaluation goes by.
            #[must_use]
            pub fn track_running_stats(self, track: bool) -> Self {
                let running_mean = track.then(|| Buffer::new(Tensor::zeros([self.channels])));
                let running_var = track.then(|| Buffer::new(Tensor::ones([self.channels])));
                Self { running_mean, running_var, ..self }
            }

            /// How far a batch moves the running statistics.
            #[must_use]
            pub fn momentum(self, momentum: f64) -> Self {
                Self { momentum, ..self }
            }

            /// What is added to the variance.
            #[must_use]
            pub fn eps(self, eps: f64) -> Self {
                Self { eps, ..self }
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
                let (shape, channels) = (x.shape(), self.channels);
                if x.rank() != $rank || shape[1] != channels {
                    refuse_input_of($op, self.weight.as_ref(), axes(channels, $rank), x)
                }
                let frozen = |b: &Buffer<T>| !mode.is_train() || b.is_frozen();
                let running = self.running_mean.as_ref().zip(self.running_var.as_ref());
                if let Some((mean, var)) = running && (frozen(mean) || frozen(var)) {
                    return by_running(x, [mean, var], self.eps, self.weight.as_ref(), self.bias.as_ref());
                }
                let count: usize = shape[2..].iter().product();
                more_than_one($op, "", x, count);
                let n = Normalization::over(Over::Groups(channels)).eps(self.eps);
                let (y, found) = x.normalize(&n, self.weight.as_deref(), self.bias.as_deref());
                if let Some((mean, var)) = running && count > 1 && shape[0] > 0 {
                    let [means, variances] = [found.mean, found.variance].map(|t| t.mean(0));
                    move_running([mean, var], &means, &variances, count, self.momentum);
                }
                y
            }
        }
    };
}

instance_norm! {
    /// Instance normalisation of sequences `[N, C, L]`.
    ///
    /// ```
    /// use gradus_nn::{InstanceNorm1d, Layer, Mode};
    /// use gradus_tensor::Tensor;
    /// let norm: InstanceNorm1d = InstanceNorm1d::new(1);
    /// let y = norm.forward(&Tensor::from([[[1.0, 3.0]], [[10.0, 30.0]]]).into(), &mut Mode::Eval);
    /// assert!((y.value() - &Tensor::from([[[-1.0, 1.0]], [[-1.0, 1.0]]])).abs().max(..).item() < 1e-4);
    /// ```
    InstanceNorm1d, "InstanceNorm1d", 3
}
instance_norm! {
    /// Instance normalisation of pictures `[N, C, H, W]`.
    InstanceNorm2d, "InstanceNorm2d", 4
}
instance_norm! {
    /// Instance normalisation of volumes `[N, C, D, H, W]`.
    InstanceNorm3d, "InstanceNorm3d", 5
}
