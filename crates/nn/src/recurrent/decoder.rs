//! A decoder with attention: Luong, Pham and Manning 2015, "Effective Approaches to Attention-based Neural Machine
//! Translation", section 3.1.

use super::driver::RecurrentLayer;
use super::sequence::Sequence;
use crate::attention::Attention;
use crate::layer::{Layer, Mode};
use crate::layers::{Embedding, Linear};
use gradus_autograd::Var;
use gradus_derive::Module;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, OrPanic, ShapeError, Tensor};

/// The parts of a [`Decoder`], for messages.
const PARTS: Parts =
    Parts::Fixed(&[("embedding", "Embedding"), ("recurrent", ""), ("attention", ""), ("combine", "Linear"), ("head", "Linear")]);

/// A recurrent network over tokens whose every step attends to a memory:
///
/// ```text
/// h_t = recurrent(h_(t-1), E y_t)      r_t = attention(h_t, memory)      o_t = head tanh(combine [r_t; h_t])
/// ```
///
/// As no step reads what the one before it attended to, tokens that are known run as one sequence (fused, if the cell is), and
/// their attention as one batch.
#[derive(Clone, Debug, Module)]
pub struct Decoder<D, A, T: Float = f32> {
    /// `E`, a row a token.
    pub embedding: Embedding<T>,
    /// From embedded tokens to states.
    pub recurrent: D,
    /// From states to the memory.
    pub attention: A,
    /// Of what was read and the state.
    pub combine: Linear<T>,
    /// From there to the next token's logits.
    pub head: Linear<T>,
    pub(super) start: usize,
}

/// What a decoder said.
#[derive(Clone, Debug)]
pub struct Decoded<T: Float = f32> {
    /// `[N, T, tokens]`.
    pub logits: Sequence<T>,
    /// How much each step read of each step of the memory, `[N, T, S]`.
    pub weights: Var<T>,
}

/// What a decoder attends to, and its state.
#[derive(Clone, Debug)]
pub struct Encoded<T: Float, S> {
    /// What was read, `[N, S, m]`.
    pub memory: Sequence<T>,
    /// The state that the decoder goes on from.
    pub state: S,
}

impl<T: Float, D: RecurrentLayer<T>, A: Attention<T>> Decoder<D, A, T> {
    /// Of its parts, and the token that the first step reads.
    pub fn new(embedding: Embedding<T>, recurrent: D, attention: A, combine: Linear<T>, head: Linear<T>, start: usize) -> Self {
        Self { embedding, recurrent, attention, combine, head, start }
    }

    /// The answer to tokens `[N, T]`, and where the decoder then stands.
    ///
    /// # Panics
    /// When the tokens are of another batch, or there is no such token.
    #[track_caller]
    pub fn decode(
        &self,
        tokens: &Tensor<i64>,
        encoded: &Encoded<T, D::State>,
        mode: &mut Mode,
    ) -> (Decoded<T>, Encoded<T, D::State>) {
        check_tokens(tokens, encoded.memory.batch()).or_panic();
        let scope = Scope::enter(PARTS);
        scope.part(0);
        let read = Sequence::new(self.embedding.embed(tokens));
        scope.part(1);
        let (outputs, state) = self.recurrent.run_from(&read, &encoded.state, mode);
        let outputs = outputs.data();
        scope.part(2);
        let (context, weights) = self.attention.attend(&outputs, &encoded.memory);
        scope.part(3);
        let combined = self.combine.forward(&Var::concat(&[&context, &outputs], -1), mode).tanh();
        scope.part(4);
        let logits = Sequence::new(self.head.forward(&combined, mode));
        (Decoded { logits, weights }, Encoded { memory: encoded.memory.clone(), state })
    }

    /// One step after the other; what each but the first reads is chosen from the number of the step before and its logits.
    #[track_caller]
    pub(super) fn step_by_step(
        &self,
        steps: usize,
        mut at: Encoded<T, D::State>,
        mode: &mut Mode,
        mut choose: impl FnMut(usize, &Tensor<T>, &mut Mode) -> Tensor<i64>,
    ) -> Decoded<T> {
        assert!(steps > 0, "decoder: 0 steps; wanted 1 or more");
        let mut token = Tensor::full([at.memory.batch()], self.start as i64);
        let (mut logits, mut weights) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        for t in 0..steps {
            let (said, next) = self.decode(&token.unsqueeze(1), &at, mode);
            at = next;
            logits.push(said.logits.data());
            weights.push(said.weights);
            token = choose(t, &logits[t].value().select(1, 0), mode);
        }
        let join = |parts: &[Var<T>]| Var::concat(&parts.iter().collect::<Vec<_>>(), 1);
        Decoded { logits: Sequence::new(join(&logits)), weights: join(&weights) }
    }
}

/// An error unless tokens are `[N, T]` with a step.
pub(super) fn check_tokens(tokens: &Tensor<i64>, batch: usize) -> Result<(), ShapeError> {
    match tokens.shape()[..] {
        [n, steps] if n == batch && steps > 0 => Ok(()),
        _ => Err(ShapeError::new("Decoder", format!("tokens {}; wanted [{batch}, T]", tokens.shape()))),
    }
}
