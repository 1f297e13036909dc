//! Layers whose inner activations are not kept.

use crate::layer::{Layer, Mode};
use gradus_autograd::{Module, Param, Path, Var, Visitor, checkpoint, checkpoint_with_rng};
use gradus_tensor::Float;
use std::sync::Arc;

/// Runs a layer, or a whole block, as a [`checkpoint`]: in training only its input and its output are kept, and what lies
/// between is computed again in the backward pass, with the same random draws. Outputs and gradients are the same, bit
/// for bit; running statistics move once. Paths of parameters are those of the layer.
///
/// For a list of layers there is [`Sequential::checkpointed`](crate::Sequential::checkpointed).
///
/// ```
/// use gradus_nn::{Checkpoint, Layer, Linear, Mode, Module, Sequential, Tanh};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// let block = Sequential::new().add(Linear::new(4, 4, rng)).add(Tanh).add(Linear::new(4, 4, rng)).add(Tanh);
/// let block: Checkpoint<Sequential> = Checkpoint::new(block);
/// let y = block.forward(&Tensor::ones([2, 4]).into(), &mut Mode::Train(rng));
/// // Its parameters and its result are all that is on the tape.
/// assert_eq!(y.tape().iter().filter(|e| e.name != "leaf").count(), 1);
/// ```
///
/// # Panics
/// When parameters are changed while the result of a pass through it is alive, whose backward pass would then be that of
/// another layer.
pub struct Checkpoint<L> {
    layer: Arc<L>,
}

impl<L> Checkpoint<L> {
    /// Of this layer.
    pub fn new(layer: L) -> Self {
        Self { layer: Arc::new(layer) }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }
}

impl<T: Float, L: Layer<T>> Module<T> for Checkpoint<L> {
    fn visit<'a>(&'a self, path: &mut Path, v: &mut dyn Visitor<'a, T>) {
        self.layer.visit(path, v);
    }
    fn visit_mut(&mut self, path: &mut Path, f: &mut dyn FnMut(&Path, &mut Param<T>)) {
        changeable(&mut self.layer, path).visit_mut(path, f);
    }
}

impl<T: Float, L: Layer<T> + 'static> Layer<T> for Checkpoint<L> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode) -> Var<T> {
        let layer = self.layer.clone();
        run_checkpointed(x, mode, move |x, mode| layer.forward(x, mode))
    }
    fn kind(&self) -> String {
        format!("Checkpoint<{}>", self.layer.kind())
    }
}

/// `run` as a checkpoint, in either mode.
#[track_caller]
pub(crate) fn run_checkpointed<T: Float>(
    x: &Var<T>,
    mode: &mut Mode,
    run: impl Fn(&Var<T>, &mut Mode) -> Var<T> + Send + Sync + 'static,
) -> Var<T> {
    match mode {
        Mode::Eval => checkpoint(move |x| run(x, &mut Mode::Eval), x),
        Mode::Train(rng) => checkpoint_with_rng(move |x, rng| run(x, &mut Mode::Train(rng)), x, rng),
    }
}

/// The layer, to be changed, when no tape is to run it again.
pub(crate) fn changeable<'a, L: ?Sized>(layer: &'a mut Arc<L>, path: &Path) -> &'a mut L {
    Arc::get_mut(layer).unwrap_or_else(|| {
        panic!(
            "the layer at `{}` is checkpointed, and a result of it is alive whose backward pass is to run it again: let that \
             pass consume the result, or drop it, before the parameters are changed",
            path.as_str()
        )
    })
}
