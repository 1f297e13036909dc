//! Functions given by an equation: the fixed point of a map, and its derivatives by the implicit function theorem.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::custom::check_closed;
use crate::derivatives::{Vars, vjp};
use crate::mode::no_grad;
use crate::op::{Gradients, Op, Saves};
use crate::ops::listed::apply_with;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::tape::next_id;
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::panic::Location;
use std::sync::Arc;

/// When [`fixed_point`] is content, and when it gives up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FixedPointOptions {
    /// The iteration ends when no element of `f(z) - z` is larger than this times the largest of `f(z)`, or of the first
    /// step if that is larger. `None` for the element type's epsilon to the power ¾: 2e-12 in `f64`, 6e-6 in `f32`.
    pub tolerance: Option<f64>,
    /// So many evaluations of `f` are tried: 1000.
    pub max_iterations: usize,
}

impl Default for FixedPointOptions {
    fn default() -> Self {
        Self { tolerance: None, max_iterations: 1000 }
    }
}

/// An iteration that did not come to rest.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}", self.text())]
pub struct NotConverged {
    residual: f64,
    wanted: f64,
    iterations: usize,
}

impl NotConverged {
    /// The largest element of `f(z) - z` at the end.
    pub fn residual(&self) -> f64 {
        self.residual
    }

    /// How often `f` was evaluated.
    pub fn iterations(&self) -> usize {
        self.iterations
    }

    fn text(&self) -> String {
        let Self { residual, wanted, iterations } = self;
        if residual.is_finite() {
            let why = "raise max_iterations or the tolerance, or iterate a map that contracts more";
            format!("no fixed point after {iterations} iterations: f(z) - z is up to {residual:.2e}, wanted {wanted:.2e}; {why}")
        } else {
            format!("no fixed point: f(z) is not finite after {iterations} iterations; the map does not contract")
        }
    }
}

/// A map of `z` and of what else it depends on.
type Map<T> = Arc<dyn Fn(&Var<T>, &[Var<T>]) -> Var<T> + Send + Sync>;

/// The fixed point `z = f(z, x)` that iteration from `start` leads to, as a function of `x`.
///
/// Its gradient is that of the equation, and not of the iteration, of which nothing is recorded: by the implicit function
/// theorem `dx = (∂f/∂x)ᵀ w` with `w = (I - ∂f/∂z)⁻ᵀ dz`, and `w` is the fixed point of `w ↦ dz + (∂f/∂z)ᵀ w`, found as
/// `z` was (Christianson 1994; Bai, Kolter and Koltun 2019). So memory does not grow with the iterations, and the result
/// can be differentiated again, to any order. Any map with the right fixed point serves: the step of Newton's method
/// converges fast, and its backward pass at once.
///
/// All variables that `f` depends on come in through `x`, as for [`custom_vjp`](crate::custom_vjp).
///
/// # Errors
/// When the iteration does not converge. Where that of a gradient does not, [`grad`](crate::grad) gives the error, and
/// [`Var::backward`] panics with it.
///
/// # Panics
/// When `f` gives another shape than `start`'s, or reads a variable on the tape that is not in `x`.
///
/// ```
/// use gradus_autograd::{FixedPointOptions, Var, fixed_point};
/// use gradus_tensor::Tensor;
/// // √a, by Heron's method.
/// let heron = |z: &Var<f64>, a: &Var<f64>| (z + a / z) * 0.5;
/// let a = Var::leaf(Tensor::from([4.0, 9.0]));
/// let root = fixed_point(heron, &Tensor::ones([2]), &a, FixedPointOptions::default())?;
/// assert_eq!(root.value().to_vec(), [2.0, 3.0]);
/// assert!((root.sum(..).backward()[&a].clone() - Tensor::from([1.0 / 4.0, 1.0 / 6.0])).abs().lt(1e-12).all());
/// # Ok::<(), gradus_autograd::NotConverged>(())
/// ```
#[doc(alias("custom_root", "implicit_diff"))]
#[track_caller]
pub fn fixed_point<X: Vars + Send + Sync + 'static>(
    f: impl Fn(&Var<X::Elem>, &X) -> Var<X::Elem> + Send + Sync + 'static,
    start: &Tensor<X::Elem>,
    x: &X,
    options: FixedPointOptions,
) -> Result<Var<X::Elem>, NotConverged> {
    let constants: Vec<_> = x.as_vars().iter().map(Var::detach).collect();
    let like = x.with_vars(constants.clone());
    let f: Map<X::Elem> = Arc::new(move |z, xs| f(z, &like.with_vars(xs.to_vec())));
    let (first, what) = (next_id(), format!("fixed_point at {}", Location::caller()));
    let step = |z: &Tensor<X::Elem>| {
        let y = f(&Var::constant(z.clone()), &constants);
        assert!(y.shape() == z.shape(), "{what}: f turned {} into {}; a map gives z's shape", z.shape(), y.shape());
        check_closed(&what, &y, first);
        y.into_value()
    };
    let z = iterate(step, start.clone(), options)?;
    Ok(implicit(f, z, x.as_vars(), start, options))
}

/// Iterates `step` until it moves no more.
fn iterate<T: Float>(
    step: impl Fn(&Tensor<T>) -> Tensor<T>,
    start: Tensor<T>,
    options: FixedPointOptions,
) -> Result<Tensor<T>, NotConverged> {
    let tolerance = options.tolerance.unwrap_or_else(|| T::EPSILON.to_f64().powf(0.75));
    let mut failure = NotConverged { residual: f64::INFINITY, wanted: 0.0, iterations: 0 };
    let (mut z, mut first) = (start, None);
    while failure.iterations < options.max_iterations {
        let next = step(&z);
        failure.residual = size(&(&next - &z));
        failure.iterations += 1;
        failure.wanted = tolerance * size(&next).max(*first.get_or_insert(failure.residual));
        z = next;
        if !failure.residual.is_finite() {
            break;
        }
        if failure.residual <= failure.wanted {
            return Ok(z);
        }
    }
    Err(failure)
}

/// The largest absolute value; NaN if there is one.
fn size<T: Float>(t: &Tensor<T>) -> f64 {
    t.to_vec().into_iter().map(|v| v.abs().to_f64()).fold(0.0, |m, v| if v > m || v.is_nan() { v } else { m })
}

/// The fixed point `z` of `f`, found before from `start`, as an op of `x`.
#[track_caller]
fn implicit<T: Float>(f: Map<T>, z: Tensor<T>, x: &[Var<T>], start: &Tensor<T>, options: FixedPointOptions) -> Var<T> {
    let start = Var::constant(start.clone());
    let inputs: Vec<&Var<T>> = x.iter().chain([&start]).collect();
    apply_with(FixedPoint { f, variables: x.len(), options }, &inputs, z)
}

/// The fixed point of a map of so many variables. The last input is where the iteration starts; the point does not depend on it.
pub(crate) struct FixedPoint<T: Float> {
    f: Map<T>,
    variables: usize,
    options: FixedPointOptions,
}

impl<T: Float> Op<T> for FixedPoint<T> {
    fn name(&self) -> &'static str {
        "fixed_point"
    }

    fn attributes(&self) -> Attributes {
        let FixedPointOptions { tolerance, max_iterations } = self.options;
        Attributes::new().with_some("tolerance", tolerance).with("max_iterations", max_iterations)
    }

    fn saves(&self) -> Saves {
        // The start, an input too, is not needed again.
        let variables: Vec<usize> = (0..self.variables).collect();
        if self.variables < 63 { Saves::inputs(&variables).and_output() } else { Saves::ALL_INPUTS.and_output() }
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        if let Some(z) = cx.take_found() {
            return z;
        }
        let x: Vec<Var<T>> = (0..self.variables).map(|i| Var::constant(cx.input(i).clone())).collect();
        let step = |z: &Tensor<T>| (self.f)(&Var::constant(z.clone()), &x).into_value();
        iterate(step, cx.input(self.variables).clone(), self.options).unwrap_or_else(|error| panic!("fixed_point: {error}"))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let Self { f, options, .. } = self;
        let point: Vec<Var<T>> = [cx.y()].into_iter().chain((0..self.variables).map(|i| cx.input(i))).collect();
        let (_, pullback) = vjp(|v: &Vec<Var<T>>| f(&v[0], &v[1..]), &point);
        let step = |w: &Tensor<T>| no_grad(|| cx.gy().value() + pullback(&Var::constant(w.clone()))[0].value());
        let w = match iterate(step, cx.gy().value().clone(), *options) {
            Ok(w) if cx.is_differentiable() => {
                // As a fixed point itself it depends on `dz`, `z` and `x`, and is differentiated like any other.
                let f = f.clone();
                let of: Vec<Var<T>> = [cx.gy().clone()].into_iter().chain(point).collect();
                let adjoint: Map<T> = Arc::new(move |w, v| {
                    let (_, pullback) = vjp(|v: &Vec<Var<T>>| f(&v[0], &v[1..]), &v[1..].to_vec());
                    &v[0] + &pullback(w)[0]
                });
                implicit(adjoint, w, &of, cx.gy().value(), *options)
            }
            Ok(w) => Var::constant(w),
            Err(error) => {
                cx.refuse(format!("the gradient of `fixed_point`: {error}"));
                return vec![None; cx.len()].into();
            }
        };
        // None for the start.
        pullback(&w).into_iter().skip(1).map(Some).chain([None]).collect()
    }
}

impl<T: Float> Sampled<T> for FixedPoint<T> {
    fn samples() -> Vec<OpSample<T>> {
        // Contracts to a quarter or less, mixes elements, and is symmetric in nothing.
        fn map<T: Float>(z: &Var<T>, [a, b]: &[Var<T>; 2]) -> Var<T> {
            a.matmul(z).tanh() * 0.125 + b
        }
        vec![OpSample::new("fixed_point", |rng| {
            let (n, columns) = (1 + rng.below(2), 1 + rng.below(2));
            let (a, b) = (Tensor::uniform([n, n], -1.0, 1.0, rng), draw::of_shape(rng, [n, columns]));
            Case::new([a, b], move |v| {
                let options = FixedPointOptions { tolerance: Some(4.0 * T::EPSILON.to_f64()), ..Default::default() };
                let z = fixed_point(map, &Tensor::zeros([n, columns]), &[v[0].clone(), v[1].clone()], options);
                z.expect("the map contracts")
            })
        })]
    }
}
