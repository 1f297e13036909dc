//! Normalisation over a batch, per channel.

use super::{by_running, more_than_one, move_running};
use crate::layer::{Layer, Mode};
use crate::refuse::{axes, refuse_input_of};
use gradus_autograd::{Buffer, Param, Var};
use gradus_derive::Module;
use gradus_tensor::{Float, Normalization, Over, Tensor};

/// What batch normalisation of any rank shares: channels are axis 1.
macro_rules! batch_norm {
    ($(#[$doc:meta])* $name:ident, $op:literal, $ranks:expr) => {
        $(#[$doc])*
        ///
        /// `y = (x - mean) / √(var + eps) · weight + bias`, per channel (Ioffe and Szegedy 2015). Training takes mean and
        /// (biased) variance from the batch and moves the running ones by `momentum`, the variance by the unbiased one;
        /// evaluation takes the running ones. So does training when they are [frozen](Self::frozen), and leaves them.
        ///
        /// # Panics
        /// On the forward pass: when axis 1 has another size than the number of channels; in training, when a channel
        /// has a single value, whose variance would be 0.
        #[derive(Clone, Debug, Module)]
        pub struct $name<T: Float = f32> {
            /// `[C]`, 1 at first.
            pub weight: Option<Param<T>>,
            /// `[C]`, 0 at first.
            pub bias: Option<Param<T>>,
            /// `[C]`, 0 at first.
            pub running_mean: Buffer<T>,
            /// `[C]`, 1 at first.
            pub running_var: Buffer<T>,
            momentum: f64,
            eps: f64,
        }

        impl<T: Float> $name<T> {
            /// For this many channels; momentum 0.1 and eps 1e-5, as in PyTorch.
            pub fn new(channels: usize) -> Self {
                Self {
                    weight: Some(Param::new(Tensor::ones([channels]))),
                    bias: Some(Param::new(Tensor::zeros([channels]))),
                    running_mean: Buffer::new(Tensor::zeros([channels])),
                    running_var: Buffer::new(Tensor::ones([channels])),
                    momentum: 0.1,
                    eps: 1e-5,
                }
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

            /// With or without weight and bias.
            #[must_use]
            pub fn affine(self, affine: bool) -> Self {
                let Self { weight, bias, .. } = self;
                Self { weight: weight.filter(|_| affine), bias: bias.filter(|_| affine), ..self }
            }

            /// With running statistics that training goes by and does not move, or not so: what a pretrained network
            /// wants that is trained on small batches. Weight and bias are trained all the same, unless
            /// [`Module::freeze`](gradus_autograd::Module::freeze) has them; that reaches the statistics too, by path,
            /// wherever in a network they are.
            #[must_use]
            pub fn frozen(self, frozen: bool) -> Self {
                self.running_mean.set_frozen(frozen);
                self.running_var.set_frozen(frozen);
                self
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            #[track_caller]
            fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
                let channels = self.running_mean.get().numel();
                let ranks: &[usize] = &$ranks;
                if !ranks.contains(&x.rank()) || x.shape()[1] != channels {
                    let expected: Vec<String> = ranks.iter().map(|&rank| axes(channels, rank)).collect();
                    refuse_input_of($op, self.weight.as_ref(), expected.join(" or "), x)
                }
                let running = [&self.running_mean, &self.running_var];
                if !mode.is_train() || running.iter().any(|buffer| buffer.is_frozen()) {
                    return by_running(x, running, self.eps, self.weight.as_ref(), self.bias.as_ref());
                }
                let count = x.shape().numel() / channels.max(1);
                more_than_one($op, " in training", x, count);
                let n = Normalization::over(Over::Batch).eps(self.eps);
                let (y, found) = x.normalize(&n, self.weight.as_deref(), self.bias.as_deref());
                if count > 1 {
                    move_running(running, &found.mean, &found.variance, count, self.momentum);
                }
                y
            }
        }
    };
}

batch_norm! {
    /// Batch normalisation of vectors `[N, C]` or sequences `[N, C, L]`.
    ///
    /// ```
    /// use gradus_nn::{BatchNorm1d, Layer, Mode};
    /// use gradus_tensor::{Rng, Tensor};
    /// let norm: BatchNorm1d = BatchNorm1d::new(1);
    /// let x = Tensor::from([[1.0], [3.0]]).into();
    /// let y = norm.forward(&x, &mut Mode::Train(&mut Rng::seed(0)));
    /// assert!((y.value() - &Tensor::from([[-1.0], [1.0]])).abs().max(..).item() < 1e-4);
    /// assert!((norm.running_mean.get().item() - 0.2).abs() < 1e-6);
    /// ```
    #[doc(alias = "BatchNormalization")]
    BatchNorm1d, "BatchNorm1d", [2, 3]
}
batch_norm! {
    /// Batch normalisation of pictures `[N, C, H, W]`.
    #[doc(alias = "BatchNormalization")]
    BatchNorm2d, "BatchNorm2d", [4]
}

batch_norm! {
    /// Batch normalisation of volumes `[N, C, D, H, W]`.
    #[doc(alias = "BatchNormalization")]
    BatchNorm3d, "BatchNorm3d", [5]
}
