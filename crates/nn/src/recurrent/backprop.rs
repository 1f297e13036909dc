//! How a sequence is unrolled, and how far gradients go back through it.

use super::cell::{CellState, RnnCell};
use super::sequence::{Sequence, broadcast_to_rank};
use gradus_autograd::{Var, checkpoint};
use gradus_tensor::Float;
use std::ops::Range;
use std::sync::Arc;

/// How far gradients go back, and what is kept for them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Backprop {
    Full,
    Truncated { k1: usize, k2: usize },
    Checkpointed,
}

/// One pass over a sequence, whose padding is 0 and whose first step is the first to be run.
pub(super) struct Pass<T: Float, C: RnnCell<T>> {
    pub cell: Arc<C>,
    pub x: Sequence<T>,
    /// What each variable of the state is multiplied by before products see it; nothing for no dropout.
    pub seen: Vec<Var<T>>,
    pub unrolled: bool,
}

impl<T: Float, C: RnnCell<T>> Clone for Pass<T, C> {
    fn clone(&self) -> Self {
        Self { cell: self.cell.clone(), x: self.x.clone(), seen: self.seen.clone(), unrolled: self.unrolled }
    }
}

impl<T: Float, C: RnnCell<T>> Pass<T, C> {
    /// The outputs of all steps, `[T, N, out]`, and the last state. Outputs at padding are whatever they are.
    #[track_caller]
    pub fn run(&self, backprop: Backprop, state: &C::State) -> (Var<T>, C::State) {
        let steps = self.x.len();
        match backprop {
            Backprop::Truncated { k1, k2 } if k2 < steps => self.truncated(k1, k2, state),
            Backprop::Checkpointed if self.x.batch() > 0 => self.checkpointed(state),
            _ => self.steps(0..steps, state),
        }
    }

    /// The steps `range` as one graph.
    #[track_caller]
    fn steps(&self, range: Range<usize>, state: &C::State) -> (Var<T>, C::State) {
        let x = if range == (0..self.x.len()) { self.x.clone() } else { self.x.part(range) };
        if self.seen.is_empty()
            && !self.unrolled
            && let Some(done) = self.cell.sequence(x.steps(), state, x.mask())
        {
            return done;
        }
        let projected = self.cell.project(x.steps());
        let mut state = state.clone();
        let mut outputs = Vec::with_capacity(x.len());
        for t in 0..x.len() {
            let (y, next) = self.cell.step_projected(&projected.select(0, t), &state, &self.as_seen(&state));
            outputs.push(y);
            state = match x.mask().map(|m| m.select(0, t)) {
                Some(there) if !there.to_vec().iter().all(|t| *t) => {
                    next.zip(&state, |new, old| new.where_(&broadcast_to_rank(&there, new.rank()), old))
                }
                _ => next,
            };
        }
        (Var::stack(&outputs.iter().collect::<Vec<_>>(), 0), state)
    }

    fn as_seen(&self, state: &C::State) -> C::State {
        let mut kept = self.seen.iter();
        state.map(&mut |v| kept.next().map_or_else(|| v.clone(), |k| v.mul_no_nan(k)))
    }

    /// Each chunk of `k1` steps is the end of a window of `k2` steps that begins from a constant state; windows that begin
    /// at the same step are one graph.
    fn truncated(&self, k1: usize, k2: usize, state: &C::State) -> (Var<T>, C::State) {
        let steps = self.x.len();
        let ends: Vec<usize> = (1..=steps.div_ceil(k1)).map(|j| (j * k1).min(steps)).collect();
        let start = |end: usize| end.saturating_sub(k2);
        let (mut at, mut begun, mut state) = (0, 0, state.clone());
        let mut next_first = state.detach();
        let mut outputs = Vec::with_capacity(ends.len());
        for (j, &end) in ends.iter().enumerate() {
            if start(end) > begun {
                (at, begun, state) = (start(end), start(end), next_first.clone());
            }
            let first = j * k1;
            let next_start = ends[j..].iter().map(|&end| start(end)).find(|&s| s > begun).unwrap_or(steps);
            let mut cuts = vec![first, next_start, end];
            cuts.retain(|&cut| cut > at && cut <= end);
            cuts.sort_unstable();
            cuts.dedup();
            for cut in cuts {
                if at == next_start {
                    next_first = state.detach();
                }
                let (y, next) = self.steps(at..cut, &state);
                if at >= first {
                    outputs.push(y);
                }
                (at, state) = (cut, next);
            }
            if at == next_start {
                next_first = state.detach();
            }
        }
        (Var::concat(&outputs.iter().collect::<Vec<_>>(), 0), state)
    }

    /// `√T` segments, of which all but the last are run again in the backward pass.
    fn checkpointed(&self, state: &C::State) -> (Var<T>, C::State) {
        let steps = self.x.len();
        let segments = (steps as f64).sqrt().ceil() as usize;
        let mut state = state.clone();
        let mut outputs = Vec::with_capacity(segments);
        for s in 0..segments {
            let range = steps * s / segments..steps * (s + 1) / segments;
            let (y, next) = if s + 1 == segments { self.steps(range, &state) } else { self.segment(range, &state) };
            outputs.push(y);
            state = next;
        }
        (Var::concat(&outputs.iter().collect::<Vec<_>>(), 0), state)
    }

    /// One segment as a checkpoint: its outputs and its state leave it as one vector.
    fn segment(&self, range: Range<usize>, state: &C::State) -> (Var<T>, C::State) {
        let (len, batch) = (range.len(), self.x.batch());
        let part = self.x.part(range);
        let (pass, first) = (Self { x: part.clone(), ..self.clone() }, state.clone());
        let run = move |x: &Var<T>| {
            let pass = Self { x: pass.x.with_steps(x.clone()), ..pass.clone() };
            let (y, last) = pass.steps(0..len, &first);
            let all: Vec<_> = std::iter::once(y).chain(last.variables()).map(|v| v.reshape([-1])).collect();
            Var::concat(&all.iter().collect::<Vec<_>>(), 0)
        };
        let all = checkpoint(run, part.steps());
        let kept: usize = state.variables().iter().map(|v| v.value().numel()).sum();
        let outputs = all.shape()[0] - kept;
        let mut at = outputs;
        let state = state.map(&mut |v| {
            let n = v.value().numel();
            at += n;
            all.slice(0, at - n..at).reshape(v.shape())
        });
        (all.slice(0, ..outputs).reshape([len, batch, outputs / (len * batch)]), state)
    }
}
