//! Parallel loops whose caller waits without taking up other work.
//!
//! A rayon worker that waits for its own loop runs whatever task comes next, on top of its own stack. That task then sees
//! the state of a thread that is in the middle of something else: inside `no_grad` it records nothing, inside a profile or
//! a checkpoint it is counted or replayed. Every kernel can be called in such a state, so the loops here are shared with
//! the workers of the caller's pool but the caller runs nothing but parts of its own loop, and then waits.
//!
//! A loop uses the threads of the rayon pool that it is called in: that of [`ThreadPool::install`](rayon::ThreadPool::install),
//! otherwise the global one, whose size `RAYON_NUM_THREADS` sets. With one thread it is a plain loop. Loops nest, and any
//! number of threads may run loops at once: a loop never depends on a free worker to make progress.
//!
//! ```
//! use gradus_tensor::parallel::{Parts, chunks, chunks_mut};
//! let (x, mut y) = (vec![1.0f32; 1000], vec![0.0f32; 1000]);
//! (chunks_mut(&mut y, 128), chunks(&x, 128)).each(|_, (y, x)| {
//!     for (y, x) in y.iter_mut().zip(x) {
//!         *y = 2.0 * x;
//!     }
//! });
//! assert!(y.iter().all(|&v| v == 2.0));
//! ```

mod desk;
mod parts;

pub use desk::run;
pub use parts::{Chunks, ChunksMut, Items, Parts, chunks, chunks_mut, items};

use std::ops::Range;

/// The threads of the current pool. No result may depend on them: they decide only between ways to the same bits.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// A sum, or what else `join` makes of two, over a balanced binary tree whose leaves are ranges of `0..n`. A range is halved
/// at a multiple of `block` until `is_leaf` holds for its length, so the tree depends on the arguments alone.
pub(crate) fn tree<R: Send>(
    n: usize,
    block: usize,
    is_leaf: impl Fn(usize) -> bool,
    leaf: impl Fn(Range<usize>) -> R + Sync,
    join: impl Fn(R, R) -> R,
) -> R {
    fn half(n: usize, block: usize) -> usize {
        (n / 2).next_multiple_of(block)
    }
    fn cut(range: Range<usize>, block: usize, is_leaf: &impl Fn(usize) -> bool, leaves: &mut Vec<Range<usize>>) {
        if is_leaf(range.len()) {
            return leaves.push(range);
        }
        let middle = range.start + half(range.len(), block);
        cut(range.start..middle, block, is_leaf, leaves);
        cut(middle..range.end, block, is_leaf, leaves);
    }
    fn joined<R>(
        n: usize,
        block: usize,
        is_leaf: &impl Fn(usize) -> bool,
        leaves: &mut impl Iterator<Item = R>,
        join: &impl Fn(R, R) -> R,
    ) -> R {
        if is_leaf(n) {
            return leaves.next().expect("a value for each leaf");
        }
        let first = half(n, block);
        let a = joined(first, block, is_leaf, leaves, join);
        join(a, joined(n - first, block, is_leaf, leaves, join))
    }
    let mut leaves = Vec::new();
    cut(0..n, block, &is_leaf, &mut leaves);
    let found = (0..leaves.len()).map_at_least(1, |_, i| leaf(leaves[i].clone()));
    joined(n, block, &is_leaf, &mut found.into_iter(), &join)
}
