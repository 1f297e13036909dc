//! Multi-head attention.

use super::softmax::{causal_mask, read, scaled_weights};
use crate::init;
use crate::layer::{Layer, Mode};
use crate::layers::Linear;
use crate::recurrent::Sequence;
use crate::refuse::refuse_input_of;
use gradus_autograd::{Param, Var};
use gradus_derive::Module;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, OrPanic, Rng, ShapeError, Tensor};

/// Several scaled dot-product attentions side by side, each over its own projection of queries, keys and values (Vaswani et
/// al. 2017, section 3.2.2): `Concat(head_1, …) W_O` with `head_i = softmax(Q_i K_iᵀ / √d) V_i`.
///
/// As a [`Layer`], a sequence `[N, T, width]` attends to itself; [`causal`](Self::causal) lets no step see a later one.
/// Parameters have PyTorch's names and initial values. Masks say what may be seen (true), as those of sequences do; PyTorch's
/// `attn_mask` says the opposite.
///
/// ```
/// use gradus_nn::{Layer, Mode, MultiHeadAttention};
/// use gradus_tensor::{Rng, Tensor};
/// let attention: MultiHeadAttention = MultiHeadAttention::new(8, 2, &mut Rng::seed(0)).causal();
/// let y = attention.forward(&Tensor::ones([3, 5, 8]).into(), &mut Mode::Eval);
/// assert_eq!(*y.shape(), [3, 5, 8]);
/// ```
#[doc(alias("MultiHeadDotProductAttention", "SelfAttention"))]
#[derive(Clone, Debug, Module)]
pub struct MultiHeadAttention<T: Float = f32> {
    /// The projections of queries, keys and values, one under the other, `[3 E, E]`, when all three are as wide.
    pub in_proj_weight: Option<Param<T>>,
    /// Else, that of queries, `[E, E]`.
    pub q_proj_weight: Option<Param<T>>,
    /// That of keys, `[E, keys]`.
    pub k_proj_weight: Option<Param<T>>,
    /// That of values, `[E, values]`.
    pub v_proj_weight: Option<Param<T>>,
    /// `[3 E]`.
    pub in_proj_bias: Param<T>,
    /// From the heads to the output.
    pub out_proj: Linear<T>,
    heads: usize,
    causal: bool,
    dropout: f64,
}

#[compiled_once]
impl<T: Float> MultiHeadAttention<T> {
    /// Of this width, which the heads share.
    ///
    /// # Panics
    /// When the heads do not divide the width.
    #[track_caller]
    pub fn new(width: usize, heads: usize, rng: &mut Rng) -> Self {
        let in_proj = Param::new(init::xavier_uniform([width.saturating_mul(3), width], 1.0, rng));
        Self { in_proj_weight: Some(in_proj), ..Self::without_projections(width, heads, rng) }
    }

    /// With keys and values of other widths than queries (`kdim`, `vdim`).
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[track_caller]
    pub fn with_widths(width: usize, keys: usize, values: usize, heads: usize, rng: &mut Rng) -> Self {
        let of = Self::without_projections(width, heads, rng);
        let [q, k, v] = [width, keys, values].map(|n| Some(Param::new(init::xavier_uniform([width, n], 1.0, rng))));
        Self { q_proj_weight: q, k_proj_weight: k, v_proj_weight: v, ..of }
    }

    #[track_caller]
    fn without_projections(width: usize, heads: usize, rng: &mut Rng) -> Self {
        let divides = heads > 0 && width.is_multiple_of(heads);
        assert!(divides, "multi_head_attention: {heads} heads of a width of {width}; wanted a divisor");
        let mut out_proj = Linear::new(width, width, rng);
        out_proj.bias = Some(Param::new(Tensor::zeros([width])));
        Self {
            in_proj_weight: None,
            q_proj_weight: None,
            k_proj_weight: None,
            v_proj_weight: None,
            in_proj_bias: Param::new(Tensor::zeros([width.saturating_mul(3)])),
            out_proj,
            heads,
            causal: false,
            dropout: 0.0,
        }
    }

    /// No query sees a later key: query `i` of `Q` sees key `j` of `S` only if `j <= i + S - Q`. Fewer queries than keys are the last
    /// steps, as with keys and values from a cache; see [`causal_mask`].
    #[must_use]
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// In training, each weight is dropped with this probability.
    ///
    /// # Panics
    /// When `p` is not in `0.0..1.0`.
    #[must_use]
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        assert!((0.0..1.0).contains(&p), "multi_head_attention: dropout with probability {p}; wanted 0 or more and less than 1");
        Self { dropout: p, ..self }
    }

    /// What each query reads, 0 at its padding, and the weights `[N, heads, Q, S]`. Keys that are padding are not seen, nor
    /// those where `mask`, of `[Q, S]` or `[N, Q, S]`, is false: keys and values that a query does not see may be infinite or NaN. A
    /// query that sees no key has weights of 0 and reads the output's bias.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn attend(
        &self,
        queries: &Sequence<T>,
        keys: &Sequence<T>,
        values: &Sequence<T>,
        mask: Option<&Tensor<bool>>,
        mode: &mut Mode<'_>,
    ) -> (Sequence<T>, Var<T>) {
        if keys.len() != values.len() || [keys.batch(), values.batch()] != [queries.batch(); 2] {
            let all = [queries, keys, values].map(|s| [s.len(), s.batch()]);
            let detail = format!("steps and batch {all:?} of queries, keys and values; wanted as many keys as values");
            Err(ShapeError::new("MultiHeadAttention", detail)).or_panic()
        }
        let [q, k, v] = [queries, keys, values].map(Sequence::zero_padding);
        let mask = self.mask(&q, &k, mask).or_panic();
        let [k, v] = [k, v].map(|x| zero_unseen(x, mask.as_ref()));
        let mut weights = scaled_weights(&self.head_inputs(&q, 0), &self.head_inputs(&k, 1), mask.as_ref());
        if let Mode::Train(rng) = mode {
            weights = weights.dropout(self.dropout, rng);
        }
        let read = read(&weights, &self.head_inputs(&v, 2), mask.as_ref()).permute([2, 0, 1, 3]);
        let y = self.out_proj.forward(&read.reshape([q.len(), q.batch(), self.width()]), mode);
        (queries.with_steps(y).zero_padding(), weights)
    }

    fn width(&self) -> usize {
        self.out_proj.weight.shape()[0]
    }

    /// The projection of queries (0), keys (1) or values (2) by heads: `[N, heads, T, d]`.
    #[track_caller]
    fn head_inputs(&self, x: &Sequence<T>, which: usize) -> Var<T> {
        let width = self.width();
        let part = which * width..(which + 1) * width;
        let own = [&self.q_proj_weight, &self.k_proj_weight, &self.v_proj_weight][which];
        let weight = match (own, &self.in_proj_weight) {
            (Some(own), _) => (**own).clone(),
            (None, Some(all)) => all.slice(0, part.clone()),
            (None, None) => panic!("multi_head_attention: no projection for input {which} of queries, keys and values"),
        };
        let y = x.steps().linear(&weight, Some(&self.in_proj_bias.slice(0, part)));
        y.reshape([x.len(), x.batch(), self.heads, width / self.heads]).permute([1, 2, 0, 3])
    }

    /// What may be seen, broadcasting to `[N, heads, Q, S]`.
    fn mask(&self, q: &Sequence<T>, k: &Sequence<T>, given: Option<&Tensor<bool>>) -> Result<Option<Tensor<bool>>, ShapeError> {
        let (queries, keys, batch) = (q.len(), k.len(), q.batch());
        let given = match given {
            Some(m) if *m.shape() == [queries, keys] => Some(m.reshape([1, 1, queries, keys])),
            Some(m) if *m.shape() == [batch, queries, keys] => Some(m.unsqueeze(1)),
            Some(m) => {
                let detail = format!("mask {}; wanted [{queries}, {keys}] or [{batch}, {queries}, {keys}]", m.shape());
                return Err(ShapeError::new("MultiHeadAttention", detail));
            }
            None => None,
        };
        let causal = self.causal.then(|| causal_mask(queries, keys).reshape([1, 1, queries, keys]));
        let there = k.mask().map(|m| m.t().reshape([batch, 1, 1, keys]));
        Ok([given, causal, there].into_iter().flatten().reduce(|a, b| a.and(&b)))
    }
}

/// With the steps that no query sees set to 0 if one is not finite: in a projection's gradient, 0 times NaN would be NaN.
fn zero_unseen<T: Float>(x: Sequence<T>, mask: Option<&Tensor<bool>>) -> Sequence<T> {
    let steps = x.steps();
    let Some(mask) = mask.filter(|_| !steps.value().map(|v| v.is_finite()).all()) else { return x };
    let queries = mask.shape()[2];
    let mask = mask.expand([x.batch(), 1, queries, x.len()]);
    let unseen = Tensor::from_fn([x.len(), x.batch(), 1], |at| (0..queries).all(|q| !mask.at([at[1], 0, q, at[0]])));
    let zeroed = steps.masked_fill(&unseen, 0.0);
    x.with_steps(zeroed)
}

#[compiled_once]
impl<T: Float> Layer<T> for MultiHeadAttention<T> {
    #[track_caller]
    fn forward(&self, x: &Var<T>, mode: &mut Mode<'_>) -> Var<T> {
        let width = self.width();
        if x.rank() != 3 || x.shape()[2] != width || x.shape()[1] == 0 {
            let param = self.in_proj_weight.as_ref().unwrap_or(&self.in_proj_bias);
            refuse_input_of("MultiHeadAttention", Some(param), format_args!("[N, T, {width}] with 1 step or more"), x)
        }
        let x = Sequence::new(x);
        self.attend(&x, &x, &x, None, mode).0.data()
    }
}
