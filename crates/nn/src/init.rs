//! How weights start. Fans are counted as PyTorch does: for weights `[out, in, ..]`, the fan in is `in` times the
//! product of the rest, the fan out `out` times it.

use gradus_autograd::Param;
use gradus_tensor::{Float, OrPanic, Rng, Shape, Tensor};

/// The number of inputs and of outputs that one weight of `shape` connects.
///
/// # Panics
/// When the shape has fewer than two axes.
#[track_caller]
pub fn fans(shape: &[usize]) -> (usize, usize) {
    assert!(shape.len() >= 2, "a weight of shape {shape:?} has no fans; two axes or more are wanted");
    let shape = Shape::from(shape).checked("fans").or_panic();
    let taps: usize = shape[2..].iter().product();
    (shape[1] * taps, shape[0] * taps)
}

/// Which fan the variance of a Kaiming initialisation is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fan {
    /// The inputs: keeps the variance on the way forward.
    #[default]
    In,
    /// The outputs: keeps the variance on the way back.
    Out,
}

impl Fan {
    #[track_caller]
    fn of(self, shape: &[usize]) -> f64 {
        let (fan_in, fan_out) = fans(shape);
        match self {
            Self::In => fan_in as f64,
            Self::Out => fan_out as f64,
        }
    }
}

/// Uniform on `[low, high)`.
///
/// # Panics
/// When the shape is too large for a tensor, or for the machine's memory.
#[doc(alias = "RandomUniform")]
#[track_caller]
pub fn uniform<T: Float>(shape: impl Into<Shape>, low: f64, high: f64, rng: &mut Rng) -> Tensor<T> {
    Tensor::uniform(shape, low, high, rng)
}

/// Normal with the given mean and standard deviation.
///
/// # Panics
/// When the shape is too large for a tensor, or for the machine's memory.
#[doc(alias = "RandomNormal")]
#[track_caller]
pub fn normal<T: Float>(shape: impl Into<Shape>, mean: f64, std: f64, rng: &mut Rng) -> Tensor<T> {
    Tensor::normal(shape, mean, std, rng)
}

/// Normal, draws outside `mean ± 2 std` drawn again.
///
/// # Panics
/// When the shape is too large for a tensor, or for the machine's memory.
#[doc(alias = "trunc_normal_")]
#[track_caller]
pub fn truncated_normal<T: Float>(shape: impl Into<Shape>, mean: f64, std: f64, rng: &mut Rng) -> Tensor<T> {
    let mut own = rng.split();
    let mut draw = || loop {
        let z = own.normal();
        if z.abs() <= 2.0 {
            return T::lit(mean + std * z);
        }
    };
    Tensor::from_fn(shape, |_| draw())
}

/// One value everywhere.
///
/// # Panics
/// When the shape is too large for a tensor, or for the machine's memory.
#[doc(alias("zeros_", "ones_"))]
#[track_caller]
pub fn constant<T: Float>(shape: impl Into<Shape>, value: f64) -> Tensor<T> {
    Tensor::build(shape, |out| out.fill(T::lit(value)))
}

/// Uniform with variance `gain² · 2 / (fan in + fan out)` (Glorot and Bengio 2010).
///
/// # Panics
/// When the shape has fewer than two axes.
#[doc(alias("GlorotUniform", "glorot_uniform"))]
#[track_caller]
pub fn xavier_uniform<T: Float>(shape: impl Into<Shape>, gain: f64, rng: &mut Rng) -> Tensor<T> {
    let shape = shape.into();
    let variance = xavier_variance(&shape, gain);
    with_variance_uniform(shape, variance, rng)
}

/// Normal with variance `gain² · 2 / (fan in + fan out)` (Glorot and Bengio 2010).
///
/// # Panics
/// When the shape has fewer than two axes.
#[doc(alias = "GlorotNormal")]
#[track_caller]
pub fn xavier_normal<T: Float>(shape: impl Into<Shape>, gain: f64, rng: &mut Rng) -> Tensor<T> {
    let shape = shape.into();
    let variance = xavier_variance(&shape, gain);
    normal(shape, 0.0, variance.sqrt(), rng)
}

#[track_caller]
fn xavier_variance(shape: &[usize], gain: f64) -> f64 {
    let (fan_in, fan_out) = fans(shape);
    gain * gain * 2.0 / (fan_in + fan_out) as f64
}

/// Uniform with variance `gain² / fan` (He et al. 2015); the gain is `√2` before a ReLU, and `√(2 / (1 + a²))` before a
/// leaky one of slope `a`.
///
/// # Panics
/// When the shape has fewer than two axes.
#[doc(alias = "HeUniform")]
#[track_caller]
pub fn kaiming_uniform<T: Float>(shape: impl Into<Shape>, gain: f64, fan: Fan, rng: &mut Rng) -> Tensor<T> {
    let shape = shape.into();
    let variance = gain * gain / fan.of(&shape);
    with_variance_uniform(shape, variance, rng)
}

/// Normal with variance `gain² / fan` (He et al. 2015); the gain is `√2` before a ReLU, and `√(2 / (1 + a²))` before a
/// leaky one of slope `a`.
///
/// # Panics
/// When the shape has fewer than two axes.
#[doc(alias("HeNormal", "he_normal"))]
#[track_caller]
pub fn kaiming_normal<T: Float>(shape: impl Into<Shape>, gain: f64, fan: Fan, rng: &mut Rng) -> Tensor<T> {
    let shape = shape.into();
    let std = gain / fan.of(&shape).sqrt();
    normal(shape, 0.0, std, rng)
}

/// Uniform with variance `1 / fan in` (LeCun et al. 1998).
///
/// # Panics
/// When the shape has fewer than two axes.
#[track_caller]
pub fn lecun_uniform<T: Float>(shape: impl Into<Shape>, rng: &mut Rng) -> Tensor<T> {
    kaiming_uniform(shape, 1.0, Fan::In, rng)
}

/// Normal with variance `1 / fan in` (LeCun et al. 1998).
///
/// # Panics
/// When the shape has fewer than two axes.
#[track_caller]
pub fn lecun_normal<T: Float>(shape: impl Into<Shape>, rng: &mut Rng) -> Tensor<T> {
    kaiming_normal(shape, 1.0, Fan::In, rng)
}

#[track_caller]
fn with_variance_uniform<T: Float>(shape: Shape, variance: f64, rng: &mut Rng) -> Tensor<T> {
    let bound = (3.0 * variance).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Rows (or columns, when there are fewer of those) that are orthonormal, times `gain` (Saxe et al. 2014); all axes
/// after the first count as one.
///
/// # Panics
/// When the shape has fewer than two axes.
#[track_caller]
pub fn orthogonal<T: Float>(shape: impl Into<Shape>, gain: f64, rng: &mut Rng) -> Tensor<T> {
    let shape = shape.into();
    assert!(shape.rank() >= 2, "an orthogonal weight of shape {shape}: two axes or more are wanted");
    let shape = shape.checked("orthogonal").or_panic();
    let (rows, cols) = (shape[0], shape[1..].iter().product::<usize>());
    let (count, len) = (rows.min(cols), rows.max(cols));
    let drawn = Tensor::<f64>::normal([count, len], 0.0, 1.0, rng).to_vec();
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    for v in drawn.chunks_exact(len.max(1)) {
        let mut v = v.to_vec();
        // Modified Gram-Schmidt, twice: once leaves errors of the size of the condition number.
        for _ in 0..2 {
            for b in &basis {
                let along: f64 = v.iter().zip(b).map(|(v, b)| v * b).sum();
                v.iter_mut().zip(b).for_each(|(v, b)| *v -= along * b);
            }
        }
        let norm = v.iter().map(|v| v * v).sum::<f64>().sqrt();
        v.iter_mut().for_each(|v| *v /= norm);
        basis.push(v);
    }
    let at = |r: usize, c: usize| if rows <= cols { basis[r][c] } else { basis[c][r] };
    Tensor::from_fn([rows, cols], |i| T::lit(gain * at(i[0], i[1]))).reshape(&shape)
}

/// An initialiser chosen by name, for a layer's `init`.
///
/// ```
/// use gradus_nn::{Init, Linear};
/// use gradus_tensor::Rng;
/// let rng = &mut Rng::seed(0);
/// let layer: Linear = Linear::new(100, 50, rng).init(Init::KaimingNormal, rng);
/// let std = layer.weight.value().var(.., 0).item().sqrt();
/// assert!((std - (2.0f32 / 100.0).sqrt()).abs() < 0.01);
/// ```
#[doc(alias = "kernel_initializer")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Uniform on `[low, high)`.
    #[doc(alias = "RandomUniform")]
    Uniform(f64, f64),
    /// Normal with mean and standard deviation.
    #[doc(alias = "RandomNormal")]
    Normal(f64, f64),
    /// Normal with mean and standard deviation, cut off at two of those: [`truncated_normal`].
    TruncatedNormal(f64, f64),
    /// One value everywhere.
    Constant(f64),
    /// [`xavier_uniform`].
    #[doc(alias("GlorotUniform", "glorot_uniform"))]
    XavierUniform,
    /// [`xavier_normal`].
    #[doc(alias = "GlorotNormal")]
    XavierNormal,
    /// [`kaiming_uniform`] by the fan in, with the gain for ReLU.
    #[doc(alias = "HeUniform")]
    KaimingUniform,
    /// [`kaiming_normal`] by the fan in, with the gain for ReLU.
    #[doc(alias("HeNormal", "he_normal"))]
    KaimingNormal,
    /// [`kaiming_normal`] by the fan out, with the gain for ReLU; residual networks start so.
    KaimingNormalFanOut,
    /// [`lecun_uniform`].
    LecunUniform,
    /// [`lecun_normal`].
    LecunNormal,
    /// [`orthogonal`] with a gain.
    Orthogonal(f64),
}

impl Init {
    /// A weight of `shape`.
    ///
    /// # Panics
    /// When the initialiser counts fans and the shape has fewer than two axes.
    #[track_caller]
    pub fn draw<T: Float>(self, shape: impl Into<Shape>, rng: &mut Rng) -> Tensor<T> {
        let relu = std::f64::consts::SQRT_2;
        match self {
            Self::Uniform(low, high) => uniform(shape, low, high, rng),
            Self::Normal(mean, std) => normal(shape, mean, std, rng),
            Self::TruncatedNormal(mean, std) => truncated_normal(shape, mean, std, rng),
            Self::Constant(value) => constant(shape, value),
            Self::XavierUniform => xavier_uniform(shape, 1.0, rng),
            Self::XavierNormal => xavier_normal(shape, 1.0, rng),
            Self::KaimingUniform => kaiming_uniform(shape, relu, Fan::In, rng),
            Self::KaimingNormal => kaiming_normal(shape, relu, Fan::In, rng),
            Self::KaimingNormalFanOut => kaiming_normal(shape, relu, Fan::Out, rng),
            Self::LecunUniform => lecun_uniform(shape, rng),
            Self::LecunNormal => lecun_normal(shape, rng),
            Self::Orthogonal(gain) => orthogonal(shape, gain, rng),
        }
    }
}

/// PyTorch's default for weights, `kaiming_uniform` with `a = √5`, which is `U(±1/√fan in)`; and the same for biases.
#[track_caller]
pub(crate) fn default_weight<T: Float>(shape: impl Into<Shape>, fan_in: usize, rng: &mut Rng) -> Tensor<T> {
    let bound = 1.0 / (fan_in.max(1) as f64).sqrt();
    uniform(shape, -bound, bound, rng)
}

/// Weights of `shape` and a bias for each of `outputs`, as [`default_weight`] draws them.
#[track_caller]
pub(crate) fn default_parameters<T: Float>(
    shape: impl Into<Shape>,
    outputs: usize,
    fan_in: usize,
    rng: &mut Rng,
) -> (Param<T>, Option<Param<T>>) {
    let weight = Param::new(default_weight(shape, fan_in, rng));
    (weight, Some(Param::new(default_weight([outputs], fan_in, rng))))
}

/// Draws weights anew, and makes the bias 0.
#[track_caller]
pub(crate) fn redraw<T: Float>(weight: &mut Param<T>, bias: Option<&mut Param<T>>, init: Init, rng: &mut Rng) {
    weight.set(init.draw(weight.shape().clone(), rng));
    if let Some(bias) = bias {
        bias.set(constant(bias.shape().clone(), 0.0));
    }
}
