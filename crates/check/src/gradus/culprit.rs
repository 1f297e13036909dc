//! The op whose rule is wrong: the first, in the order of their making, whose derivatives by the function's inputs are.
//!
//! Every op is checked as the end of a function of its own, which runs from the inputs to it. All ops that it is made of come before
//! it, and were right: so what is wrong is its own. To second order, the function is what its rule makes of one gradient.

use super::function::{gradients_or_zeros, tensor_of};
use super::quiet::caught;
use crate::array::Array;
use crate::oracle::difference::derivative;
use crate::random::Random;
use gradus_autograd::{GradMode, Var, recorded_ops};
use gradus_tensor::Tensor;

/// A longer tape is not searched: it would take as many backward passes.
const MOST_OPS: usize = 400;
/// What a slope may be off by, of the larger of the two.
const RELATIVE: f64 = 1e-5;

type F<'a> = &'a dyn Fn(&[Var<f64>]) -> Var<f64>;

/// `` `cube` at src/f.rs:10:5 ``, when there is such an op.
pub(super) fn culprit(f: F<'_>, inputs: &[Array], order: usize) -> Option<String> {
    if inputs.is_empty() || inputs.iter().all(Array::is_empty) {
        return None;
    }
    // Two directions, for by chance one may be blind to a fault.
    let found = (0..2).filter_map(|number| caught(|| first_wrong(f, inputs, order, number)).ok().flatten());
    found.min_by_key(|(place, _)| *place).map(|(_, op)| op)
}

/// The ops of a run at the inputs moved along `direction` by `t`.
fn run(f: F<'_>, inputs: &[Array], direction: &[Vec<f64>], t: f64) -> (Vec<Var<f64>>, Vec<Var<f64>>) {
    let moved = inputs.iter().zip(direction).map(|(x, d)| {
        let x = tensor_of(x);
        let d = Tensor::from_vec(d.clone(), x.shape().clone());
        Var::leaf(x + d * t)
    });
    let leaves: Vec<Var<f64>> = moved.collect();
    let (_, ops) = recorded_ops(|| f(&leaves));
    (leaves, ops)
}

/// Random numbers that are the same for the same op.
fn weights(like: &Var<f64>, op: usize, input: usize) -> Var<f64> {
    let mut random = Random::new(1 + op as u64 * 64 + input as u64);
    let shape = like.shape().to_vec();
    let array = random.probe(&Array::full(shape.clone(), 0.0), 0);
    Var::constant(Tensor::from_vec(array.data().to_vec(), shape))
}

/// The number that an op is checked by: a weighted sum of its result, or of what its rule makes of one gradient.
fn measured(op: &Var<f64>, number: usize, order: usize, mode: GradMode) -> Option<Var<f64>> {
    let v = weights(op, number, 0);
    if order < 2 {
        return Some((op * v).sum(..));
    }
    let pulled = op.pull_through_op(&v, mode);
    let sums = pulled.iter().enumerate().filter_map(|(i, g)| g.as_ref().map(|g| (g * weights(g, number, i + 1)).sum(..)));
    sums.reduce(|a, b| a + b)
}

/// The first op, and its place, whose claimed slope along a random direction differs from the difference quotient.
fn first_wrong(f: F<'_>, inputs: &[Array], order: usize, number: usize) -> Result<Option<(usize, String)>, String> {
    let mut random = Random::new(7);
    let direction: Vec<Vec<f64>> = inputs.iter().map(|x| random.probe(x, number).data().to_vec()).collect();
    let (leaves, ops) = run(f, inputs, &direction, 0.0);
    if ops.len() > MOST_OPS {
        return Ok(None);
    }
    let values = |ops: &[Var<f64>], mode: GradMode| -> Vec<Option<Var<f64>>> {
        ops.iter().enumerate().map(|(i, op)| measured(op, i, order, mode)).collect()
    };
    let claims = values(&ops, GradMode::Differentiable);
    let plain = |values: &[Option<Var<f64>>]| values.iter().map(|v| v.as_ref().map_or(0.0, |v| v.item())).collect::<Vec<f64>>();
    let reach = inputs.iter().flat_map(|x| x.data()).fold(0.0f64, |m, v| m.max(v.abs()));
    let names: Vec<_> = ops.iter().map(Var::op_name).collect();
    let mut moved = |t: f64| {
        let (_, ops) = run(f, inputs, &direction, t);
        if !ops.iter().map(Var::op_name).eq(names.iter().copied()) {
            return Err("the function takes another way".to_string());
        }
        Ok(plain(&values(&ops, GradMode::Plain)))
    };
    let estimates = derivative(&mut moved, &plain(&claims), reach)?;
    let xs: Vec<&Var<f64>> = leaves.iter().collect();
    let one = Var::constant(Tensor::scalar(1.0));
    for (i, (claim, estimate)) in claims.iter().zip(estimates).enumerate() {
        let Some(claim) = claim else { continue };
        let grads = gradients_or_zeros(claim, &one, &xs, GradMode::Plain)?;
        let parts = grads.iter().zip(&direction).map(|(g, d)| g.value().to_vec().iter().zip(d).map(|(g, d)| g * d).sum::<f64>());
        let slope: f64 = parts.sum();
        let (off, larger) = ((slope - estimate.value).abs(), slope.abs().max(estimate.value.abs()));
        if !estimate.bent && off > RELATIVE * larger + 8.0 * estimate.error + 1e-10 {
            let tape = ops[i].tape();
            let at = tape.last().map_or_else(String::new, |entry| format!(" at {}", entry.at));
            return Ok(Some((i, format!("`{}`{at}", names[i].unwrap_or("constant")))));
        }
    }
    Ok(None)
}
