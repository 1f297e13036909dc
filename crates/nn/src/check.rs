//! Checking layers against finite differences.

use crate::layer::{Layer, Mode};
use gradus_autograd::check::{GradCheckError, Tolerance};
use gradus_autograd::{GradMode, Param, Path, Var, grad_with, no_grad};
use gradus_tensor::{Rng, Shape, Tensor};
use std::fmt;

/// A gradient of a layer that is not what finite differences say.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCheckError {
    /// The parameter's path, or `input`.
    pub path: String,
    /// Whether the layer was in training mode.
    pub train: bool,
    /// Where, and what was found.
    pub error: GradCheckError,
}

impl fmt::Display for LayerCheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = if self.train { "training" } else { "evaluation" };
        write!(f, "{} in {mode}: {}", self.path, self.error)
    }
}

impl std::error::Error for LayerCheckError {}

/// Checks a layer's first and second derivatives with respect to a random input of `input_shape` and to every trainable
/// parameter, in evaluation and in training mode, the latter with the same random draws each time.
///
/// ```
/// use gradus_nn::{Linear, check::check_layer};
/// use gradus_tensor::Rng;
/// check_layer(Linear::<f64>::new(3, 2, &mut Rng::seed(0)), [4, 3]).unwrap();
/// ```
///
/// # Errors
/// The first derivative that is off, by the parameter's path.
///
/// # Panics
/// When the input or a trainable parameter has no influence on the output.
pub fn check_layer(layer: impl Layer<f64>, input_shape: impl Into<Shape>) -> Result<(), LayerCheckError> {
    check_layer_at(layer, &Tensor::normal(input_shape, 0.0, 1.0, &mut Rng::seed(0xc4ec)))
}

/// As [`check_layer`], at an input of one's own.
///
/// # Errors
/// The first derivative that is off, by the parameter's path.
///
/// # Panics
/// When the input or a trainable parameter has no influence on the output.
pub fn check_layer_at(layer: impl Layer<f64>, x: &Tensor<f64>) -> Result<(), LayerCheckError> {
    let mut probe = Probe { layer, x: x.clone(), train: false };
    for train in [false, true] {
        probe.train = train;
        let (_, first) = probe.gradients(GradMode::Plain);
        let first = first.iter().map(|g| g.value().to_vec()).collect();
        probe.compare("first", first, Tolerance::default(), Probe::value)?;
        let second = probe.second();
        let tolerance = Tolerance { relative: 1e-5, absolute: 1e-6, ..Tolerance::default() };
        probe.compare("second", second, tolerance, Probe::slope)?;
    }
    Ok(())
}

/// A layer at an input: point 0 is the input, the others are the trainable parameters.
struct Probe<L> {
    layer: L,
    x: Tensor<f64>,
    train: bool,
}

impl<L: Layer<f64>> Probe<L> {
    fn forward(&self, x: &Var<f64>) -> Var<f64> {
        if self.train {
            self.layer.forward(x, &mut Mode::Train(&mut Rng::seed(1)))
        } else {
            self.layer.forward(x, &mut Mode::Eval)
        }
    }

    fn parameters(&self) -> Vec<(String, &Param<f64>)> {
        self.layer.named_parameters().into_iter().filter(|(_, p)| p.is_trainable()).collect()
    }

    /// `<layer(x), v>` for a fixed random `v`.
    fn value(&self) -> f64 {
        let y = no_grad(|| self.forward(&Var::constant(self.x.clone())));
        (y.value() * &weights(y.shape(), 0)).sum(..).item()
    }

    /// The gradients of [`value`](Self::value) at all points, and the input's leaf.
    fn gradients(&self, mode: GradMode) -> (Var<f64>, Vec<Var<f64>>) {
        let x = Var::leaf(self.x.clone());
        let y = self.forward(&x);
        let v = Var::constant(weights(y.shape(), 0));
        let parameters = self.parameters();
        let points: Vec<&Var<f64>> = [&x].into_iter().chain(parameters.iter().map(|(_, p)| &***p)).collect();
        let grads = grad_with(&y, &v, &points, mode).unwrap_or_else(|e| {
            let paths: Vec<&str> = parameters.iter().map(|(path, _)| path.as_str()).collect();
            panic!("check_layer: the input is xs[0], then come the parameters {paths:?}: {e}")
        });
        (x, grads)
    }

    /// `Σ <gradient, w>` over all points, each with a fixed random `w`.
    fn slope(&self) -> f64 {
        let (_, grads) = self.gradients(GradMode::Plain);
        grads.iter().zip(1..).map(|(g, i)| (g.value() * &weights(g.shape(), i)).sum(..).item()).sum()
    }

    /// The gradients of [`slope`](Self::slope) at all points; zeros where it is constant.
    fn second(&self) -> Vec<Vec<f64>> {
        let (x, grads) = self.gradients(GradMode::Differentiable);
        let weighted = grads.iter().zip(1..).map(|(g, i)| (g * Var::constant(weights(g.shape(), i))).sum(..));
        let slope = weighted.reduce(|a, b| a + b).expect("the input is there");
        let grads = slope.requires_grad().then(|| slope.backward());
        let at = |point: &Var<f64>| match grads.as_ref().and_then(|g| g.get(point)) {
            Some(g) => g.to_vec(),
            None => vec![0.0; point.shape().numel()],
        };
        [at(&x)].into_iter().chain(self.parameters().iter().map(|(_, p)| at(p))).collect()
    }

    /// Compares derivatives at all points with the fourth-order central differences of `f`.
    fn compare(
        &mut self,
        order: &'static str,
        analytic: Vec<Vec<f64>>,
        tolerance: Tolerance,
        f: impl Fn(&Self) -> f64,
    ) -> Result<(), LayerCheckError> {
        let parameters = self.parameters();
        let points: Vec<(String, Shape)> = [("input".to_string(), self.x.shape().clone())]
            .into_iter()
            .chain(parameters.iter().map(|(path, p)| (path.clone(), p.shape().clone())))
            .collect();
        for (at, ((path, shape), analytic)) in points.into_iter().zip(analytic).enumerate() {
            let parameter = (at > 0).then_some(path.as_str());
            for (flat, analytic) in analytic.into_iter().enumerate() {
                let numeric = self.difference(parameter, flat, &f);
                if !tolerance.accepts(analytic, numeric) {
                    let index = shape.strides().iter().zip(shape.iter()).map(|(&s, &n)| flat / s as usize % n).collect();
                    let error = GradCheckError { order, input: at, shape: shape.to_vec(), index, analytic, numeric };
                    return Err(LayerCheckError { path, train: self.train, error });
                }
            }
        }
        Ok(())
    }

    /// The central difference of `f` in one element of a parameter, or of the input.
    fn difference(&mut self, parameter: Option<&str>, flat: usize, f: impl Fn(&Self) -> f64) -> f64 {
        const H: f64 = 1e-4;
        let original = self.element(parameter, flat, |v| *v);
        let mut moved = |by: f64| {
            self.element(parameter, flat, |v| *v = original + by);
            f(self)
        };
        let slope = (8.0 * (moved(H) - moved(-H)) - (moved(2.0 * H) - moved(-2.0 * H))) / (12.0 * H);
        self.element(parameter, flat, |v| *v = original);
        slope
    }

    fn element<R>(&mut self, parameter: Option<&str>, flat: usize, f: impl Fn(&mut f64) -> R) -> R {
        let Some(path) = parameter else { return f(&mut self.x.as_mut_slice()[flat]) };
        let mut result = None;
        self.layer.visit_mut(&mut Path::default(), &mut |at, p| {
            if at.as_str() == path {
                result = Some(f(&mut p.value_mut().as_mut_slice()[flat]));
            }
        });
        result.expect("the parameter was listed")
    }
}

/// Random numbers that tell the elements of a sum apart.
fn weights(shape: &Shape, seed: u64) -> Tensor<f64> {
    Tensor::uniform(shape.clone(), -1.0, 1.0, &mut Rng::seed(seed))
}
