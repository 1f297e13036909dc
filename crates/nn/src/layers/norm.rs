//! Normalisation layers.

use crate::layer::{Layer, Mode};
use gradus_autograd::{Buffer, Param, Var};
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, Shape, ShapeError, Tensor};

/// What batch normalisation of any rank shares: channels are axis 1.
#[derive(Clone, Debug, Module)]
struct BatchNorm<T: Float> {
    weight: Param<T>,
    bias: Param<T>,
    running_mean: Buffer<T>,
    running_var: Buffer<T>,
    momentum: f64,
    eps: f64,
}

impl<T: Float> BatchNorm<T> {
    fn new(channels: usize) -> Self {
        Self {
            weight: Param::new(Tensor::ones([channels])),
            bias: Param::new(Tensor::zeros([channels])),
            running_mean: Buffer::new(Tensor::zeros([channels])),
            running_var: Buffer::new(Tensor::ones([channels])),
            momentum: 0.1,
            eps: 1e-5,
        }
    }

    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &Mode, ranks: &[usize]) -> Var<T> {
        let channels = self.weight.shape()[0];
        if !ranks.contains(&x.rank()) || x.shape()[1] != channels {
            let detail = format!("input {}; wanted {channels} channels in axis 1 and a rank of {ranks:?}", x.shape());
            Err(ShapeError::new("batch_norm", detail)).or_panic()
        }
        let across: Vec<usize> = (0..x.rank()).filter(|&a| a != 1).collect();
        let mut per_channel = Shape::from(vec![1; x.rank()]);
        per_channel[1] = channels;
        let (mean, var) = if mode.is_train() {
            let count = x.shape().numel() / channels.max(1);
            assert!(count > 1, "batch_norm: one value a channel in training (input {}); its variance is 0", x.shape());
            let mean = x.mean_keep(&across[..]);
            let var = (x - &mean).square().mean_keep(&across[..]);
            self.update(mean.value(), var.value(), count);
            (mean, var)
        } else {
            (
                Var::constant(self.running_mean.get().reshape(&per_channel)),
                Var::constant(self.running_var.get().reshape(&per_channel)),
            )
        };
        let scale = self.weight.reshape(&per_channel) / (var + self.eps).sqrt();
        (x - mean) * scale + self.bias.reshape(&per_channel)
    }

    /// Moves the running statistics towards this batch's; the running variance is the unbiased one, as in PyTorch.
    fn update(&self, mean: &Tensor<T>, var: &Tensor<T>, count: usize) {
        let m = self.momentum;
        let unbiased = var.reshape([-1]) * (count as f64 / (count - 1) as f64);
        self.running_mean.set(self.running_mean.get() * (1.0 - m) + mean.reshape([-1]) * m);
        self.running_var.set(self.running_var.get() * (1.0 - m) + unbiased * m);
    }
}

macro_rules! batch_norm {
    ($(#[$doc:meta])* $name:ident, $ranks:expr) => {
        $(#[$doc])*
        ///
        /// `y = (x - mean) / √(var + eps) · weight + bias`, per channel (Ioffe and Szegedy 2015). Training takes mean and
        /// (biased) variance from the batch and moves the running ones by `momentum`; evaluation takes the running ones.
        #[derive(Clone, Debug, Module)]
        pub struct $name<T: Float = f32> {
            #[module(flatten)]
            inner: BatchNorm<T>,
        }

        impl<T: Float> $name<T> {
            /// For this many channels; momentum 0.1 and eps 1e-5, as in PyTorch.
            pub fn new(channels: usize) -> Self {
                Self { inner: BatchNorm::new(channels) }
            }

            /// How far a batch moves the running statistics.
            #[must_use]
            pub fn momentum(mut self, momentum: f64) -> Self {
                self.inner.momentum = momentum;
                self
            }

            /// What is added to the variance.
            #[must_use]
            pub fn eps(mut self, eps: f64) -> Self {
                self.inner.eps = eps;
                self
            }
        }

        impl<T: Float> Layer<T> for $name<T> {
            fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
                self.inner.forward(x, mode, &$ranks)
            }
        }
    };
}

batch_norm! {
    /// Batch normalisation of vectors `[N, C]` or sequences `[N, C, L]`.
    BatchNorm1d, [2, 3]
}
batch_norm! {
    /// Batch normalisation of pictures `[N, C, H, W]`.
    BatchNorm2d, [4]
}

/// `y = (x - mean) / √(var + eps) · weight + bias` over the last axes of each sample (Ba, Kiros and Hinton 2016).
#[derive(Clone, Debug, Module)]
pub struct LayerNorm<T: Float = f32> {
    /// Of the normalised shape.
    pub weight: Param<T>,
    /// Of the normalised shape.
    pub bias: Param<T>,
    eps: f64,
}

impl<T: Float> LayerNorm<T> {
    /// Over the last axes, which have this shape; eps is 1e-5, as in PyTorch.
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { weight: Param::new(Tensor::ones(shape.clone())), bias: Param::new(Tensor::zeros(shape)), eps: 1e-5 }
    }

    /// What is added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }
}

impl<T: Float> Layer<T> for LayerNorm<T> {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        let wanted = self.weight.shape();
        if !x.shape().ends_with(wanted) {
            Err(ShapeError::new("layer_norm", format!("input {}; its last axes must be {wanted}", x.shape()))).or_panic()
        }
        let axes: Vec<usize> = (x.rank() - wanted.rank()..x.rank()).collect();
        let centred = x - x.mean_keep(&axes[..]);
        let var = centred.square().mean_keep(&axes[..]);
        centred / (var + self.eps).sqrt() * &*self.weight + &*self.bias
    }
}
