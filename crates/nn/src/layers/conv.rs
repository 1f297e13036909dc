//! Convolution layers.

use crate::init::{Init, default_weight};
use crate::layer::{Layer, Mode};
use gradus_autograd::{Module, Param, Path, Var, Visitor};
use gradus_derive::Module;
use gradus_tensor::{Conv2dOptions, Float, Rng};

/// The zeros around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// None: the filter stays inside.
    Valid,
    /// As many as make the output `ceil(size / stride)`, the odd one at the bottom and right, as Keras defines it. With
    /// stride 1 that is PyTorch's `padding="same"`.
    Same,
    /// `[[top, bottom], [left, right]]`.
    Explicit([[usize; 2]; 2]),
}

/// One number for rows and columns, or `[rows, columns]`.
pub trait Pair {
    /// Rows, columns.
    fn pair(self) -> [usize; 2];
}

impl Pair for usize {
    fn pair(self) -> [usize; 2] {
        [self, self]
    }
}

impl Pair for [usize; 2] {
    fn pair(self) -> [usize; 2] {
        self
    }
}

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
#[derive(Clone, Debug, Module)]
pub struct Conv2d<T: Float = f32> {
    /// `[F, C / groups, KH, KW]`.
    pub weight: Param<T>,
    /// `[F]`.
    pub bias: Option<Param<T>>,
    #[module(skip)]
    options: Conv2dOptions,
    padding: Padding,
}

/// Plain data: no parameters.
impl<T: Float> Module<T> for Padding {
    fn visit<'a>(&'a self, _: &mut Path, _: &mut dyn Visitor<'a, T>) {}
    fn visit_mut(&mut self, _: &mut Path, _: &mut dyn FnMut(&Path, &mut Param<T>)) {}
}

impl<T: Float> Conv2d<T> {
    /// From `channels` to `filters`, by filters of `kernel` (one number, or `[rows, columns]`), without padding.
    pub fn new(channels: usize, filters: usize, kernel: impl Pair, rng: &mut Rng) -> Self {
        Self::grouped(channels, filters, kernel, 1, rng)
    }

    /// As [`new`](Self::new), with channels and filters in `groups` parts, each filter seeing only its own.
    ///
    /// # Panics
    /// When channels or filters do not divide by the groups.
    #[track_caller]
    pub fn grouped(channels: usize, filters: usize, kernel: impl Pair, groups: usize, rng: &mut Rng) -> Self {
        assert!(
            groups > 0 && channels.is_multiple_of(groups) && filters.is_multiple_of(groups),
            "conv2d: {channels} channels and {filters} filters do not divide into {groups} groups"
        );
        let [kh, kw] = kernel.pair();
        let fan_in = channels / groups * kh * kw;
        Self {
            weight: Param::new(default_weight([filters, channels / groups, kh, kw], fan_in, rng)),
            bias: Some(Param::new(default_weight([filters], fan_in, rng))),
            options: Conv2dOptions::default().groups(groups),
            padding: Padding::Valid,
        }
    }

    /// With "same" padding.
    #[must_use]
    pub fn same(self) -> Self {
        Self { padding: Padding::Same, ..self }
    }

    /// With this many zeros on all sides (one number, or `[rows, columns]`).
    #[must_use]
    pub fn padding(self, padding: impl Pair) -> Self {
        let [rows, cols] = padding.pair();
        self.padded(Padding::Explicit([[rows, rows], [cols, cols]]))
    }

    /// With padding of any kind.
    #[must_use]
    pub fn padded(self, padding: Padding) -> Self {
        Self { padding, ..self }
    }

    /// With another stride.
    #[must_use]
    pub fn stride(mut self, stride: impl Pair) -> Self {
        self.options.stride = stride.pair();
        self
    }

    /// With gaps between the filter's taps.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Pair) -> Self {
        self.options.dilation = dilation.pair();
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
        self.weight.set(init.draw(self.weight.shape().clone(), rng));
        if let Some(bias) = &mut self.bias {
            bias.set(crate::init::constant(bias.shape().clone(), 0.0));
        }
        self
    }

    fn options_for(&self, x: &Var<T>) -> Conv2dOptions {
        match self.padding {
            Padding::Valid => self.options,
            Padding::Explicit(padding) => self.options.padding(padding),
            Padding::Same if x.rank() == 4 => {
                let (shape, kernel) = (x.shape(), self.weight.shape());
                self.options.same([shape[2], shape[3]], [kernel[2], kernel[3]])
            }
            // Not a picture: let the convolution say so.
            Padding::Same => self.options,
        }
    }
}

impl<T: Float> Layer<T> for Conv2d<T> {
    fn forward(&self, x: &Var<T>, _: &mut Mode) -> Var<T> {
        let y = x.conv2d(&self.weight, self.options_for(x));
        match &self.bias {
            Some(bias) => y + bias.reshape([-1, 1, 1]),
            None => y,
        }
    }
}
