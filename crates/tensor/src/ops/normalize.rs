//! Normalisation by mean and variance, and its gradients.

use crate::compiled_once::compiled_once;
use crate::error::{OrPanic, ShapeError};
use crate::float::Float;
use crate::kernels::norm::{self, Affine, Geometry, Given, Gradients, Scaling};
use crate::shape::{AxisList, Shape};
use crate::tensor::Tensor;

/// Which elements share a mean and a variance; channels are axis 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// Those of a channel, in all samples.
    Batch,
    /// Those of a group of channels, of so many groups, in one sample.
    Groups(usize),
    /// Those of so many last axes.
    Last(usize),
}

/// Which elements are normalised together, and how.
///
/// ```
/// use gradus_tensor::{Normalization, Over};
/// let n = Normalization::over(Over::Last(1)).eps(1e-6);
/// assert!(n.centred);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalization {
    /// The elements that share a mean and a variance.
    pub over: Over,
    /// Whether the mean is subtracted; otherwise elements are divided by the root of their mean square (RMSNorm).
    pub centred: bool,
    /// What is added to the variance.
    pub eps: f64,
}

impl Normalization {
    /// By mean and variance over these elements, with an `eps` of 1e-5.
    pub fn over(over: Over) -> Self {
        Self { over, centred: true, eps: 1e-5 }
    }

    /// By the root of the mean square, with no mean.
    #[must_use]
    pub fn root_mean_square(self) -> Self {
        Self { centred: false, ..self }
    }

    /// With another number to be added to the variance.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The shape of means and variances of an input of this shape: `[C]` over the batch, `[N, groups]` over groups, that of the other axes
    /// over the last.
    ///
    /// # Errors
    /// When the input has too few axes, or its channels do not divide into the groups.
    pub fn statistics_shape(&self, input: &Shape) -> Result<Shape, ShapeError> {
        let axes = match self.over {
            Over::Batch | Over::Groups(_) => 2,
            Over::Last(axes) => axes,
        };
        if input.rank() < axes {
            return Err(ShapeError::new("normalize", format!("expected {axes} axes or more, got shape {input}")));
        }
        match self.over {
            Over::Batch => Ok([input[1]].into()),
            Over::Groups(groups) if groups > 0 && input[1].is_multiple_of(groups) => Ok([input[0], groups].into()),
            Over::Groups(groups) => {
                Err(ShapeError::new("normalize", format!("{} channels do not divide into {groups} groups", input[1])))
            }
            Over::Last(axes) => Ok(input[..input.rank() - axes].into()),
        }
    }

    fn geometry(&self, input: &Shape) -> Result<Geometry, ShapeError> {
        let centred = self.centred;
        let statistics = self.statistics_shape(input)?.numel();
        let groups = match self.over {
            Over::Batch => None,
            Over::Groups(groups) => Some(groups),
            Over::Last(axes) => {
                let channels = input[input.rank() - axes..].iter().product();
                return Ok(Geometry { samples: statistics, channels, inner: 1, groups: Some(1), centred });
            }
        };
        Ok(Geometry { samples: input[0], channels: input[1], inner: input[2..].iter().product(), groups, centred })
    }
}

/// The statistics that a normalisation found.
#[derive(Clone, Debug)]
pub struct Statistics<T: Float> {
    /// The means; 0 where the mean is not subtracted.
    pub mean: Tensor<T>,
    /// The variances (biased), or mean squares.
    pub variance: Tensor<T>,
    /// What the elements were normalised by: of each statistic a mean, `1 / √(variance + eps)`, and the power of two that elements are
    /// multiplied by first, which is not 1 where their squares are beyond the type's range.
    scaling: Tensor<T>,
}

#[compiled_once]
impl<T: Float> Statistics<T> {
    /// The power of two that the elements of each statistic were multiplied by, of the statistics' shape; `None` where all are 1.
    pub fn units(&self) -> Option<Tensor<T>> {
        let units = self.scaling.slice(1, 2..).reshape(self.mean.shape());
        units.map(|unit| unit != T::one()).any().then_some(units)
    }
}

/// A tensor as kernels read it, and how its axes lie in memory.
struct Seen<T: Float> {
    x: Tensor<T>,
    geometry: Geometry,
    /// Where the channels are innermost in memory: the order of axes that has them last.
    order: Option<AxisList>,
}

impl<T: Float> Seen<T> {
    #[track_caller]
    fn of(x: &Tensor<T>, n: &Normalization) -> Self {
        let geometry = n.geometry(&x.shape).or_panic();
        if n.over == Over::Batch && !x.is_contiguous() {
            let order: AxisList = [0].into_iter().chain(2..x.rank()).chain([1]).collect();
            let x = x.permute(&order);
            if x.is_contiguous() {
                let geometry = Geometry { samples: geometry.samples * geometry.inner, inner: 1, ..geometry };
                return Self { x, geometry, order: Some(order) };
            }
        }
        Self { x: x.contiguous(), geometry, order: None }
    }

    /// Another tensor of the same shape, with its elements in the same order.
    #[track_caller]
    fn alike(&self, other: &Tensor<T>) -> Tensor<T> {
        self.order.as_ref().map_or_else(|| other.contiguous(), |order| other.permute(order).contiguous())
    }

    /// A new tensor of the same shape, written in the same order.
    #[track_caller]
    fn build(&self, fill: impl FnOnce(&mut [T])) -> Tensor<T> {
        let y = Tensor::build_for("normalize", self.x.shape.clone(), fill);
        let Some(order) = &self.order else { return y };
        let mut inverse = order.clone();
        order.iter().enumerate().for_each(|(i, &axis)| inverse[axis] = i);
        y.permute(&inverse)
    }

    fn data(&self) -> &[T] {
        slice(&self.x)
    }
}

fn slice<T: Float>(x: &Tensor<T>) -> &[T] {
    x.as_slice().expect("contiguous")
}

/// The values of weight or bias, one a channel; all `default` where there is none.
#[track_caller]
fn per_channel<T: Float>(what: &str, given: Option<&Tensor<T>>, g: &Geometry, default: T) -> Tensor<T> {
    let Some(given) = given else { return Tensor::full([g.channels], default).contiguous() };
    if given.numel() != g.channels {
        let detail = format!("expected a {what} of {} elements, got shape {}", g.channels, given.shape);
        Err(ShapeError::new("normalize", detail)).or_panic()
    }
    given.contiguous()
}

/// What normalises by a given mean and variance of each channel.
#[track_caller]
fn scaling_of<T: Float>([mean, variance]: [&Tensor<T>; 2], eps: f64, g: &Geometry) -> Vec<T> {
    let [mean, variance] = [("mean", mean), ("variance", variance)].map(|(what, t)| per_channel(what, Some(t), g, T::zero()));
    let mut scaling = vec![T::zero(); 3 * g.channels];
    for (to, (&mean, &variance)) in scaling.chunks_exact_mut(3).zip(slice(&mean).iter().zip(slice(&variance))) {
        Scaling::of(mean, variance.to_f64(), eps).write(to);
    }
    scaling
}

#[compiled_once]
impl<T: Float> Tensor<T> {
    /// `(x - mean) / √(variance + eps) · weight + bias`, with the (biased) statistics of the elements themselves, and these.
    ///
    /// Weight and bias are `[C]`, of axis 1, or for [`Over::Last`] of the shape of the last axes. Statistics hold at every magnitude:
    /// where squares are beyond the type's range, elements are divided by a power of two first.
    ///
    /// ```
    /// use gradus_tensor::{Normalization, Over, Tensor};
    /// let x = Tensor::from([[1.0f32, 3.0], [10.0, 30.0]]);
    /// let (y, statistics) = x.normalize(&Normalization::over(Over::Last(1)).eps(0.0), None, None);
    /// assert_eq!(y.to_vec(), [-1.0, 1.0, -1.0, 1.0]);
    /// assert_eq!(statistics.variance.to_vec(), [1.0, 100.0]);
    /// ```
    ///
    /// # Panics
    /// When the shape has too few axes, or does not fit weight, bias or groups.
    #[doc(alias("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"))]
    #[track_caller]
    pub fn normalize(&self, n: &Normalization, weight: Option<&Self>, bias: Option<&Self>) -> (Self, Statistics<T>) {
        let seen = Seen::of(self, n);
        let g = &seen.geometry;
        let (weight, bias) = (per_channel("weight", weight, g, T::one()), per_channel("bias", bias, g, T::zero()));
        let affine = Affine { weight: slice(&weight), bias: slice(&bias) };
        let kept = n.statistics_shape(&self.shape).or_panic();
        let [mut mean, mut variance] = [0, 1].map(|_| Tensor::full(kept.clone(), T::NAN));
        let mut scaling = Tensor::full([g.statistics(), 3], T::NAN);
        let to =
            norm::Statistics { scaling: scaling.as_mut_slice(), mean: mean.as_mut_slice(), variance: variance.as_mut_slice() };
        let y = seen.build(|out| norm::forward(g, seen.data(), affine, n.eps, out, to));
        (y, Statistics { mean, variance, scaling })
    }

    /// The gradients of [`normalize`](Self::normalize) for input, weight and bias, from that of the result, `gy`, and the statistics.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn normalize_grad(&self, n: &Normalization, weight: Option<&Self>, statistics: &Statistics<T>, gy: &Self) -> [Self; 3] {
        let seen = Seen::of(self, n);
        let g = &seen.geometry;
        if *gy.shape() != self.shape || statistics.scaling.numel() != 3 * g.statistics() {
            let detail = format!("gradients {} and {} statistics of {}", gy.shape, statistics.mean.shape, self.shape);
            Err(ShapeError::new("normalize", detail)).or_panic()
        }
        let gy = seen.alike(gy);
        let shape = weight.map_or_else(|| [g.channels].into(), |w| w.shape.clone());
        let weight = per_channel("weight", weight, g, T::one());
        let scaling = statistics.scaling.contiguous();
        let given = Given { x: seen.data(), gy: slice(&gy), weight: slice(&weight), scaling: slice(&scaling) };
        let [mut dw, mut db] = [0, 1].map(|_| Tensor::zeros(shape.clone()));
        let (weight, bias) = (dw.as_mut_slice(), db.as_mut_slice());
        let dx = seen.build(|x| norm::backward(g, given, Gradients { x, weight, bias }));
        [dx, dw, db]
    }

    /// `(x - mean) / √(variance + eps) · weight + bias` by given statistics, one a channel; all are `[C]`, of axis 1.
    ///
    /// ```
    /// use gradus_tensor::Tensor;
    /// let [mean, variance] = [Tensor::from([1.0f32]), Tensor::from([4.0])];
    /// assert_eq!(Tensor::from([[5.0f32]]).normalize_by([&mean, &variance], 0.0, None, None).to_vec(), [2.0]);
    /// ```
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn normalize_by(&self, statistics: [&Self; 2], eps: f64, weight: Option<&Self>, bias: Option<&Self>) -> Self {
        let seen = Seen::of(self, &Normalization::over(Over::Batch));
        let g = &seen.geometry;
        let (weight, bias) = (per_channel("weight", weight, g, T::one()), per_channel("bias", bias, g, T::zero()));
        let affine = Affine { weight: slice(&weight), bias: slice(&bias) };
        let scaling = scaling_of(statistics, eps, g);
        seen.build(|out| norm::by_scaling(g, seen.data(), affine, &scaling, out))
    }

    /// The gradients of [`normalize_by`](Self::normalize_by) for input, weight and bias, from that of the result, `gy`.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn normalize_by_grad(&self, statistics: [&Self; 2], eps: f64, weight: Option<&Self>, gy: &Self) -> [Self; 3] {
        let seen = Seen::of(self, &Normalization::over(Over::Batch));
        let g = &seen.geometry;
        if *gy.shape() != self.shape {
            Err(ShapeError::new("normalize", format!("gradients {} of {}", gy.shape, self.shape))).or_panic()
        }
        let gy = seen.alike(gy);
        let weight = per_channel("weight", weight, g, T::one());
        let scaling = scaling_of(statistics, eps, g);
        let [mut dw, mut db] = [0, 1].map(|_| Tensor::zeros([g.channels]));
        let given = Given { x: seen.data(), gy: slice(&gy), weight: slice(&weight), scaling: &scaling };
        norm::backward_by_scaling(g, given, dw.as_mut_slice(), db.as_mut_slice());
        // `gy` times what each element is multiplied by.
        let factor: Vec<T> = scaling.chunks_exact(3).flat_map(|s| [T::zero(), s[1], T::one()]).collect();
        let zero = vec![T::zero(); g.channels];
        let affine = Affine { weight: slice(&weight), bias: &zero };
        let dx = seen.build(|out| norm::by_scaling(g, slice(&gy), affine, &factor, out));
        [dx, dw, db]
    }
}
