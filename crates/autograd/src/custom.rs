//! Custom ops and rules by closures: short forms of [`Op`], and rules that can be differentiated only once.

use crate::apply::finish;
use crate::attributes::{Attribute, Attributes};
use crate::context::{ForwardContext, VjpContext};
use crate::declared_inputs::{UNLISTED, closed_but_for};
use crate::mode::{MODE, unrecorded};
use crate::op::{Gradients, Op, Saves};
use crate::tape::{next_id, nodes_since};
use crate::var::Var;
use gradus_tensor::{Float, Tensor};
use std::array::from_fn;
use std::panic::Location;

/// An op's name, and its attributes if it has any: what the short forms are called with.
///
/// ```
/// use gradus_autograd::{OpName, Var, op};
/// /// `rate · x`, by a value that is there already.
/// fn leaky(x: &Var<f64>, rate: f64) -> Var<f64> {
///     op(OpName::new("leaky").with("rate", rate), [x], x.value() * rate, move |p| [Some(p.gy() * rate)])
/// }
/// let y = leaky(&Var::leaf([2.0].into()), 0.5);
/// assert_eq!(y.op().unwrap().attributes().to_string(), "rate=0.5");
/// ```
#[derive(Clone, Debug)]
pub struct OpName {
    name: &'static str,
    attributes: Attributes,
}

impl OpName {
    /// The name of an op without attributes.
    pub fn new(name: &'static str) -> Self {
        Self { name, attributes: Attributes::new() }
    }

    /// With one attribute more.
    #[must_use]
    pub fn with(self, name: &'static str, value: impl Into<Attribute>) -> Self {
        Self { attributes: self.attributes.with(name, value), ..self }
    }
}

impl From<&'static str> for OpName {
    fn from(name: &'static str) -> Self {
        Self::new(name)
    }
}

/// An op of `N` inputs whose value is there already, with the rule of a closure.
struct Finished<F, const N: usize> {
    name: OpName,
    saves: Saves,
    rule: F,
}

impl<T: Float, F, const N: usize> Op<T> for Finished<F, N>
where
    F: Fn(&mut VjpContext<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name.name
    }

    fn attributes(&self) -> Attributes {
        self.name.attributes.clone()
    }

    fn saves(&self) -> Saves {
        self.saves
    }

    fn forward(&self, _: &mut ForwardContext<'_, T>) -> Tensor<T> {
        panic!("`{}` was recorded with a finished value, and cannot compute it again; implement `Op` for that", self.name.name)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        (self.rule)(cx).into()
    }
}

/// Records an operation: `y` computed from `inputs`, with its rule. The short form of [`Op`] and [`apply`](crate::apply), for an op
/// without attributes whose value is there already.
///
/// The rule turns the gradient of the result ([`VjpContext::gy`]) into a gradient for each input, each of its
/// input's shape. Written with ops on [`Var`]s, it is differentiable again, to any order.
///
/// **The value must depend on nothing on the tape but `inputs`.** It is handed over finished, and nobody can see what it was
/// computed from: in `op("f", [&x], x.value() * w.value(), ..)`, `w` gets no gradient through `f`, and no error says so.
/// [`custom_op`] computes the value from its inputs and refuses any other variable: prefer it, and keep `op` for a
/// value that is there already. The gradient checker finds a parameter or an argument that is read so, as its gradient is not the
/// difference quotient.
///
/// When no input is on the tape, or inside [`no_grad`](crate::no_grad), the result is a constant and the rule is dropped.
///
/// ```
/// use gradus_autograd::{Var, op};
/// use gradus_tensor::Float;
/// /// Rounds on the way forward, passes the gradient straight through.
/// pub fn round_ste<T: Float>(x: &Var<T>) -> Var<T> {
///     op("round_ste", [x], x.value().round(), |p| [Some(p.gy().clone())])
/// }
/// let x = Var::leaf([0.6f32].into());
/// let y = round_ste(&x);
/// assert_eq!(y.item(), 1.0);
/// assert_eq!(y.backward()[&x].item(), 1.0);
/// ```
#[track_caller]
#[inline]
pub fn op<T: Float, const N: usize>(
    name: impl Into<OpName>,
    inputs: [&Var<T>; N],
    y: Tensor<T>,
    rule: impl Fn(&mut VjpContext<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    finish(Finished { name: name.into(), saves: Saves::NOTHING, rule }, &inputs, y, None, MODE.get(), Location::caller())
}

/// As [`op`], for a rule that reads the op's own result through [`VjpContext::y`]. Capturing the result in the
/// rule instead would make it a constant to second derivatives.
#[track_caller]
#[inline]
pub fn op_with_output<T: Float, const N: usize>(
    name: impl Into<OpName>,
    inputs: [&Var<T>; N],
    y: Tensor<T>,
    rule: impl Fn(&mut VjpContext<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    finish(Finished { name: name.into(), saves: Saves::OUTPUT, rule }, &inputs, y, None, MODE.get(), Location::caller())
}

/// Records a custom operation: the value that `forward` computes from the inputs' values, with its rule.
///
/// The rule turns the gradient of the result ([`VjpContext::gy`]) into one for each input, each of its input's shape, as that of an
/// [`op`] does. Written in ops on [`Var`]s, it is differentiable again, to any order.
///
/// ```
/// use gradus_autograd::{Var, custom_op};
/// /// `x · eˣ`, which is its own derivative but for `eˣ`.
/// fn xexp(x: &Var<f64>) -> Var<f64> {
///     let at = x.clone();
///     custom_op("xexp", [x], |[x]| x * x.exp(), move |p| [Some(p.gy() * (&at + 1.0) * at.exp())])
/// }
/// let x = Var::leaf([1.0].into());
/// assert_eq!(xexp(&x).backward()[&x].item(), 2.0 * 1f64.exp());
/// ```
///
/// A variable that `forward` captures instead of listing it would lose its gradient without a word. So its value cannot be read
/// there:
///
/// ```should_panic
/// use gradus_autograd::{Var, custom_op};
/// let (x, w) = (Var::leaf([1.0f64].into()), Var::leaf([2.0].into()));
/// let kept = w.clone();
/// custom_op("scale", [&x], |[x]| x * w.value(), move |p| [Some(p.gy() * &kept)]);
/// ```
///
/// What is meant to be a constant is handed in as one: by [`Var::detach`], or as a tensor whose value was taken before.
///
/// # Panics
/// When `forward` reads the value of a variable on the tape that is not among `inputs`.
#[doc(alias("autograd.Function", "custom_gradient"))]
#[track_caller]
pub fn custom_op<T: Float, const N: usize>(
    name: impl Into<OpName>,
    inputs: [&Var<T>; N],
    forward: impl FnOnce([&Tensor<T>; N]) -> Tensor<T>,
    rule: impl Fn(&mut VjpContext<'_, T>) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    let name = name.into();
    let y = closed_but_for(name.name, inputs.iter().map(|x| x.id()), || forward(inputs.map(|x| &x.value)));
    op(name, inputs, y, rule)
}

/// A computation of `N` inputs under the rule of a closure.
struct UnderRule<F, const N: usize> {
    name: OpName,
    rule: F,
}

impl<T: Float, F, const N: usize> Op<T> for UnderRule<F, N>
where
    F: Fn(&mut VjpContext<'_, T>, [&Var<T>; N]) -> [Option<Var<T>>; N] + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.name.name
    }

    fn attributes(&self) -> Attributes {
        self.name.attributes.clone()
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS.and_output()
    }

    fn forward(&self, _: &mut ForwardContext<'_, T>) -> Tensor<T> {
        panic!("`{}` was recorded with a finished value, and cannot compute it again; implement `Op` for that", self.name.name)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        let inputs: [Var<T>; N] = from_fn(|i| cx.input(i));
        (self.rule)(cx, inputs.each_ref()).into()
    }
}

/// Gives a computation a rule of its own, in place of the rules of the ops that it is made of: for gradients that are
/// cheaper, more stable or other than what automatic differentiation finds (`jax.custom_vjp`,
/// `torch.autograd.Function`, `tf.custom_gradient`).
///
/// `forward` is run once, on constants, so that nothing of it is recorded. `pullback` turns the gradient of the result
/// ([`VjpContext::gy`]) into one for each input, each of its input's shape; it is handed the inputs, and reads the result from
/// [`VjpContext::y`]. Written in ops on these, it is differentiable again, to any order. Inputs and result are kept until the
/// tape is freed; a rule that needs less of them takes less memory as an [`op`].
///
/// ```
/// use gradus_autograd::{Var, custom_vjp};
/// /// `√(x² + y²)` without NaN at the origin, where it has the gradient 0.
/// fn hypot(x: &Var<f64>, y: &Var<f64>) -> Var<f64> {
///     let safe = |r: Var<f64>| r.clamp(f64::MIN_POSITIVE, f64::MAX);
///     custom_vjp("hypot", [x, y], |[x, y]| (x.square() + y.square()).sqrt(), move |p, [x, y]| {
///         let r = safe(p.y());
///         [Some(p.gy() * x / &r), Some(p.gy() * y / &r)]
///     })
/// }
/// let (x, y) = (Var::leaf([3.0, 0.0].into()), Var::leaf([4.0, 0.0].into()));
/// let grads = hypot(&x, &y).sum(..).backward();
/// assert_eq!((grads[&x].to_vec(), grads[&y].to_vec()), (vec![0.6, 0.0], vec![0.8, 0.0]));
/// ```
///
/// # Panics
/// When `forward` reads a variable on the tape that is not among `inputs`: its gradient would be lost.
#[track_caller]
pub fn custom_vjp<T: Float, const N: usize>(
    name: impl Into<OpName>,
    inputs: [&Var<T>; N],
    forward: impl FnOnce([&Var<T>; N]) -> Var<T>,
    rule: impl Fn(&mut VjpContext<'_, T>, [&Var<T>; N]) -> [Option<Var<T>>; N] + Send + Sync + 'static,
) -> Var<T> {
    let (name, start) = (name.into(), next_id());
    let constants = inputs.map(Var::untracked);
    let y = closed_but_for(name.name, inputs.iter().map(|x| x.id()), || forward(constants.each_ref()));
    check_closed(&format!("custom_vjp of `{}`", name.name), &y, start);
    finish(UnderRule { name, rule }, &inputs, y.into_value(), None, MODE.get(), Location::caller())
}

/// That what was computed since node `start` from constants is a constant. Recording is on, but of constants there is
/// nothing to record: what is recorded came in another way than through the inputs.
#[track_caller]
pub(crate) fn check_closed<T: Float>(name: &str, y: &Var<T>, start: u64) {
    let Some(root) = &y.node else { return };
    let (_, outer) = nodes_since(root, start);
    let found = outer.last_key_value().map_or_else(String::new, |(_, n)| format!(": `{}` made at {}", n.name(), n.at));
    panic!("{name}: {UNLISTED}{found}; make it an input, or detach() it");
}

/// Recorded behind a gradient that must not be differentiated. It has no derivative that samples could check.
const ONCE_DIFFERENTIABLE: &str = "once_differentiable";

impl<T: Float> VjpContext<'_, T> {
    /// For a rule that is not written in differentiable ops: runs it with recording off, and makes a second derivative
    /// through it an error, where it would otherwise be a silent zero (`torch.autograd.function.once_differentiable`).
    ///
    /// First derivatives work in either [`GradMode`](crate::GradMode). Differentiating a result of
    /// [`GradMode::Differentiable`](crate::GradMode::Differentiable) again is an error of [`grad`](crate::grad) and a
    /// panic of [`Var::backward`], which names the op and the line that called it.
    ///
    /// ```
    /// use gradus_autograd::{GradMode, Var, grad, op};
    /// let x = Var::leaf([0.5f64].into());
    /// let kept = x.value().clone();
    /// let y = op("cube", [&x], x.value().powf(3.0), move |p| {
    ///     // Plain tensors: a tape cannot see into this.
    ///     p.once_differentiable(|| [Some(Var::constant(p.gy().value() * &kept * &kept * 3.0))])
    /// });
    /// let dy = grad(&y, &[&x], GradMode::Differentiable)?.remove(0);
    /// assert_eq!(dy.item(), 0.75);
    /// let error = grad(&dy, &[&x], GradMode::Plain).unwrap_err().to_string();
    /// assert!(error.contains("`cube`"));
    /// # Ok::<(), gradus_autograd::GradError>(())
    /// ```
    pub fn once_differentiable<G: AsMut<[Option<Var<T>>]>>(&self, rule: impl FnOnce() -> G) -> G {
        let mut grads = unrecorded(rule);
        if !self.is_differentiable() {
            return grads;
        }
        let why = format!(
            "the gradient of `{}` (called at {}) cannot be differentiated again: its rule is once_differentiable",
            self.node.name(),
            self.node.at
        );
        // The op itself stands for its inputs: the gradient depends on them even where `gy` is a constant.
        let of = Var::place(self.node);
        for g in grads.as_mut().iter_mut().flatten() {
            let why = why.clone();
            *g = op(ONCE_DIFFERENTIABLE, [&of, self.gy()], g.value().clone(), move |p| {
                p.refuse(why.clone());
                [None, None]
            });
        }
        grads
    }
}
