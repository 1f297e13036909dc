//! A function's own stretch of the tape, which can be walked both ways, often.

use super::vars::Vars;
use crate::backward::gradients;
use crate::context::{ForwardContext, VjpContext};
use crate::mode::{GradMode, enable_grad, is_grad_enabled};
use crate::node::Node;
use crate::op::{Gradients, Op, OpKind};
use crate::ops::listed::apply;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Tensor};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a function did with its inputs. The inputs are variables of its own, so that derivatives within derivatives
/// are never mistaken for each other.
pub(super) struct Recorded<T: Float> {
    pub inputs: Vec<Var<T>>,
    pub outputs: Vec<Var<T>>,
    /// From the inputs to the outputs, oldest first.
    pub nodes: Vec<Arc<Node<T>>>,
    /// Whether the outputs depend on anything on the tape but the inputs' values.
    tracked: bool,
}

/// Runs `f` at `x` and keeps what it recorded.
#[track_caller]
pub(super) fn record<X: Vars, Y: Vars<Elem = X::Elem>>(f: impl FnOnce(&X) -> Y, x: &X) -> (Y, Recorded<X::Elem>) {
    let inputs: Vec<_> = x.as_vars().iter().map(input).collect();
    let y = enable_grad(|| f(&x.with_vars(inputs.clone())));
    let outputs = y.as_vars().to_vec();
    let (nodes, tracked) = stretch(&inputs, &outputs);
    let recorded = Recorded { inputs, outputs, nodes, tracked };
    let released = y.as_vars().iter().map(|y| if tracked && is_grad_enabled() { y.clone() } else { y.untracked() });
    (y.with_vars(released.collect()), recorded)
}

/// The same value as a variable of its own, through which derivatives go on to `x` if it is on the tape.
#[track_caller]
fn input<T: Float>(x: &Var<T>) -> Var<T> {
    if x.requires_grad() && is_grad_enabled() {
        return apply(Input, &[x]);
    }
    Var::leaf(x.value().clone())
}

/// The nodes under `outputs` that are as new as the inputs; whether any other variable leads to one.
fn stretch<T: Float>(inputs: &[Var<T>], outputs: &[Var<T>]) -> (Vec<Arc<Node<T>>>, bool) {
    let is_input = |id: u64| inputs.iter().any(|x| x.id() == Some(id));
    let oldest = inputs.iter().filter_map(Var::id).min().unwrap_or(0);
    let mut tracked = inputs.iter().any(|x| !x.is_leaf());
    let mut nodes = BTreeMap::new();
    let mut stack: Vec<&Arc<Node<T>>> = outputs.iter().filter_map(|y| y.node.as_ref()).collect();
    while let Some(node) = stack.pop() {
        if node.id < oldest || (node.is_leaf() && !is_input(node.id)) {
            tracked = true;
        } else if nodes.insert(node.id, node.clone()).is_none() {
            stack.extend(node.inputs.iter().flatten());
        }
    }
    (nodes.into_values().collect(), tracked)
}

#[compiled_once]
impl<T: Float> Recorded<T> {
    /// Derivatives are differentiable when there is anything to differentiate them by.
    pub fn mode(&self, vectors: &[Option<&Var<T>>]) -> GradMode {
        let tracked = self.tracked || vectors.iter().flatten().any(|v| v.requires_grad());
        if tracked && is_grad_enabled() { GradMode::Differentiable } else { GradMode::Plain }
    }

    /// `Σ vᵢ · dyᵢ/dx` for each input; `None` for zero, on either side.
    pub fn pull(&self, vs: &[Option<&Var<T>>]) -> Vec<Option<Var<T>>> {
        let mode = self.mode(vs);
        let xs: Vec<&Var<T>> = self.inputs.iter().collect();
        let pairs: Vec<_> = self.outputs.iter().zip(vs).filter_map(|(y, v)| Some((y, (*v)?))).collect();
        let found = match &pairs[..] {
            [] => Ok(vec![None; xs.len()]),
            [(y, v)] => gradients(y, v, &xs, mode),
            [(y, v), more @ ..] => {
                let inner = |y: &Var<T>, v: &Var<T>| (y * v).sum(..);
                let total = enable_grad(|| more.iter().fold(inner(y, v), |sum, (y, v)| sum + inner(y, v)));
                gradients(&total, &Var::constant(Tensor::scalar(T::one())), &xs, mode)
            }
        };
        // Only a rule that refuses to be differentiated again ends here.
        found.unwrap_or_else(|error| panic!("{error}"))
    }

    /// As [`pull`](Self::pull), with a vector for each output and zeros where nothing depends on an input.
    pub fn pull_all(&self, vs: &[Var<T>]) -> Vec<Var<T>> {
        let vs: Vec<_> = vs.iter().map(Some).collect();
        or_zeros(self.pull(&vs), &self.inputs)
    }

    /// As [`push`](Self::push), with a tangent for each input and zeros where an output depends on none.
    pub fn push_all(&self, us: &[Var<T>]) -> Vec<Var<T>> {
        let us: Vec<_> = us.iter().map(Some).collect();
        or_zeros(self.push(&us), &self.outputs)
    }
}

fn or_zeros<T: Float>(found: Vec<Option<Var<T>>>, like: &[Var<T>]) -> Vec<Var<T>> {
    found.into_iter().zip(like).map(|(v, x)| v.unwrap_or_else(|| zeros(x))).collect()
}

/// The derivative that is zero by structure, of the shape of `x`.
pub(super) fn zeros<T: Float>(x: &Var<T>) -> Var<T> {
    Var::constant(Tensor::zeros(x.shape().clone()))
}

/// The identity: where a function's own stretch of the tape begins.
pub(crate) struct Input;

impl<T: Float> Op<T> for Input {
    fn name(&self) -> &'static str {
        "input"
    }

    fn kind(&self) -> OpKind {
        OpKind::Shape
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.take(0)
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        cx.take_gy().into()
    }

    fn has_symmetric_jacobian(&self) -> bool {
        true
    }
}

impl<T: Float> Sampled<T> for Input {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("input", |rng| Case::new([draw::tensor(rng, -2.0..2.0)], |v| input(&v[0])))]
    }
}
