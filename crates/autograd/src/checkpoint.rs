//! Memory for time: a segment of a computation whose tape is not kept, but recorded anew when the backward pass comes
//! to it (Griewank and Walther 2000, "Revolve"; Chen et al. 2016, "Training deep nets with sublinear memory cost").
//!
//! The segment stands on the tape as one node that links to the variables it reads. A walk that reaches it runs the
//! segment again and goes on through what that records, in the same queue: gradients are added up in the very order
//! in which they would have been without, so that they are the same bit for bit, and no hook runs twice.

use crate::apply::finish;
use crate::buffer_replay::Journal;
use crate::context::{ForwardContext, JvpContext, VjpContext};
use crate::derivatives::push_along;
use crate::mode::{MODE, enable_grad, is_grad_enabled};
use crate::node::{Node, ends_under};
use crate::observe::unobserved;
use crate::op::{Gradients, Op};
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::tape::{next_id, nodes_since};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, Rng, Tensor};
use std::collections::HashMap;
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
#[doc(alias("torch.utils.checkpoint", "remat"))]
#[track_caller]
pub fn checkpoint<T: Float>(segment: impl Fn(&Var<T>) -> Var<T> + Send + Sync + 'static, x: &Var<T>) -> Var<T> {
    let x = x.clone();
    Var::record_segment(None, Box::new(move |_| segment(&x)))
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
    Var::record_segment(Some(rng), Box::new(move |rng| segment(&x, rng.expect("what it draws from is handed on"))))
}

/// A segment, to be recorded anew where derivatives pass. It has no inputs of its own: what it reads, it captured.
pub(crate) struct Segment<T: Float> {
    again: Box<dyn Fn() -> Var<T> + Send + Sync>,
}

impl<T: Float> Op<T> for Segment<T> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn forward(&self, _: &mut ForwardContext<'_, T>) -> Tensor<T> {
        (self.again)().into_value()
    }

    /// The walk goes on through what the segment records: gradients are added up in the order in which they would have been
    /// without a checkpoint.
    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        match replay(cx.node, &*self.again) {
            Ok((y, _)) => cx.resume_at(y),
            Err(error) => {
                cx.refuse(error);
                Gradients::none()
            }
        }
    }

    /// The tangent is carried along what the segment records.
    fn jvp(&self, cx: &JvpContext<'_, T>) -> Option<Var<T>> {
        let (y, within) = replay(cx.node, &*self.again).unwrap_or_else(|error| panic!("jvp: {error}"));
        let moving = cx.inputs().iter().zip(cx.tangents).filter_map(|(x, u)| Some((x.as_ref()?.id, u.clone()?)));
        let mut tangents: HashMap<u64, Var<T>> = moving.collect();
        push_along(&within, &mut tangents, cx.mode);
        let zero = || Var::constant(Tensor::zeros(cx.output_shape().clone()));
        Some(y.id().and_then(|id| tangents.remove(&id)).unwrap_or_else(zero))
    }
}

/// A segment, and what it draws from if it draws.
type Draws<T> = dyn Fn(Option<&mut Rng>) -> Var<T> + Send + Sync;

#[compiled_once]
impl<T: Float> Var<T> {
    /// Runs a segment and puts one node on the tape for all that it recorded.
    #[track_caller]
    fn record_segment(rng: Option<&mut Rng>, segment: Box<Draws<T>>) -> Var<T> {
        if !is_grad_enabled() {
            return segment(rng);
        }
        let (before, at) = (rng.as_deref().cloned(), Location::caller());
        let start = next_id();
        let (y, journal) = Journal::write(|| segment(rng));
        let Some(root) = y.node.as_ref().filter(|root| root.id >= start) else { return y };
        let (inner, outer) = nodes_since(root, start);
        let ends = ends_under(inner.into_values());
        let reads: Vec<Var<T>> = outer.into_values().map(Var::place).collect();
        let again = Box::new(move || journal.replay(|| segment(before.clone().as_mut())));
        // To whoever looks, the segment's own ops have shown themselves.
        let reads: Vec<&Var<T>> = reads.iter().collect();
        let record = || finish(Segment { again }, &reads, y.value.clone(), None, MODE.get(), at);
        let y = unobserved(record);
        if let Some(node) = y.node.as_ref().filter(|_| !ends.is_empty()) {
            let _ = node.extras().ends.set(ends);
        }
        y
    }
}

/// The result of a segment, and the nodes that it recorded, oldest first.
type Replayed<T> = (Var<T>, Vec<Arc<Node<T>>>);

/// Records the segment of a checkpoint's node anew; an error says how it differs from the first time.
fn replay<T: Float>(node: &Node<T>, segment: &dyn Fn() -> Var<T>) -> Result<Replayed<T>, String> {
    let start = next_id();
    let y = enable_grad(segment);
    let differs = |how: String| {
        let at = node.at;
        format!("the segment of the checkpoint at {at} {how} when it was run again; it must compute the same each time")
    };
    if y.shape() != &node.shape {
        return Err(differs(format!("gave shape {} instead of {}", y.shape(), node.shape)));
    }
    let Some(root) = y.node.as_ref().filter(|root| root.id >= start) else { return Err(differs("recorded nothing".into())) };
    let (inner, outer) = nodes_since(root, start);
    if !outer.keys().copied().eq(node.inputs.iter().flatten().map(|i| i.id)) {
        return Err(differs("read other variables".into()));
    }
    let within = inner.into_values().cloned().collect();
    Ok((y, within))
}

impl<T: Float> Sampled<T> for Segment<T> {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new(NAME, |rng| {
            let x = draw::tensor(rng, -2.0..2.0);
            let w = draw::of_shape(rng, x.shape().clone());
            Case::new([x, w], |v| {
                let w = v[1].clone();
                checkpoint(move |x| (x * &w).tanh() * x + &w, &v[0])
            })
        })]
    }
}
