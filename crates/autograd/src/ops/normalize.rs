//! Normalisation by mean and variance.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::{apply, apply_aux};
use crate::ops::unfolded::unfolded_gradients;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::shape::AxisList;
use gradus_tensor::{Float, Normalization, Over, Rng, Shape, Statistics, Tensor};

#[compiled_once]
impl<T: Float> Var<T> {
    /// `(x - mean) / √(variance + eps) · weight + bias`, with the (biased) statistics of the elements themselves, and these: with `g`
    /// for `dy · weight`, `dx = (g - mean(g) - y mean(g y)) / √(variance + eps)`, where `y` is before weight and bias.
    ///
    /// Weight and bias are `[C]`, of axis 1, or for [`Over::Last`] of the shape of the last axes. Statistics hold at every magnitude.
    ///
    /// # Panics
    /// When the shape has too few axes, or does not fit weight, bias or groups.
    #[doc(alias("batch_norm", "layer_norm", "group_norm", "instance_norm", "rms_norm"))]
    #[track_caller]
    pub fn normalize(&self, n: &Normalization, weight: Option<&Var<T>>, bias: Option<&Var<T>>) -> (Var<T>, Statistics<T>) {
        let affine = affine(weight, bias);
        let inputs: Vec<&Var<T>> = [self].into_iter().chain(&affine).collect();
        apply_aux(Normalize(*n), &inputs)
    }

    /// `(x - mean) / √(variance + eps) · weight + bias` by given statistics, one a channel; all are `[C]`, of axis 1.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn normalize_by(
        &self,
        [mean, variance]: [&Var<T>; 2],
        eps: f64,
        weight: Option<&Var<T>>,
        bias: Option<&Var<T>>,
    ) -> Var<T> {
        let affine = affine(weight, bias);
        let inputs: Vec<&Var<T>> = [self, mean, variance].into_iter().chain(&affine).collect();
        apply(NormalizeBy { eps }, &inputs)
    }
}

/// Weight and bias as the last inputs of an op: a bias alone has a weight of ones before it.
fn affine<T: Float>(weight: Option<&Var<T>>, bias: Option<&Var<T>>) -> Vec<Var<T>> {
    let ones = || bias.map(|bias| Var::constant(Tensor::ones(bias.shape())));
    weight.cloned().or_else(ones).into_iter().chain(bias.cloned()).collect()
}

/// Inputs: `x`, and weight and bias where there are any. By-product: the statistics.
pub(crate) struct Normalize(Normalization);

impl<T: Float> Op<T> for Normalize {
    fn name(&self) -> &'static str {
        "normalize"
    }

    fn attributes(&self) -> Attributes {
        let Normalization { over, centred, eps } = self.0;
        let over = match over {
            Over::Batch => "batch".to_string(),
            Over::Groups(groups) => format!("{groups} groups"),
            Over::Last(axes) => format!("last {axes} axes"),
        };
        Attributes::new().with("over", over).with("centred", centred).with("eps", eps)
    }

    fn kind(&self) -> OpKind {
        OpKind::Reduction
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let [weight, bias] = [1, 2].map(|i| (cx.len() > i).then(|| cx.input(i)));
        let (y, statistics) = cx.input(0).normalize(&self.0, weight, bias);
        cx.save(statistics.clone());
        cx.set_aux(statistics);
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let statistics: &Statistics<T> = cx.residuals();
        if cx.is_differentiable() {
            let statistics = statistics.clone();
            return differentiable(cx, &self.0, &statistics);
        }
        let x = cx.input(0).into_value();
        let weight = (cx.len() > 1).then(|| cx.input(1).into_value());
        let grads = x.normalize_grad(&self.0, weight.as_ref(), statistics, cx.gy().value());
        let given = grads.into_iter().take(cx.len()).enumerate();
        given.map(|(i, g)| Some(Var::constant(g.reshape(cx.input(i).shape())))).collect()
    }
}

/// The normalised elements as ops on variables: with the axes of each statistic last or alone, and where they are.
struct Unfolded<T: Float> {
    y: Var<T>,
    /// The slope of `y` by the elements, but for what the statistics do.
    scale: Var<T>,
    axes: AxisList,
}

fn unfold<T: Float>(x: &Var<T>, n: &Normalization, statistics: &Statistics<T>) -> Unfolded<T> {
    let shape = x.shape();
    let (x, axes): (Var<T>, AxisList) = match n.over {
        Over::Batch => (x.clone(), (0..shape.rank()).filter(|&axis| axis != 1).collect()),
        Over::Groups(groups) => {
            let within = shape[1] / groups.max(1) * shape[2..].iter().product::<usize>();
            (x.reshape([shape[0], groups, within]), [2].into_iter().collect())
        }
        Over::Last(last) => (x.clone(), (shape.rank() - last..shape.rank()).collect()),
    };
    let kept: Shape = x.shape().iter().enumerate().map(|(axis, &n)| if axes.contains(&axis) { 1 } else { n }).collect();
    let units = statistics.units().map(|units| units.reshape(kept));
    let (x, eps) = match &units {
        None => (x, Tensor::scalar(T::lit(n.eps))),
        Some(units) => {
            let eps = n.eps;
            (x * Var::constant(units.clone()), units.map(move |u| T::lit(eps * u.to_f64() * u.to_f64())))
        }
    };
    let centred = if n.centred { &x - x.mean_keep(&axes) } else { x };
    let scale = (centred.square().mean_keep(&axes) + Var::constant(eps)).sqrt().recip();
    let y = centred * &scale;
    Unfolded { y, scale: units.map_or_else(|| scale.clone(), |units| &scale * Var::constant(units)), axes }
}

/// The gradients as ops on variables. A gradient's distance from the mean comes first: it may be 0, and what is left small beside it.
fn differentiable<T: Float>(cx: &mut VjpContext<'_, T>, n: &Normalization, statistics: &Statistics<T>) -> Gradients<T> {
    let x = cx.input(0);
    let (shape, gy) = (x.shape().clone(), cx.gy().clone());
    let Unfolded { y, scale, axes } = unfold(&x, n, statistics);
    let g = if cx.len() > 1 { &gy * in_place(&cx.input(1), n, &shape) } else { gy.clone() }.reshape(y.shape());
    let own = if n.centred { &g - g.mean_keep(&axes) } else { g.clone() };
    let dx = ((own - &y * (&g * &y).mean_keep(&axes)) * scale).reshape(&shape);
    let others: AxisList = match n.over {
        Over::Last(last) => (0..shape.rank() - last).collect(),
        _ => (0..shape.rank()).filter(|&axis| axis != 1).collect(),
    };
    let dw = |cx: &mut VjpContext<'_, T>| (&gy * y.reshape(&shape)).sum(&others).reshape(cx.input(1).shape());
    let mut grads = vec![Some(dx)];
    if cx.len() > 1 {
        grads.push(Some(dw(cx)));
    }
    if cx.len() > 2 {
        grads.push(Some(gy.sum(&others).reshape(cx.input(2).shape())));
    }
    grads.into_iter().collect()
}

/// A weight or a bias, to be broadcast over elements of `shape`.
fn in_place<T: Float>(v: &Var<T>, n: &Normalization, shape: &Shape) -> Var<T> {
    match n.over {
        Over::Last(last) => v.reshape(&shape[shape.rank() - last..]),
        _ => per_channel(v, shape),
    }
}

/// `y · weight + bias`, of which `affine` has what there is, each in the shape that `laid_out` gives it.
fn scaled<T: Float>(y: Var<T>, affine: &[Var<T>], laid_out: impl Fn(&Var<T>) -> Var<T>) -> Var<T> {
    match affine {
        [weight, bias] => y * laid_out(weight) + laid_out(bias),
        [weight] => y * laid_out(weight),
        _ => y,
    }
}

/// One value a channel, to be broadcast along axis 1 of `shape`.
fn per_channel<T: Float>(v: &Var<T>, shape: &Shape) -> Var<T> {
    let shape: Shape = (0..shape.rank()).map(|axis| if axis == 1 { shape[1] } else { 1 }).collect();
    v.reshape(shape)
}

/// Inputs: `x`, mean, variance, and weight and bias where there are any.
pub(crate) struct NormalizeBy {
    eps: f64,
}

impl<T: Float> Op<T> for NormalizeBy {
    fn name(&self) -> &'static str {
        "normalize_by"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with("eps", self.eps)
    }

    fn kind(&self) -> OpKind {
        OpKind::Elementwise
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let [weight, bias] = [3, 4].map(|i| (cx.len() > i).then(|| cx.input(i)));
        cx.input(0).normalize_by([cx.input(1), cx.input(2)], self.eps, weight, bias)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if cx.is_differentiable() {
            return unfolded_gradients(cx, |v| self.unfold(v));
        }
        let [x, mean, variance] = [0, 1, 2].map(|i| cx.input(i).into_value());
        let weight = (cx.len() > 3).then(|| cx.input(3).into_value());
        let [dx, dw, db] = x.normalize_by_grad([&mean, &variance], self.eps, weight.as_ref(), cx.gy().value());
        // Mean and variance move the elements against what weight and bias see: `-Σ g / σ` and `-Σ g y / 2σ²`.
        let eps = T::lit(self.eps);
        let scale = variance.map(move |v| (v + eps).sqrt().recip());
        let slope = weight.map_or_else(|| scale.clone(), |w| &scale * w.reshape(scale.shape()));
        let dmean = -(&db * &slope);
        let dvariance = &dw * &slope * &scale * -0.5;
        let grads = [dx, dmean, dvariance, dw, db].into_iter().take(cx.len()).enumerate();
        grads.map(|(i, g)| Some(Var::constant(g.reshape(cx.input(i).shape())))).collect()
    }
}

impl NormalizeBy {
    /// The same function made of small ops.
    fn unfold<T: Float>(&self, v: &[Var<T>]) -> Var<T> {
        let shape = v[0].shape();
        let scale = (&v[2] + self.eps).sqrt().recip();
        let y = (&v[0] - per_channel(&v[1], shape)) * per_channel(&scale, shape);
        scaled(y, &v[3..], |v| per_channel(v, shape))
    }
}

/// Elements that differ, so that no variance is near 0.
fn spread(rng: &mut Rng, shape: impl Into<Shape>) -> Tensor<f64> {
    draw::spread(rng, shape.into(), -2.0..2.0)
}

impl<T: Float> Sampled<T> for Normalize {
    fn samples() -> Vec<OpSample<T>> {
        vec![
            OpSample::new("normalize", |rng| {
                let shape = [[4, 2, 1], [3, 3, 2], [1, 1, 6]][rng.below(3)];
                let n = Normalization::over(Over::Batch).eps(0.1);
                let weights = [draw::of_shape(rng, [shape[1]]), draw::of_shape(rng, [shape[1]])];
                let [w, b] = weights;
                Case::new([spread(rng, shape), w, b], move |v| v[0].normalize(&n, Some(&v[1]), Some(&v[2])).0)
            })
            .without_ties(),
            OpSample::new("normalize", |rng| {
                let (groups, channels) = [(1, 3), (2, 4), (3, 3)][rng.below(3)];
                let n = Normalization::over(Over::Groups(groups)).eps(0.1);
                let weights = [draw::of_shape(rng, [channels]), draw::of_shape(rng, [channels])];
                let [w, b] = weights;
                Case::new([spread(rng, [2, channels, 3]), w, b], move |v| v[0].normalize(&n, Some(&v[1]), Some(&v[2])).0)
            })
            .without_ties(),
            OpSample::new("normalize", |rng| {
                let (axes, shape) = [(1, [4]), (2, [3]), (1, [7])][rng.below(3)];
                let n = Normalization::over(Over::Last(axes)).eps(0.1);
                let n = if rng.below(2) == 0 { n.root_mean_square() } else { n };
                let w = draw::of_shape(rng, if axes == 1 { vec![shape[0]] } else { vec![2, shape[0]] });
                Case::new([spread(rng, [2, 2, shape[0]]), w], move |v| v[0].normalize(&n, Some(&v[1]), None).0)
            })
            .without_ties(),
            // Squares that overflow, in units. Of two values the result would be 1 and -1, whatever they are.
            OpSample::new("normalize", |rng| {
                let n = Normalization::over([Over::Batch, Over::Groups(2), Over::Last(1)][rng.below(3)]).eps(0.1);
                Case::new([spread(rng, [4, 2, 4])], move |v| {
                    let size = T::MAX.to_f64().sqrt() * 4.0;
                    (&v[0] * size).normalize(&n, None, None).0
                })
            })
            // Between equals there is nothing but `eps`, which is lost beside such squares.
            .without_ties(),
        ]
    }
}

impl<T: Float> Sampled<T> for NormalizeBy {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("normalize_by", |rng| {
            let x = draw::tensor_of_rank(rng, 3, -2.0..2.0);
            let channels = x.shape()[1];
            let [mean, w, b] = [0, 1, 2].map(|_| draw::of_shape(rng, [channels]));
            let variance = Tensor::uniform([channels], 0.3, 2.0, rng);
            let has_affine = rng.below(3) > 0;
            Case::new([x, mean, variance, w, b], move |v| {
                let [w, b] = [3, 4].map(|i| has_affine.then_some(&v[i]));
                v[0].normalize_by([&v[1], &v[2]], 0.1, w, b)
            })
        })]
    }
}
