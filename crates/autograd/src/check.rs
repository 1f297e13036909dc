//! Checking gradients against central differences.

use crate::backward::{GradMode, grad_with};
use crate::var::Var;
use gradus_tensor::{Rng, Tensor};

/// How closely gradients must agree with finite differences.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tolerance {
    /// The step of the central differences, relative to the larger of 1 and the element.
    pub step: f64,
    /// Allowed difference relative to the larger of the two derivatives.
    pub relative: f64,
    /// Allowed difference beside that.
    pub absolute: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { step: 1e-5, relative: 1e-6, absolute: 1e-7 }
    }
}

impl Tolerance {
    /// Whether the two derivatives agree; NaN agrees with nothing.
    pub fn accepts(&self, analytic: f64, numeric: f64) -> bool {
        (analytic - numeric).abs() <= self.absolute + self.relative * analytic.abs().max(numeric.abs())
    }
}

/// A derivative that is not what finite differences say.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{order} derivative of input {input} (shape {shape:?}) at {index:?}: analytic {analytic:e}, numeric {numeric:e}")]
pub struct GradCheckError {
    /// `first` or `second`.
    pub order: &'static str,
    /// Which input.
    pub input: usize,
    /// That input's shape.
    pub shape: Vec<usize>,
    /// Which element of it.
    pub index: Vec<usize>,
    /// What the rules say.
    pub analytic: f64,
    /// What central differences say.
    pub numeric: f64,
}

/// Checks the gradient of `f` at `inputs`, for a random gradient of its result: every element of every
/// input, by central differences in `f64`.
///
/// ```
/// use gradus_autograd::check::{Tolerance, gradcheck};
/// use gradus_tensor::Tensor;
/// let x = Tensor::from([0.3, -0.4]);
/// gradcheck(|v| v[0].tanh(), &[x], Tolerance::default()).unwrap();
/// ```
///
/// # Errors
/// The first derivative that is off.
pub fn gradcheck(
    f: impl Fn(&[Var<f64>]) -> Var<f64>,
    inputs: &[Tensor<f64>],
    tolerance: Tolerance,
) -> Result<(), GradCheckError> {
    let shape = f(&leaves(inputs)).shape().clone();
    let v = Tensor::uniform(shape, -1.0, 1.0, &mut Rng::seed(0x5eed));
    check_pullback(&f, inputs, &v, tolerance, "first")
}

/// Checks the second derivatives of `f`: the map `(inputs, v) -> v·J` is itself checked as in [`gradcheck`].
///
/// # Errors
/// The first derivative that is off.
pub fn gradgradcheck(
    f: impl Fn(&[Var<f64>]) -> Var<f64>,
    inputs: &[Tensor<f64>],
    tolerance: Tolerance,
) -> Result<(), GradCheckError> {
    let y = f(&leaves(inputs));
    if !y.requires_grad() {
        return Ok(());
    }
    let v = Tensor::uniform(y.shape().clone(), -1.0, 1.0, &mut Rng::seed(0x5eed));
    let n = inputs.len();
    let with_v: Vec<_> = inputs.iter().cloned().chain([v]).collect();
    // The gradients of all inputs, one after the other in a single vector.
    let pullback = |xs: &[Var<f64>]| {
        // The numeric side hands over constants, of which the inner gradient is wanted all the same.
        let tracked = |x: &Var<f64>| if x.requires_grad() { x.clone() } else { Var::leaf(x.value().clone()) };
        let inner: Vec<Var<f64>> = xs[..n].iter().map(tracked).collect();
        let y = f(&inner);
        let wrt: Vec<&Var<f64>> = inner.iter().collect();
        let grads = grad_with(&y, &xs[n], &wrt, GradMode::Differentiable).expect("f depends on every input");
        let mut total: Option<Var<f64>> = None;
        for (i, g) in grads.iter().enumerate() {
            // Weights tell the inputs' gradients apart in the sum.
            let w = Tensor::uniform(g.shape().clone(), -1.0, 1.0, &mut Rng::seed(i as u64));
            let part = (g * Var::constant(w)).sum(..);
            total = Some(match total {
                Some(t) => t + part,
                None => part,
            });
        }
        total.expect("at least one input")
    };
    check_pullback(&pullback, &with_v, &Tensor::scalar(1.0), tolerance, "second")
}

fn leaves(inputs: &[Tensor<f64>]) -> Vec<Var<f64>> {
    inputs.iter().cloned().map(Var::leaf).collect()
}

fn check_pullback(
    f: &impl Fn(&[Var<f64>]) -> Var<f64>,
    inputs: &[Tensor<f64>],
    v: &Tensor<f64>,
    tolerance: Tolerance,
    order: &'static str,
) -> Result<(), GradCheckError> {
    let xs = leaves(inputs);
    let y = f(&xs);
    // A result that is a constant has all derivatives zero; finite differences must agree.
    let grads = if y.requires_grad() { Some(y.backward_with(v.clone())) } else { None };
    let value = |xs: &[Tensor<f64>]| {
        let constants: Vec<_> = xs.iter().map(Var::from).collect();
        (f(&constants).value() * v).sum(..).item()
    };
    for (input, x) in inputs.iter().enumerate() {
        let analytic = match grads.as_ref().and_then(|g| g.get(&xs[input])) {
            Some(g) => g.to_vec(),
            None => vec![0.0; x.numel()],
        };
        for (flat, &analytic) in analytic.iter().enumerate() {
            let numeric = central_difference(&value, inputs, input, flat, tolerance.step);
            if !tolerance.accepts(analytic, numeric) {
                let (shape, index) = (x.shape().to_vec(), unravel(flat, x.shape()));
                return Err(GradCheckError { order, input, shape, index, analytic, numeric });
            }
        }
    }
    Ok(())
}

/// Fourth-order central difference of `value` in one element of one input; the element is moved inside
/// whatever layout the input has.
fn central_difference(
    value: &impl Fn(&[Tensor<f64>]) -> f64,
    inputs: &[Tensor<f64>],
    input: usize,
    flat: usize,
    step: f64,
) -> f64 {
    let at = inputs[input].to_vec()[flat];
    let h = step * at.abs().max(1.0) * 10.0;
    let moved = |by: f64| {
        let mut xs = inputs.to_vec();
        xs[input].as_mut_slice()[flat] = at + by;
        value(&xs)
    };
    (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h)
}

fn unravel(mut flat: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, &n) in index.iter_mut().zip(shape).rev() {
        *i = flat % n;
        flat /= n;
    }
    index
}
