//! Layers and models as functions of their inputs and parameters.

use super::function::{GradusFunction, Template, Test, array_of, reached, tensor_of};
use crate::array::Array;
use crate::checker::Checker;
use crate::report::{Failure, Fault, Finding, Report};
use gradus_autograd::{Module, Var, functional_call};
use gradus_nn::{Layer, Mode};
use gradus_tensor::{Rng, Tensor};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Checks the first and second derivatives of a layer with respect to its input and to every trainable parameter, in
/// evaluation and in training, with the [`Checker`]'s defaults. See [`Checker::check_layer`].
///
/// ```
/// use gradus_check::check_layer;
/// use gradus_nn::Linear;
/// use gradus_tensor::Rng;
/// check_layer(Linear::new(3, 2, &mut Rng::seed(0)), [4, 3]).unwrap();
/// ```
///
/// # Errors
/// When a derivative is wrong, a parameter has no influence, or too little could be checked.
#[track_caller]
pub fn check_layer(layer: impl Layer<f64>, input: impl LayerInput) -> Result<[Report; 2], Failure> {
    Checker::new().check_layer(layer, input)
}

/// Checks the first and second derivatives of `f` with respect to `inputs` and to every trainable parameter of `model`,
/// with the [`Checker`]'s defaults. See [`Checker::check_module`].
///
/// ```
/// use gradus_check::check_module;
/// use gradus_nn::{Embedding, Layer, Linear, LossExt, Mode};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let model = (Embedding::new(5, 3, rng), Linear::new(3, 2, rng));
/// let (words, labels) = (Tensor::from([4i64, 0, 4]), Tensor::from([1i64, 0, 0]));
/// let loss = |model: &(Embedding<f64>, Linear<f64>), _: &[_]| {
///     model.1.forward(&model.0.embed(&words), &mut Mode::Eval).cross_entropy(&labels)
/// };
/// check_module(model, [], loss).unwrap();
/// ```
///
/// # Errors
/// When a derivative is wrong, a parameter has no influence, or too little could be checked.
#[track_caller]
pub fn check_module<M: Module<f64>>(
    model: M,
    inputs: impl AsRef<[Tensor<f64>]>,
    f: impl Fn(&M, &[Var<f64>]) -> Var<f64>,
) -> Result<Report, Failure> {
    Checker::new().check_module(model, inputs, f)
}

/// What a layer is checked at: its input, or a shape, for one of standard normal numbers.
pub trait LayerInput {
    /// The input.
    fn tensor(self, rng: &mut Rng) -> Tensor<f64>;
}

impl LayerInput for Tensor<f64> {
    fn tensor(self, _: &mut Rng) -> Tensor<f64> {
        self
    }
}

impl<const N: usize> LayerInput for [usize; N] {
    fn tensor(self, rng: &mut Rng) -> Tensor<f64> {
        Tensor::normal(self, 0.0, 1.0, rng)
    }
}

impl Checker {
    /// Checks the derivatives of a layer with respect to its input and to every trainable parameter, which reports name
    /// by path (`0.weight`): in evaluation, then in training, each a report.
    ///
    /// Every call in training draws the same random numbers, those of this checker's seed, and starts from the same
    /// buffers: so dropout and running statistics leave the layer a function.
    ///
    /// # Errors
    /// When a derivative is wrong, too little could be checked, or a parameter has no influence in either mode.
    #[track_caller]
    pub fn check_layer<L: Layer<f64>>(&self, layer: L, input: impl LayerInput) -> Result<[Report; 2], Failure> {
        let input = array_of(&input.tensor(&mut Rng::seed(self.seed)));
        let kind = layer.kind();
        let model = Model::new(layer, vec!["input".into()]);
        let points = model.points([input]);
        let eval = |x: &[Var<f64>]| model.call(x, |layer, x| layer.forward(&x[0], &mut Mode::Eval));
        // Not the numbers that the input was made of.
        let seeded = || Rng::seed(self.seed).split();
        let train = |x: &[Var<f64>]| model.call(x, |layer, x| layer.forward(&x[0], &mut Mode::Train(&mut seeded())));
        let eval = model.describe(GradusFunction::new(&eval as Call), format!("{kind} in evaluation"), test_of_a_layer);
        let train = model.describe(GradusFunction::new(&train as Call), format!("{kind} in training"), test_of_a_layer);
        let reports = [self.check(&eval, &points)?, self.check(&train, &points)?];
        self.all_have_influence(&model, &points, &[&eval, &train])?;
        Ok(reports)
    }

    /// Checks the derivatives of `f`, usually a loss, with respect to `inputs` and to every trainable parameter of `model`,
    /// which reports name by path. Buffers are the same at every call; a [`Mode::Train`] within `f` is to be seeded anew at
    /// every call.
    ///
    /// # Errors
    /// When a derivative is wrong, too little could be checked, or a parameter has no influence.
    #[track_caller]
    pub fn check_module<M: Module<f64>>(
        &self,
        model: M,
        inputs: impl AsRef<[Tensor<f64>]>,
        f: impl Fn(&M, &[Var<f64>]) -> Var<f64>,
    ) -> Result<Report, Failure> {
        let inputs = inputs.as_ref();
        let model = Model::new(model, (0..inputs.len()).map(|i| format!("input {i}")).collect());
        let points = model.points(inputs.iter().map(array_of));
        let call = |x: &[Var<f64>]| model.call(x, &f);
        let f = model.describe(GradusFunction::new(&call as Call), "model".into(), test_of_a_module);
        let report = self.check(&f, &points)?;
        self.all_have_influence(&model, &points, &[&f])?;
        Ok(report)
    }

    /// That some function's result depends on each parameter.
    fn all_have_influence<M: Module<f64>>(
        &self,
        model: &Model<M>,
        points: &[Array],
        functions: &[&GradusFunction<Call>],
    ) -> Result<(), Failure> {
        let leaves: Vec<Var<f64>> = points.iter().map(|a| Var::leaf(tensor_of(a))).collect();
        let all: Vec<&Var<f64>> = leaves.iter().collect();
        let seen: Vec<Vec<bool>> = functions.iter().map(|f| reached(&f.apply(&leaves), &all)).collect();
        let Some(input) = (model.inputs..points.len()).find(|&i| !seen.iter().any(|seen| seen[i])) else { return Ok(()) };
        let name = model.names[input].clone();
        let what = format!("the parameter `{name}` has no influence on the result; freeze it if that is meant");
        let mut report = self.blank(functions[0], points);
        report.failures.push(Finding { fault: Fault::Broken(what), input, input_name: name, ..Finding::nowhere(1) });
        Err(Failure(Box::new(report)))
    }
}

type Call<'a> = &'a dyn Fn(&[Var<f64>]) -> Var<f64>;

/// A model that is called with its trainable parameters as arguments.
struct Model<M: Module<f64>> {
    model: RefCell<M>,
    /// How many arguments are inputs; those after them are parameters.
    inputs: usize,
    /// The arguments' names: a parameter's is its path.
    names: Vec<String>,
    buffers: Vec<Tensor<f64>>,
}

impl<M: Module<f64>> Model<M> {
    fn new(model: M, mut names: Vec<String>) -> Self {
        let inputs = names.len();
        names.extend(model.named_parameters().into_iter().filter(|(_, p)| p.is_trainable()).map(|(path, _)| path));
        let buffers = model.named_buffers().into_iter().map(|(_, b)| b.get()).collect();
        Self { model: RefCell::new(model), inputs, names, buffers }
    }

    /// The inputs, and the parameters' values.
    fn points(&self, inputs: impl IntoIterator<Item = Array>) -> Vec<Array> {
        let model = self.model.borrow();
        let parameters = model.parameters().into_iter().filter(|p| p.is_trainable()).map(|p| array_of(p.value()));
        inputs.into_iter().chain(parameters).collect()
    }

    fn call(&self, arguments: &[Var<f64>], f: impl FnOnce(&M, &[Var<f64>]) -> Var<f64>) -> Var<f64> {
        let (inputs, parameters) = arguments.split_at(self.inputs);
        let vars: BTreeMap<_, _> = self.names[self.inputs..].iter().cloned().zip(parameters.iter().cloned()).collect();
        // Before, for a call that panicked; after, for the owner of the model.
        self.restore_buffers();
        let y = functional_call(&mut *self.model.borrow_mut(), &vars, |model| f(model, inputs));
        self.restore_buffers();
        y
    }

    fn restore_buffers(&self) {
        for ((_, buffer), before) in self.model.borrow().named_buffers().into_iter().zip(&self.buffers) {
            buffer.set(before.clone());
        }
    }

    fn describe<'a>(&self, f: GradusFunction<Call<'a>>, name: String, template: Template) -> GradusFunction<Call<'a>> {
        f.named(name).with_input_names(self.names.clone()).with_template(template)
    }
}

fn test_of_a_layer(test: &Test) -> String {
    let Test { name, seed, at, inputs, .. } = test;
    let (_, input) = &inputs[0];
    let parameters = written_parameters("layer", &inputs[1..]);
    format!(
        "#[test]\nfn the_gradient_of_{name}() {{\n    let mut layer = /* the layer at {at}, of the sizes below */;\n{parameters}    \
         Checker::new().seed({seed}).check_layer(layer, {input}).unwrap();\n}}\n"
    )
}

fn test_of_a_module(test: &Test) -> String {
    let Test { name, seed, at, inputs, .. } = test;
    let is_input = |(name, _): &&(String, String)| name.starts_with("input ");
    let (own, rest): (Vec<_>, Vec<_>) = inputs.iter().cloned().partition(|x| is_input(&x));
    let own: Vec<String> = own.into_iter().map(|(_, x)| format!("        {x},\n")).collect();
    let parameters = written_parameters("model", &rest);
    format!(
        "#[test]\nfn the_gradient_of_{name}() {{\n    let mut model = /* the model at {at}, of the sizes below */;\n{parameters}    \
         let inputs: Vec<Tensor<f64>> = vec![\n{}    ];\n    \
         Checker::new().seed({seed}).check_module(model, inputs, |model, x| /* as there */).unwrap();\n}}\n",
        own.concat()
    )
}

/// Statements that set parameters to values.
fn written_parameters(model: &str, parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return String::new();
    }
    let arms = parameters.iter().map(|(path, value)| format!("        {path:?} => p.set({value}),\n"));
    format!("    {model}.for_each_parameter(|path, p| match path {{\n{}        _ => {{}}\n    }});\n", arms.collect::<String>())
}
