//! `h_t = f(p_t + h_(t-1) Wᵀ)` with `f` the hyperbolic tangent or the ramp.

use super::given::{Given, Sizes, groups_mut, is_there, keep_masked, rows_mut};
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Kernel, dispatch, prefetch_run};

struct Activate<'a, T> {
    x: &'a mut [T],
    relu: bool,
}

impl<T: Lanes> Kernel for Activate<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        if self.relu {
            // NaN stays.
            self.x.iter_mut().for_each(|x| *x = if *x <= T::zero() { T::zero() } else { *x });
        } else {
            self.x.iter_mut().for_each(|x| *x = x.tanh());
        }
    }
}

/// One step of some rows back: `dh` is the gradient of the state `h` after the step, `dp` becomes that of the sum, of which rows that
/// are not there have none.
struct Back<'a, T> {
    h: &'a [T],
    mask: Option<&'a [bool]>,
    dp: &'a mut [T],
    dh: &'a [T],
    hidden: usize,
    /// How far before a state that of the step before lies.
    before: usize,
    relu: bool,
}

impl<T: Lanes> Kernel for Back<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        let n = self.hidden;
        let rows = self.dp.chunks_exact_mut(n).zip(self.dh.chunks_exact(n)).zip(self.h.chunks_exact(n));
        for (r, ((dp, dh), h)) in rows.enumerate() {
            prefetch_run(h.as_ptr().wrapping_sub(self.before), n);
            prefetch_run(dp.as_ptr().wrapping_sub(self.before), n);
            if !is_there(self.mask, r) {
                dp.fill(T::zero());
                continue;
            }
            for k in 0..n {
                let slope = match self.relu {
                    true if h[k] <= T::zero() => T::zero(),
                    true => T::one(),
                    false => T::one() - h[k] * h[k],
                };
                dp[k] = dh[k] * slope;
            }
        }
    }
}

/// Fills `states`, whose first is given.
pub fn rnn_forward<T: Lanes>(given: Given<'_, T>, relu: bool, states: &mut [T]) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    given.for_each_group(&given.forth(), groups_mut(states, batch, hidden), |group, mut states| {
        for t in 0..steps {
            let (before, now) = states.split_at_mut(t + 1);
            let (before, now) = (&*before[t], &mut *now[0]);
            group.recur(before, Some(group.share(t)), now);
            dispatch(Activate { x: now, relu });
            keep_masked(group.mask(t), hidden, before, now);
        }
    });
}

/// From the gradients `gy` of the states after each step: those of the shares, of the weights and of the first state.
pub fn rnn_backward<T: Lanes>(given: Given<'_, T>, relu: bool, states: &[T], gy: &[T], [d_share, dw, dh]: [&mut [T]; 3]) {
    if given.is_empty() {
        return;
    }
    let Sizes { steps, batch, hidden } = given.sizes;
    let parts = groups_mut(d_share, batch, hidden).into_iter().zip(rows_mut(dh, hidden)).collect();
    given.for_each_group(&given.back(), parts, |group, (mut d_share, dh): (Vec<&mut [T]>, &mut [T])| {
        group.last(gy, dh);
        for t in (0..steps).rev() {
            let (h, dp, mask) = (group.of(states, t + 1, hidden), &mut *d_share[t], group.mask(t));
            dispatch(Back { h, mask, dp: &mut *dp, dh: &*dh, hidden, before: batch * hidden, relu });
            group.recur_back(t, dp, gy, dh);
        }
    });
    given.weight_gradient(d_share, states, dw);
}
