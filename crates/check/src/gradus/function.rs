//! A closure over variables as a function to check.

use super::culprit::culprit;
use super::quiet::caught;
use crate::array::{Array, View};
use crate::checker::Checker;
use crate::function::Function;
use crate::report::{Failure, Report};
use gradus_autograd::{Dual, GradMode, Var, grad_with, jvp, vjp};
use gradus_tensor::Tensor;
use std::collections::HashSet;
use std::panic::Location;

/// Checks the first and second derivatives of `f` at `inputs`, with the [`Checker`]'s defaults.
///
/// ```
/// use gradus_check::check;
/// use gradus_tensor::Tensor;
/// let report = check(|x| x[0].matmul(&x[1]), [Tensor::ones([2, 3]), Tensor::ones([3, 1])]).unwrap();
/// assert_eq!(report.coverage(1).unwrap().share(), 1.0);
/// ```
///
/// # Errors
/// When a derivative is wrong, or too little could be checked.
#[doc(alias("gradcheck", "gradgradcheck", "check_grads"))]
#[track_caller]
pub fn check(f: impl Fn(&[Var<f64>]) -> Var<f64>, inputs: impl AsRef<[Tensor<f64>]>) -> Result<Report, Failure> {
    Checker::new().check_fn(f, inputs)
}

impl Checker {
    /// Checks the derivatives of a function of Gradus variables at `inputs`.
    ///
    /// # Errors
    /// When a derivative is wrong, or too little could be checked.
    #[track_caller]
    pub fn check_fn(&self, f: impl Fn(&[Var<f64>]) -> Var<f64>, inputs: impl AsRef<[Tensor<f64>]>) -> Result<Report, Failure> {
        let arrays: Vec<Array> = inputs.as_ref().iter().map(array_of).collect();
        self.check(&GradusFunction::new(f), &arrays)
    }
}

/// A closure over variables, as the checker sees it.
pub struct GradusFunction<F> {
    f: F,
    name: String,
    /// How to write the call in a test.
    source: Option<String>,
    dual: Option<fn(Dual) -> Dual>,
    at: &'static Location<'static>,
    /// What the inputs are called; those without a name are numbered.
    input_names: Vec<String>,
    /// How a test for the report is written, of the call's source and the inputs.
    template: Template,
}

/// Writes the test that fails as a function fails.
pub(super) type Template = fn(test: &Test) -> String;

/// What a test is written of.
pub(super) struct Test<'a> {
    /// An identifier.
    pub name: &'a str,
    pub seed: u64,
    /// The closure's text.
    pub source: Option<&'a str>,
    /// The user's line.
    pub at: &'static Location<'static>,
    /// The names of the inputs, and the expressions that make them.
    pub inputs: &'a [(String, String)],
}

impl<F: Fn(&[Var<f64>]) -> Var<f64>> GradusFunction<F> {
    /// A function made where this is called.
    #[track_caller]
    pub fn new(f: F) -> Self {
        Self {
            f,
            name: "closure".into(),
            source: None,
            dual: None,
            at: Location::caller(),
            input_names: Vec::new(),
            template: test_of_a_closure,
        }
    }

    /// With a name for the report.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }

    /// With the closure's source text, for the test in the report.
    #[must_use]
    pub fn written(self, source: impl Into<String>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// With the forward formula over dual numbers, for a function of one element.
    #[must_use]
    pub fn with_dual(self, dual: Option<fn(Dual) -> Dual>) -> Self {
        Self { dual, ..self }
    }

    /// With names for the inputs, in the report.
    #[must_use]
    pub fn with_input_names(self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { input_names: names.into_iter().map(Into::into).collect(), ..self }
    }

    /// With another form of test.
    pub(super) fn with_template(self, template: Template) -> Self {
        Self { template, ..self }
    }

    /// The result, on the tape of the variables.
    pub(super) fn apply(&self, xs: &[Var<f64>]) -> Var<f64> {
        (self.f)(xs)
    }

    fn leaves(inputs: &[Array]) -> Vec<Var<f64>> {
        inputs.iter().map(|a| Var::leaf(tensor_of(a))).collect()
    }

    /// The gradients of `<f, gy>`; an input without influence has a gradient of zeros, which the witnesses check like
    /// any other.
    fn gradients(&self, xs: &[Var<f64>], gy: &Var<f64>, mode: GradMode) -> Result<Vec<Var<f64>>, String> {
        gradients_or_zeros(&(self.f)(xs), gy, &xs.iter().collect::<Vec<_>>(), mode)
    }
}

/// The gradients of `<y, gy>` with respect to the leaves `xs`; zeros for those that `y` does not depend on.
pub(super) fn gradients_or_zeros(y: &Var<f64>, gy: &Var<f64>, xs: &[&Var<f64>], mode: GradMode) -> Result<Vec<Var<f64>>, String> {
    let reached = reached(y, xs);
    let wanted: Vec<&Var<f64>> = xs.iter().zip(&reached).filter(|(_, reached)| **reached).map(|(x, _)| *x).collect();
    let mut found = grad_with(y, gy, &wanted, mode).map_err(|error| error.to_string())?.into_iter();
    let each = xs.iter().zip(reached).map(|(x, reached)| match reached.then(|| found.next()).flatten() {
        Some(g) => g,
        None => Var::constant(Tensor::zeros(x.shape().clone())),
    });
    Ok(each.collect())
}

/// For each of the leaves `xs`, whether the tape of `y` leads to it.
pub(super) fn reached(y: &Var<f64>, xs: &[&Var<f64>]) -> Vec<bool> {
    let on_tape: HashSet<u64> = y.tape().iter().map(|entry| entry.id).collect();
    xs.iter().map(|x| x.tape().iter().any(|leaf| on_tape.contains(&leaf.id))).collect()
}

/// A rule may have no derivative to give (`VjpContext::once_differentiable`), or none that forward mode could use, and say so:
/// that is no mistake, and leaves a question unanswered.
fn unless_refused<R>(answer: Result<R, String>) -> Option<Result<R, String>> {
    match answer {
        Err(why) if why.contains("once_differentiable") || why.contains("Op::jvp") => None,
        answer => Some(answer),
    }
}

impl<F: Fn(&[Var<f64>]) -> Var<f64>> Function for GradusFunction<F> {
    fn value(&self, inputs: &[Array]) -> Result<Array, String> {
        let constants: Vec<Var<f64>> = inputs.iter().map(|a| Var::constant(tensor_of(a))).collect();
        caught(|| Ok(array_of((self.f)(&constants).value())))
    }

    fn vjp(&self, inputs: &[Array], gy: &Array) -> Result<Vec<Array>, String> {
        let (xs, gy) = (Self::leaves(inputs), Var::constant(tensor_of(gy)));
        caught(|| {
            let grads = self.gradients(&xs, &gy, GradMode::Plain)?;
            Ok(grads.iter().map(|g| array_of(g.value())).collect())
        })
    }

    fn jvp(&self, inputs: &[Array], tangents: &[Array]) -> Option<Result<Array, String>> {
        let constants = |arrays: &[Array]| arrays.iter().map(|a| Var::constant(tensor_of(a))).collect::<Vec<_>>();
        let (xs, us) = (constants(inputs), constants(tangents));
        unless_refused(caught(|| Ok(array_of(jvp(|xs: &Vec<Var<f64>>| (self.f)(xs), &xs, &us).1.value()))))
    }

    fn jvp_of_vjp(&self, inputs: &[Array], gy: &Array, tangents: &[Array]) -> Option<Result<Vec<Array>, String>> {
        let constants =
            |arrays: &mut dyn Iterator<Item = &Array>| arrays.map(|a| Var::constant(tensor_of(a))).collect::<Vec<_>>();
        let points = constants(&mut inputs.iter().chain([gy]));
        let us = constants(&mut tangents.iter());
        let pullback = |points: &Vec<Var<f64>>| {
            let (gy, xs) = points.split_last().expect("the inputs and gy");
            let (_, pull) = vjp(|xs: &Vec<Var<f64>>| (self.f)(xs), &xs.to_vec());
            pull(gy)
        };
        unless_refused(caught(|| Ok(jvp(pullback, &points, &us).1.iter().map(|g| array_of(g.value())).collect())))
    }

    fn vjp_of_vjp(&self, inputs: &[Array], gy: &Array, w: &[Array]) -> Option<Result<Vec<Array>, String>> {
        let (xs, gy) = (Self::leaves(inputs), Var::leaf(tensor_of(gy)));
        unless_refused(caught(|| {
            let grads = self.gradients(&xs, &gy, GradMode::Differentiable)?;
            let weighted = grads.iter().zip(w).map(|(g, w)| (g * Var::constant(tensor_of(w))).sum(..));
            let slope = weighted.reduce(|a, b| a + b).unwrap_or_else(|| Var::constant(Tensor::scalar(0.0)));
            let one = Var::constant(Tensor::scalar(1.0));
            let points: Vec<&Var<f64>> = xs.iter().chain([&gy]).collect();
            let second = gradients_or_zeros(&slope, &one, &points, GradMode::Plain)?;
            Ok(second.iter().map(|g| array_of(g.value())).collect())
        }))
    }

    fn dual(&self, x: f64) -> Option<(f64, f64)> {
        let y = self.dual?(Dual::variable(x));
        Some((y.value, y.slope))
    }

    fn name(&self) -> String {
        self.name.clone()
    }

    fn location(&self) -> Option<String> {
        Some(self.at.to_string())
    }

    fn input_name(&self, input: usize) -> String {
        self.input_names.get(input).cloned().unwrap_or_else(|| format!("input {input}"))
    }

    fn culprit(&self, inputs: &[Array], order: usize) -> Option<String> {
        culprit(&self.f, inputs, order)
    }

    fn test(&self, inputs: &[Array], seed: u64) -> Option<String> {
        let name = self.name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let inputs: Vec<_> = inputs.iter().enumerate().map(|(i, a)| (self.input_name(i), written(a))).collect();
        Some((self.template)(&Test { name: &name, seed, source: self.source.as_deref(), at: self.at, inputs: &inputs }))
    }
}

fn test_of_a_closure(test: &Test) -> String {
    let Test { name, seed, source, at, .. } = test;
    let source = source.map_or_else(|| format!("/* the function at {at} */"), String::from);
    let inputs: Vec<String> = test.inputs.iter().map(|(_, x)| format!("        {x},\n")).collect();
    format!(
        "#[test]\nfn the_gradient_of_{name}() {{\n    let inputs = [\n{}    ];\n    \
         Checker::new().seed({seed}).check_fn({source}, inputs).unwrap();\n}}\n",
        inputs.concat()
    )
}

/// The tensor that an array describes, in the layout that it wants.
pub fn tensor_of(a: &Array) -> Tensor<f64> {
    let base = a.base();
    let base = Tensor::from_vec(base.data().to_vec(), base.shape());
    let mut shape = base.shape().clone();
    a.views().iter().fold(base, |t, &view| match view {
        View::Transposed(a, b) => {
            shape.swap(a, b);
            t.transpose(a, b)
        }
        View::Stepped(axis) => {
            shape[axis] /= 2;
            t.slice_step(axis, .., 2)
        }
        View::Flipped(axis) => t.flip(axis),
        View::Expanded(axis) => {
            shape[axis] = a.shape()[axis];
            t.expand(&shape)
        }
    })
}

/// The values of a tensor.
pub(super) fn array_of(t: &Tensor<f64>) -> Array {
    Array::new(t.shape().to_vec(), t.to_vec())
}

/// The expression that makes the tensor of an array.
fn written(a: &Array) -> String {
    let base = a.base();
    let list = |v: &[f64]| {
        v.iter().map(|v| if v.is_nan() { "f64::NAN".into() } else { format!("{v:?}") }).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!("Tensor::from_vec(vec![{}], {:?})", list(base.data()), base.shape());
    let mut shape = base.shape().to_vec();
    for &view in a.views() {
        text += &match view {
            View::Transposed(a, b) => {
                shape.swap(a, b);
                format!(".transpose({a}, {b})")
            }
            View::Stepped(axis) => {
                shape[axis] /= 2;
                format!(".slice_step({axis}, .., 2)")
            }
            View::Flipped(axis) => format!(".flip({axis})"),
            View::Expanded(axis) => {
                shape[axis] = a.shape()[axis];
                format!(".expand({shape:?})")
            }
        };
    }
    text
}
