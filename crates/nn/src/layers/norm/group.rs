//! Normalisation over groups of channels of each sample.

use crate::layer::{Layer, Mode};
use crate::refuse::refuse_input_of;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Normalization, Over, Tensor};

/// `y = (x - mean) / √(var + eps) · weight + bias` for `[N, C, ..]`: mean and (biased) variance are those of a group of
/// channels of each sample, weight and bias are per channel (Wu and He 2018). It does not depend on the batch.
///
/// ```
/// use gradus_nn::{GroupNorm, Layer, Mode};
/// use gradus_tensor::Tensor;
/// let norm: GroupNorm = GroupNorm::new(2, 4);
/// let x = Tensor::from([[[1.0], [3.0], [10.0], [30.0]]]);
/// let y = norm.forward(&x.into(), &mut Mode::Eval);
/// assert!((y.value() - &Tensor::from([[[-1.0], [1.0], [-1.0], [1.0]]])).abs().max(..).item() < 1e-4);
/// ```
///
/// # Panics
/// On the forward pass, when axis 1 has another size than the number of channels.
#[doc(alias = "GroupNormalization")]
#[derive(Clone, Debug, Module)]
pub struct GroupNorm<T: Float = f32> {
    /// `[C]`, 1 at first.
    pub weight: Option<Param<T>>,
    /// `[C]`, 0 at first.
    pub bias: Option<Param<T>>,
    groups: usize,
    channels: usize,
    eps: f64,
}

#[compiled_once]
impl<T: Float> GroupNorm<T> {
    /// For `channels` in `groups` parts; eps is 1e-5, as in PyTorch.
    ///
    /// # Panics
    /// When the channels do not divide by the groups.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> Self {
        let divides = groups > 0 && channels.is_multiple_of(groups);
        assert!(divides, "group_norm: {channels} channels do not divide into {groups} groups");
        let weight = Some(Param::new(Tensor::ones([channels])));
        let bias = Some(Param::new(Tensor::zeros([channels])));
        Self { weight, bias, groups, channels, eps: 1e-5 }
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
}

#[compiled_once]
impl<T: Float> Layer<T> for GroupNorm<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, _: &mut Mode<'_>) -> Var<T> {
        let channels = self.channels;
        if x.rank() < 2 || x.shape()[1] != channels {
            refuse_input_of("GroupNorm", self.weight.as_ref(), format_args!("[N, {channels}, ..]"), x)
        }
        let n = Normalization::over(Over::Groups(self.groups)).eps(self.eps);
        x.normalize(&n, self.weight.as_deref(), self.bias.as_deref()).0
    }
}
