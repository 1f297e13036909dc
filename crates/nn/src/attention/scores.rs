//! How well a place in a memory answers a query: dot, bilinear and additive scores.

use super::softmax::{masked_softmax, scaled_products};
use crate::layer::{Layer, Mode};
use crate::layers::Linear;
use crate::recurrent::Sequence;
use gradus_autograd::{Module, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::scope::{Parts, Scope};
use gradus_tensor::{Float, OrPanic, Rng, ShapeError};

/// Runs the dense layer `key` (0) or `query` (1).
#[track_caller]
fn named<R>(part: usize, f: impl FnOnce() -> R) -> R {
    let scope = Scope::enter(Parts::Fixed(&[("key", "Linear"), ("query", "Linear")]));
    scope.part(part);
    f()
}

/// Reads from a memory, a step of which weighs as much as the softmax of its score says. A type of one's own has but to say
/// the scores.
pub trait Attention<T: Float = f32>: Module<T> + Send + Sync {
    /// The score of each of `S` keys for each of `Q` queries: `[N, Q, d]` and `[N, S, k]` to `[N, Q, S]`.
    fn scores(&self, queries: &Var<T>, keys: &Var<T>) -> Var<T>;

    /// What each query reads, `[N, Q, m]`, and the weights that it gives to the steps of the memory, `[N, Q, S]`, which add up to
    /// 1 and are 0 at padding.
    ///
    /// # Panics
    /// When the memory is not one of vectors, or of another batch.
    #[track_caller]
    fn attend(&self, queries: &Var<T>, memory: &Sequence<T>) -> (Var<T>, Var<T>) {
        let steps = memory.steps().shape();
        if queries.rank() != 3 || steps.len() != 3 || queries.shape()[0] != steps[1] {
            let detail = format!("queries {} and a memory of steps {steps}; wanted [N, Q, d] and [S, N, m]", queries.shape());
            Err(ShapeError::new("attention", detail)).or_panic()
        }
        let memory = memory.zero_padding();
        let keys = memory.steps().transpose(0, 1);
        let there = memory.mask().map(|mask| mask.t().unsqueeze(1));
        let weights = masked_softmax(&self.scores(queries, &keys), there.as_ref());
        (weights.matmul(&keys), weights)
    }
}

/// `q · k` (Luong et al. 2015, "dot"), or divided by `√d` (Vaswani et al. 2017). Query and key are of one width.
///
/// ```
/// use gradus_autograd::Var;
/// use gradus_nn::{Attention, DotAttention, Sequence};
/// use gradus_tensor::Tensor;
/// let memory = Sequence::new(Tensor::from([[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]])).with_lengths(&[2]);
/// let (read, weights) = DotAttention::new().attend(&Var::constant(Tensor::from([[[0.0, 3f64.ln()]]])), &memory);
/// assert!((weights.value() - Tensor::from([[[0.25, 0.75, 0.0]]])).abs().max(..).item() < 1e-12);
/// assert!((read.value() - Tensor::from([[[0.25, 0.75]]])).abs().max(..).item() < 1e-12);
/// ```
#[doc(alias = "LuongAttention")]
#[derive(Clone, Copy, Debug, Default, Module)]
pub struct DotAttention {
    scaled: bool,
}

impl DotAttention {
    /// `q · k`.
    pub fn new() -> Self {
        Self::default()
    }

    /// `q · k / √d`.
    #[must_use]
    pub fn scaled(self) -> Self {
        Self { scaled: true }
    }
}

impl<T: Float> Attention<T> for DotAttention {
    #[track_caller]
    fn scores(&self, queries: &Var<T>, keys: &Var<T>) -> Var<T> {
        if self.scaled { scaled_products(queries, keys) } else { queries.matmul(&keys.transpose(1, 2)) }
    }
}

/// `qᵀ W k` (Luong et al. 2015, "general").
///
/// ```
/// use gradus_nn::{Attention, BilinearAttention};
/// use gradus_tensor::{Rng, Tensor};
/// let attention: BilinearAttention = BilinearAttention::new(3, 5, &mut Rng::seed(0));
/// let scores = attention.scores(&Tensor::ones([2, 4, 3]).into(), &Tensor::ones([2, 7, 5]).into());
/// assert_eq!(*scores.shape(), [2, 4, 7]);
/// ```
#[doc(alias = "LuongAttention")]
#[derive(Clone, Debug, Module)]
pub struct BilinearAttention<T: Float = f32> {
    /// `W`, from keys to queries.
    pub key: Linear<T>,
}

#[compiled_once]
impl<T: Float> BilinearAttention<T> {
    /// For queries and keys of these widths.
    pub fn new(query: usize, key: usize, rng: &mut Rng) -> Self {
        Self { key: Linear::new(key, query, rng).bias(false) }
    }
}

impl<T: Float> Attention<T> for BilinearAttention<T> {
    #[track_caller]
    fn scores(&self, queries: &Var<T>, keys: &Var<T>) -> Var<T> {
        let key = named(0, || self.key.forward(keys, &mut Mode::Eval));
        queries.matmul(&key.transpose(1, 2))
    }
}

/// `vᵀ tanh(W q + U k)` (Bahdanau et al. 2015), over hidden units of any width.
///
/// ```
/// use gradus_nn::{AdditiveAttention, Attention};
/// use gradus_tensor::{Rng, Tensor};
/// let attention: AdditiveAttention = AdditiveAttention::new(3, 5, 8, &mut Rng::seed(0));
/// let scores = attention.scores(&Tensor::ones([2, 4, 3]).into(), &Tensor::ones([2, 7, 5]).into());
/// assert_eq!(*scores.shape(), [2, 4, 7]);
/// ```
#[doc(alias = "BahdanauAttention")]
#[derive(Clone, Debug, Module)]
pub struct AdditiveAttention<T: Float = f32> {
    /// `W`, and the bias of both.
    pub query: Linear<T>,
    /// `U`.
    pub key: Linear<T>,
    /// `v`.
    pub score: Linear<T>,
}

#[compiled_once]
impl<T: Float> AdditiveAttention<T> {
    /// For queries and keys of these widths, over `hidden` units.
    pub fn new(query: usize, key: usize, hidden: usize, rng: &mut Rng) -> Self {
        Self {
            query: Linear::new(query, hidden, rng),
            key: Linear::new(key, hidden, rng).bias(false),
            score: Linear::new(hidden, 1, rng).bias(false),
        }
    }
}

impl<T: Float> Attention<T> for AdditiveAttention<T> {
    #[track_caller]
    fn scores(&self, queries: &Var<T>, keys: &Var<T>) -> Var<T> {
        let queries = named(1, || self.query.forward(queries, &mut Mode::Eval)).unsqueeze(2);
        let keys = named(0, || self.key.forward(keys, &mut Mode::Eval)).unsqueeze(1);
        self.score.forward(&(queries + keys).tanh(), &mut Mode::Eval).squeeze(3)
    }
}
