//! Whole sequences of a recurrent cell, each one node of the tape. The input's share in the gates is known for all steps.
//!
//! Plain gradients come from the fused backward pass. Gradients that must be differentiable themselves come from the same
//! sequence unfolded, step by step, in ops that have derivatives of every order.

use crate::attributes::Attributes;
use crate::context::{ForwardContext, VjpContext};
use crate::op::{Gradients, Op, OpKind, Saves};
use crate::ops::listed::apply;
use crate::ops::unfolded::unfolded_gradients;
use crate::sampling::{Case, OpSample, Sampled, draw};
use crate::var::Var;
use gradus_tensor::compiled_once::compiled_once;
use gradus_tensor::{Float, FusedSequence, OrPanic, Rng, Tensor};

/// The states of each step of a sequence.
fn steps<T: Float, S: Clone>(
    share: &Var<T>,
    mask: Option<&Tensor<bool>>,
    first: S,
    step: impl Fn(&Var<T>, &S) -> S,
    keep: impl Fn(&Tensor<bool>, &S, &S) -> S,
) -> Vec<S> {
    let mut states: Vec<S> = Vec::with_capacity(share.shape()[0]);
    for t in 0..share.shape()[0] {
        let before = states.last().unwrap_or(&first);
        let next = step(&share.select(0, t), before);
        let next = match mask {
            Some(mask) => keep(&mask.select(0, t).unsqueeze(1), &next, before),
            None => next,
        };
        states.push(next);
    }
    states
}

fn keep<T: Float>(there: &Tensor<bool>, now: &Var<T>, before: &Var<T>) -> Var<T> {
    now.where_(there, before)
}

#[compiled_once]
impl<T: Float> Var<T> {
    /// The states after each step of `h = f(p + h' W_hhᵀ)`, `[T, N, H]`, from the input's share `p` of `[T, N, H]` (this),
    /// weights `[H, H]` and a first state `[N, H]`; `f` is the hyperbolic tangent, or with `relu` the ramp. Where the mask
    /// `[T, N]` is false, the state stays as it was.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn rnn_sequence(&self, weight: &Var<T>, h0: &Var<T>, mask: Option<&Tensor<bool>>, relu: bool) -> Var<T> {
        apply(RnnSequence { mask: mask.cloned(), relu }, &[self, weight, h0])
    }

    /// The states after each step of long short-term memory, `[T, N, H]`, and the last memory `[N, H]`: with the sums
    /// `s = p + h' W_hhᵀ` in four parts, `c = σ(s₂) c' + σ(s₁) tanh(s₃)` and `h = σ(s₄) tanh(c)`. The input's share `p` (this)
    /// is `[T, N, 4 H]`, the weights `[4 H, H]`, first state and memory `[N, H]`. Where the mask `[T, N]` is false, both stay as
    /// they were.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn lstm_sequence(&self, weight: &Var<T>, h0: &Var<T>, c0: &Var<T>, mask: Option<&Tensor<bool>>) -> (Var<T>, Var<T>) {
        let all = apply(LstmSequence { mask: mask.cloned() }, &[self, weight, h0, c0]);
        let steps = self.shape()[0];
        (all.slice(0, ..steps), all.select(0, steps))
    }

    /// The states after each step of gated recurrent units that reset after the product, `[T, N, H]`: with the shares `p` and
    /// `b = h' W_hhᵀ + bias` in three parts each, `r = σ(p₁ + b₁)`, `z = σ(p₂ + b₂)`, `n = tanh(p₃ + r b₃)` and
    /// `h = n + z (h' - n)`. The input's share `p` (this) is `[T, N, 3 H]`, the weights `[3 H, H]`, the bias `[3 H]`, the first
    /// state `[N, H]`. Where the mask `[T, N]` is false, the state stays as it was.
    ///
    /// # Panics
    /// When the shapes do not fit.
    #[track_caller]
    pub fn gru_sequence(&self, weight: &Var<T>, bias: &Var<T>, h0: &Var<T>, mask: Option<&Tensor<bool>>) -> Var<T> {
        apply(GruSequence { mask: mask.cloned() }, &[self, weight, bias, h0])
    }

    /// A step of gated recurrent units that reset after the product, by the input's share `p` (this), the state's share with its bias,
    /// `b`, `[N, 3 H]` each, and the state before, `[N, H]`: as in [`gru_sequence`](Self::gru_sequence), one node of the tape. It keeps
    /// no more than its operands.
    ///
    /// # Panics
    /// When the shapes do not fit.
    ///
    /// ```
    /// use gradus_autograd::Var;
    /// use gradus_tensor::Tensor;
    /// let (p, b) = (Var::leaf(Tensor::from([[0.0f64, 0.0, 1.0]])), Var::constant(Tensor::zeros([1, 3])));
    /// let h = p.gru_gates(&b, &Var::constant(Tensor::zeros([1, 1])));
    /// assert_eq!(h.item(), 0.5 * 1f64.tanh());
    /// ```
    #[track_caller]
    pub fn gru_gates(&self, recurrent: &Var<T>, before: &Var<T>) -> Var<T> {
        apply(GruGates, &[self, recurrent, before])
    }
}

/// Of shares, weights and first state.
pub(crate) struct RnnSequence {
    mask: Option<Tensor<bool>>,
    relu: bool,
}

impl<T: Float> Op<T> for RnnSequence {
    fn name(&self) -> &'static str {
        "rnn_sequence"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with_some("mask", self.mask.as_ref()).with("relu", self.relu)
    }

    fn kind(&self) -> OpKind {
        OpKind::Other
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (share, weight, h0) = (cx.input(0), cx.input(1), cx.input(2));
        let fused = FusedSequence::new("rnn_sequence", share, weight, self.mask.as_ref(), 1).or_panic();
        let states = fused.rnn(h0, self.relu).or_panic();
        let y = states.slice(0, 1..);
        cx.save((fused, states));
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if cx.is_differentiable() {
            return unfolded_gradients(cx, |v| unroll_rnn(v, self.mask.as_ref(), self.relu));
        }
        let (fused, states) = cx.residuals::<(FusedSequence<T>, Tensor<T>)>();
        fused.rnn_grad(states, cx.gy().value(), self.relu).map(Var::constant).into()
    }
}

/// Of shares, weights, first state and first memory: the states of all steps, and behind them the last memory.
pub(crate) struct LstmSequence {
    mask: Option<Tensor<bool>>,
}

impl<T: Float> Op<T> for LstmSequence {
    fn name(&self) -> &'static str {
        "lstm_sequence"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with_some("mask", self.mask.as_ref())
    }

    fn kind(&self) -> OpKind {
        OpKind::Other
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (share, weight, h0, c0) = (cx.input(0), cx.input(1), cx.input(2), cx.input(3));
        let fused = FusedSequence::new("lstm_sequence", share, weight, self.mask.as_ref(), 4).or_panic();
        let kept = fused.lstm(h0, c0).or_panic();
        let y = kept[0].slice(0, 1..);
        cx.save((fused, kept));
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if cx.is_differentiable() {
            return unfolded_gradients(cx, |v| unfold_lstm(v, self.mask.as_ref()));
        }
        let (fused, kept) = cx.residuals::<(FusedSequence<T>, [Tensor<T>; 3])>();
        let gy = cx.gy().value();
        let steps = gy.shape()[0] - 1;
        fused.lstm_grad(kept, &gy.slice(0, ..steps), &gy.select(0, steps)).map(Var::constant).into()
    }
}

/// Of shares, weights, bias and first state.
pub(crate) struct GruSequence {
    mask: Option<Tensor<bool>>,
}

impl<T: Float> Op<T> for GruSequence {
    fn name(&self) -> &'static str {
        "gru_sequence"
    }

    fn attributes(&self) -> Attributes {
        Attributes::new().with_some("mask", self.mask.as_ref())
    }

    fn kind(&self) -> OpKind {
        OpKind::Other
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        let (share, weight, bias, h0) = (cx.input(0), cx.input(1), cx.input(2), cx.input(3));
        let fused = FusedSequence::new("gru_sequence", share, weight, self.mask.as_ref(), 3).or_panic();
        let kept = fused.gru(bias, h0).or_panic();
        let y = kept[0].slice(0, 1..);
        cx.save((fused, kept));
        y
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if cx.is_differentiable() {
            return unfolded_gradients(cx, |v| unfold_gru(v, self.mask.as_ref()));
        }
        let (fused, kept) = cx.residuals::<(FusedSequence<T>, [Tensor<T>; 2])>();
        fused.gru_grad(kept, cx.gy().value()).map(Var::constant).into()
    }
}

pub(crate) struct GruGates;

impl<T: Float> Op<T> for GruGates {
    fn name(&self) -> &'static str {
        "gru_gates"
    }

    fn kind(&self) -> OpKind {
        OpKind::Other
    }

    fn saves(&self) -> Saves {
        Saves::ALL_INPUTS
    }

    fn forward(&self, cx: &mut ForwardContext<'_, T>) -> Tensor<T> {
        cx.input(0).gru_gates(cx.input(1), cx.input(2))
    }

    fn vjp(&self, cx: &mut VjpContext<'_, T>) -> Gradients<T> {
        if cx.is_differentiable() {
            return unfolded_gradients(cx, |v| gru_step(&v[0], &v[1], &v[2]));
        }
        let (share, recurrent, before) = (cx.input(0), cx.input(1), cx.input(2));
        let grads = share.value().gru_gates_grad(recurrent.value(), before.value(), cx.gy().value());
        grads.map(Var::constant).into()
    }
}

fn gru_step<T: Float>(p: &Var<T>, b: &Var<T>, h: &Var<T>) -> Var<T> {
    let (p, b) = (p.chunk(3, 1), b.chunk(3, 1));
    let (r, z) = ((&p[0] + &b[0]).sigmoid(), (&p[1] + &b[1]).sigmoid());
    let n = (&p[2] + r * &b[2]).tanh();
    &n + z * (h - &n)
}

fn stack<T: Float>(states: &[Var<T>]) -> Var<T> {
    Var::stack(&states.iter().collect::<Vec<_>>(), 0)
}

fn unroll_rnn<T: Float>(v: &[Var<T>], mask: Option<&Tensor<bool>>, relu: bool) -> Var<T> {
    let step = |p: &Var<T>, h: &Var<T>| {
        let sum = p + h.linear(&v[1], None);
        if relu { sum.relu() } else { sum.tanh() }
    };
    stack(&steps(&v[0], mask, v[2].clone(), step, keep))
}

fn unfold_lstm<T: Float>(v: &[Var<T>], mask: Option<&Tensor<bool>>) -> Var<T> {
    type State<T> = (Var<T>, Var<T>);
    let step = |p: &Var<T>, (h, c): &State<T>| {
        let s = (p + h.linear(&v[1], None)).chunk(4, 1);
        let c = s[1].sigmoid() * c + s[0].sigmoid() * s[2].tanh();
        (s[3].sigmoid() * c.tanh(), c)
    };
    let keep = |there: &Tensor<bool>, now: &State<T>, old: &State<T>| (keep(there, &now.0, &old.0), keep(there, &now.1, &old.1));
    let states = steps(&v[0], mask, (v[2].clone(), v[3].clone()), step, keep);
    let last = states.last().map_or_else(|| v[3].clone(), |(_, c)| c.clone());
    let all: Vec<Var<T>> = states.into_iter().map(|(h, _)| h).chain([last]).collect();
    stack(&all)
}

fn unfold_gru<T: Float>(v: &[Var<T>], mask: Option<&Tensor<bool>>) -> Var<T> {
    let step = |p: &Var<T>, h: &Var<T>| gru_step(p, &h.linear(&v[1], Some(&v[2])), h);
    stack(&steps(&v[0], mask, v[3].clone(), step, keep))
}

/// Steps, rows, units, and a mask or none.
fn sizes(rng: &mut Rng) -> ([usize; 3], Option<Tensor<bool>>) {
    let [steps, batch, hidden] = [1 + rng.below(3), 1 + rng.below(3), 1 + rng.below(3)];
    let mask = Tensor::bernoulli([steps, batch], 0.7, rng);
    ([steps, batch, hidden], (rng.below(2) == 0).then_some(mask))
}

impl<T: Float> Sampled<T> for RnnSequence {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("rnn_sequence", |rng| {
            let ([t, n, h], mask) = sizes(rng);
            let relu = rng.below(2) == 0;
            let inputs = [draw::of_shape(rng, [t, n, h]), draw::of_shape(rng, [h, h]), draw::of_shape(rng, [n, h])];
            Case::new(inputs, move |v| v[0].rnn_sequence(&v[1], &v[2], mask.as_ref(), relu))
        })]
    }
}

impl<T: Float> Sampled<T> for LstmSequence {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("lstm_sequence", |rng| {
            let ([t, n, h], mask) = sizes(rng);
            let states = [draw::of_shape(rng, [n, h]), draw::of_shape(rng, [n, h])];
            let [h0, c0] = states;
            Case::new([draw::of_shape(rng, [t, n, 4 * h]), draw::of_shape(rng, [4 * h, h]), h0, c0], move |v| {
                let (states, memory) = v[0].lstm_sequence(&v[1], &v[2], &v[3], mask.as_ref());
                Var::concat(&[&states, &memory.unsqueeze(0)], 0)
            })
        })]
    }
}

impl<T: Float> Sampled<T> for GruSequence {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("gru_sequence", |rng| {
            let ([t, n, h], mask) = sizes(rng);
            let (weight, bias) = (draw::of_shape(rng, [3 * h, h]), draw::of_shape(rng, [3 * h]));
            Case::new([draw::of_shape(rng, [t, n, 3 * h]), weight, bias, draw::of_shape(rng, [n, h])], move |v| {
                v[0].gru_sequence(&v[1], &v[2], &v[3], mask.as_ref())
            })
        })]
    }
}

impl<T: Float> Sampled<T> for GruGates {
    fn samples() -> Vec<OpSample<T>> {
        vec![OpSample::new("gru_gates", |rng| {
            let ([_, n, h], _) = sizes(rng);
            let shares = [draw::of_shape(rng, [n, 3 * h]), draw::of_shape(rng, [n, 3 * h])];
            let [p, b] = shares;
            Case::new([p, b, draw::of_shape(rng, [n, h])], |v| v[0].gru_gates(&v[1], &v[2]))
        })]
    }
}
