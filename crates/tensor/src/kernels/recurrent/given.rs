//! What the cells share: what a sequence is computed from, and groups of rows.

use crate::kernels::epilogue::Epilogue;
use crate::kernels::fused::load;
use crate::kernels::gemm::{Gemm, Mat, Packed};
use crate::kernels::parallel::{Parts, items};
use crate::kernels::simd::Lanes;
use crate::kernels::simd::{Kernel, dispatch};

/// Rows of a batch that one task takes. Fixed, so that sums are the same on any number of threads; the rows of a few
/// registers' height, and two tasks for a batch of 32.
const ROWS: usize = 16;
/// Below this many multiply-adds in all, a second thread does not pay.
const SERIAL: usize = 1 << 16;

/// How many there are of everything.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub steps: usize,
    pub batch: usize,
    pub hidden: usize,
}

/// What a sequence is computed from: the input's share, the recurrent weights, which steps are there.
#[derive(Clone, Copy)]
pub struct Given<'a, T> {
    pub sizes: Sizes,
    pub gates: usize,
    pub share: &'a [T],
    pub weight: &'a [T],
    pub mask: Option<&'a [bool]>,
}

impl<'a, T: Lanes> Given<'a, T> {
    pub(super) fn is_empty(&self) -> bool {
        self.sizes.batch * self.sizes.hidden == 0
    }

    /// How wide a row of shares is.
    pub(super) fn width(&self) -> usize {
        self.gates * self.sizes.hidden
    }

    /// What a state is multiplied by: `Wᵀ`.
    pub(super) fn forth(&self) -> Packed<T> {
        let (width, hidden) = (self.width(), self.sizes.hidden);
        Packed::new(Mat::row_major(self.weight, hidden).t(), hidden, width)
    }

    /// What a gradient of the state's share is multiplied by: `W`.
    pub(super) fn back(&self) -> Packed<T> {
        let (width, hidden) = (self.width(), self.sizes.hidden);
        Packed::new(Mat::row_major(self.weight, hidden), width, hidden)
    }

    /// Calls `task` with each group of rows, whose states or gradients meet `weights` at each step, and what `parts` holds
    /// for it.
    pub(super) fn for_each_group<P: Send>(
        &self,
        weights: &Packed<T>,
        parts: Vec<P>,
        task: impl Fn(Group<'_, T>, P) + Sync + Send,
    ) {
        // A cell's steps are much code: both loops call the same.
        let task: &(dyn Fn(Group<'_, T>, P) + Sync) = &task;
        let Sizes { steps, batch, hidden } = self.sizes;
        let group = |i: usize| Group { given: *self, weights, first: i * ROWS, rows: ROWS.min(batch - i * ROWS) };
        if steps * batch * hidden * self.width() < SERIAL {
            parts.into_iter().enumerate().for_each(|(i, part)| task(group(i), part));
        } else {
            items(parts).each(|i, part| task(group(i), part));
        }
    }

    /// `dW = Σ_t dp_tᵀ h_(t-1)` into `dw`, from the gradients of the state's shares and the states from the first one on.
    pub(super) fn weight_gradient(&self, d_share: &[T], states: &[T], dw: &mut [T]) {
        let (rows, width, hidden) = (self.sizes.steps * self.sizes.batch, self.width(), self.sizes.hidden);
        let there;
        let states = match self.mask.filter(|mask| mask.contains(&false)) {
            Some(mask) => {
                there = masked(states, mask, hidden);
                &there
            }
            None => states,
        };
        let (a, b) = (Mat::row_major(d_share, width).t(), Mat::row_major(states, hidden));
        Gemm { m: width, k: rows, n: hidden, a, b, beta: T::zero(), end: Epilogue::NONE, c: dw, ldc: hidden }.run_parallel();
    }
}

/// A group of rows.
pub(super) struct Group<'a, T: Lanes> {
    given: Given<'a, T>,
    weights: &'a Packed<T>,
    first: usize,
    pub(super) rows: usize,
}

impl<'a, T: Lanes> Group<'a, T> {
    /// The group's rows of step `t` of an array of `[.., N, width]`.
    pub(super) fn of<'b, U>(&self, data: &'b [U], t: usize, width: usize) -> &'b [U] {
        let at = (t * self.given.sizes.batch + self.first) * width;
        &data[at..at + self.rows * width]
    }

    /// Which of the group's rows are there at step `t`.
    pub(super) fn mask(&self, t: usize) -> Option<&'a [bool]> {
        self.given.mask.map(|mask| self.of(mask, t, 1))
    }

    /// The gradient of the last state, in `dh`.
    pub(super) fn last(&self, gy: &[T], dh: &mut [T]) {
        match self.given.sizes.steps.checked_sub(1) {
            Some(t) => dh.copy_from_slice(self.of(gy, t, self.given.sizes.hidden)),
            None => dh.fill(T::zero()),
        }
    }

    /// The input's share at step `t`.
    pub(super) fn share(&self, t: usize) -> &'a [T] {
        self.of(self.given.share, t, self.given.width())
    }

    /// `c <- h Wᵀ + plus`: the state's share.
    pub(super) fn recur(&self, h: &[T], plus: Option<&[T]>, c: &mut [T]) {
        self.weights.multiply(self.rows, h, plus, c);
    }

    /// `dh <- dp W + gy_(t-1)`: back through the state's share of step `t`, to the gradient of the state before it, which has that of
    /// its own besides. Rows that are not there keep theirs, even if there is a NaN among the weights.
    pub(super) fn recur_back(&self, t: usize, dp: &[T], gy: &[T], dh: &mut [T]) {
        let hidden = self.given.sizes.hidden;
        let before = (t > 0).then(|| self.of(gy, t - 1, hidden));
        let kept = self.kept(t, dh).map(|(mask, mut kept)| {
            add(&mut kept, before.unwrap_or_default());
            (mask, kept)
        });
        self.weights.multiply(self.rows, dp, before, dh);
        flush(dh);
        if let Some((mask, kept)) = kept {
            keep_masked(Some(mask), hidden, &kept, dh);
        }
    }

    /// As [`recur_back`](Self::recur_back), where `dh` holds what passes by the product: `dh <- dp W + dh + gy_(t-1)`.
    pub(super) fn recur_back_onto(&self, t: usize, dp: &[T], gy: &[T], dh: &mut [T]) {
        let hidden = self.given.sizes.hidden;
        let kept = self.kept(t, dh);
        self.weights.multiply_add(self.rows, dp, dh);
        flush(dh);
        if let Some((mask, kept)) = kept {
            keep_masked(Some(mask), hidden, &kept, dh);
        }
        if t > 0 {
            add(dh, self.of(gy, t - 1, hidden));
        }
    }

    /// The mask of a step at which rows are missing, and what there is of them.
    pub(super) fn kept(&self, t: usize, dh: &[T]) -> Option<(&'a [bool], Vec<T>)> {
        Some((self.mask(t).filter(|mask| mask.contains(&false))?, dh.to_vec()))
    }
}

/// The states before each step, 0 where the step is not there: a NaN in one must not meet the 0 that is its factor.
pub(super) fn masked<T: Lanes>(states: &[T], mask: &[bool], hidden: usize) -> Vec<T> {
    let mut there = states[..mask.len() * hidden].to_vec();
    for (state, _) in there.chunks_exact_mut(hidden).zip(mask).filter(|(_, there)| !**there) {
        state.fill(T::zero());
    }
    there
}

/// Cuts an array of `[.., N, width]` into groups of rows: for each group, its rows at every step.
pub(super) fn groups_mut<T>(data: &mut [T], batch: usize, width: usize) -> Vec<Vec<&mut [T]>> {
    let mut groups: Vec<Vec<&mut [T]>> = (0..batch.div_ceil(ROWS)).map(|_| Vec::new()).collect();
    for step in data.chunks_exact_mut(batch * width) {
        for (group, rows) in groups.iter_mut().zip(step.chunks_mut(ROWS * width)) {
            group.push(rows);
        }
    }
    groups
}

/// As [`groups_mut`], of an array without steps, `[N, width]`.
pub(super) fn rows_mut<T>(data: &mut [T], width: usize) -> std::slice::ChunksMut<'_, T> {
    data.chunks_mut(ROWS * width)
}

/// Each row of `hidden` numbers that is not there takes that of `before`.
pub(super) fn keep_masked<T: Lanes>(mask: Option<&[bool]>, hidden: usize, before: &[T], now: &mut [T]) {
    let Some(mask) = mask else { return };
    for (r, there) in mask.iter().enumerate() {
        if !there {
            let row = r * hidden..(r + 1) * hidden;
            now[row.clone()].copy_from_slice(&before[row]);
        }
    }
}

/// Whether row `r` is there.
#[inline(always)]
pub(super) fn is_there(mask: Option<&[bool]>, r: usize) -> bool {
    mask.is_none_or(|mask| mask[r])
}

/// Gradients so small that a product of a few of them with gates and weights may be denormal, as 0. A gradient that vanishes
/// over many steps would else be denormal for dozens of them, and processors compute with such numbers a hundred times more
/// slowly. What is lost is far below the rounding of anything that it is added to.
#[inline(always)]
pub(super) fn flushed<T: Lanes>(v: T) -> T {
    if v.abs() < T::TINY / T::EPSILON { T::zero() } else { v }
}

struct Flush<'a, T>(&'a mut [T]);

impl<T: Lanes> Kernel for Flush<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.0.iter_mut().for_each(|v| *v = flushed(*v));
    }
}

pub(super) fn flush<T: Lanes>(gradient: &mut [T]) {
    dispatch(Flush(gradient));
}

/// `out[k] = f(a[k], b[k], c[k])`.
#[inline(always)]
pub(super) fn each<T: Lanes>(out: &mut [T], a: &[T], b: &[T], c: &[T], f: impl Fn(T, T, T) -> T) {
    /// Elements that are worked on in arrays of their own, which the compiler knows not to overlap: parts of one buffer look as if
    /// they might, and it would give up on vectors.
    const BLOCK: usize = 32;
    let n = out.len();
    let mut at = 0;
    while at + BLOCK <= n {
        let (a, b, c): ([T; BLOCK], [T; BLOCK], [T; BLOCK]) = (load(a, at), load(b, at), load(c, at));
        let mut y = [T::zero(); BLOCK];
        for k in 0..BLOCK {
            y[k] = f(a[k], b[k], c[k]);
        }
        out[at..at + BLOCK].copy_from_slice(&y);
        at += BLOCK;
    }
    for k in at..n {
        out[k] = f(a[k], b[k], c[k]);
    }
}

struct Add<'a, T>(&'a mut [T], &'a [T]);

impl<T: Lanes> Kernel for Add<'_, T> {
    type Out = ();
    #[inline(always)]
    fn run(self) {
        self.0.iter_mut().zip(self.1).for_each(|(a, &b)| *a += b);
    }
}

/// `a += b`.
pub(super) fn add<T: Lanes>(a: &mut [T], b: &[T]) {
    dispatch(Add(a, b));
}
