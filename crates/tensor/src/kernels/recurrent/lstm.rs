//! Long short-term memory: with `s = p_t + h_(t-1) Wᵀ` in four parts,
//! `c_t = σ(s₂) c_(t-1) + σ(s₁) tanh(s₃)` and `h_t = σ(s₄) tanh(c_t)`.

use super::given::{Given, Sizes, flushed, groups_mut, is_there, keep_masked, rows_mut};
use crate::kernels::fused::load;
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Kernel, dispatch, prefetch_run};

/// One step of some rows, from the sums in `gates`, which become the gates' values.
struct Step<'a, T> {
    gates: &'a mut [T],
    c_before: &'a [T],
    c: &'a mut [T],
    h: &'a mut [T],
    hidden: usize,
}

impl<T: Lanes> Kernel for Step<'_, T> {
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
pub fn lstm_forward<T: Lanes>(given: Given<'_, T>, states: &mut [T], memories: &mut [T], gates: &mut [T]) {
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

/// One step of some rows back: `dh` and `dc` are the gradients of the state `h` and the memory after the step; `dp` becomes that of
/// the sums, `dc` that of the memory before. Rows that are not there keep theirs, and have none of the sums.
struct Back<'a, T> {
    gates: &'a [T],
    c_before: &'a [T],
    h: &'a [T],
    mask: Option<&'a [bool]>,
    dh: &'a [T],
    dp: &'a mut [T],
    dc: &'a mut [T],
    hidden: usize,
    /// How far before a state that of the step before lies.
    before: usize,
}

impl<T: Lanes> Kernel for Back<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        /// Units that are worked on in arrays of their own: see `each`.
        const BLOCK: usize = 32;
        let n = self.hidden;
        let kept = self.gates.chunks_exact(4 * n).zip(self.c_before.chunks_exact(n)).zip(self.h.chunks_exact(n));
        let gradients = self.dp.chunks_exact_mut(4 * n).zip(self.dh.chunks_exact(n).zip(self.dc.chunks_exact_mut(n)));
        for (r, (((gates, c_before), h), (dp, (dh, dc)))) in kept.zip(gradients).enumerate() {
            if !is_there(self.mask, r) {
                dp.fill(T::zero());
                continue;
            }
            prefetch_run(gates.as_ptr().wrapping_sub(4 * self.before), 4 * n);
            prefetch_run(dp.as_ptr().wrapping_sub(4 * self.before), 4 * n);
            for row in [c_before, h] {
                prefetch_run(row.as_ptr().wrapping_sub(self.before), n);
            }
            let given = [gates, c_before, h, dh];
            let whole = n - n % BLOCK;
            for at in (0..whole).step_by(BLOCK) {
                units_back::<T, BLOCK>(at, given, dp, dc);
            }
            for at in whole..n {
                units_back::<T, 1>(at, given, dp, dc);
            }
        }
    }
}

/// Units `at..at + N` of a row. The hyperbolic tangent of the memory is `h / σ(s₄)`, and does not matter where the gate is 0.
#[inline(always)]
fn units_back<T: Lanes, const N: usize>(at: usize, [gates, c_before, h, dh]: [&[T]; 4], dp: &mut [T], dc: &mut [T]) {
    let (n, one) = (h.len(), T::one());
    let gate = |which: usize| load::<T, N>(gates, which * n + at);
    let ([i, f, g, o], c_before, h) = ([gate(0), gate(1), gate(2), gate(3)], load::<T, N>(c_before, at), load::<T, N>(h, at));
    let (dh, mut d) = (load::<T, N>(dh, at), load::<T, N>(dc, at));
    let mut sums = [[T::zero(); N]; 4];
    for k in 0..N {
        let tanh_c = if o[k] > T::zero() { h[k] / o[k] } else { T::zero() };
        d[k] += dh[k] * o[k] * (one - tanh_c * tanh_c);
        sums[0][k] = d[k] * g[k] * i[k] * (one - i[k]);
        sums[1][k] = d[k] * c_before[k] * f[k] * (one - f[k]);
        sums[2][k] = d[k] * i[k] * (one - g[k] * g[k]);
        sums[3][k] = dh[k] * h[k] * (one - o[k]);
        d[k] = flushed(d[k] * f[k]);
    }
    for (which, sums) in sums.iter().enumerate() {
        dp[which * n + at..][..N].copy_from_slice(sums);
    }
    dc[at..at + N].copy_from_slice(&d);
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
pub fn lstm_backward<T: Lanes>(given: Given<'_, T>, kept: Kept<'_, T>, gy: &[T], [d_share, dw, dh, dc]: [&mut [T]; 4]) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    let states = rows_mut(dh, hidden).zip(rows_mut(dc, hidden));
    let parts = groups_mut(d_share, batch, 4 * hidden).into_iter().zip(states).collect();
    type Parts<'a, T> = (Vec<&'a mut [T]>, (&'a mut [T], &'a mut [T]));
    given.for_each_group(&given.back(), parts, |group, (mut d_share, (dh, dc)): Parts<'_, T>| {
        group.last(gy, dh);
        for t in (0..steps).rev() {
            let (gates, mask) = (group.of(kept.gates, t, 4 * hidden), group.mask(t));
            let (c_before, h) = (group.of(kept.memories, t, hidden), group.of(kept.states, t + 1, hidden));
            let dp = &mut *d_share[t];
            dispatch(Back { gates, c_before, h, mask, dh: &*dh, dp: &mut *dp, dc: &mut *dc, hidden, before: batch * hidden });
            group.recur_back(t, dp, gy, dh);
        }
    });
    given.weight_gradient(d_share, kept.states, dw);
}
