//! A layer at each step of a sequence.

use crate::layer::{Layer, Mode};
use crate::recurrent::{Sequence, sequence_of};
use crate::refuse::refuse;
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Part, Parts, Scope};
use gradus_tensor::{Float, Shape, Tensor};
use std::sync::Arc;

/// A layer applied to each step by itself: `[N, T, ..]` becomes `[N, T, ..]`, with all steps as one batch.
///
/// ```
/// use gradus_nn::{Conv2d, Layer, Mode, TimeDistributed};
/// use gradus_tensor::{Rng, Tensor};
/// let frames: TimeDistributed = TimeDistributed::new(Conv2d::new(1, 4, 3, &mut Rng::seed(0)));
/// let y = frames.forward(&Tensor::ones([2, 5, 1, 8, 8]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [2, 5, 4, 6, 6]);
/// ```
#[derive(Module)]
pub struct TimeDistributed<T: Float = f32> {
    layer: Box<dyn Layer<T>>,
    /// Of the layer, for messages.
    #[module(skip)]
    parts: Arc<Vec<Part>>,
}

#[compiled_once]
impl<T: Float> TimeDistributed<T> {
    /// Of this layer.
    pub fn new(layer: impl Layer<T> + 'static) -> Self {
        let parts = Arc::new(vec![Part { name: "layer".into(), kind: layer.kind() }]);
        Self { layer: Box::new(layer), parts }
    }

    /// The layer's outputs at the steps that are there, and 0 at the others, which the layer never sees.
    ///
    /// # Panics
    /// When the layer panics, or does not give one output a step.
    #[track_caller]
    pub fn over(&self, x: &Sequence<T>, mode: &mut Mode<'_>) -> Sequence<T> {
        let (steps, shape) = (x.len() * x.batch(), x.steps().shape());
        let flat: Shape = [steps].into_iter().chain(shape[2..].iter().copied()).collect();
        let flat = x.steps().reshape(&flat);
        let Some(mask) = x.mask() else {
            return self.back(x, &self.of_flat(&flat, mode), steps);
        };
        let there: Vec<i64> = (0..).zip(mask.to_vec()).filter_map(|(i, there)| there.then_some(i)).collect();
        let count = there.len();
        let rows = Tensor::from_vec(there, [count]);
        let y = self.of_flat(&flat.index_select(0, &rows), mode);
        let all: Shape = [steps].into_iter().chain(y.shape().iter().skip(1).copied()).collect();
        self.back(x, &Var::constant(Tensor::zeros(all)).index_add(0, &rows, &y), steps)
    }

    #[track_caller]
    fn of_flat(&self, flat: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let scope = Scope::enter(Parts::Listed(self.parts.clone()));
        scope.part(0);
        self.layer.forward(flat, mode)
    }

    /// One output a step as steps again.
    #[track_caller]
    fn back(&self, x: &Sequence<T>, y: &Var<T>, steps: usize) -> Sequence<T> {
        if y.rank() == 0 || y.shape()[0] != steps {
            refuse("TimeDistributed", format!("expected outputs [{steps}, ..], one a step, got {}", y.shape()))
        }
        let shape: Shape = [x.len(), x.batch()].into_iter().chain(y.shape()[1..].iter().copied()).collect();
        x.with_steps(y.reshape(&shape))
    }
}

#[compiled_once]
impl<T: Float> Layer<T> for TimeDistributed<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        self.over(&sequence_of("TimeDistributed", x), mode).data()
    }
}
