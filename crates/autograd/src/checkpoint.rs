//! Memory for time: a segment of a computation whose tape is not kept, but recorded anew when the backward pass comes
//! to it (Griewank and Walther 2000, "Revolve"; Chen et al. 2016, "Training deep nets with sublinear memory cost").
//!
//! The segment stands on the tape as one node that links to the variables it reads. A walk that reaches it runs the
//! segment again and goes on through what that records, in the same queue: gradients are added up in the very order
//! in which they would have been without, so that they are the same bit for bit, and no hook runs twice.

use crate::backward::GradError;
use crate::custom::{Nodes, nodes_since};
use crate::cut::ends_under;
use crate::journal::Journal;
use crate::mode::{enable_grad, is_grad_enabled};
use crate::samples::{Case, OpSample, draw};
use crate::tape::{Node, Rule, next_id, record};
use crate::var::Var;
use gradus_tensor::{Float, Rng};
use std::panic::Location;
use std::sync::Arc;

const NAME: &str = "checkpoint";

/// Runs `segment` at `x` and keeps nothing of it but `x` and its result: what its derivatives need is computed again in
/// the backward pass (`torch.utils.checkpoint`, `jax.checkpoint`, `tf.recompute_grad`).
///
/// Values and gradients are those of `segment(x)`, bit for bit; higher derivatives and [`jvp`](crate::jvp) too, where
/// sums may be rounded in another order. Of `n` equal layers in `√n` segments about `2√n` are in memory at once instead
/// of `n`, for one more forward pass.
///
/// `segment` may read other variables, as parameters; gradients reach them too. It must compute the same each time:
/// randomness comes from [`checkpoint_with_rng`], and what it writes to a [`Buffer`](crate::Buffer), as running
/// statistics, is written the first time only. Checkpoints nest.
///
/// ```
/// use gradus_autograd::{Var, checkpoint};
/// let (x, w) = (Var::leaf([0.5f64, 1.0].into()), Var::leaf([2.0, -1.0].into()));
/// let segment = |w: Var<f64>| move |x: &Var<f64>| (x * &w).tanh().exp();
/// let plain = segment(w.clone())(&x).sum(..).backward();
///
/// let y = checkpoint(segment(w.clone()), &x).sum(..);
/// let names: Vec<_> = y.tape().iter().map(|e| e.name).collect();
/// assert_eq!(names, ["leaf", "leaf", "checkpoint", "sum"]);
/// let grads = y.backward();
/// assert_eq!((grads[&x].to_vec(), grads[&w].to_vec()), (plain[&x].to_vec(), plain[&w].to_vec()));
/// ```
///
/// # Panics
/// In the backward pass, when the segment, run again, gives another shape or reads other variables than at first.
/// [`grad`](crate::grad) returns that as an error.
#[track_caller]
pub fn checkpoint<T: Float>(segment: impl Fn(&Var<T>) -> Var<T> + Send + Sync + 'static, x: &Var<T>) -> Var<T> {
    let x = x.clone();
    record_segment(&mut (), move |()| segment(&x))
}

/// As [`checkpoint`], for a segment that draws random numbers: run again, it draws the same ones.
///
/// ```
/// use gradus_autograd::{Var, checkpoint_with_rng};
/// use gradus_tensor::{Rng, Tensor};
/// let mut rng = Rng::seed(7);
/// let x = Var::leaf(Tensor::<f64>::ones([8]));
/// let noisy = |x: &Var<f64>, rng: &mut Rng| x * Var::constant(Tensor::normal([8], 0.0, 1.0, rng));
/// let y = checkpoint_with_rng(noisy, &x, &mut rng);
/// // The gradient is the noise that was drawn.
/// assert_eq!(y.clone().sum(..).backward()[&x].to_vec(), y.value().to_vec());
/// ```
///
/// # Panics
/// As [`checkpoint`].
#[track_caller]
pub fn checkpoint_with_rng<T: Float>(
    segment: impl Fn(&Var<T>, &mut Rng) -> Var<T> + Send + Sync + 'static,
    x: &Var<T>,
    rng: &mut Rng,
) -> Var<T> {
    let x = x.clone();
    record_segment(rng, move |rng| segment(&x, rng))
}

/// Runs a segment and puts one node on the tape for all that it recorded.
#[track_caller]
fn record_segment<T: Float, S: Clone + Send + Sync + 'static>(
    state: &mut S,
    segment: impl Fn(&mut S) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    if !is_grad_enabled() {
        return segment(state);
    }
    let before = state.clone();
    let start = next_id();
    let (y, journal) = Journal::write(|| segment(state));
    let Some(root) = y.node.as_ref().filter(|root| root.id >= start) else { return y };
    let (inner, outer) = nodes_since(root, start);
    let (reads, ends) = (outer.into_values().map(|node| Some(node.clone())).collect(), ends_under(inner.into_values()));
    let again = move || journal.replay(|| segment(&mut before.clone()));
    // To whoever looks, the segment's own ops have shown themselves.
    let y = record(NAME, reads, y.value.clone(), false, Rule::Replay(Box::new(again)), Location::caller());
    if let Some(node) = y.node.as_ref().filter(|_| !ends.is_empty()) {
        let _ = node.extras().ends.set(ends);
    }
    y
}

/// Records the segment of a checkpoint's node anew: its result's node. `see` is shown all that was recorded.
pub(crate) fn replay<T: Float>(
    node: &Node<T>,
    segment: &dyn Fn() -> Var<T>,
    see: impl FnOnce(&Nodes<'_, T>),
) -> Result<Arc<Node<T>>, GradError> {
    let start = next_id();
    let y = enable_grad(segment);
    let differs = |how: String| {
        let at = node.at;
        GradError(format!(
            "the segment of the checkpoint at {at} {how} when it was run again; it must compute the same each time"
        ))
    };
    if y.shape() != &node.shape {
        return Err(differs(format!("gave shape {} instead of {}", y.shape(), node.shape)));
    }
    let Some(root) = y.node.filter(|root| root.id >= start) else { return Err(differs("recorded nothing".into())) };
    let (inner, outer) = nodes_since(&root, start);
    if !outer.keys().copied().eq(node.inputs.iter().flatten().map(|i| i.id)) {
        return Err(differs("read other variables".into()));
    }
    see(&inner);
    Ok(root)
}

pub(crate) fn samples<T: Float>() -> Vec<OpSample<T>> {
    vec![OpSample::new(NAME, |rng| {
        let x = draw::tensor(rng, -2.0..2.0);
        let w = draw::of_shape(rng, x.shape().clone());
        Case::new([x, w], |v| {
            let w = v[1].clone();
            checkpoint(move |x| (x * &w).tanh() * x + &w, &v[0])
        })
    })]
}
