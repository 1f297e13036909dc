//! Sequence to sequence: Goodfellow, Bengio and Courville, "Deep Learning", section 10.4 and figure 10.12, with attention.

use super::beam::{BeamSearch, Hypothesis};
use super::decoder::{Decoded, Decoder, Encoded, check_tokens};
use super::driver::RecurrentLayer;
use super::forcing::{ForcingGap, TeacherForcing};
use super::sampling::Sampler;
use super::sequence::Sequence;
use crate::attention::Attention;
use crate::layer::Mode;
use gradus_autograd::{Var, no_grad};
use gradus_derive::Module;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, OrPanic, Rng, Tensor};
use std::sync::Arc;

/// The parts of an [`EncoderDecoder`], for messages.
const PARTS: Parts = Parts::Fixed(&[("encoder", ""), ("decoder", "Decoder")]);

/// From the encoder's last state to the decoder's first.
type Bridge<E, D> = Arc<dyn Fn(&E) -> D + Send + Sync>;

/// A sequence read by one recurrent network and answered by another, whose steps attend to all that was read (Sutskever et al.
/// 2014, Bahdanau et al. 2015, Luong et al. 2015).
///
/// The [`Decoder`] begins with the encoder's last state and a token that says so. In training each of its steps reads the target of
/// the step before; in use, the token that was chosen from the step before. Targets are `[N, T]`, whatever the order of axes
/// of the source.
///
/// ```
/// use gradus_nn::{Decoder, DotAttention, Embedding, EncoderDecoder, Gru, Linear, Mode, Recurrent, Sampler, Sequence};
/// use gradus_tensor::{Rng, Tensor};
/// let rng = &mut Rng::seed(0);
/// // Vectors of 3 numbers in, 5 tokens out, of which 4 is the start.
/// let decoder = Decoder::new(
///     Embedding::new(5, 6, rng),
///     Recurrent::new(Gru::new(6, 8, rng)),
///     DotAttention::new(),
///     Linear::new(8 + 8, 8, rng),
///     Linear::new(8, 5, rng),
///     4,
/// );
/// let net: EncoderDecoder<Recurrent<Gru>, Recurrent<Gru>, DotAttention> =
///     EncoderDecoder::new(Recurrent::new(Gru::new(3, 8, rng)), decoder);
/// let (source, targets) = (Sequence::new(Tensor::ones([2, 7, 3])), Tensor::zeros([2, 4]));
/// let decoded = net.teacher_forced(&source, &targets, &mut Mode::Train(rng));
/// let loss = decoded.logits.cross_entropy(&targets);
/// assert_eq!(*decoded.weights.shape(), [2, 4, 7]);
///
/// let (said, _) = net.free_running(&source, 4, Sampler::greedy(), rng);
/// assert_eq!(*said.shape(), [2, 4]);
/// ```
#[derive(Module)]
pub struct EncoderDecoder<E: RecurrentLayer<T>, D: RecurrentLayer<T>, A, T: Float = f32> {
    encoder: E,
    decoder: Decoder<D, A, T>,
    #[module(skip)]
    bridge: Bridge<E::State, D::State>,
}

impl<T: Float, E: RecurrentLayer<T>, D: RecurrentLayer<T, State = E::State>, A: Attention<T>> EncoderDecoder<E, D, A, T> {
    /// Of an encoder, and a decoder with states as the encoder's that attends to its outputs.
    pub fn new(encoder: E, decoder: Decoder<D, A, T>) -> Self {
        Self::bridged(encoder, decoder, E::State::clone)
    }
}

impl<T: Float, E: RecurrentLayer<T>, D: RecurrentLayer<T>, A: Attention<T>> EncoderDecoder<E, D, A, T> {
    /// With a decoder whose first state is some function of the encoder's last: of both its directions, for instance.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_nn::{Bidirectional, Decoder, DotAttention, Embedding, EncoderDecoder, Gru, Linear, Recurrent};
    /// # let rng = &mut gradus_tensor::Rng::seed(0);
    /// let both: Bidirectional<Gru> = Bidirectional::new(Gru::new(3, 4, rng), Gru::new(3, 4, rng));
    /// let (combine, head) = (Linear::<f32>::new(8 + 8, 8, rng), Linear::new(8, 5, rng));
    /// let recurrent = Recurrent::new(Gru::new(6, 8, rng));
    /// let decoder = Decoder::new(Embedding::new(5, 6, rng), recurrent, DotAttention::new(), combine, head, 4);
    /// let net = EncoderDecoder::bridged(both, decoder, |(forward, backward)| Var::concat(&[forward, backward], 1));
    /// ```
    pub fn bridged(
        encoder: E,
        decoder: Decoder<D, A, T>,
        bridge: impl Fn(&E::State) -> D::State + Send + Sync + 'static,
    ) -> Self {
        Self { encoder, decoder, bridge: Arc::new(bridge) }
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder<D, A, T> {
        &self.decoder
    }

    /// What the decoder begins with.
    #[track_caller]
    pub fn encode(&self, source: &Sequence<T>, mode: &mut Mode) -> Encoded<T, D::State> {
        let scope = Scope::enter(PARTS);
        scope.part(0);
        let (memory, last) = self.encoder.run(source, mode);
        Encoded { memory, state: (self.bridge)(&last) }
    }

    /// The logits of targets `[N, T]`, each step reading the target of the step before.
    ///
    /// # Panics
    /// When the targets are of another batch, or there is no such token.
    #[track_caller]
    pub fn teacher_forced(&self, source: &Sequence<T>, targets: &Tensor<i64>, mode: &mut Mode) -> Decoded<T> {
        check_tokens(targets, source.batch()).or_panic();
        let start = Tensor::full([source.batch(), 1], self.decoder.start as i64);
        let read = Tensor::concat(&[&start, &targets.slice(1, ..targets.shape()[1] - 1)], 1);
        let encoded = self.encode(source, mode);
        let scope = Scope::enter(PARTS);
        scope.part(1);
        self.decoder.decode(&read, &encoded, mode).0
    }

    /// Tokens `[N, steps]` chosen one after the other, each step reading the one before, and the logits that they were chosen
    /// from. No gradient passes through a choice.
    #[track_caller]
    pub fn free_running(&self, source: &Sequence<T>, steps: usize, sampler: Sampler, rng: &mut Rng) -> (Tensor<i64>, Decoded<T>) {
        let encoded = self.encode(source, &mut Mode::Eval);
        let mut chosen: Vec<Tensor<i64>> = Vec::with_capacity(steps);
        let scope = Scope::enter(PARTS);
        scope.part(1);
        let decoded = self.decoder.step_by_step(steps, encoded, &mut Mode::Eval, |_, logits, _| {
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
    /// As [`teacher_forced`](Self::teacher_forced).
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
        check_tokens(targets, source.batch()).or_panic();
        let (encoded, draw) = (self.encode(source, &mut Mode::Train(rng)), Sampler::temperature(1.0));
        let scope = Scope::enter(PARTS);
        scope.part(1);
        self.decoder.step_by_step(targets.shape()[1], encoded, &mut Mode::Train(rng), |t, logits, mode| {
            let Mode::Train(rng) = mode else { unreachable!("it is given above") };
            let drawn = draw.choose(logits, rng);
            targets.select(1, t).where_(&Tensor::bernoulli([source.batch()], p, rng), &drawn)
        })
    }

    /// A loss of the logits with teacher forcing, and running freely with the likeliest tokens; nothing is recorded.
    ///
    /// # Panics
    /// As [`teacher_forced`](Self::teacher_forced).
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
        beams.search(self.decoder.start, end, &state, |tokens, state| {
            let rows = Tensor::zeros([tokens.shape()[0]]);
            let encoded = Encoded { memory: memory.rows(&rows), state: state.clone() };
            let (decoded, next) = self.decoder.decode(&tokens.unsqueeze(1), &encoded, &mut Mode::Eval);
            (decoded.logits.steps().select(0, 0), next.state)
        })
    }
}
