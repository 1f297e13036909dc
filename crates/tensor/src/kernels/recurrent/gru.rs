//! Gated recurrent units, reset after the product: with `p_t` and `b = h_(t-1) Wᵀ + bias` in three parts each,
//! `r = σ(p₁ + b₁)`, `z = σ(p₂ + b₂)`, `n = tanh(p₃ + r b₃)`, `h_t = n + z (h_(t-1) - n)`.

use super::given::{Given, Sizes, each, groups_mut, is_there, keep_masked, rows_mut};
use crate::kernels::parallel::{Parts, chunks, chunks_mut};
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Kernel, dispatch, prefetch_run};

/// One step of some rows. `gates` becomes `r`, `z`, `n` and `b₃`.
struct Step<'a, T> {
    share: &'a [T],
    recurrent: &'a [T],
    bias: &'a [T],
    gates: &'a mut [T],
    h_before: &'a [T],
    h: &'a mut [T],
    hidden: usize,
}

impl<T: Lanes> Kernel for Step<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.hidden;
        let shares = self.share.chunks_exact(3 * n).zip(self.recurrent.chunks_exact(3 * n));
        let states = self.h_before.chunks_exact(n).zip(self.h.chunks_exact_mut(n));
        for (((p, b), gates), (before, h)) in shares.zip(self.gates.chunks_exact_mut(4 * n)).zip(states) {
            let (both, rest) = gates.split_at_mut(2 * n);
            let (proposal, b3) = rest.split_at_mut(n);
            let ([p_both, p], [b_both, b], [bias_both, bias]) = (parts(p, n), parts(b, n), parts(self.bias, n));
            each(both, p_both, b_both, bias_both, |p, b, bias| (p + (b + bias)).sigmoid());
            let (r, z) = both.split_at(n);
            each(b3, b, bias, bias, |b, bias, _| b + bias);
            each(proposal, p, r, b3, |p, r, b3| (p + r * b3).tanh());
            each(h, proposal, z, before, |new, z, before| new + z * (before - new));
        }
    }
}

/// The first two parts of a row together, and the third.
#[inline(always)]
fn parts<T>(row: &[T], n: usize) -> [&[T]; 2] {
    [&row[..2 * n], &row[2 * n..3 * n]]
}

/// Fills `states`, whose first is given, and `gates` `[T, N, 4H]`, which the backward pass reads.
pub fn gru_forward<T: Lanes>(given: Given<'_, T>, bias: &[T], states: &mut [T], gates: &mut [T]) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    let parts = groups_mut(states, batch, hidden).into_iter().zip(groups_mut(gates, batch, 4 * hidden)).collect();
    given.for_each_group(&given.forth(), parts, |group, (mut states, mut gates): (Vec<&mut [T]>, Vec<&mut [T]>)| {
        let mut recurrent = vec![T::zero(); group.rows * 3 * hidden];
        for t in 0..steps {
            let (before, h) = states.split_at_mut(t + 1);
            let (h_before, h) = (&*before[t], &mut *h[0]);
            group.recur(h_before, None, &mut recurrent);
            let (share, recurrent, gates) = (group.share(t), &recurrent[..], &mut *gates[t]);
            dispatch(Step { share, recurrent, bias, gates, h_before, h: &mut *h, hidden });
            keep_masked(group.mask(t), hidden, h_before, h);
        }
    });
}

/// One step of some rows back. `dh`, the gradient of the state after the step, becomes what of it passes by the products. Rows
/// that are not there keep theirs, and have none of the shares.
struct Back<'a, T> {
    gates: &'a [T],
    h_before: &'a [T],
    mask: Option<&'a [bool]>,
    /// Of the input's share, and of the state's.
    dp: &'a mut [T],
    db: &'a mut [T],
    dh: &'a mut [T],
    hidden: usize,
    /// How far before a state that of the step before lies.
    before: usize,
}

impl<T: Lanes> Kernel for Back<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.hidden;
        let kept = self.gates.chunks_exact(4 * n).zip(self.h_before.chunks_exact(n));
        let shares = self.dp.chunks_exact_mut(3 * n).zip(self.db.chunks_exact_mut(3 * n));
        for (r, ((kept, (dp, db)), dh)) in kept.zip(shares).zip(self.dh.chunks_exact_mut(n)).enumerate() {
            for (row, width) in [(kept.0, 4), (kept.1, 1), (&*dp, 3), (&*db, 3)] {
                prefetch_run(row.as_ptr().wrapping_sub(width * self.before), width * n);
            }
            if is_there(self.mask, r) {
                row_back(kept.0, kept.1, dp, db, dh);
            } else {
                dp.fill(T::zero());
                db.fill(T::zero());
            }
        }
    }
}

#[inline(always)]
fn row_back<T: Lanes>(gates: &[T], h_before: &[T], dp: &mut [T], db: &mut [T], dh: &mut [T]) {
    let (n, one) = (h_before.len(), T::one());
    let (r, z) = (&gates[..n], &gates[n..2 * n]);
    let (proposal, b3) = (&gates[2 * n..3 * n], &gates[3 * n..4 * n]);
    let dh = &mut dh[..n];
    let (both, d3) = dp.split_at_mut(2 * n);
    let (dr, dz) = both.split_at_mut(n);
    let (dr, dz, d3) = (&mut dr[..n], &mut dz[..n], &mut d3[..n]);
    for k in 0..n {
        d3[k] = dh[k] * (one - z[k]) * (one - proposal[k] * proposal[k]);
    }
    for k in 0..n {
        dz[k] = dh[k] * (h_before[k] - proposal[k]) * z[k] * (one - z[k]);
    }
    for k in 0..n {
        dr[k] = d3[k] * b3[k] * r[k] * (one - r[k]);
    }
    db[..2 * n].copy_from_slice(both);
    let db3 = &mut db[2 * n..3 * n];
    for k in 0..n {
        db3[k] = d3[k] * r[k];
    }
    for k in 0..n {
        dh[k] *= z[k];
    }
}

/// From the gradients `gy` of the states after each step: those of the input's shares, of the state's shares, of the
/// weights and of the first state.
pub fn gru_backward<T: Lanes>(
    given: Given<'_, T>,
    [states, gates]: [&[T]; 2],
    gy: &[T],
    [d_share, d_recurrent, dw, dh]: [&mut [T]; 4],
) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    let shares = groups_mut(d_share, batch, 3 * hidden).into_iter().zip(groups_mut(d_recurrent, batch, 3 * hidden));
    let parts = shares.zip(rows_mut(dh, hidden)).collect();
    type Parts<'a, T> = ((Vec<&'a mut [T]>, Vec<&'a mut [T]>), &'a mut [T]);
    given.for_each_group(&given.back(), parts, |group, ((mut d_share, mut d_recurrent), dh): Parts<'_, T>| {
        group.last(gy, dh);
        for t in (0..steps).rev() {
            let (gates, h_before) = (group.of(gates, t, 4 * hidden), group.of(states, t, hidden));
            let (dp, db, mask) = (&mut *d_share[t], &mut *d_recurrent[t], group.mask(t));
            dispatch(Back { gates, h_before, mask, dp, db, dh: &mut *dh, hidden, before: batch * hidden });
            group.recur_back_onto(t, d_recurrent[t], gy, dh);
        }
    });
    given.weight_gradient(d_recurrent, states, dw);
}

/// A step by itself: from the shares of input and state, `p` and `b` with its bias in it, and the state before, `[N, H]`, the state after it.
pub fn gru_gates<T: Lanes>(hidden: usize, [p, b, before]: [&[T]; 3], h: &mut [T]) {
    if h.is_empty() {
        return;
    }
    let (rows, bias) = (rows_of_task(h.len(), hidden), vec![T::zero(); 3 * hidden]);
    let given = [chunks(p, 3 * hidden * rows), chunks(b, 3 * hidden * rows), chunks(before, hidden * rows)];
    (chunks_mut(h, hidden * rows), given).each(|_, (h, [share, recurrent, h_before])| {
        let gates = &mut *vec![T::zero(); 4 * h.len()];
        dispatch(Step { share, recurrent, bias: &bias, gates, h_before, h, hidden });
    });
}

/// From the gradient in `dh` of the state after such a step, those of the shares and, in `dh`, that of the state before. The gates are
/// computed once more: nothing of them need be kept from step to step.
pub fn gru_gates_backward<T: Lanes>(hidden: usize, [p, b, before]: [&[T]; 3], [dp, db, dh]: [&mut [T]; 3]) {
    if dh.is_empty() {
        return;
    }
    let (rows, bias) = (rows_of_task(dh.len(), hidden), vec![T::zero(); 3 * hidden]);
    let given = [chunks(p, 3 * hidden * rows), chunks(b, 3 * hidden * rows), chunks(before, hidden * rows)];
    let out = [chunks_mut(dp, 3 * hidden * rows), chunks_mut(db, 3 * hidden * rows), chunks_mut(dh, hidden * rows)];
    (out, given).each(|_, ([dp, db, dh], [share, recurrent, h_before])| {
        let (h, gates) = (&mut *vec![T::zero(); dh.len()], &mut *vec![T::zero(); 4 * dh.len()]);
        dispatch(Step { share, recurrent, bias: &bias, gates, h_before, h, hidden });
        dispatch(Back { gates, h_before, mask: None, dp, db, dh, hidden, before: 0 });
    });
}

/// Rows of a step that one task takes: all, unless they are many numbers.
fn rows_of_task(numbers: usize, hidden: usize) -> usize {
    const TASK: usize = 1 << 13;
    if numbers < 4 * TASK { numbers / hidden } else { (TASK / hidden).max(1) }
}
