//! Sequence to sequence: Goodfellow, Bengio and Courville, "Deep Learning", section 10.4 and figure 10.12, with attention.

use super::beam::{BeamSearch, Hypothesis};
use super::driver::Unfold;
use super::forcing::{ForcingGap, TeacherForcing};
use super::sampling::Sampler;
use super::sequence::Sequence;
use crate::attention::Attention;
use crate::layer::{Layer, Mode};
use crate::layers::{Embedding, Linear};
use gradus_autograd::{Var, no_grad};
use gradus_derive::Module;
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};
use std::sync::Arc;

/// From the encoder's last state to the decoder's first.
type Bridge<E, D> = Arc<dyn Fn(&E) -> D + Send + Sync>;

/// A sequence read by one recurrent network and answered by another, whose steps attend to all that was read (Luong et al. 2015,
/// global attention):
///
/// ```text
/// m = encoder(x)      h_t = decoder(h_(t-1), E y_(t-1))      r_t = attention(h_t, m)
/// o_t = head tanh(combine [r_t; h_t])
/// ```
///
/// The decoder begins with the encoder's last state, and its first step reads the token `start`. In training each reads the
/// target of the step before, so that the decoder is one sequence (fused, if its cell is) and attention one batch; in use, each
/// reads the token that was chosen from the step before. Targets are `[N, T]`, whatever the order of axes of the source.
///
/// ```
/// use gradus_nn::{DotAttention, Embedding, EncoderDecoder, Gru, Linear, Mode, Recurrent, Sampler, Sequence};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// // Vectors of 3 numbers in, 5 tokens out, of which 4 is the start.
/// let net: EncoderDecoder<Recurrent<Gru>, Recurrent<Gru>, DotAttention> = EncoderDecoder::new(
///     Recurrent::new(Gru::new(3, 8, rng)),
///     Embedding::new(5, 6, rng),
///     Recurrent::new(Gru::new(6, 8, rng)),
///     DotAttention::new(),
///     Linear::new(8 + 8, 8, rng),
///     Linear::new(8, 5, rng),
///     4,
/// );
/// let (source, targets) = (Sequence::new(Tensor::ones([2, 7, 3])), Tensor::zeros([2, 4]));
/// let decoded = net.teacher_forced(&source, &targets, &mut Mode::Train(rng));
/// let loss = decoded.logits.cross_entropy(&targets);
/// assert_eq!(*decoded.weights.shape(), [2, 4, 7]);
///
/// let (said, _) = net.free_running(&source, 4, Sampler::greedy(), rng);
/// assert_eq!(*said.shape(), [2, 4]);
/// ```
#[derive(Module)]
pub struct EncoderDecoder<E: Unfold<T>, D: Unfold<T>, A, T: Float = f32> {
    encoder: E,
    embedding: Embedding<T>,
    decoder: D,
    attention: A,
    combine: Linear<T>,
    head: Linear<T>,
    #[module(skip)]
    bridge: Bridge<E::State, D::State>,
    start: usize,
}

/// What the decoder said.
#[derive(Clone, Debug)]
pub struct Decoded<T: Float = f32> {
    /// `[N, T, tokens]`.
    pub logits: Sequence<T>,
    /// How much each step read of each step of the source, `[N, T, S]`.
    pub weights: Var<T>,
}

/// What the encoder read, and the decoder's state.
#[derive(Clone, Debug)]
pub struct Encoded<T: Float, S> {
    /// The encoder's outputs.
    pub memory: Sequence<T>,
    /// The state that the decoder goes on from.
    pub state: S,
}

impl<T: Float, E: Unfold<T>, D: Unfold<T, State = E::State>, A: Attention<T>> EncoderDecoder<E, D, A, T> {
    /// Of an encoder, the decoder's tokens' embedding, a decoder with states as the encoder's, an attention of the decoder's outputs
    /// to the encoder's, a dense layer of what was read and the decoder's output, one from there to the tokens, and the token
    /// that the first step reads.
    pub fn new(
        encoder: E,
        embedding: Embedding<T>,
        decoder: D,
        attention: A,
        combine: Linear<T>,
        head: Linear<T>,
        start: usize,
    ) -> Self {
        Self { encoder, embedding, decoder, attention, combine, head, bridge: Arc::new(E::State::clone), start }
    }
}

impl<T: Float, E: Unfold<T>, D: Unfold<T>, A: Attention<T>> EncoderDecoder<E, D, A, T> {
    /// With another decoder, whose first state is a function of the encoder's last: of one direction of it, for instance.
    #[must_use]
    pub fn bridged<F: Unfold<T>>(
        self,
        decoder: F,
        bridge: impl Fn(&E::State) -> F::State + Send + Sync + 'static,
    ) -> EncoderDecoder<E, F, A, T> {
        let Self { encoder, embedding, attention, combine, head, start, .. } = self;
        EncoderDecoder { encoder, embedding, decoder, attention, combine, head, bridge: Arc::new(bridge), start }
    }

    /// What the decoder begins with.
    #[track_caller]
    pub fn encode(&self, source: &Sequence<T>, mode: &mut Mode) -> Encoded<T, D::State> {
        let (memory, last) = self.encoder.unfold(source, mode);
        Encoded { memory, state: (self.bridge)(&last) }
    }

    /// The decoder's answer to tokens `[N, T]` that it reads, and where it then stands.
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
        let batch = encoded.memory.batch();
        if tokens.rank() != 2 || tokens.shape()[0] != batch {
            Err(ShapeError::new("encoder_decoder", format!("tokens {}; wanted [{batch}, T]", tokens.shape()))).or_panic()
        }
        let read = Sequence::new(self.embedding.embed(tokens));
        let (outputs, state) = self.decoder.unfold_from(&read, &encoded.state, mode);
        let outputs = outputs.data();
        let (context, weights) = self.attention.attend(&outputs, &encoded.memory);
        let combined = self.combine.forward(&Var::concat(&[&context, &outputs], -1), mode).tanh();
        let logits = Sequence::new(self.head.forward(&combined, mode));
        (Decoded { logits, weights }, Encoded { memory: encoded.memory.clone(), state })
    }

    /// The logits of targets `[N, T]`, each step reading the target of the step before.
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    #[track_caller]
    pub fn teacher_forced(&self, source: &Sequence<T>, targets: &Tensor<i64>, mode: &mut Mode) -> Decoded<T> {
        let encoded = self.encode(source, mode);
        let start = Tensor::full([encoded.memory.batch(), 1], self.start as i64);
        let steps = targets.shape().get(1).copied().unwrap_or(1);
        if targets.rank() != 2 || steps == 0 {
            Err(ShapeError::new("encoder_decoder", format!("targets {}; wanted [N, T]", targets.shape()))).or_panic()
        }
        self.decode(&Tensor::concat(&[&start, &targets.slice(1, ..steps - 1)], 1), &encoded, mode).0
    }

    /// Tokens `[N, steps]` chosen one after the other, each step reading the one before, and the logits that they were chosen
    /// from. No gradient passes through a choice.
    #[track_caller]
    pub fn free_running(&self, source: &Sequence<T>, steps: usize, sampler: Sampler, rng: &mut Rng) -> (Tensor<i64>, Decoded<T>) {
        let encoded = self.encode(source, &mut Mode::Eval);
        let mut chosen: Vec<Tensor<i64>> = Vec::with_capacity(steps);
        let decoded = self.step_by_step(steps, encoded, &mut Mode::Eval, |_, logits, _| {
            chosen.push(sampler.choose(logits, rng));
            chosen[chosen.len() - 1].clone()
        });
        (Tensor::stack(&chosen.iter().collect::<Vec<_>>(), 1), decoded)
    }

    /// The logits of targets `[N, T]`, each step of each sequence reading the target of the step before with the probability that
    /// `forcing` has after so many updates, and else a token drawn from the step before (Bengio et al. 2015, "Scheduled
    /// sampling").
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    #[track_caller]
    pub fn scheduled(
        &self,
        source: &Sequence<T>,
        targets: &Tensor<i64>,
        forcing: TeacherForcing,
        updates: usize,
        rng: &mut Rng,
    ) -> Decoded<T> {
        let p = forcing.probability(updates);
        if p == 1.0 {
            return self.teacher_forced(source, targets, &mut Mode::Train(rng));
        }
        let encoded = self.encode(source, &mut Mode::Train(rng));
        let (batch, draw) = (encoded.memory.batch(), Sampler::temperature(1.0));
        if targets.rank() != 2 || targets.shape()[0] != batch {
            Err(ShapeError::new("encoder_decoder", format!("targets {}; wanted [{batch}, T]", targets.shape()))).or_panic()
        }
        self.step_by_step(targets.shape()[1], encoded, &mut Mode::Train(rng), |t, logits, mode| {
            let Mode::Train(rng) = mode else { unreachable!("it is given above") };
            let drawn = draw.choose(logits, rng);
            Tensor::bernoulli([batch], p, rng).select_where(&targets.select(1, t), &drawn)
        })
    }

    /// A loss of the logits with teacher forcing, and running freely with the likeliest tokens; nothing is recorded.
    ///
    /// # Panics
    /// As [`decode`](Self::decode).
    #[track_caller]
    pub fn forcing_gap(&self, source: &Sequence<T>, targets: &Tensor<i64>, loss: impl Fn(&Sequence<T>) -> Var<T>) -> ForcingGap {
        no_grad(|| {
            let forced = self.teacher_forced(source, targets, &mut Mode::Eval).logits;
            // Greedy choice draws nothing.
            let free = self.free_running(source, targets.shape()[1], Sampler::greedy(), &mut Rng::seed(0)).1.logits;
            let [teacher_forced, free_running] = [forced, free].map(|logits| loss(&logits).item().to_f64());
            ForcingGap { teacher_forced, free_running }
        })
    }

    /// The likeliest answers to one sequence, that end in the token `end`.
    ///
    /// # Panics
    /// When the source is more than one sequence.
    #[track_caller]
    pub fn search(&self, source: &Sequence<T>, beams: &BeamSearch, end: usize) -> Vec<Hypothesis> {
        assert!(source.batch() == 1, "encoder_decoder: a search among {} sequences; wanted one", source.batch());
        let Encoded { memory, state } = no_grad(|| self.encode(source, &mut Mode::Eval));
        beams.search(self.start, end, &state, |tokens, state| {
            let rows = Tensor::zeros([tokens.shape()[0]]);
            let encoded = Encoded { memory: memory.rows(&rows), state: state.clone() };
            let (decoded, next) = self.decode(&tokens.unsqueeze(1), &encoded, &mut Mode::Eval);
            (decoded.logits.steps().select(0, 0), next.state)
        })
    }

    /// One step after the other; what each but the first reads is chosen from the number of the step before and its logits.
    #[track_caller]
    fn step_by_step(
        &self,
        steps: usize,
        mut at: Encoded<T, D::State>,
        mode: &mut Mode,
        mut choose: impl FnMut(usize, &Tensor<T>, &mut Mode) -> Tensor<i64>,
    ) -> Decoded<T> {
        assert!(steps > 0, "encoder_decoder: 0 steps; wanted 1 or more");
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
