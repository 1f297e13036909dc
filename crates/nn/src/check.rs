//! Checking layers against finite differences.

use crate::layer::{Layer, Mode};
use gradus_autograd::check::{GradCheckError, Tolerance, gradcheck};
use gradus_autograd::{Path, Var, no_grad};
use gradus_tensor::{Rng, Shape, Tensor};
use std::fmt;

/// A gradient of a layer that is not what finite differences say.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCheckError {
    /// The parameter's path, or `input`.
    pub path: String,
    /// Where, and what was found.
    pub error: GradCheckError,
}

impl fmt::Display for LayerCheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.error)
    }
}

impl std::error::Error for LayerCheckError {}

/// Checks a layer's gradients with respect to a random input of `input_shape` and to every trainable parameter, in
/// training mode with the same random draws each time.
///
/// ```
/// use gradus_nn::{Linear, check::check_layer};
/// use gradus_tensor::Rng;
/// check_layer(Linear::<f64>::new(3, 2, &mut Rng::seed(0)), [4, 3]).unwrap();
/// ```
///
/// # Errors
/// The first gradient that is off, by the parameter's path.
///
/// # Panics
/// When a trainable parameter has no influence on the output.
pub fn check_layer(mut layer: impl Layer<f64>, input_shape: impl Into<Shape>) -> Result<(), LayerCheckError> {
    let tolerance = Tolerance::default();
    let x = Tensor::normal(input_shape, 0.0, 1.0, &mut Rng::seed(0xc4ec));
    gradcheck(|v| run(&layer, &v[0]), std::slice::from_ref(&x), tolerance)
        .map_err(|error| LayerCheckError { path: "input".into(), error })?;

    let x = Var::constant(x);
    let y = run(&layer, &x);
    let v = Tensor::uniform(y.shape().clone(), -1.0, 1.0, &mut Rng::seed(2));
    let grads = y.backward_with(v.clone());
    let expected: Vec<(String, Tensor<f64>)> = layer
        .named_parameters()
        .into_iter()
        .filter(|(_, p)| p.is_trainable())
        .map(|(path, p)| (path, grads[p].clone()))
        .collect();
    for (path, grad) in expected {
        let shape = grad.shape().clone();
        for (flat, analytic) in grad.to_vec().into_iter().enumerate() {
            let numeric = derivative(&mut layer, &path, flat, &x, &v);
            if !tolerance.accepts(analytic, numeric) {
                let index = shape.strides().iter().zip(shape.iter()).map(|(&s, &n)| flat / s as usize % n).collect();
                let error = GradCheckError { order: "first", input: 0, shape: shape.to_vec(), index, analytic, numeric };
                return Err(LayerCheckError { path, error });
            }
        }
    }
    Ok(())
}

fn run(layer: &impl Layer<f64>, x: &Var<f64>) -> Var<f64> {
    layer.forward(x, &mut Mode::Train(&mut Rng::seed(1)))
}

/// The fourth-order central difference of `<layer(x), v>` in one element of one parameter.
fn derivative(layer: &mut impl Layer<f64>, path: &str, flat: usize, x: &Var<f64>, v: &Tensor<f64>) -> f64 {
    const H: f64 = 1e-4;
    let mut moved = |by: f64| {
        let mut original = 0.0;
        layer.visit_mut(&mut Path::default(), &mut |at, p| {
            if at.as_str() == path {
                let element = &mut p.value_mut().as_mut_slice()[flat];
                original = *element;
                *element += by;
            }
        });
        let value = (no_grad(|| run(layer, x)).value() * v).sum(..).item();
        layer.visit_mut(&mut Path::default(), &mut |at, p| {
            if at.as_str() == path {
                p.value_mut().as_mut_slice()[flat] = original;
            }
        });
        value
    };
    (8.0 * (moved(H) - moved(-H)) - (moved(2.0 * H) - moved(-2.0 * H))) / (12.0 * H)
}
