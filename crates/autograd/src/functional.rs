//! Models as functions of their parameters.

use crate::module::Module;
use crate::path::Path;
use crate::var::Var;
use gradus_tensor::Float;
use std::collections::BTreeMap;

/// Runs `f` on `model` with variables in place of parameters, by path; parameters that `vars` does not name stay
/// (`torch.func.functional_call`). So a model is a function of its parameters, and derivatives of functions apply to it:
/// a Hessian of the weights, a tangent along them, weights that another network computes.
///
/// Afterwards, and when `f` panics, the model has its own parameters again. Shapes are not compared here: the ops of the
/// model say what they take.
///
/// ```
/// use gradus_autograd::{Param, Var, functional_call, hvp};
/// use std::collections::BTreeMap;
/// let mut model = [Param::<f64>::new([2.0, -1.0].into())];
/// let at = Var::constant(model[0].value().clone());
/// let loss = |w: &Var<f64>| {
///     let vars = BTreeMap::from([("0".to_string(), w.clone())]);
///     functional_call(&mut model, &vars, |model| model[0].powf(3.0).sum(..))
/// };
/// assert_eq!(hvp(loss, &at, &at).value().to_vec(), [24.0, 6.0]);
/// ```
///
/// # Panics
/// When `vars` names a parameter that the model does not have; and afterwards, when the model has checkpointed layers and
/// what `f` gave is to run them again, for they would run with other parameters.
#[doc(alias = "stateless")]
#[track_caller]
pub fn functional_call<T: Float, M: Module<T> + ?Sized, R>(
    model: &mut M,
    vars: &BTreeMap<String, Var<T>>,
    f: impl FnOnce(&M) -> R,
) -> R {
    let paths: Vec<String> = model.named_parameters().into_iter().map(|(path, _)| path).collect();
    if let Some(unknown) = vars.keys().find(|path| !paths.contains(path)) {
        panic!("functional_call: the model has no parameter `{unknown}`; it has {}", paths.join(", "));
    }
    let mut swapped = Swapped { model, vars: vars.clone() };
    swapped.swap();
    f(swapped.model)
}

/// A model whose parameters change places with `vars`, and back when this is dropped.
struct Swapped<'a, T: Float, M: Module<T> + ?Sized> {
    model: &'a mut M,
    vars: BTreeMap<String, Var<T>>,
}

impl<T: Float, M: Module<T> + ?Sized> Swapped<'_, T, M> {
    fn swap(&mut self) {
        let vars = &mut self.vars;
        self.model.visit_mut(&mut Path::default(), &mut |path, param| {
            if let Some(var) = vars.get_mut(path.as_str()) {
                param.swap(var);
            }
        });
    }
}

impl<T: Float, M: Module<T> + ?Sized> Drop for Swapped<'_, T, M> {
    fn drop(&mut self) {
        self.swap();
    }
}
