//! Long short-term memory: with `s = p_t + h_(t-1) Wᵀ` in four parts,
//! `c_t = σ(s₂) c_(t-1) + σ(s₁) tanh(s₃)` and `h_t = σ(s₄) tanh(c_t)`.

use super::{Given, Sizes, add, flush, groups_mut, is_there, keep_masked, rows_mut};
use crate::element::Float;
use crate::kernels::simd::{Kernel, dispatch};

/// One step of some rows, from the sums in `gates`, which become the gates' values.
struct Step<'a, T> {
    gates: &'a mut [T],
    c_before: &'a [T],
    c: &'a mut [T],
    h: &'a mut [T],
    hidden: usize,
}

impl<T: Float> Kernel for Step<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.hidden;
        let rows = self.gates.chunks_exact_mut(4 * n).zip(self.c_before.chunks_exact(n));
        let outputs = self.c.chunks_exact_mut(n).zip(self.h.chunks_exact_mut(n));
        for ((gates, before), (c, h)) in rows.zip(outputs) {
            gates[..2 * n].iter_mut().for_each(|s| *s = s.sigmoid());
            gates[2 * n..3 * n].iter_mut().for_each(|s| *s = s.tanh());
            gates[3 * n..].iter_mut().for_each(|s| *s = s.sigmoid());
            let (i, f, g, o) = parts(gates, n);
            for k in 0..n {
                c[k] = f[k] * before[k] + i[k] * g[k];
            }
            for k in 0..n {
                h[k] = o[k] * c[k].tanh();
            }
        }
    }
}

#[inline(always)]
fn parts<T>(row: &[T], n: usize) -> (&[T], &[T], &[T], &[T]) {
    (&row[..n], &row[n..2 * n], &row[2 * n..3 * n], &row[3 * n..4 * n])
}

/// Fills `states` and `memories`, whose first are given, and `gates` `[T, N, 4H]`, which the backward pass reads.
pub fn lstm_forward<T: Float>(given: Given<'_, T>, states: &mut [T], memories: &mut [T], gates: &mut [T]) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    let kept = groups_mut(memories, batch, hidden).into_iter().zip(groups_mut(gates, batch, 4 * hidden));
    let parts = groups_mut(states, batch, hidden).into_iter().zip(kept).collect();
    type Parts<'a, T> = (Vec<&'a mut [T]>, (Vec<&'a mut [T]>, Vec<&'a mut [T]>));
    given.for_each_group(&given.forth(), parts, |group, (mut states, (mut memories, mut gates)): Parts<'_, T>| {
        for t in 0..steps {
            let ((h_before, h), (c_before, c)) = (states.split_at_mut(t + 1), memories.split_at_mut(t + 1));
            let (h_before, h, c_before, c) = (&*h_before[t], &mut *h[0], &*c_before[t], &mut *c[0]);
            group.recur(h_before, Some(group.share(t)), gates[t]);
            dispatch(Step { gates: &mut *gates[t], c_before, c: &mut *c, h: &mut *h, hidden });
            keep_masked(group.mask(t), hidden, h_before, h);
            keep_masked(group.mask(t), hidden, c_before, c);
        }
    });
}

/// One step of some rows back: `dh` and `dc` are the gradients of the state after the step; `dp` becomes that of the sums, `dc`
/// that of the memory before, `dh` 0, to which the product is added. Rows that are not there keep theirs, and have none of the
/// sums.
struct Back<'a, T> {
    gates: &'a [T],
    c_before: &'a [T],
    c: &'a [T],
    mask: Option<&'a [bool]>,
    dp: &'a mut [T],
    dh: &'a mut [T],
    dc: &'a mut [T],
    /// Of one row, to work in.
    tanh_c: &'a mut [T],
}

impl<T: Float> Kernel for Back<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.tanh_c.len();
        let kept = self.gates.chunks_exact(4 * n).zip(self.c_before.chunks_exact(n)).zip(self.c.chunks_exact(n));
        let states = self.dh.chunks_exact_mut(n).zip(self.dc.chunks_exact_mut(n));
        for (r, ((kept, dp), (dh, dc))) in kept.zip(self.dp.chunks_exact_mut(4 * n)).zip(states).enumerate() {
            if is_there(self.mask, r) {
                let ((gates, c_before), c) = kept;
                row_back(gates, [c_before, c], dp, [dh, dc], self.tanh_c);
            } else {
                dp.fill(T::zero());
            }
        }
    }
}

#[inline(always)]
fn row_back<T: Float>(gates: &[T], [c_before, c]: [&[T]; 2], dp: &mut [T], [dh, dc]: [&mut [T]; 2], tanh_c: &mut [T]) {
    let (n, one) = (c.len(), T::one());
    let (i, f, g, o) = parts(gates, n);
    let (c_before, dh, dc, tanh_c) = (&c_before[..n], &mut dh[..n], &mut dc[..n], &mut tanh_c[..n]);
    for k in 0..n {
        tanh_c[k] = c[k].tanh();
    }
    for k in 0..n {
        dc[k] += dh[k] * o[k] * (one - tanh_c[k] * tanh_c[k]);
    }
    let (di, rest) = dp.split_at_mut(n);
    let (df, rest) = rest.split_at_mut(n);
    let (dg, d_o) = rest.split_at_mut(n);
    for k in 0..n {
        di[k] = dc[k] * g[k] * i[k] * (one - i[k]);
    }
    for k in 0..n {
        df[k] = dc[k] * c_before[k] * f[k] * (one - f[k]);
    }
    for k in 0..n {
        dg[k] = dc[k] * i[k] * (one - g[k] * g[k]);
    }
    for k in 0..n {
        d_o[k] = dh[k] * tanh_c[k] * o[k] * (one - o[k]);
    }
    for k in 0..n {
        dc[k] *= f[k];
    }
    dh.fill(T::zero());
}

/// What [`lstm_forward`] filled.
#[derive(Clone, Copy)]
pub struct Kept<'a, T> {
    pub states: &'a [T],
    pub memories: &'a [T],
    pub gates: &'a [T],
}

/// From the gradients `gy` of the states after each step, and that of the last memory in `dc`: those of the shares, of the
/// weights, of the first state and of the first memory, in `dc`.
pub fn lstm_backward<T: Float>(given: Given<'_, T>, kept: Kept<'_, T>, gy: &[T], [d_share, dw, dh, dc]: [&mut [T]; 4]) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    dh.fill(T::zero());
    let states = rows_mut(dh, hidden).zip(rows_mut(dc, hidden));
    let parts = groups_mut(d_share, batch, 4 * hidden).into_iter().zip(states).collect();
    type Parts<'a, T> = (Vec<&'a mut [T]>, (&'a mut [T], &'a mut [T]));
    given.for_each_group(&given.back(), parts, |group, (mut d_share, (dh, dc)): Parts<'_, T>| {
        let mut tanh_c = vec![T::zero(); hidden];
        for t in (0..steps).rev() {
            add(dh, group.of(gy, t, hidden));
            let (gates, mask) = (group.of(kept.gates, t, 4 * hidden), group.mask(t));
            let (c_before, c) = (group.of(kept.memories, t, hidden), group.of(kept.memories, t + 1, hidden));
            let (dp, tanh_c) = (&mut *d_share[t], &mut tanh_c[..]);
            dispatch(Back { gates, c_before, c, mask, dp, dh: &mut *dh, dc: &mut *dc, tanh_c });
            group.recur_back(t, d_share[t], dh);
            flush(dc);
        }
    });
    given.weight_gradient(d_share, kept.states, dw);
}
