//! Outputs compared with targets.

use crate::error::TrainError;
use crate::objective::{Objective, StepContext, type_name};
use gradus_autograd::{Var, enable_grad, no_grad};
use gradus_nn::{BatchWeight, Direction, Layer, Loss, Metric, Mode, OutputKind, collect_penalties};
use gradus_tensor::{Float, ShapeError, Tensor};

/// The objective of a [`Loss`]: batches are inputs `[N, ..]` and targets, and the network's output for the inputs is compared with
/// the targets. [`Trainer::new`](crate::Trainer::new) makes it.
pub struct Supervised<L>(/** The loss. */ pub L);

impl<L> Supervised<L> {
    fn compare<N, Y, T>(&self, net: &N, (x, target): &(Tensor<T>, Y), cx: &mut StepContext<'_, T>) -> Result<Var<T>, TrainError>
    where
        N: Layer<T>,
        L: Loss<T, Y>,
        T: Float,
    {
        let output = net.forward(&Var::constant(x.clone()), &mut cx.mode());
        self.0.check_output(&output)?;
        self.0.check(output.shape(), target)?;
        let loss = match cx.weight().counts() {
            true => self.0.loss(&output, target),
            // The mean over nothing.
            false => Var::constant(Tensor::scalar(T::NAN)),
        };
        if !cx.is_train() && cx.is_first() && self.0.output_kind().is_doubtful(output.value()) {
            // The values could be of another kind than the loss takes. In evaluation nothing is recorded, so that it takes a
            // second pass to see the tape.
            let forward = || net.forward(&Var::constant(x.clone()), &mut Mode::Eval);
            let (recorded, _) = collect_penalties::<T, _>(|| enable_grad(forward));
            self.0.check_output(&recorded)?;
        }
        cx.output(&output);
        Ok(loss)
    }
}

impl<N, L, Y, T> Objective<N, (Tensor<T>, Y), T> for Supervised<L>
where
    N: Layer<T>,
    L: Loss<T, Y>,
    T: Float,
{
    fn loss(&mut self, net: &N, batch: &(Tensor<T>, Y), cx: &mut StepContext<'_, T>) -> Result<Var<T>, TrainError> {
        if cx.is_train() { self.compare(net, batch, cx) } else { no_grad(|| self.compare(net, batch, cx)) }
    }
    fn weight(&self, (_, target): &(Tensor<T>, Y), samples: usize) -> BatchWeight {
        self.0.weight(target, samples)
    }
    fn name(&self) -> String {
        type_name::<L>()
    }
    fn ignored_label(&self) -> Option<i64> {
        self.0.ignored_label()
    }
    fn output_kind(&self) -> OutputKind {
        self.0.output_kind()
    }
}

/// A metric that compares an output with the target of a batch `(inputs, target)`.
pub(crate) struct OnTarget<M>(pub M);

impl<T: Float, X, Y, M: Metric<T, Y>> Metric<T, (X, Y)> for OnTarget<M> {
    fn name(&self) -> &str {
        self.0.name()
    }
    fn update(&mut self, output: &Tensor<T>, (_, target): &(X, Y)) {
        self.0.update(output, target);
    }
    fn check(&self, output: &[usize], (_, target): &(X, Y)) -> Result<(), ShapeError> {
        self.0.check(output, target)
    }
    fn ignore_label(&mut self, label: i64) {
        self.0.ignore_label(label);
    }
    fn output_kind(&self) -> OutputKind {
        self.0.output_kind()
    }
    fn value(&self) -> f64 {
        self.0.value()
    }
    fn reset(&mut self) {
        self.0.reset();
    }
    fn direction(&self) -> Option<Direction> {
        self.0.direction()
    }
    fn state(&self) -> Vec<f64> {
        self.0.state()
    }
    fn load_state(&mut self, state: &[f64]) {
        self.0.load_state(state);
    }
}
