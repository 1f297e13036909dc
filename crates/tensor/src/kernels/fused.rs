//! One pass over a tensor, what drives it, and the state that goes with it: the loop of an optimiser.

use super::parallel::{Parts, chunks, chunks_mut};
use super::simd::{Kernel, dispatch};
use crate::element::Element;

/// Slices shorter than this are not worth a second thread.
const SERIAL: usize = 1 << 16;
/// What one task takes.
const CHUNK: usize = 1 << 14;
/// Elements that are worked on in arrays of their own, which the compiler knows not to overlap: the slices
/// are too many for it to test that at run time, and it would give up on vectors.
const BLOCK: usize = 64;

struct Update<'a, T, F, const N: usize> {
    w: &'a mut [T],
    g: &'a [T],
    state: [&'a mut [T]; N],
    f: F,
}

impl<T: Element, F: Fn(&mut T, T, [&mut T; N]) + Copy, const N: usize> Kernel for Update<'_, T, F, N> {
    type Out = ();
    #[inline(always)]
    fn run(mut self) {
        let (n, f) = (self.w.len(), self.f);
        let mut at = 0;
        while at + BLOCK <= n {
            let (mut w, g): ([T; BLOCK], _) = (load(self.w, at), load(self.g, at));
            let mut state = std::array::from_fn(|k| load(self.state[k], at));
            block(&mut w, &g, &mut state, &f);
            self.w[at..at + BLOCK].copy_from_slice(&w);
            for (to, from) in self.state.iter_mut().zip(&state) {
                to[at..at + BLOCK].copy_from_slice(from);
            }
            at += BLOCK;
        }
        for i in at..n {
            f(&mut self.w[i], self.g[i], self.state.each_mut().map(|s| &mut s[i]));
        }
    }
}

/// The elements from `at` on.
#[inline(always)]
pub(super) fn load<T: Element, const N: usize>(x: &[T], at: usize) -> [T; N] {
    let mut block = [T::default(); N];
    block.copy_from_slice(&x[at..at + N]);
    block
}

/// A function of its own, for its arguments are known not to overlap: neither each other, nor what `f` borrows.
#[inline(always)]
fn block<T: Element, const N: usize>(
    w: &mut [T; BLOCK],
    g: &[T; BLOCK],
    state: &mut [[T; BLOCK]; N],
    f: &impl Fn(&mut T, T, [&mut T; N]),
) {
    for i in 0..BLOCK {
        // Through locals, which become registers; references into the arrays keep some loops from vectors.
        let mut at_i: [T; N] = std::array::from_fn(|k| state[k][i]);
        f(&mut w[i], g[i], at_i.each_mut());
        for (s, new) in state.iter_mut().zip(at_i) {
            s[i] = new;
        }
    }
}

/// `f(&mut w[i], g[i], [&mut state[0][i], …])` for every `i`.
pub fn update<T: Element, const N: usize>(
    w: &mut [T],
    g: &[T],
    state: [&mut [T]; N],
    f: impl Fn(&mut T, T, [&mut T; N]) + Copy + Send + Sync,
) {
    assert!(g.len() == w.len() && state.iter().all(|s| s.len() == w.len()));
    if w.len() < SERIAL {
        return dispatch(Update { w, g, state, f });
    }
    let parts = (chunks_mut(w, CHUNK), chunks(g, CHUNK), state.map(|s| chunks_mut(s, CHUNK)));
    parts.each(|_, (w, g, state)| dispatch(Update { w, g, state, f }));
}
