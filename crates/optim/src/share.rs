//! One loop over tensors of any mix of sizes, on the threads of the current pool.

use gradus_tensor::parallel::{Parts, items};
use gradus_tensor::{Float, Tensor};

/// A tensor of so many elements has the threads to itself: the loops over its elements are parallel. Smaller ones share them.
const LARGE: usize = 1 << 16;
/// Elements of small tensors that make a task.
const TASK: usize = 1 << 15;

/// Whether so many elements in all are worth a second thread.
pub(crate) fn is_worth_it(elements: usize) -> bool {
    elements > TASK
}

/// Calls `f` once for each job; `size` is how many elements it works on.
pub(crate) fn each<J: Send>(jobs: impl IntoIterator<Item = J>, size: impl Fn(&J) -> usize, f: impl Fn(J) + Sync) {
    let (mut groups, mut room) = (Vec::<Vec<J>>::new(), 0);
    for job in jobs {
        let size = size(&job);
        if size >= LARGE {
            f(job);
            continue;
        }
        match groups.last_mut() {
            Some(group) if room > 0 => group.push(job),
            _ => {
                groups.push(vec![job]);
                room = TASK;
            }
        }
        room = room.saturating_sub(size);
    }
    items(groups).each(|_, group| group.into_iter().for_each(&f));
}

/// What `f` makes of each tensor.
pub(crate) fn map<T: Float>(tensors: &[&Tensor<T>], f: impl Fn(&Tensor<T>) -> f64 + Sync) -> Vec<f64> {
    let mut found = vec![0.0; tensors.len()];
    each(found.iter_mut().zip(tensors), |(_, x)| x.numel(), |(found, x)| *found = f(x));
    found
}
